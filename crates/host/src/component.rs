//! From a file to a component that is known to fit this host.

use std::path::Path;

use wasmtime::component::{Component as Wasm, HasSelf, InstancePre, Linker};

use crate::{
    bindings::{Spin, SpinPre},
    cache::Cache,
    error::{ErrorKind, HostError, Result},
    manifest::Component,
    state::GuestState,
};

/// What this host offers, as the beginnings of import names.
const OFFERED: &[&str] = &[
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
    "wasi:http/types@0.3",
    "wasi:http/client@0.3",
    "spin:postgres/postgres@4.",
    "spin:redis/redis@3.",
    "spin:variables/variables@3.",
];

/// What to do about imports that this host does not offer and Spin does.
const ADVICE: &[(&str, &str)] = &[
    ("spin:key-value/", "keep state in Postgres or Redis"),
    ("spin:sqlite/", "keep state in Postgres"),
    ("spin:mysql/", "keep state in Postgres"),
    ("spin:mqtt/", "publish through Redis"),
    ("spin:", "build the component with spin-sdk 7"),
    (
        "fermyon:spin/",
        "build the component with spin-sdk 7 and without the features it does not need",
    ),
    (
        "wasi:http/",
        "build the component with spin-sdk 7, which speaks wasi:http 0.3",
    ),
    ("wasi:keyvalue/", "keep state in Postgres or Redis"),
    ("wasi:config/", "use spin_sdk::variables"),
    (
        "wasi:otel/",
        "build the component without the experimental feature",
    ),
    ("", "compose what implements it into the component (`wac plug`)"),
];

/// A linker that offers everything this host has.
pub(crate) fn linker(engine: &wasmtime::Engine) -> Result<Linker<GuestState>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)
        .and_then(|()| wasmtime_wasi::p3::add_to_linker(&mut linker))
        .and_then(|()| wasmtime_wasi_http::p3::add_to_linker(&mut linker))
        .and_then(|()| Spin::add_to_linker::<_, HasSelf<GuestState>>(&mut linker, |state| state))
        .map_err(|e| {
            HostError::new(
                ErrorKind::Runtime,
                "host interfaces",
                format!("cannot be linked: {e:#}"),
            )
        })?;
    Ok(linker)
}

/// Loads the component `declared`, checked against what the host offers.
pub(crate) fn load(
    declared: &Component,
    cache: &Cache,
    linker: &Linker<GuestState>,
) -> Result<InstancePre<GuestState>> {
    let place = declared.place("source");
    let path = &declared.source;
    let wasm = std::fs::read(path).map_err(|e| {
        let error = HostError::new(
            ErrorKind::Component,
            &place,
            format!("{} cannot be read: {e}", path.display()),
        );
        if e.kind() == std::io::ErrorKind::NotFound {
            error.hint(build_hint(declared))
        } else {
            error
        }
    })?;
    if !wasm.starts_with(b"\0asm") {
        let what = format!(
            "{} is not a usable component: it does not begin as WebAssembly does",
            path.display()
        );
        return Err(HostError::new(ErrorKind::Component, &place, what)
            .hint("build it for wasm32-wasip2, which makes components and not plain modules"));
    }
    let component = cache.load(&wasm).map_err(|e| {
        HostError::new(
            ErrorKind::Component,
            &place,
            format!("{} is not a usable component: {e:#}", path.display()),
        )
        .hint("build it for wasm32-wasip2, which makes components and not plain modules")
    })?;
    check_imports(&component, linker, &place, path)?;
    linker.instantiate_pre(&component).map_err(|e| {
        HostError::new(
            ErrorKind::Component,
            &place,
            format!("{} does not fit this host: {e:#}", path.display()),
        )
    })
}

fn build_hint(declared: &Component) -> String {
    match &declared.build {
        Some(command) => format!("build it with `cargo xtask build`, or by its own command: `{command}`"),
        None => "build it with `cargo xtask build`".into(),
    }
}

/// Complains about every interface the component needs and nobody offers, in one message.
fn check_imports(component: &Wasm, linker: &Linker<GuestState>, place: &str, path: &Path) -> Result<()> {
    let ty = component.component_type();
    let missing: Vec<&str> = ty
        .imports(linker.engine())
        .map(|(name, _)| name)
        .filter(|name| !OFFERED.iter().any(|offered| name.starts_with(offered)))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut advice: Vec<&str> = missing
        .iter()
        .filter_map(|name| ADVICE.iter().find(|(start, _)| name.starts_with(start)))
        .map(|(_, advice)| *advice)
        .collect();
    advice.dedup();
    Err(HostError::new(
        ErrorKind::Unsupported,
        place,
        format!(
            "{} imports what this host does not offer: {}",
            path.display(),
            missing.join(", ")
        ),
    )
    .hint(advice.join("; ")))
}

/// The component as one that serves HTTP.
pub(crate) fn http(
    declared: &Component,
    pre: &InstancePre<GuestState>,
) -> Result<wasmtime_wasi_http::p3::bindings::ServicePre<GuestState>> {
    wasmtime_wasi_http::p3::bindings::ServicePre::new(pre.clone()).map_err(|_| {
        lacks(
            declared,
            pre,
            "an HTTP trigger",
            "wasi:http/handler@0.3",
            "#[http_service]",
        )
    })
}

/// The component as one that handles Redis messages.
pub(crate) fn redis(declared: &Component, pre: &InstancePre<GuestState>) -> Result<SpinPre<GuestState>> {
    SpinPre::new(pre.clone()).map_err(|_| {
        lacks(
            declared,
            pre,
            "a Redis trigger",
            "spin:redis/inbound-redis@3",
            "#[redis_subscriber]",
        )
    })
}

fn lacks(
    declared: &Component,
    pre: &InstancePre<GuestState>,
    trigger: &str,
    wanted: &str,
    attribute: &str,
) -> HostError {
    let component = pre.component();
    let exports: Vec<String> = component
        .component_type()
        .exports(pre.engine())
        .map(|(name, _)| name.to_string())
        .collect();
    let exports = if exports.is_empty() {
        "nothing".into()
    } else {
        exports.join(", ")
    };
    HostError::new(
        ErrorKind::Component,
        declared.place("source"),
        format!("the component has {trigger}, which needs the export {wanted}; it exports {exports}"),
    )
    .hint(format!(
        "build it with spin-sdk 7 and mark its handler with {attribute}"
    ))
}
