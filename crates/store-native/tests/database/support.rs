//! Databases for tests.

use guildhall_domain::agent::{AgentCapabilities, AgentCard, Skill};
use guildhall_store_native::migrate::{self, Source};
use guildhall_testkit::{Database, Postgres};
use std::path::{Path, PathBuf};
use std::process::Command;
use tokio_postgres::Config;

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The SQL that makes a migrated database a test database: pgTAP, the clock that stands still, helpers.
pub fn setup_sql() -> String {
    let file = root().join("tests/sql/setup.sql");
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// A short name for what `text` and the embedded schema make.
fn template_name(kind: &str, text: &str) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    (Source::embedded().checksum(), text).hash(&mut hasher);
    format!("{kind}_{:016x}", hasher.finish())
}

/// A database as the migrator leaves it.
pub async fn migrated() -> Database {
    let server = Postgres::shared().await.expect("Postgres starts");
    let prepare = |config: Config| async move {
        migrate::run(&config).await?;
        Ok(())
    };
    server
        .database_from(&template_name("migrated", ""), prepare)
        .await
        .expect("a migrated database")
}

/// The same with `tests/sql/setup.sql` on top.
pub async fn prepared() -> Database {
    let server = Postgres::shared().await.expect("Postgres starts");
    let setup = setup_sql();
    let name = template_name("prepared", &setup);
    let prepare = |config: Config| async move {
        migrate::run(&config).await?;
        let client = guildhall_testkit::postgres::connect(&config).await?;
        client.batch_execute(&setup).await?;
        Ok(())
    };
    server
        .database_from(&name, prepare)
        .await
        .expect("a prepared database")
}

/// One of Postgres's own programs.
pub fn program(name: &str) -> Command {
    let binaries = guildhall_provision::find::postgres(None).expect("Postgres is installed");
    Command::new(binaries.program(name))
}

/// A card with skills that take anything.
pub fn card(name: &str, skills: &[&str]) -> AgentCard {
    AgentCard {
        name: name.into(),
        description: "for tests".into(),
        version: "1".into(),
        supported_interfaces: Vec::new(),
        capabilities: AgentCapabilities::default(),
        default_input_modes: Vec::new(),
        default_output_modes: Vec::new(),
        skills: skills
            .iter()
            .map(|id| Skill {
                id: (*id).into(),
                name: (*id).into(),
                description: String::new(),
                tags: Vec::new(),
                examples: Vec::new(),
                input_modes: Vec::new(),
                output_modes: Vec::new(),
                input_schema: true.into(),
                output_schema: None,
                cost_hint: None,
            })
            .collect(),
    }
}
