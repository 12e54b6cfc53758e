//! The budget of one evaluation, and the filters that draw on it.
//!
//! Running out ends the whole evaluation (as jq's `halt` does), so that no `try` can go on after it.

use jaq_core::box_iter::box_once;
use jaq_core::native::{Fun, v};
use jaq_core::{Ctx, DataT, Exn, Lut, Native, data::HasLut};
use jaq_json::{Num, Val};
use std::cell::Cell;

/// Most steps: turns of a loop, calls, outputs.
const MAX_STEPS: u32 = 1_000_000;
/// Most values looked at while measuring; sixteen bytes of text count as one.
const MAX_LOOKS: u64 = 20_000_000;
/// Most values that one value may hold.
const MAX_SIZE: u64 = 200_000;
/// Most bytes of one text.
const MAX_TEXT: usize = 1 << 20;
/// Most bits of one integer.
const MAX_BITS: u64 = 4096;
/// How deeply a value may be nested.
const MAX_DEPTH: usize = 200;

/// What is left of an evaluation's budget.
pub(super) struct Meter {
    steps: Cell<u32>,
    looks: Cell<u64>,
    spent: Cell<Option<&'static str>>,
}

impl Meter {
    pub(super) fn new() -> Self {
        Self {
            steps: Cell::new(MAX_STEPS),
            looks: Cell::new(MAX_LOOKS),
            spent: Cell::new(None),
        }
    }

    /// Why the evaluation was ended, where it was.
    pub(super) fn spent(&self) -> Option<&'static str> {
        self.spent.get()
    }

    fn end<T>(&self, reason: &'static str) -> Result<T, ()> {
        self.spent.set(self.spent.get().or(Some(reason)));
        Err(())
    }

    /// Counts one step that came to `val`.
    fn step(&self, val: &Val) -> Result<(), ()> {
        if self.spent.get().is_some() {
            return Err(());
        }
        match self.steps.get() {
            0 => return self.end("it takes more than 1,000,000 steps"),
            steps => self.steps.set(steps - 1),
        }
        self.measure(val)
    }

    pub(super) fn measure(&self, val: &Val) -> Result<(), ()> {
        let mut left = MAX_SIZE;
        self.walk(val, 0, &mut left)
    }

    fn walk(&self, val: &Val, depth: usize, left: &mut u64) -> Result<(), ()> {
        let cost = match val {
            Val::TStr(bytes) | Val::BStr(bytes) if bytes.len() > MAX_TEXT => {
                return self.end("it makes a text of more than 1 MiB");
            }
            Val::TStr(bytes) | Val::BStr(bytes) => 1 + bytes.len() as u64 / 16,
            Val::Num(Num::BigInt(big)) if big.bits() > MAX_BITS => {
                return self.end("it makes an integer of more than 4,096 bits");
            }
            _ => 1,
        };
        match left.checked_sub(cost) {
            Some(rest) => *left = rest,
            None => return self.end("it makes a value of more than 200,000 parts"),
        }
        match self.looks.get().checked_sub(cost) {
            Some(rest) => self.looks.set(rest),
            None => return self.end("it handles too much data"),
        }
        if depth > MAX_DEPTH {
            return self.end("it nests values more than 200 deep");
        }
        match val {
            Val::Arr(items) => items.iter().try_for_each(|item| self.walk(item, depth + 1, left)),
            Val::Obj(map) => map.iter().try_for_each(|(key, value)| {
                self.walk(key, depth + 1, left)
                    .and_then(|()| self.walk(value, depth + 1, left))
            }),
            _ => Ok(()),
        }
    }

    /// Whether `left * right` stays small, which must be known before it is made.
    fn product(&self, left: &Val, right: &Val) -> Result<(), ()> {
        let times = |text: usize, times: &Val| match times {
            Val::Num(Num::Int(n)) => (text as u128) * (*n).max(0) as u128,
            Val::Num(Num::Float(n)) => (text as f64 * n.max(0.0)) as u128,
            Val::Num(_) => u128::MAX,
            _ => 0,
        };
        let bytes = match (left, right) {
            (Val::TStr(text) | Val::BStr(text), n) | (n, Val::TStr(text) | Val::BStr(text)) => {
                times(text.len(), n)
            }
            _ => 0,
        };
        if bytes > MAX_TEXT as u128 {
            return self.end("it makes a text of more than 1 MiB");
        }
        Ok(())
    }
}

/// The kind of data that our programs run on: JSON, and the meter beside the program.
pub(super) struct Kind;

#[derive(Clone)]
pub(super) struct Env<'a> {
    pub(super) lut: &'a Lut<Kind>,
    pub(super) meter: &'a Meter,
}

impl DataT for Kind {
    type V<'a> = Val;
    type Data<'a> = Env<'a>;
}

impl<'a> HasLut<'a, Kind> for Env<'a> {
    fn lut(&self) -> &'a Lut<Kind> {
        self.lut
    }
}

fn or_end<'a, T>(outcome: Result<(), ()>, value: T) -> Result<T, Exn<'a, Val>> {
    outcome.map(|()| value).map_err(|()| Exn::halt(1))
}

fn step<'a>(ctx: &Ctx<'a, Kind>, val: &Val) -> Result<(), ()> {
    ctx.data().meter.step(val)
}

/// `__step`, the identity that counts, usable in paths and updates; and `__product($l; $r)`.
pub(super) fn funs() -> [Fun<Kind>; 2] {
    let counted = Native::<Kind>::new(|(ctx, val)| box_once(or_end(step(&ctx, &val), val)))
        .with_paths(|(ctx, (val, path))| box_once(or_end(step(&ctx, &val), (val, path))))
        .with_update(|(ctx, val), update| match step(&ctx, &val) {
            Ok(()) => update(val),
            Err(()) => box_once(Err(Exn::halt(1))),
        });
    let product = Native::<Kind>::new(|(mut ctx, val)| {
        let right = ctx.pop_var();
        let left = ctx.pop_var();
        let outcome = ctx.data().meter.product(&left, &right);
        box_once(or_end(outcome, val))
    });
    [("__step", v(0), counted), ("__product", v(2), product)]
}
