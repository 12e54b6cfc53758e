//! Events that are waited for, and what is done with each (dsl-reference.md, "Listen").

use super::command::{Action, Input};
use super::matching::{event_fits, hints};
use super::problem::{Problem, Standard};
use super::sequence::{Entry, Sequel};
use super::state::{Activity, Frame, ItemFrame, ListenFrame};
use super::task::Inner;
use super::walk::{Attempted, Walk};
use crate::dsl::{Foreach, Listen, ReadAs, Strategy, Task, Until};
use serde_json::Value;

/// Most events that one task consumes, or keeps waiting for their turn.
const MAX_EVENTS: usize = 10_000;

impl<'a> Walk<'a> {
    pub(super) fn begin_listen(&mut self, listen: &'a Listen) -> Inner {
        let mut filters = hints(&listen.to);
        if let Strategy::Any(_, Some(Until::Events(until))) = &listen.to {
            filters.extend(hints(until));
        }
        let subscription = self.command(Action::Subscribe { filters });
        if correlates(&listen.to) {
            self.tell_run("correlation-started", "startedAt");
        }
        Inner::Pending(Activity::Listen(ListenFrame {
            subscription,
            open: true,
            ..ListenFrame::default()
        }))
    }

    pub(super) fn wake_listen(
        &mut self,
        task: &'a Task,
        listen: &'a Listen,
        frame: &Frame,
        mut listening: ListenFrame,
        input: &Input,
    ) -> Inner {
        if let (Some(item), Some(foreach)) = (listening.item.take(), &listen.foreach) {
            let ItemFrame { event, list } = item;
            let sequel = self.in_item(foreach, &listening, &event, |walk| {
                walk.sequence(&foreach.body, "do", None, Entry::Wake(list, input))
            });
            if let Some(end) = self.after_item(task, listen, frame, &mut listening, event, sequel) {
                return end;
            }
        }
        if let Input::Delivered { cloud_event } = input
            && listening.open
            && let Err(problem) = self.consume(task, listen, frame, &mut listening, cloud_event)
        {
            return self.give_up(&mut listening, problem);
        }
        self.drive(task, listen, frame, listening)
    }

    /// Takes an event that fits.
    fn consume(
        &mut self,
        task: &'a Task,
        listen: &'a Listen,
        frame: &Frame,
        listening: &mut ListenFrame,
        event: &Value,
    ) -> Attempted<()> {
        if super::walk::deeper_than(event, super::MAX_DATA_DEPTH) {
            return Ok(());
        }
        let mut gathered = std::mem::take(&mut listening.gathered);
        let offered = {
            let scope = self.scope(task, frame);
            let mode = self.definition.mode;
            gathered.offer(&listen.to, |filter, keys| {
                event_fits(filter, event, &frame.input, keys, &scope, mode)
            })
        };
        listening.gathered = gathered;
        if offered.taken {
            let value = match listen.read {
                ReadAs::Data => event.get("data").cloned().unwrap_or_default(),
                ReadAs::Envelope => event.clone(),
            };
            if listening.consumed.len() + listening.queue.len() >= MAX_EVENTS {
                return self.fail(
                    Standard::Runtime,
                    format!("The task got more than {MAX_EVENTS} events."),
                );
            }
            match listen.foreach {
                Some(_) => listening.queue.push_back(value),
                None => self.keep(task, listen, frame, listening, value)?,
            }
        }
        if !offered.open {
            self.close(listening);
        }
        Ok(())
    }

    /// Adds to what was consumed, and looks whether that is enough.
    fn keep(
        &mut self,
        task: &'a Task,
        listen: &'a Listen,
        frame: &Frame,
        listening: &mut ListenFrame,
        value: Value,
    ) -> Attempted<()> {
        listening.consumed.push(value);
        if let Strategy::Any(_, Some(Until::Expression(until))) = &listen.to
            && listening.open
        {
            let consumed = Value::Array(listening.consumed.clone());
            if self.holds(until, &consumed, &self.scope(task, frame))? {
                self.close(listening);
                listening.queue.clear();
            }
        }
        Ok(())
    }

    fn close(&mut self, listening: &mut ListenFrame) {
        if std::mem::take(&mut listening.open) {
            self.cancel_command(listening.subscription);
        }
    }

    fn give_up(&mut self, listening: &mut ListenFrame, problem: Problem) -> Inner {
        self.close(listening);
        Inner::Failed(problem)
    }

    /// Does what is to be done with the events whose turn it is.
    fn drive(
        &mut self,
        task: &'a Task,
        listen: &'a Listen,
        frame: &Frame,
        mut listening: ListenFrame,
    ) -> Inner {
        while let (None, Some(foreach)) = (&listening.item, &listen.foreach) {
            let Some(event) = listening.queue.pop_front() else {
                break;
            };
            let sequel = self.in_item(foreach, &listening, &event, |walk| {
                match foreach.body.is_empty() {
                    true => Sequel::Done(event.clone()),
                    false => walk.sequence(&foreach.body, "do", None, Entry::Start(frame.input.clone())),
                }
            });
            if let Some(end) = self.after_item(task, listen, frame, &mut listening, event, sequel) {
                return end;
            }
        }
        if listening.open || listening.item.is_some() {
            return Inner::Pending(Activity::Listen(listening));
        }
        if correlates(&listen.to) {
            self.tell_correlated(&listening.gathered.keys);
        }
        Inner::Output(Value::Array(listening.consumed))
    }

    /// Acts at an event's place, with its variables.
    fn in_item<T>(
        &mut self,
        foreach: &Foreach,
        listening: &ListenFrame,
        event: &Value,
        act: impl FnOnce(&mut Self) -> T,
    ) -> T {
        // Each event that had its turn left one value, so their number is the event's.
        let index = listening.consumed.len();
        let outer = self.variables.len();
        self.variables.push((foreach.item.clone(), event.clone()));
        self.variables.push((foreach.at.clone(), Value::from(index)));
        let mark = self.enter("foreach", Some(index));
        let result = act(self);
        self.leave(mark);
        self.variables.truncate(outer);
        result
    }

    /// Takes what came of an event; the task's end, where that is one.
    fn after_item(
        &mut self,
        task: &'a Task,
        listen: &'a Listen,
        frame: &Frame,
        listening: &mut ListenFrame,
        event: Value,
        sequel: Sequel,
    ) -> Option<Inner> {
        let Some(foreach) = &listen.foreach else {
            return None;
        };
        let raw = match sequel {
            Sequel::Pending(list) => {
                listening.item = Some(ItemFrame { event, list });
                return None;
            }
            Sequel::Ended(output) => {
                self.close(listening);
                return Some(Inner::Ended(output));
            }
            Sequel::Failed(problem) => return Some(self.give_up(listening, problem)),
            Sequel::Done(raw) => raw,
        };
        let given = self.in_item(foreach, listening, &event, |walk| {
            walk.give_item(task, foreach, frame, raw)
        });
        let kept = given.and_then(|output| self.keep(task, listen, frame, listening, output));
        kept.err().map(|problem| self.give_up(listening, problem))
    }

    fn give_item(
        &mut self,
        task: &'a Task,
        foreach: &'a Foreach,
        frame: &Frame,
        raw: Value,
    ) -> Attempted<Value> {
        let output = self.transform(&foreach.output, raw, &self.scope(task, frame))?;
        self.fits(&foreach.output, &output, "item's output")?;
        if foreach.export.transform.is_some() {
            let scope = self.scope(task, frame).with_output(&output);
            let context = self.transform(&foreach.export, output.clone(), &scope)?;
            self.fits(&foreach.export, &context, "exported context")?;
            self.state.context = context;
        }
        Ok(output)
    }

    pub(super) fn cancel_listen(&mut self, listen: &'a Listen, mut listening: ListenFrame) {
        if let (Some(item), Some(foreach)) = (listening.item.take(), &listen.foreach) {
            self.in_item(foreach, &listening, &item.event, |walk| {
                walk.cancel_sequence(&foreach.body, "do", None, *item.list);
            });
        }
        self.close(&mut listening);
    }
}

fn correlates(strategy: &Strategy) -> bool {
    strategy
        .filters()
        .iter()
        .any(|filter| !filter.correlate.is_empty())
}
