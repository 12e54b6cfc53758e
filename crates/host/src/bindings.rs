//! Bindings of the interfaces Spin adds to WASI, generated from the WIT of the locked spin-sdk.

#![allow(missing_docs, clippy::all, reason = "generated code")]

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
