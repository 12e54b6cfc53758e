//! Applications that must not start, one folder each: `spin.toml`, and in `error.txt` what is said of it.

use std::{collections::BTreeMap, path::Path};

use guildhall_host::{Host, HostOptions, LogSink, Mode};

use crate::support::guest;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_with_its_place_and_a_way_out() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut wrong = Vec::new();
    let mut tried = 0;
    let mut folders: Vec<_> = std::fs::read_dir(&cases)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    for case in folders {
        tried += 1;
        let expected = std::fs::read_to_string(case.join("error.txt")).unwrap_or_default();
        let found = start(&case).await;
        if std::env::var_os("GUILDHALL_BLESS").is_some() {
            std::fs::write(case.join("error.txt"), &found).unwrap();
        } else if found != expected {
            wrong.push(format!(
                "{}\n--- expected\n{expected}--- found\n{found}",
                case.display()
            ));
        }
    }
    assert!(tried >= 30, "only {tried} cases in {}", cases.display());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Starts a copy of the application in `case` and gives what was said against it.
async fn start(case: &Path) -> String {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(case.join("spin.toml")).unwrap();
    let listener = guest("listener");
    let text = text
        .replace("{probe}", guest("probe").to_str().unwrap())
        .replace("{listener}", listener.to_str().unwrap());
    std::fs::write(folder.path().join("spin.toml"), text).unwrap();
    for file in std::fs::read_dir(case)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        if file.extension().is_some_and(|e| e == "wat") {
            let binary = wat::parse_file(&file).unwrap();
            std::fs::write(folder.path().join(file.file_name().unwrap()), binary).unwrap();
        }
    }
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache");
    std::fs::create_dir_all(&cache).unwrap();
    std::os::unix::fs::symlink(cache, folder.path().join("cache")).unwrap();
    let options = HostOptions {
        mode: Mode::Strict,
        state_dir: folder.path().into(),
        log: LogSink::Discard,
        variables: BTreeMap::new(),
        ..HostOptions::new(folder.path().join("spin.toml"))
    };
    let said = match Host::start(options).await {
        Ok(_) => "it started".into(),
        Err(error) => error.to_string(),
    };
    // Paths differ from machine to machine.
    let guests = listener.parent().unwrap().to_str().unwrap().to_string();
    said.replace(folder.path().to_str().unwrap(), "FOLDER")
        .replace(&guests, "GUESTS")
        + "\n"
}
