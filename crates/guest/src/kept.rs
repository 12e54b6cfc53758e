//! The Postgres connections that one instance keeps.
//!
//! A statement gets the connection with the least to do, so that requests of the same instance commit side by side:
//! on one connection every commit would wait for the disk in turn. It never waits for a connection once there is
//! one, since tasks of an instance cannot wake each other: it shares. More connections are opened behind its back.

use std::{cell::Cell, rc::Rc, time::Duration};

/// Most connections of one instance. Instances are many, and Postgres's connections are few.
pub(crate) const MOST: usize = 4;
/// A connection beyond the first that was not needed for so long is closed at the next statement.
const LINGER: Duration = Duration::from_millis(500);
/// A request that waits for something else lets go of connections that were not used for so long.
pub(crate) const REST: Duration = Duration::from_millis(100);
/// Pause after a connection beyond the first was refused or came late: others need them more.
const PAUSE: Duration = Duration::from_secs(1);

/// The connections, of type `C`.
pub(crate) struct Kept<C> {
    places: Vec<Place<C>>,
    opening: bool,
    not_before_ns: u64,
}

struct Place<C> {
    connection: Rc<C>,
    statements: Rc<Cell<usize>>,
    used_ns: u64,
}

/// A connection in use by one statement.
pub(crate) struct InUse<C> {
    connection: Rc<C>,
    statements: Rc<Cell<usize>>,
}

impl<C> InUse<C> {
    fn new(connection: Rc<C>, statements: Rc<Cell<usize>>) -> Self {
        statements.set(statements.get() + 1);
        InUse {
            connection,
            statements,
        }
    }
}

impl<C> std::ops::Deref for InUse<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.connection
    }
}

impl<C> Drop for InUse<C> {
    fn drop(&mut self) {
        self.statements.set(self.statements.get().saturating_sub(1));
    }
}

impl<C> Kept<C> {
    pub const fn new() -> Self {
        Kept {
            places: Vec::new(),
            opening: false,
            not_before_ns: 0,
        }
    }

    /// The connection with the fewest statements under way, the oldest of equals; `None` while there is none.
    pub fn take(&mut self, now_ns: u64) -> Option<InUse<C>> {
        let long_ago = now_ns.saturating_sub(LINGER.as_nanos() as u64);
        let mut first = true;
        self.places.retain(|place| {
            std::mem::take(&mut first) || place.statements.get() > 0 || place.used_ns >= long_ago
        });
        let place = self
            .places
            .iter_mut()
            .min_by_key(|place| place.statements.get())?;
        place.used_ns = now_ns;
        Some(InUse::new(place.connection.clone(), place.statements.clone()))
    }

    /// Lets go of those that have had nothing to do for [`REST`], the first one too.
    pub fn rest(&mut self, now_ns: u64) {
        let long_ago = now_ns.saturating_sub(REST.as_nanos() as u64);
        self.places
            .retain(|place| place.statements.get() > 0 || place.used_ns > long_ago);
    }

    /// Whether another connection should be opened now; the caller who is told yes must, and then call
    /// [`Kept::opened`].
    pub fn begin_opening(&mut self, now_ns: u64) -> bool {
        let wanted = !self.opening
            && now_ns >= self.not_before_ns
            && (1..MOST).contains(&self.places.len())
            && self.places.iter().all(|place| place.statements.get() > 0);
        self.opening |= wanted;
        wanted
    }

    /// What became of it.
    pub fn opened(&mut self, connection: Option<C>, now_ns: u64) {
        self.opening = false;
        match connection {
            Some(connection) => drop(self.add(connection, now_ns)),
            None => self.not_before_ns = now_ns + PAUSE.as_nanos() as u64,
        }
    }

    /// Keeps `connection`, or only lends it when there are enough, and gives it for use.
    pub fn add(&mut self, connection: C, now_ns: u64) -> InUse<C> {
        let place = Place {
            connection: Rc::new(connection),
            statements: Rc::default(),
            used_ns: now_ns,
        };
        let in_use = InUse::new(place.connection.clone(), place.statements.clone());
        if self.places.len() < MOST {
            self.places.push(place);
        }
        in_use
    }

    /// Gives a broken connection to no further statement, nor those that were kept beside it: what broke one (a
    /// restart of Postgres) has usually broken all, and each would fail a statement before it is found out.
    pub fn forget(&mut self, broken: &InUse<C>) {
        if self
            .places
            .iter()
            .any(|place| Rc::ptr_eq(&place.connection, &broken.connection))
        {
            self.places.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn statements_side_by_side_get_connections_of_their_own() {
        let mut kept = Kept::new();
        assert!(kept.take(0).is_none());
        assert!(!kept.begin_opening(0), "the first is opened by whoever needs it");
        drop(kept.add('a', 0));
        let first = kept.take(0).expect("kept");
        assert!(kept.begin_opening(0), "all are busy");
        assert!(!kept.begin_opening(0), "one at a time");
        let shared = kept.take(0).expect("never waits");
        assert_eq!((*first, *shared), ('a', 'a'));
        kept.opened(Some('b'), 0);
        assert!(!kept.begin_opening(0), "one is free");
        assert_eq!(*kept.take(0).expect("kept"), 'b');
        drop((first, shared));
        assert_eq!(*kept.take(0).expect("kept"), 'a');
    }

    #[test]
    fn there_are_never_more_than_the_most() {
        let mut kept = Kept::new();
        let busy: Vec<_> = (0..MOST + 3).map(|number| kept.add(number, 0)).collect();
        assert_eq!(kept.places.len(), MOST);
        assert!(!kept.begin_opening(0));
        assert_eq!(*busy[MOST + 2], MOST + 2, "beyond it one is lent");
    }

    #[test]
    fn what_is_not_needed_is_closed_but_the_first() {
        let mut kept = Kept::new();
        drop((kept.add('a', 0), kept.add('b', 0)));
        let busy = kept.add('c', 0);
        drop(kept.take(1_000 * MS));
        assert_eq!(kept.places.len(), 2, "b is closed, c is in use");
        drop(busy);
        drop(kept.take(2_000 * MS));
        assert_eq!(kept.places.len(), 1);
        assert_eq!(*kept.take(9_000 * MS).expect("kept"), 'a');
    }

    #[test]
    fn who_waits_keeps_none_but_those_in_use() {
        let mut kept = Kept::new();
        drop(kept.add('a', 1_000 * MS));
        kept.rest(1_099 * MS);
        let busy = kept.take(1_099 * MS).expect("not yet");
        kept.rest(1_300 * MS);
        assert!(kept.take(1_300 * MS).is_some(), "in use");
        drop(busy);
        kept.rest(1_400 * MS);
        assert!(kept.take(1_400 * MS).is_none());
    }

    #[test]
    fn a_broken_one_is_given_to_nobody_and_a_refusal_is_not_repeated_at_once() {
        let mut kept = Kept::new();
        let broken = kept.add('a', 0);
        assert!(kept.begin_opening(0));
        kept.opened(None, 0);
        assert!(!kept.begin_opening(999 * MS));
        assert!(kept.begin_opening(1_000 * MS));
        kept.opened(Some('b'), 1_000 * MS);
        kept.forget(&broken);
        assert!(kept.take(1_000 * MS).is_none(), "b broke with it");
        drop(kept.add('c', 1_000 * MS));
        kept.forget(&broken);
        assert_eq!(*kept.take(1_000 * MS).expect("c came later"), 'c');
    }
}
