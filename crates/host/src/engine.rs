//! The WebAssembly engine: one per running host, configured alike in both modes so that they share
//! compiled components.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::error::{ErrorKind, HostError, Result};

/// How often the epoch advances in hardened mode while guests run; the longest a guest computes before it yields.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// How often it advances while they all wait. A guest that begins to compute then is interrupted so much later once,
/// and every [`TICK`] from there on.
const REST: Duration = Duration::from_millis(100);

/// For so many ticks without a sign of life guests are taken to wait.
const QUIET_TICKS: u32 = 5;

/// Whether any guest has run of late. An idle host would otherwise wake a hundred times a second for nobody.
#[derive(Clone, Default)]
pub(crate) struct Activity(Arc<AtomicBool>);

impl Activity {
    /// A guest runs, or has just run.
    pub fn note(&self) {
        // Written only when it changes, so that busy threads do not take the line from each other.
        if !self.0.load(Ordering::Relaxed) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

/// As many instances at once as Spin allows; beyond it, instantiating fails.
const INSTANCES: u32 = 1000;

/// An engine with pooled instances, or with instances on demand where address space is too small for that.
pub(crate) fn engine() -> Result<Engine> {
    let pooled = {
        let mut config = config();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pooling()));
        Engine::new(&config)
    };
    pooled
        .or_else(|cause| {
            tracing::info!("instances are not pooled: {cause:#}");
            Engine::new(&config())
        })
        .map_err(|e| {
            HostError::new(
                ErrorKind::Runtime,
                "WebAssembly engine",
                format!("cannot be set up: {e:#}"),
            )
        })
}

fn config() -> Config {
    let mut config = Config::new();
    config.wasm_component_model(true);
    config.wasm_component_model_async(true);
    config.epoch_interruption(true);
    config
}

fn pooling() -> PoolingAllocationConfig {
    const MIB: usize = 1 << 20;
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(INSTANCES)
        .total_memories(INSTANCES)
        .total_tables(2 * INSTANCES)
        .total_stacks(INSTANCES)
        .total_core_instances(4 * INSTANCES)
        .table_elements(100_000)
        .max_component_instance_size(10 * MIB)
        .max_core_instance_size(10 * MIB)
        .max_core_instances_per_component(200)
        .max_tables_per_component(64)
        .max_memories_per_component(32)
        .max_tables_per_module(2)
        .max_memories_per_module(2)
        .max_memory_size(4 << 30)
        .linear_memory_keep_resident(2 * MIB)
        .table_keep_resident(MIB / 2);
    pool
}

/// Advances the engine's epoch every [`TICK`], or every [`REST`] while no guest runs, until it is dropped.
pub(crate) struct Ticker(Arc<AtomicBool>);

impl Ticker {
    /// Starts the thread that does it.
    pub fn start(engine: &Engine, activity: Activity) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (engine, stopped) = (engine.weak(), stop.clone());
        std::thread::Builder::new()
            .name("guildhall-epoch".into())
            .spawn(move || {
                let mut quiet = 0;
                while !stopped.load(Ordering::Relaxed) {
                    std::thread::sleep(if quiet < QUIET_TICKS { TICK } else { REST });
                    quiet = if activity.take() {
                        0
                    } else {
                        (quiet + 1).min(QUIET_TICKS)
                    };
                    let Some(engine) = engine.upgrade() else { return };
                    engine.increment_epoch();
                }
            })
            .map_err(|e| {
                HostError::new(
                    ErrorKind::Runtime,
                    "epoch thread",
                    format!("cannot be started: {e}"),
                )
            })?;
        Ok(Self(stop))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
