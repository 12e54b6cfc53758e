//! Locks: exclusion, tokens, guarded writes.

use super::{Checked, Violation};
use std::collections::BTreeMap;

/// A grant, as the lock service recorded it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What was locked: a name, or a path whose parts are set apart by `/`.
    pub resource: String,
    /// Under which token.
    pub token: i64,
    /// Whether nobody else might have it.
    pub exclusive: bool,
    /// Whose it was; grants of one party do not exclude each other.
    pub party: String,
    /// When it began.
    pub from_us: i64,
    /// When it ended, or would have run out.
    pub to_us: i64,
}

/// An attempt to write under a token, in the order in which what is guarded saw them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// What is guarded.
    pub resource: String,
    /// Under which token.
    pub token: i64,
    /// When.
    pub at_us: i64,
    /// Whether it was let through.
    pub accepted: bool,
}

/// A time during which somebody acted as the holder, seen from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// What he held.
    pub resource: String,
    /// Who.
    pub party: String,
    /// When he went in.
    pub from_us: i64,
    /// When he went out.
    pub to_us: i64,
}

fn related(one: &str, other: &str) -> bool {
    let below = |name: &str, top: &str| {
        name.strip_prefix(top)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    below(one, other) || below(other, one)
}

/// No two parties have grants at the same time that exclude each other.
pub fn no_two_holders(grants: &[Grant]) -> Checked {
    let mut sorted: Vec<&Grant> = grants
        .iter()
        .filter(|grant| grant.to_us > grant.from_us)
        .collect();
    sorted.sort_by_key(|grant| (grant.from_us, grant.token));
    let mut open: Vec<&Grant> = Vec::new();
    for grant in &sorted {
        open.retain(|earlier| earlier.to_us > grant.from_us);
        let other = open.iter().find(|earlier| {
            earlier.party != grant.party
                && (earlier.exclusive || grant.exclusive)
                && related(&earlier.resource, &grant.resource)
        });
        if let Some(other) = other {
            return Err(Violation::new(
                "no two holders at once",
                format!(
                    "`{}` and `{}` both held `{}` for {} µs",
                    other.party,
                    grant.party,
                    grant.resource,
                    other.to_us.min(grant.to_us) - grant.from_us
                ),
            )
            .show([*other, *grant]));
        }
        open.push(grant);
    }
    Ok(sorted.len())
}

/// A later grant of a resource has a higher token, and no token is given twice.
pub fn tokens_rise(grants: &[Grant]) -> Checked {
    let mut by_token: BTreeMap<(&str, i64), &Grant> = BTreeMap::new();
    for grant in grants {
        if let Some(twin) = by_token.insert((&grant.resource, grant.token), grant) {
            return Err(Violation::new(
                "tokens strictly rise",
                format!("token {} came twice", grant.token),
            )
            .show([twin, grant]));
        }
    }
    // The map is in the order of tokens; beginnings must be in that order too.
    let in_order: Vec<&Grant> = by_token.into_values().collect();
    for pair in in_order.windows(2) {
        if pair[0].resource == pair[1].resource && pair[1].from_us < pair[0].from_us {
            return Err(Violation::new(
                "tokens strictly rise",
                format!("token {} began before {}", pair[1].token, pair[0].token),
            )
            .show(pair));
        }
    }
    Ok(in_order.len())
}

/// Of what was let through, no token is lower than one that was let through before.
pub fn no_stale_write(writes: &[Write]) -> Checked {
    let mut highest: BTreeMap<&str, &Write> = BTreeMap::new();
    let mut accepted = 0;
    for write in writes.iter().filter(|write| write.accepted) {
        accepted += 1;
        if let Some(before) = highest.insert(&write.resource, write)
            && before.token > write.token
        {
            return Err(Violation::new(
                "a stale token never writes",
                format!("token {} wrote after {}", write.token, before.token),
            )
            .show([before, write]));
        }
    }
    Ok(accepted)
}

/// What the lock service itself let through was written while the grant of that token lasted.
pub fn writes_lie_within_grants(writes: &[Write], grants: &[Grant]) -> Checked {
    let by_token: BTreeMap<(&str, i64), &Grant> = grants
        .iter()
        .map(|grant| ((grant.resource.as_str(), grant.token), grant))
        .collect();
    let mut accepted = 0;
    for write in writes.iter().filter(|write| write.accepted) {
        accepted += 1;
        let grant = by_token.get(&(write.resource.as_str(), write.token));
        if grant.is_none_or(|grant| write.at_us < grant.from_us || write.at_us > grant.to_us) {
            return Err(Violation::new(
                "a guarded write is made under a current grant",
                format!("token {} was not that of a grant at {}", write.token, write.at_us),
            )
            .show([write])
            .show(grant));
        }
    }
    Ok(accepted)
}

/// Nobody was inside while another was.
pub fn sections_are_apart(sections: &[Section]) -> Checked {
    let mut sorted: Vec<&Section> = sections.iter().collect();
    sorted.sort_by_key(|section| (&section.resource, section.from_us));
    for pair in sorted.windows(2) {
        if pair[0].resource == pair[1].resource
            && pair[0].party != pair[1].party
            && pair[1].from_us < pair[0].to_us
        {
            return Err(Violation::new(
                "nobody is inside with another",
                format!("two were inside of `{}`", pair[0].resource),
            )
            .show([pair[0], pair[1]]));
        }
    }
    Ok(sorted.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(resource: &str, token: i64, party: &str, from_us: i64, to_us: i64) -> Grant {
        Grant {
            resource: resource.into(),
            token,
            exclusive: true,
            party: party.into(),
            from_us,
            to_us,
        }
    }

    fn write(token: i64, at_us: i64, accepted: bool) -> Write {
        Write {
            resource: "l".into(),
            token,
            at_us,
            accepted,
        }
    }

    #[test]
    fn grants_one_after_the_other_are_fine_and_overlaps_are_found() {
        let good = [
            grant("l", 1, "a", 0, 10),
            grant("l", 2, "b", 10, 20),
            grant("m", 1, "b", 5, 15),
        ];
        assert_eq!(no_two_holders(&good), Ok(3));
        let bad = [good[0].clone(), grant("l", 2, "b", 9, 20)];
        let violation = no_two_holders(&bad).unwrap_err();
        assert_eq!(violation.excerpt.len(), 2, "{violation}");
        assert!(violation.to_string().contains("for 1 µs"), "{violation}");
    }

    #[test]
    fn a_long_grant_is_held_against_all_that_follow() {
        let bad = [
            grant("l", 1, "a", 0, 100),
            grant("x", 1, "c", 1, 2),
            grant("l", 2, "b", 50, 60),
        ];
        assert!(no_two_holders(&bad).is_err());
    }

    #[test]
    fn a_tree_excludes_and_sharers_do_not() {
        let above = grant("l", 1, "a", 0, 10);
        let below = grant("l/x", 1, "b", 5, 15);
        assert!(no_two_holders(&[above.clone(), below.clone()]).is_err());
        assert!(no_two_holders(&[above.clone(), grant("lx", 1, "b", 5, 15)]).is_ok());
        let share = |grant: Grant| Grant {
            exclusive: false,
            ..grant
        };
        assert!(no_two_holders(&[share(above.clone()), share(below.clone())]).is_ok());
        assert!(no_two_holders(&[share(above), below]).is_err());
        let mine = [grant("l", 1, "a", 0, 10), grant("l/x", 1, "a", 5, 15)];
        assert!(no_two_holders(&mine).is_ok(), "a party does not exclude itself");
    }

    #[test]
    fn tokens_that_fall_or_come_twice_are_found() {
        assert_eq!(
            tokens_rise(&[grant("l", 1, "a", 0, 1), grant("l", 3, "a", 1, 2)]),
            Ok(2)
        );
        assert!(tokens_rise(&[grant("l", 2, "a", 0, 1), grant("l", 1, "a", 1, 2)]).is_err());
        assert!(tokens_rise(&[grant("l", 1, "a", 0, 1), grant("l", 1, "b", 1, 2)]).is_err());
        assert!(tokens_rise(&[grant("l", 2, "a", 0, 1), grant("m", 1, "a", 1, 2)]).is_ok());
    }

    #[test]
    fn a_stale_write_is_found_and_a_refused_one_is_not() {
        assert_eq!(
            no_stale_write(&[write(1, 0, true), write(3, 1, true), write(2, 2, false)]),
            Ok(2)
        );
        assert!(no_stale_write(&[write(1, 0, true), write(3, 1, true), write(2, 2, true)]).is_err());
    }

    #[test]
    fn a_write_outside_of_its_grant_is_found() {
        let grants = [grant("l", 1, "a", 10, 20)];
        assert_eq!(
            writes_lie_within_grants(&[write(1, 15, true), write(9, 15, false)], &grants),
            Ok(1)
        );
        for bad in [write(1, 9, true), write(1, 21, true), write(2, 15, true)] {
            assert!(writes_lie_within_grants(&[bad], &grants).is_err());
        }
    }

    #[test]
    fn two_inside_are_found() {
        let section = |party: &str, from_us, to_us| Section {
            resource: "l".into(),
            party: party.into(),
            from_us,
            to_us,
        };
        assert_eq!(
            sections_are_apart(&[section("a", 0, 5), section("b", 5, 9)]),
            Ok(2)
        );
        assert!(sections_are_apart(&[section("b", 4, 9), section("a", 0, 5)]).is_err());
    }
}
