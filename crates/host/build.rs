//! Points `bindgen!` at the WIT files inside the locked spin-sdk package, so that host and guests are
//! always built from the very same interfaces.

use std::{env, path::PathBuf, process::Command};

fn main() {
    let manifest_dir =
        PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let lock = manifest_dir.join("../../Cargo.lock");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", lock.display());

    let wit = spin_sdk(&manifest_dir).join("wit");
    assert!(
        wit.join("deps").is_dir(),
        "spin-sdk has no WIT files at {}",
        wit.display()
    );
    let code = format!(
        r#"wasmtime::component::bindgen!({{
    inline: "
        package guildhall:host;
        world spin {{
            import spin:postgres/postgres@4.2.0;
            import spin:redis/redis@3.0.0;
            import spin:variables/variables@3.0.0;
            export spin:redis/inbound-redis@3.0.0;
        }}
    ",
    path: {wit:?},
    world: "guildhall:host/spin",
    imports: {{
        // These are synchronous to the guest and wait for the network.
        "spin:postgres/postgres.[method]connection-builder.build": async,
        "spin:postgres/postgres.[static]connection.open": async,
        "spin:postgres/postgres.[method]connection.query": async,
        "spin:postgres/postgres.[method]connection.execute": async,
        // Taking a handle out of the table can fail only by the host's own fault.
        "spin:postgres/postgres.[constructor]connection-builder": trappable,
        "spin:postgres/postgres.[drop]connection-builder": trappable,
        "spin:postgres/postgres.[drop]connection": trappable,
        "spin:redis/redis.[drop]connection": trappable,
    }},
    with: {{
        "spin:postgres/postgres.connection": crate::outbound::pg::Connection,
        "spin:postgres/postgres.connection-builder": crate::outbound::pg::ConnectionBuilder,
        "spin:redis/redis.connection": crate::outbound::redis::Connection,
    }},
}});
"#,
        wit = wit.to_str().expect("the path of the cargo registry is UTF-8"),
    );
    std::fs::write(out_dir.join("bindings.rs"), code).expect("OUT_DIR is writable");
}

/// The folder of the spin-sdk package that Cargo.lock names.
fn spin_sdk(manifest_dir: &std::path::Path) -> PathBuf {
    // While somebody edits a manifest the lock file is behind for a moment; then Cargo itself may mend it.
    let metadata = cargo_metadata(manifest_dir, &["--locked"])
        .or_else(|_| cargo_metadata(manifest_dir, &["--offline"]))
        .unwrap_or_else(|e| panic!("`cargo metadata` failed (run `cargo fetch` once while online):\n{e}"));
    let metadata: serde_json::Value =
        serde_json::from_slice(&metadata).expect("`cargo metadata` prints JSON");
    let packages = metadata["packages"].as_array().expect("metadata has packages");
    let mut found = packages.iter().filter(|p| p["name"] == "spin-sdk");
    let package = found
        .next()
        .expect("the workspace's components depend on spin-sdk");
    assert!(
        found.next().is_none(),
        "Cargo.lock holds two versions of spin-sdk; the components must agree on one"
    );
    let manifest = package["manifest_path"]
        .as_str()
        .expect("a package has a manifest path");
    PathBuf::from(manifest)
        .parent()
        .expect("a manifest lies in a folder")
        .to_path_buf()
}

/// The output of `cargo metadata`, or what it complained about.
fn cargo_metadata(manifest_dir: &std::path::Path, flags: &[&str]) -> Result<Vec<u8>, String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--format-version=1",
            "--filter-platform=wasm32-wasip2",
        ])
        .args(flags)
        .arg("--manifest-path")
        .arg(manifest_dir.join("../../Cargo.toml"))
        .output()
        .expect("`cargo metadata` runs");
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}
