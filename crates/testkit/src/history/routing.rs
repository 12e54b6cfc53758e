//! Routing: work goes to agents that are there.

use super::{Checked, Violation};

/// A lease of a request to an agent, with what the registry said of the agent at that moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routed {
    /// The request's id.
    pub request: String,
    /// The agent.
    pub agent: String,
    /// When the lease began.
    pub at_us: i64,
    /// Until when the agent counted as there; `None` when the registry did not know it.
    pub there_until_us: Option<i64>,
    /// Whether it wanted no more work, or its probes failed.
    pub unwilling: bool,
}

/// Nobody is given work whose time was up, who wanted none, or whom the registry does not know.
pub fn only_to_live_agents(routed: &[Routed]) -> Checked {
    for lease in routed {
        if lease.unwilling || lease.there_until_us.is_none_or(|until| until <= lease.at_us) {
            return Err(Violation::new(
                "an expired agent is routed to zero times",
                format!("`{}` was given work", lease.agent),
            )
            .show([lease]));
        }
    }
    Ok(routed.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_for_who_is_not_there_is_found() {
        let good = Routed {
            request: "r".into(),
            agent: "a".into(),
            at_us: 10,
            there_until_us: Some(11),
            unwilling: false,
        };
        assert_eq!(only_to_live_agents(std::slice::from_ref(&good)), Ok(1));
        for bad in [
            Routed {
                there_until_us: Some(10),
                ..good.clone()
            },
            Routed {
                there_until_us: None,
                ..good.clone()
            },
            Routed {
                unwilling: true,
                ..good
            },
        ] {
            assert!(only_to_live_agents(&[bad]).is_err());
        }
    }
}
