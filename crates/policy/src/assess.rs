//! From an action to a tier, with the evidence.

use crate::action::{Action, EnvironmentRisk, Operation};
use serde::{Deserialize, Serialize};

/// How risky an action is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Goes ahead.
    Low,
    /// Goes ahead, and is worth watching.
    Medium,
    /// Needs a person's approval.
    High,
    /// Needs a person's approval, soon.
    Critical,
}

/// One reason for a score.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Factor {
    /// What was looked at: `operation` or `environment`.
    pub name: String,
    /// What was found.
    pub evidence: String,
    /// What it adds to the score.
    pub weight: u8,
}

/// What `assess` found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assessment {
    /// The tier that follows from the score.
    pub tier: Tier,
    /// 0 (harmless) to 10: the sum of the weights, capped.
    pub score: u8,
    /// Why.
    pub factors: Vec<Factor>,
    /// Whether a person must agree before it is done.
    pub approval_required: bool,
    /// How long an approval may take and be used, seconds.
    pub approval_expires_s: u32,
}

/// Assesses an action.
///
/// An operation that changes something people use, in an environment that is not known to be harmless, is high.
pub fn assess(action: &Action) -> Assessment {
    let factors = vec![operation_factor(action.operation), environment_factor(action)];
    let score = factors.iter().map(|factor| factor.weight).sum::<u8>().min(10);
    let tier = match score {
        0..=2 => Tier::Low,
        3..=5 => Tier::Medium,
        6..=8 => Tier::High,
        _ => Tier::Critical,
    };
    Assessment {
        tier,
        score,
        factors,
        approval_required: tier >= Tier::High,
        approval_expires_s: match tier {
            Tier::Low | Tier::Medium => 30 * 60,
            Tier::High => 60 * 60,
            Tier::Critical => 90 * 60,
        },
    }
}

fn operation_factor(operation: Operation) -> Factor {
    let (evidence, weight) = match operation {
        Operation::Review => ("a review reads only", 0),
        Operation::Check => ("checks run in a work tree of their own", 0),
        Operation::Document => ("documentation is written on a branch of its own", 1),
        Operation::Implement => ("code is written on a branch of its own", 1),
        Operation::Restart => ("a restart interrupts a running service", 2),
        Operation::Deploy => ("a deploy merges the change and replaces a running service", 3),
        Operation::Rollback => ("a rollback replaces a running service", 3),
        Operation::Unknown => ("the operation is not known, which counts as high", 6),
    };
    Factor {
        name: "operation".into(),
        evidence: evidence.into(),
        weight,
    }
}

fn environment_factor(action: &Action) -> Factor {
    let touches_environment = matches!(
        action.operation,
        Operation::Deploy | Operation::Rollback | Operation::Restart | Operation::Unknown
    );
    let name = action.environment.as_deref().unwrap_or("an unnamed environment");
    let (evidence, weight) = match action.environment_risk {
        Some(EnvironmentRisk::Development) => (format!("{name} is for developers only"), 0),
        Some(EnvironmentRisk::Staging) => (format!("{name} is a rehearsal for production"), 2),
        Some(EnvironmentRisk::Production) if touches_environment => (format!("{name} serves real users"), 4),
        Some(EnvironmentRisk::Unknown) | None if touches_environment => (
            format!("nothing says what depends on {name}, which counts as production"),
            4,
        ),
        Some(EnvironmentRisk::Production | EnvironmentRisk::Unknown) | None => {
            ("no environment is touched".to_string(), 0)
        }
    };
    Factor {
        name: "environment".into(),
        evidence,
        weight,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn action(operation: Operation, environment_risk: Option<EnvironmentRisk>) -> Action {
        Action {
            operation,
            repository: "shop".into(),
            environment: environment_risk.map(|_| "live".into()),
            environment_risk,
            base: None,
            head_revision: None,
        }
    }

    #[test]
    fn tiers_are_what_the_documentation_says() {
        use {EnvironmentRisk as E, Operation as O};
        let table = [
            (O::Review, None, Tier::Low),
            (O::Check, None, Tier::Low),
            (O::Document, None, Tier::Low),
            (O::Implement, None, Tier::Low),
            (O::Deploy, Some(E::Development), Tier::Medium),
            (O::Deploy, Some(E::Staging), Tier::Medium),
            (O::Deploy, Some(E::Production), Tier::High),
            (O::Rollback, Some(E::Production), Tier::High),
            (O::Restart, Some(E::Production), Tier::High),
            (O::Restart, Some(E::Staging), Tier::Medium),
            (O::Deploy, Some(E::Unknown), Tier::High),
            (O::Deploy, None, Tier::High),
            (O::Unknown, None, Tier::Critical),
            (O::Unknown, Some(E::Development), Tier::High),
        ];
        for (operation, environment_risk, tier) in table {
            let assessment = assess(&action(operation, environment_risk));
            assert_eq!(
                assessment.tier, tier,
                "{operation:?} in {environment_risk:?}: {assessment:?}"
            );
            assert_eq!(assessment.approval_required, tier >= Tier::High);
        }
    }

    #[test]
    fn words_that_are_not_known_read_as_unknown() {
        let action: Action = serde_json::from_str(
            r#"{"operation":"obliterate","repository":"shop","environment":"p","environment_risk":"cosy"}"#,
        )
        .expect("unknown words are not an error");
        assert_eq!(action.operation, Operation::Unknown);
        assert_eq!(action.environment_risk, Some(EnvironmentRisk::Unknown));
        assert!(assess(&action).approval_required);
    }

    proptest! {
        #[test]
        fn names_never_lower_a_risk(name in "\\PC{0,40}", repository in "\\PC{0,40}") {
            let mut named = action(Operation::Deploy, Some(EnvironmentRisk::Production));
            named.environment = Some(name);
            named.repository = repository;
            prop_assert_eq!(assess(&named).tier, Tier::High);
        }
    }
}
