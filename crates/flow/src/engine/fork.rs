//! Branches side by side (dsl-reference.md, "Fork").
//!
//! Without `compete`, all branches are done and the first that fails fails the fork. With `compete`, the first that is
//! done wins; one that fails only drops out, unless it is the last.

use super::command::Input;
use super::state::{Activity, Branch, Frame};
use super::task::{Inner, Outcome};
use super::walk::Walk;
use crate::dsl::Fork;
use serde_json::Value;

impl<'a> Walk<'a> {
    pub(super) fn begin_fork(&mut self, fork: &'a Fork, frame: &Frame) -> Inner {
        let mark = self.enter("fork", None);
        let inner = self.enter("branches", None);
        let mut branches = Vec::new();
        let mut ended = None;
        for (at, task) in fork.branches.iter().enumerate() {
            let outcome = self.in_task(0, at, task, |walk| walk.begin_task(task, frame.input.clone()));
            ended = note(&mut branches, at, outcome);
            if ended.is_some() || decided(fork, &branches) {
                break;
            }
        }
        let result = self.decide(fork, branches, ended);
        self.leave(inner);
        self.leave(mark);
        result
    }

    pub(super) fn wake_fork(&mut self, fork: &'a Fork, branches: Vec<Branch>, input: &Input) -> Inner {
        let mark = self.enter("fork", None);
        let inner = self.enter("branches", None);
        let mut rest = branches.into_iter().enumerate();
        let mut branches = Vec::new();
        let mut ended = None;
        for (at, branch) in rest.by_ref() {
            match (branch, fork.branches.get(at)) {
                (Branch::Running(frame), Some(task)) => {
                    let outcome = self.in_task(0, at, task, |walk| walk.wake_task(task, *frame, input));
                    ended = note(&mut branches, at, outcome);
                }
                (branch, _) => branches.push(branch),
            }
            if ended.is_some() || decided(fork, &branches) {
                break;
            }
        }
        branches.extend(rest.map(|(_, branch)| branch));
        let result = self.decide(fork, branches, ended);
        self.leave(inner);
        self.leave(mark);
        result
    }

    fn decide(&mut self, fork: &'a Fork, branches: Vec<Branch>, ended: Option<Value>) -> Inner {
        let running = branches.iter().any(|branch| matches!(branch, Branch::Running(_)));
        if ended.is_none() && running && !decided(fork, &branches) {
            return Inner::Pending(Activity::Fork(branches));
        }
        let mut outputs = Vec::new();
        let mut failure = None;
        for (at, branch) in branches.into_iter().enumerate() {
            match (branch, fork.branches.get(at)) {
                (Branch::Running(frame), Some(task)) => {
                    self.in_task(0, at, task, |walk| walk.cancel_task(task, *frame))
                }
                (Branch::Running(_), None) => return Inner::Failed(self.foreign()),
                (Branch::Done(output), _) => outputs.push(output),
                (Branch::Failed(problem), _) if fork.compete => failure = Some(problem),
                (Branch::Failed(problem), _) => failure = failure.or(Some(problem)),
            }
        }
        if let Some(output) = ended {
            return Inner::Ended(output);
        }
        if fork.compete && !outputs.is_empty() {
            return Inner::Output(outputs.swap_remove(0));
        }
        match failure {
            Some(problem) => Inner::Failed(problem),
            None => Inner::Output(Value::Array(outputs)),
        }
    }

    pub(super) fn cancel_branches(&mut self, fork: &'a Fork, branches: Vec<Branch>) {
        let mark = self.enter("fork", None);
        let inner = self.enter("branches", None);
        for (at, branch) in branches.into_iter().enumerate() {
            if let (Some(task), Branch::Running(frame)) = (fork.branches.get(at), branch) {
                self.in_task(0, at, task, |walk| walk.cancel_task(task, *frame));
            }
        }
        self.leave(inner);
        self.leave(mark);
    }
}

/// Writes down what a branch came to; the output, where it ended the workflow.
fn note(branches: &mut Vec<Branch>, at: usize, outcome: Outcome) -> Option<Value> {
    let mut ended = None;
    let branch = match outcome {
        Outcome::Pending(frame) => Branch::Running(frame),
        Outcome::Done(output, crate::dsl::Flow::End) | Outcome::Ended(output) => {
            ended = Some(output.clone());
            Branch::Done(output)
        }
        Outcome::Done(output, _) => Branch::Done(output),
        Outcome::Failed(problem) => Branch::Failed(problem),
    };
    match branches.get_mut(at) {
        Some(place) => *place = branch,
        None => branches.push(branch),
    }
    ended
}

/// Whether the branches that still run make no difference any more.
fn decided(fork: &Fork, branches: &[Branch]) -> bool {
    branches.iter().any(|branch| match branch {
        Branch::Done(_) => fork.compete,
        Branch::Failed(_) => !fork.compete,
        Branch::Running(_) => false,
    })
}
