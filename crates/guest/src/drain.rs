//! A guard for loops that work off what is due: one per instance, and no call for more is lost while one runs.

use std::{cell::Cell, rc::Rc};

/// Lets one loop in at a time. A caller that is turned away leaves word, so the running loop looks once more.
#[derive(Debug, Default)]
pub struct Guard {
    busy: Cell<bool>,
    again: Cell<bool>,
}

/// The right to run the loop; given back when dropped.
#[derive(Debug)]
pub struct Turn(Rc<Guard>);

impl Guard {
    /// The turn, or `None` while another has it.
    pub fn enter(self: &Rc<Self>) -> Option<Turn> {
        if self.busy.replace(true) {
            self.again.set(true);
            return None;
        }
        self.again.set(false);
        Some(Turn(self.clone()))
    }
}

impl Turn {
    /// Whether somebody asked for more since the last call: look again before giving up the turn.
    pub fn called_again(&self) -> bool {
        self.0.again.replace(false)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.busy.set(false);
    }
}

/// Places for work that goes on at the same time.
#[derive(Debug)]
pub struct Places {
    taken: Cell<usize>,
    all: usize,
}

/// One taken place; given back when dropped.
#[derive(Debug)]
pub struct Place(Rc<Places>);

impl Places {
    /// `all` free places.
    pub fn new(all: usize) -> Rc<Places> {
        Rc::new(Places {
            taken: Cell::new(0),
            all,
        })
    }

    /// How many are free.
    pub fn free(&self) -> usize {
        self.all.saturating_sub(self.taken.get())
    }

    /// Takes one, whether or not one is free: ask [`Places::free`] before there is work.
    pub fn take(self: &Rc<Self>) -> Place {
        self.taken.set(self.taken.get() + 1);
        Place(self.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.set(self.0.taken.get().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_turn_at_a_time_and_no_call_is_lost() {
        let guard = Rc::new(Guard::default());
        let turn = guard.enter().expect("free");
        assert!(!turn.called_again());
        assert!(guard.enter().is_none());
        assert!(guard.enter().is_none());
        assert!(turn.called_again(), "the calls were noted");
        assert!(!turn.called_again(), "once");
        drop(turn);
        assert!(guard.enter().is_some());
    }

    #[test]
    fn an_old_call_does_not_haunt_a_new_turn() {
        let guard = Rc::new(Guard::default());
        let turn = guard.enter().expect("free");
        assert!(guard.enter().is_none());
        drop(turn);
        assert!(!guard.enter().expect("free").called_again());
    }

    #[test]
    fn places_come_back() {
        let places = Places::new(2);
        let (first, second) = (places.take(), places.take());
        assert_eq!(places.free(), 0);
        drop(first);
        assert_eq!(places.free(), 1);
        drop(second);
        assert_eq!(places.free(), 2);
    }
}
