//! Events: every one is read, in order.

use super::{Checked, Violation};
use std::collections::BTreeMap;

/// A place in the stream: positions are compared part by part.
pub type Position = (u64, u64);

/// An event, as it was read or as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Where it lies.
    pub position: Position,
    /// What it is about.
    pub subject: String,
    /// Its own id.
    pub id: String,
}

/// Reads a position such as `731-12`.
pub fn position(text: &str) -> Option<Position> {
    let (one, other) = text.split_once('-')?;
    Some((one.parse().ok()?, other.parse().ok()?))
}

/// A reader who always went on behind the last position that it had seen has seen every stored event between its first
/// and its last, each at the place where it is stored, and nothing that is not stored. `read` has what each connection
/// gave, in its order; `stored` is everything.
pub fn nothing_is_skipped(read: &[Vec<Event>], stored: &[Event]) -> Checked {
    const RULE: &str = "a reader skips no event";
    for connection in read {
        if let Some(pair) = connection
            .windows(2)
            .find(|pair| pair[1].position <= pair[0].position)
        {
            return Err(Violation::new(RULE, "positions do not rise within one stream").show(pair));
        }
    }
    let mut seen: BTreeMap<Position, &Event> = BTreeMap::new();
    for event in read.iter().flatten() {
        if let Some(other) = seen.insert(event.position, event)
            && other != event
        {
            return Err(Violation::new(RULE, "two events came from one position").show([other, event]));
        }
    }
    let (Some(first), Some(last)) = (seen.keys().next(), seen.keys().next_back()) else {
        return Ok(0);
    };
    let kept: BTreeMap<Position, &Event> = stored
        .iter()
        .filter(|event| event.position >= *first && event.position <= *last)
        .map(|event| (event.position, event))
        .collect();
    if let Some(missed) = kept.values().find(|event| !seen.contains_key(&event.position)) {
        let around = [
            seen.range(..missed.position).next_back().map(|(_, event)| *event),
            Some(*missed),
            seen.range(missed.position..).next().map(|(_, event)| *event),
        ];
        return Err(
            Violation::new(RULE, format!("{:?} was never read", missed.position))
                .show(around.into_iter().flatten()),
        );
    }
    if let Some(phantom) = seen
        .values()
        .find(|event| kept.get(&event.position) != Some(*event))
    {
        return Err(Violation::new(RULE, "one was read that is not stored")
            .show([*phantom])
            .show(kept.get(&phantom.position)));
    }
    Ok(seen.len())
}

/// Events of one subject lie in the order in which they happened: `happened` has them in that order.
pub fn in_order_per_subject(happened: &[Event]) -> Checked {
    let mut last: BTreeMap<&str, &Event> = BTreeMap::new();
    for event in happened {
        if let Some(before) = last.insert(&event.subject, event)
            && before.position > event.position
        {
            return Err(Violation::new(
                "events of a subject are in order",
                format!("what happened later to `{}` lies earlier", event.subject),
            )
            .show([before, event]));
        }
    }
    Ok(happened.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(position: Position) -> Event {
        Event {
            position,
            subject: "s".into(),
            id: format!("{position:?}"),
        }
    }

    #[test]
    fn a_reader_that_comes_again_has_seen_everything() {
        let stored: Vec<Event> = [(1, 1), (1, 2), (3, 7), (4, 5)].map(event).into();
        let read = [
            vec![event((1, 1)), event((1, 2))],
            vec![event((1, 2)), event((3, 7))],
        ];
        assert_eq!(nothing_is_skipped(&read, &stored), Ok(3));
    }

    #[test]
    fn what_was_skipped_doubled_invented_or_out_of_order_is_found() {
        let stored: Vec<Event> = [(1, 1), (1, 2), (3, 7)].map(event).into();
        let skipped = [vec![event((1, 1)), event((3, 7))]];
        let violation = nothing_is_skipped(&skipped, &stored).unwrap_err();
        assert!(violation.why.contains("(1, 2) was never read"), "{violation}");
        assert_eq!(violation.excerpt.len(), 3, "{violation}");
        let backwards = [vec![event((1, 2)), event((1, 1))]];
        assert!(nothing_is_skipped(&backwards, &stored).is_err());
        let invented = [vec![event((1, 1)), event((1, 2)), event((2, 9))]];
        assert!(nothing_is_skipped(&invented, &stored).is_err());
        let mut other = event((1, 1));
        other.id = "another".into();
        assert!(nothing_is_skipped(&[vec![event((1, 1))], vec![other]], &stored).is_err());
    }

    #[test]
    fn the_order_of_a_subject_is_that_of_what_happened() {
        assert_eq!(in_order_per_subject(&[event((1, 1)), event((1, 2))]), Ok(2));
        assert!(in_order_per_subject(&[event((1, 2)), event((1, 1))]).is_err());
        let mut other = event((1, 1));
        other.subject = "t".into();
        assert!(in_order_per_subject(&[event((1, 2)), other]).is_ok());
    }

    #[test]
    fn positions_are_read() {
        assert_eq!(position("731-12"), Some((731, 12)));
        assert_eq!(position("731"), None);
    }
}
