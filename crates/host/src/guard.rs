//! What keeps a guest from taking the machine: a CPU budget that only computing spends, and a memory cap.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use wasmtime::{ResourceLimiter, Store, UpdateDeadline};

use crate::{
    engine::{Activity, TICK},
    state::GuestState,
};

/// Counts how long the guests of one store have been computing without waiting for anything.
///
/// The epoch callback adds a tick each time it interrupts running code. Whoever polls the store's event
/// loop calls [`SpinMeter::parked`] whenever that loop has nothing to run; if no interruption came since
/// the last call, every guest is waiting and the count starts over. A loop that mostly waits (a ticker)
/// therefore never runs out, and one that computes without end does, whatever else the machine does:
/// ticks are counted only while its code runs.
#[derive(Clone)]
pub(crate) struct SpinMeter(Arc<Spin>);

struct Spin {
    ticks: AtomicU32,
    interrupted: AtomicBool,
    activity: Activity,
}

impl SpinMeter {
    /// Tells the meter that the event loop returned with nothing to run.
    pub fn parked(&self) {
        self.0.activity.note();
        if !self.0.interrupted.swap(false, Ordering::Relaxed) {
            self.0.ticks.store(0, Ordering::Relaxed);
        }
    }

    /// Whether a guest has been computing for a whole tick without waiting. The first interruption says
    /// only that time has passed since the deadline was set.
    pub fn is_spinning(&self) -> bool {
        self.0.ticks.load(Ordering::Relaxed) > 1
    }

    fn interrupt(&self) -> Duration {
        self.0.activity.note();
        self.0.interrupted.store(true, Ordering::Relaxed);
        TICK * (self.0.ticks.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// Makes `store` yield every tick, and trap once its guests have computed for `budget` in one go.
///
/// The engine's epoch must be advancing, and keeps up while `activity` is noted.
pub(crate) fn limit_cpu(store: &mut Store<GuestState>, budget: Duration, activity: &Activity) -> SpinMeter {
    let meter = SpinMeter(Arc::new(Spin {
        ticks: AtomicU32::new(0),
        interrupted: AtomicBool::new(false),
        activity: activity.clone(),
    }));
    let counting = meter.clone();
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_| {
        if counting.interrupt() >= budget {
            return Err(wasmtime::format_err!(
                "the component computed for {budget:?} without waiting for anything, which is its limit"
            ));
        }
        Ok(UpdateDeadline::Yield(1))
    });
    meter
}

/// Leaves `store` uninterrupted while the engine's epoch stands still; the first advance ends its guests.
pub(crate) fn unlimited_cpu(store: &mut Store<GuestState>) {
    store.set_epoch_deadline(1);
    store.epoch_deadline_trap();
}

/// Bounds the linear memory of one store.
pub(crate) struct MemoryCap {
    component: Arc<str>,
    /// Bytes; `None` is without bound.
    limit: Option<usize>,
}

impl MemoryCap {
    pub fn new(component: Arc<str>, limit: Option<usize>) -> Self {
        Self { component, limit }
    }
}

impl ResourceLimiter for MemoryCap {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let Some(limit) = self.limit.filter(|limit| desired > *limit) else {
            return Ok(true);
        };
        tracing::warn!(component = %self.component, desired, limit, "the component asked for more memory than it may have");
        Ok(false)
    }

    fn table_growing(&mut self, _: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(maximum.is_none_or(|maximum| desired <= maximum))
    }
}
