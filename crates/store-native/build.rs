//! Embeds the migrations, so that a binary can bring any database up to itself.

use std::{env, fmt::Write as _, fs, path::Path};

fn sql_files(dir: &Path) -> Vec<(String, String)> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap_or_else(|error| panic!("cannot list {}: {error}", dir.display()))
        .filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            // The snapshot shows the result for review; it is not a way to get there.
            let stem = name
                .strip_suffix(".sql")
                .filter(|stem| !stem.contains('.'))?
                .to_owned();
            Some((stem, dir.join(name).to_string_lossy().into_owned()))
        })
        .collect();
    files.sort();
    files
}

fn main() {
    let manifest = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let root = Path::new(&manifest).join("../../migrations");
    println!("cargo::rerun-if-changed={}", root.display());
    println!("cargo::rerun-if-changed={}", root.join("functions").display());
    let mut code = String::new();
    for (constant, dir) in [
        ("MIGRATIONS", root.clone()),
        ("FUNCTIONS", root.join("functions")),
    ] {
        writeln!(code, "pub(crate) const {constant}: &[(&str, &str)] = &[").unwrap();
        for (stem, path) in sql_files(&dir) {
            println!("cargo::rerun-if-changed={path}");
            writeln!(code, "    ({stem:?}, include_str!({path:?})),").unwrap();
        }
        writeln!(code, "];").unwrap();
    }
    let out = env::var("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&out).join("embedded.rs"), code).expect("OUT_DIR can be written");
}
