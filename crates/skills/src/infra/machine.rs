//! The order of a deployment as a state machine: what to do next after what has happened, and nothing else.

/// What the agent has to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Assess the action and use the approval, when one is needed.
    Authorise,
    /// Take the environment's lock.
    Lock,
    /// Merge the change into the base.
    Merge,
    /// Deploy the merged revision.
    Deploy,
    /// Ask the service whether it is well.
    CheckHealth,
    /// Put back what was deployed before.
    Rollback,
    /// Ask the service that was put back whether it is well.
    VerifyRollback,
    /// Give the lock back.
    Release,
    /// Nothing: the deployment has ended.
    Done,
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// It worked. For the health steps: the service is well.
    Succeeded,
    /// It did not work. For the health steps: the service is not well.
    Failed,
    /// It could not be done now, but may be later: a tool cannot be reached. Doing it again is safe.
    Interrupted,
    /// The lock was lost while it went on: another may be at work, so nothing more is touched.
    LockLost,
}

/// How a deployment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The merged revision is deployed and well.
    Deployed,
    /// It was refused before anything was touched.
    Refused,
    /// Another holds the lock; nothing was touched.
    LockHeld,
    /// The lock was lost on the way; what state the environment is in is for the new holder to find out.
    LockLost,
    /// It was interrupted; another attempt goes on from what is done.
    Interrupted,
    /// The change could not be merged; nothing was deployed.
    MergeFailed,
    /// The deploy command failed, so what was deployed before still counts as deployed.
    DeployFailed,
    /// The deployed service was not well. `restored` says whether what was there before is back and well.
    Unhealthy {
        /// Whether the earlier deployment is back and well.
        restored: bool,
    },
}

/// A deployment on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Deployment {
    step: Step,
    outcome: Option<Outcome>,
    can_roll_back: bool,
}

impl Default for Deployment {
    fn default() -> Self {
        Deployment {
            step: Step::Authorise,
            outcome: None,
            can_roll_back: false,
        }
    }
}

impl Deployment {
    /// A deployment that has not begun.
    pub fn new() -> Deployment {
        Deployment::default()
    }

    /// What to do now.
    pub fn step(&self) -> Step {
        self.step
    }

    /// How it ended or is about to end; `None` while that is open.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// Says whether there is an earlier deployment to go back to. Counts for what happens after the call.
    pub fn set_can_roll_back(&mut self, possible: bool) {
        self.can_roll_back = possible;
    }

    /// Takes note of what came of the current step, and gives the next.
    pub fn observe(&mut self, event: Event) -> Step {
        use {
            Event::{Failed, LockLost, Succeeded},
            Step::*,
        };
        let (next, outcome) = match (self.step, event) {
            (Done, _) => (Done, self.outcome),
            // A lock that cannot be given back runs out by itself: the outcome stands.
            (Release, _) => (Done, self.outcome),
            (Authorise, Succeeded) => (Lock, None),
            (Authorise, _) => (Done, Some(Outcome::Refused)),
            (Lock, Succeeded) => (Merge, None),
            (Lock, _) => (Done, Some(Outcome::LockHeld)),
            (_, LockLost) => (Release, Some(Outcome::LockLost)),
            (_, Event::Interrupted) => (Release, Some(Outcome::Interrupted)),
            (Merge, Succeeded) => (Deploy, None),
            (Merge, Failed) => (Release, Some(Outcome::MergeFailed)),
            (Deploy, Succeeded) => (CheckHealth, None),
            (Deploy, Failed) => (Release, Some(Outcome::DeployFailed)),
            (CheckHealth, Succeeded) => (Release, Some(Outcome::Deployed)),
            (CheckHealth, Failed) => (self.way_back(), Some(Outcome::Unhealthy { restored: false })),
            (Rollback, Succeeded) => (VerifyRollback, self.outcome),
            (VerifyRollback, Succeeded) => (Release, self.outcome.map(Outcome::restored)),
            (Rollback | VerifyRollback, Failed) => (Release, self.outcome),
        };
        (self.step, self.outcome) = (next, outcome);
        next
    }

    fn way_back(&self) -> Step {
        if self.can_roll_back {
            Step::Rollback
        } else {
            Step::Release
        }
    }
}

impl Outcome {
    fn restored(self) -> Outcome {
        match self {
            Outcome::Unhealthy { .. } => Outcome::Unhealthy { restored: true },
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn walk(events: &[Event], can_roll_back: bool) -> (Vec<Step>, Option<Outcome>) {
        let mut deployment = Deployment::new();
        deployment.set_can_roll_back(can_roll_back);
        let mut steps = vec![deployment.step()];
        for event in events {
            steps.push(deployment.observe(*event));
        }
        (steps, deployment.outcome())
    }

    #[test]
    fn the_good_way_has_every_step_once() {
        use Step::*;
        let (steps, outcome) = walk(&[Event::Succeeded; 6], true);
        assert_eq!(
            steps,
            [Authorise, Lock, Merge, Deploy, CheckHealth, Release, Done]
        );
        assert_eq!(outcome, Some(Outcome::Deployed));
    }

    #[test]
    fn an_unhealthy_service_is_rolled_back_and_still_a_failure() {
        use Event::*;
        let to_health = [Succeeded, Succeeded, Succeeded, Succeeded, Failed];
        let (steps, outcome) = walk(
            &[&to_health[..], &[Succeeded, Succeeded, Succeeded]].concat(),
            true,
        );
        assert!(steps.contains(&Step::Rollback));
        assert_eq!(outcome, Some(Outcome::Unhealthy { restored: true }));
        let (steps, outcome) = walk(&[&to_health[..], &[Succeeded]].concat(), false);
        assert!(!steps.contains(&Step::Rollback));
        assert_eq!(outcome, Some(Outcome::Unhealthy { restored: false }));
    }

    proptest! {
        #[test]
        fn no_order_of_events_skips_a_guard(
            events in proptest::collection::vec(
                prop_oneof![4 => Just(Event::Succeeded), 1 => Just(Event::Failed), 1 => Just(Event::LockLost), 1 => Just(Event::Interrupted)],
                12,
            ),
            can_roll_back: bool,
        ) {
            let (steps, outcome) = walk(&events, can_roll_back);
            prop_assert_eq!(steps.last(), Some(&Step::Done), "twelve events end every deployment");
            prop_assert!(outcome.is_some());
            let at = |step: Step| steps.iter().position(|s| *s == step);
            // What touches the environment comes after authorisation and lock, and the lock is given back at the end.
            for touching in [Step::Merge, Step::Deploy, Step::Rollback] {
                if let Some(position) = at(touching) {
                    prop_assert!(steps[..position].contains(&Step::Lock));
                    prop_assert!(steps[position..].contains(&Step::Release));
                    prop_assert_eq!(events[0], Event::Succeeded);
                    prop_assert_eq!(events[1], Event::Succeeded);
                }
            }
            // After the lock is lost or a tool is out of reach, nothing is touched any more.
            for (index, event) in events.iter().enumerate() {
                let held = steps[..=index].contains(&Step::Merge);
                if matches!(event, Event::LockLost | Event::Interrupted) && held {
                    prop_assert!(steps[index + 1..].iter().all(|s| matches!(s, Step::Release | Step::Done)));
                }
            }
            let went_back = at(Step::Rollback).is_some();
            prop_assert!(!went_back || can_roll_back);
            if outcome == Some(Outcome::Deployed) {
                prop_assert!(!went_back && at(Step::CheckHealth).is_some());
            }
        }
    }
}
