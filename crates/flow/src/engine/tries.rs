//! Errors that are caught, and attempts (dsl-reference.md, "Try", "Catch", "Retry").

use super::command::Input;
use super::problem::{Problem, Standard};
use super::scope::Scope;
use super::sequence::{Entry, Sequel};
use super::state::{Activity, Frame, TryFrame, TryPhase};
use super::task::Inner;
use super::walk::{Attempted, Walk};
use crate::dsl::{Backoff, Catch, MAX_MS, Retry, Task, Try};
use chrono::{DateTime, Duration, Utc};
use sha2::{Digest, Sha256};

/// What follows on an error.
enum Follow {
    /// It is not caught.
    Raise,
    /// Another attempt, after so many milliseconds.
    Retry(i64),
    /// It is handled.
    Handle,
}

impl<'a> Walk<'a> {
    pub(super) fn begin_try(&mut self, task: &'a Task, inner: &'a Try, frame: &Frame) -> Inner {
        let attempt = TryFrame {
            attempt: 1,
            began: self.now,
            phase: TryPhase::Pausing(0),
        };
        self.attempt_on(task, inner, frame, attempt)
    }

    /// Begins attempts until one waits or the matter is settled.
    fn attempt_on(&mut self, task: &'a Task, inner: &'a Try, frame: &Frame, attempt: TryFrame) -> Inner {
        let limit = inner
            .catch
            .retry
            .as_ref()
            .and_then(|retry| retry.attempt_duration.as_ref());
        let limit = match limit
            .map(|span| self.span(span, &frame.input, &self.scope(task, frame)))
            .transpose()
        {
            Ok(limit) => limit.map(|ms| self.arm(ms)),
            Err(problem) => return Inner::Failed(problem),
        };
        let entry = Entry::Start(frame.input.clone());
        let sequel = self.in_attempt(attempt.attempt, |walk| {
            walk.sequence(&inner.body, "try", None, entry)
        });
        self.attempted(task, inner, frame, attempt, limit, sequel)
    }

    fn in_attempt<T>(&mut self, attempt: u32, act: impl FnOnce(&mut Self) -> T) -> T {
        let outer = std::mem::replace(&mut self.attempt, attempt);
        let result = act(self);
        self.attempt = outer;
        result
    }

    fn attempted(
        &mut self,
        task: &'a Task,
        inner: &'a Try,
        frame: &Frame,
        mut attempt: TryFrame,
        limit: Option<u64>,
        sequel: Sequel,
    ) -> Inner {
        if let Sequel::Pending(list) = sequel {
            attempt.phase = TryPhase::Trying(limit, list);
            return Inner::Pending(Activity::Try(attempt));
        }
        if let Some(target) = limit {
            self.cancel_command(target);
        }
        let Sequel::Failed(problem) = sequel else {
            return sequel.into();
        };
        match self.follow(task, &inner.catch, frame, &attempt, &problem) {
            Err(problem) => Inner::Failed(problem),
            Ok(Follow::Raise) => Inner::Failed(problem),
            Ok(Follow::Retry(ms)) => {
                attempt.attempt += 1;
                // Even a delay of nothing is a timer: so attempts never pile up on the stack, and a task that fails at
                // once, for ever, costs an event each time.
                attempt.phase = TryPhase::Pausing(self.arm(ms));
                Inner::Pending(Activity::Try(attempt))
            }
            Ok(Follow::Handle) if inner.catch.body.is_empty() => Inner::Output(frame.input.clone()),
            Ok(Follow::Handle) => {
                let entry = Entry::Start(frame.input.clone());
                self.catching(inner, attempt, problem, entry)
            }
        }
    }

    fn catching(
        &mut self,
        inner: &'a Try,
        mut attempt: TryFrame,
        problem: Problem,
        entry: Entry<'_>,
    ) -> Inner {
        let outer = self.variables.len();
        self.variables
            .push((inner.catch.name.clone(), problem.to_value()));
        let mark = self.enter("catch", None);
        let sequel = self.in_attempt(attempt.attempt, |walk| {
            walk.sequence(&inner.catch.body, "do", None, entry)
        });
        self.leave(mark);
        self.variables.truncate(outer);
        match sequel {
            Sequel::Pending(list) => {
                attempt.phase = TryPhase::Catching(problem, list);
                Inner::Pending(Activity::Try(attempt))
            }
            other => other.into(),
        }
    }

    fn follow(
        &mut self,
        task: &'a Task,
        catch: &Catch,
        frame: &Frame,
        attempt: &TryFrame,
        problem: &Problem,
    ) -> Attempted<Follow> {
        if !problem.fits(&catch.with) {
            return Ok(Follow::Raise);
        }
        let error = problem.to_value();
        let scope = self
            .scope(task, frame)
            .with("error", error.clone())
            .with(&catch.name, error);
        if !self.admits(&catch.when, &catch.except_when, frame, &scope)? {
            return Ok(Follow::Raise);
        }
        let Some(retry) = &catch.retry else {
            return Ok(Follow::Handle);
        };
        if self.admits(&retry.when, &retry.except_when, frame, &scope)? {
            let delay = self.delay(retry, attempt.attempt, frame, &scope)?;
            let counts = retry
                .attempts
                .is_none_or(|most| u64::from(attempt.attempt) < most);
            let lasts = match &retry.duration {
                None => true,
                Some(span) => {
                    let most = self.span(span, &frame.input, &scope)?;
                    within(attempt.began, self.now, delay, most)
                }
            };
            if counts && lasts {
                return Ok(Follow::Retry(delay));
            }
        }
        // Nothing more to try: the error is handled where there is something to handle it, or goes on.
        Ok(if catch.body.is_empty() {
            Follow::Raise
        } else {
            Follow::Handle
        })
    }

    fn admits(
        &self,
        when: &Option<String>,
        except: &Option<String>,
        frame: &Frame,
        scope: &Scope<'_>,
    ) -> Attempted<bool> {
        let wanted = when
            .as_ref()
            .map_or(Ok(true), |when| self.holds(when, &frame.input, scope))?;
        let excepted = except
            .as_ref()
            .map_or(Ok(false), |except| self.holds(except, &frame.input, scope))?;
        Ok(wanted && !excepted)
    }

    /// Milliseconds before the attempt after this one.
    fn delay(&self, retry: &Retry, attempt: u32, frame: &Frame, scope: &Scope<'_>) -> Attempted<i64> {
        let span = |span: &crate::dsl::Span| self.span(span, &frame.input, scope);
        let base = retry.delay.as_ref().map_or(Ok(0), span)?;
        let grown = match retry.backoff {
            Backoff::Constant => base,
            Backoff::Linear => base.saturating_mul(i64::from(attempt)),
            Backoff::Exponential => base.saturating_mul(1_i64 << (attempt - 1).min(40)),
        };
        let jitter = match &retry.jitter {
            None => 0,
            Some((from, to)) => {
                let (from, to) = (span(from)?, span(to)?);
                from + self.chance(attempt, (to - from).max(0))
            }
        };
        Ok(grown.saturating_add(jitter).min(MAX_MS))
    }

    /// A number from 0 to `most` that differs between runs, tasks and attempts, and is the same in every replay.
    fn chance(&self, attempt: u32, most: i64) -> i64 {
        let seed = format!("{}\n{}\n{attempt}", self.state.run.id, self.step);
        let digest = Sha256::digest(seed.as_bytes());
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&digest[..8]);
        (u64::from_be_bytes(bytes) % (most as u64 + 1)) as i64
    }

    pub(super) fn wake_try(
        &mut self,
        task: &'a Task,
        inner: &'a Try,
        frame: &Frame,
        mut attempt: TryFrame,
        input: &Input,
    ) -> Inner {
        let number = attempt.attempt;
        match attempt.phase {
            TryPhase::Trying(Some(limit), list) if matches!(input, Input::Fired { step, seq } if self.is_mine(step, *seq, limit)) =>
            {
                self.in_attempt(number, |walk| {
                    walk.cancel_sequence(&inner.body, "try", None, *list)
                });
                let problem = Problem::standard(
                    Standard::Timeout,
                    "The attempt took longer than the retry policy allows.",
                );
                let failed = Sequel::Failed(problem.at(&self.pointer));
                attempt.phase = TryPhase::Pausing(0);
                self.attempted(task, inner, frame, attempt, None, failed)
            }
            TryPhase::Trying(limit, list) => {
                let entry = Entry::Wake(list, input);
                let sequel = self.in_attempt(number, |walk| walk.sequence(&inner.body, "try", None, entry));
                attempt.phase = TryPhase::Pausing(0);
                self.attempted(task, inner, frame, attempt, limit, sequel)
            }
            TryPhase::Pausing(mine) => match input {
                Input::Fired { step, seq } if self.is_mine(step, *seq, mine) => {
                    self.tell_task("retried", "retriedAt", None);
                    self.attempt_on(task, inner, frame, attempt)
                }
                _ => Inner::Pending(Activity::Try(attempt)),
            },
            TryPhase::Catching(problem, list) => {
                attempt.phase = TryPhase::Pausing(0);
                self.catching(inner, attempt, problem, Entry::Wake(list, input))
            }
        }
    }

    pub(super) fn cancel_try(&mut self, inner: &'a Try, attempt: TryFrame) {
        match attempt.phase {
            TryPhase::Trying(limit, list) => {
                self.in_attempt(attempt.attempt, |walk| {
                    walk.cancel_sequence(&inner.body, "try", None, *list)
                });
                if let Some(target) = limit {
                    self.cancel_command(target);
                }
            }
            TryPhase::Pausing(target) => self.cancel_command(target),
            TryPhase::Catching(_, list) => {
                let mark = self.enter("catch", None);
                self.in_attempt(attempt.attempt, |walk| {
                    walk.cancel_sequence(&inner.catch.body, "do", None, *list)
                });
                self.leave(mark);
            }
        }
    }
}

/// Whether an attempt would begin within `most` milliseconds of the first.
fn within(began: DateTime<Utc>, now: DateTime<Utc>, delay: i64, most: i64) -> bool {
    let begins = now.checked_add_signed(Duration::milliseconds(delay));
    begins.is_some_and(|begins| (begins - began).num_milliseconds() <= most)
}
