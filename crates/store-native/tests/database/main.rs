//! Tests of the schema, its functions and the store, each on a database of its own.

mod catalogue;
mod checks;
mod crashes;
mod crowd;
mod events;
mod horizon;
mod interleavings;
mod migrations;
mod model;
mod pairs;
mod store;
mod store_locks;
mod store_runs;
mod support;
mod tap;
