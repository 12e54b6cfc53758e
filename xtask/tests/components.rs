//! Each component of spin.toml imports and exports what a Spin component may, and no more.

use xtask::tidy::wasm;
use xtask::{build, cargo};

#[test]
fn components_import_only_wasi_and_spin_and_export_one_trigger() {
    let components = build::named().unwrap();
    assert!(!components.is_empty());
    for component in components {
        let file = cargo::root().join(&component.source);
        assert!(
            file.is_file(),
            "{} is missing; run cargo xtask build",
            file.display()
        );
        let outside = wasm::outside(&file).unwrap();
        println!(
            "{}\n  imports {:?}\n  exports {:?}",
            component.id, outside.imports, outside.exports
        );
        let foreign = wasm::foreign(&outside.imports);
        assert!(foreign.is_empty(), "{} imports {foreign:?}", component.id);
        let foreign = wasm::foreign(&outside.exports);
        assert!(foreign.is_empty(), "{} exports {foreign:?}", component.id);
        let triggers = outside.exports.iter().filter(|name| {
            name.starts_with("wasi:http/") || name.contains("inbound-redis") || name.starts_with("spin:redis")
        });
        assert_eq!(
            triggers.count(),
            1,
            "{} answers one trigger: {:?}",
            component.id,
            outside.exports
        );
    }
}

#[test]
fn every_component_folder_is_in_the_application() {
    let named: Vec<String> = build::named()
        .unwrap()
        .into_iter()
        .map(|component| component.package)
        .collect();
    for entry in std::fs::read_dir(cargo::root().join("components"))
        .unwrap()
        .flatten()
    {
        let package = format!("component-{}", entry.file_name().to_string_lossy());
        assert!(
            named.contains(&package),
            "{package} is in no component of spin.toml"
        );
    }
}
