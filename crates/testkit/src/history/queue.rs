//! Queues: first come, first served within a priority.

use super::{Checked, Violation};
use std::collections::BTreeMap;

/// A wait that ended with a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// What was waited for.
    pub resource: String,
    /// How urgent, higher first.
    pub priority: i64,
    /// Who.
    pub party: String,
    /// When he took his place in the queue.
    pub asked_us: i64,
    /// When it was his turn.
    pub granted_us: i64,
}

/// Nobody is served before another who stood in the queue already and was as urgent; and nobody before a more urgent
/// one who stood there when he was served.
pub fn first_come_first_served(turns: &[Turn]) -> Checked {
    let mut by_resource: BTreeMap<&str, Vec<&Turn>> = BTreeMap::new();
    for turn in turns {
        by_resource.entry(&turn.resource).or_default().push(turn);
    }
    let mut pairs = 0;
    for mut queue in by_resource.into_values() {
        queue.sort_by_key(|turn| turn.granted_us);
        for (place, served) in queue.iter().enumerate() {
            for later in &queue[place + 1..] {
                // Whoever came after `served` had his turn was not there to be overtaken.
                if later.asked_us >= served.granted_us {
                    continue;
                }
                pairs += 1;
                let first = (later.priority, -later.asked_us) > (served.priority, -served.asked_us);
                if first && later.granted_us > served.granted_us {
                    return Err(Violation::new(
                        "first come, first served within a priority",
                        format!("`{}` was served before `{}`", served.party, later.party),
                    )
                    .show([*served, *later]));
                }
            }
        }
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(party: &str, priority: i64, asked_us: i64, granted_us: i64) -> Turn {
        Turn {
            resource: "l".into(),
            priority,
            party: party.into(),
            asked_us,
            granted_us,
        }
    }

    #[test]
    fn the_queue_in_order_is_fine() {
        let turns = [
            turn("a", 1, 0, 10),
            turn("u", 3, 12, 15),
            turn("b", 1, 5, 20),
            turn("c", 1, 30, 40),
        ];
        // `a` and `u` met `b`; `c` met none of them.
        assert_eq!(first_come_first_served(&turns), Ok(2));
    }

    #[test]
    fn whoever_overtakes_an_equal_or_a_more_urgent_one_is_found() {
        assert!(first_come_first_served(&[turn("a", 1, 0, 20), turn("b", 1, 5, 10)]).is_err());
        let violation = first_come_first_served(&[turn("u", 3, 5, 20), turn("b", 1, 0, 10)]).unwrap_err();
        assert!(violation.why.contains("`b` was served before `u`"), "{violation}");
    }

    #[test]
    fn who_was_not_there_is_not_overtaken() {
        assert_eq!(
            first_come_first_served(&[turn("u", 3, 11, 20), turn("b", 1, 0, 10)]),
            Ok(0)
        );
    }
}
