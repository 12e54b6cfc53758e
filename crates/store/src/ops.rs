//! Readiness, the ticker and figures for `/metrics`.

use crate::{
    catalogue::{METRICS, READINESS, SCHEMA_VERSION as SCHEMA_VERSION_CALL, TICKER_TICK},
    db::{Db, DbError, Param},
    row,
};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Whether the database can serve.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Readiness {
    /// It can be read and written.
    pub ok: bool,
    /// The newest migration applied; compare with [`crate::SCHEMA_VERSION`].
    pub schema_version: i32,
}

/// Asks whether the database can serve.
pub async fn readiness<D: Db>(db: &D) -> Result<Readiness, DbError> {
    row::one(db, &READINESS, &[]).await
}

/// What is installed in the database.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SchemaVersion {
    /// The newest migration applied.
    pub version: i32,
    /// SHA-256, hex, over all migrations and functions as applied.
    pub checksum: String,
}

/// Tells what is installed in the database.
pub async fn schema_version<D: Db>(db: &D) -> Result<SchemaVersion, DbError> {
    row::one(db, &SCHEMA_VERSION_CALL, &[]).await
}

/// What a tick found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Tick {
    /// The worker leads until its lease runs out; the others need do nothing.
    pub leader: bool,
    /// A run is due: poke the workflows component.
    pub runs_due: bool,
    /// A request is due and a live agent has its skill: poke the requests component.
    pub requests_due: bool,
    /// An event waits to be published: poke the relay.
    pub outbox_due: bool,
    /// A remote agent is to be asked whether it is there: poke the registry component.
    pub probes_due: bool,
    /// The end of a request waits to be told to a URL: poke the requests component.
    pub callbacks_due: bool,
    /// A run's call over HTTP is to be made: poke the calls component.
    pub calls_due: bool,
}

/// Takes or renews the ticker's lease for `lease_s` seconds and, when leading, sweeps: lapsed approvals, requests past
/// their deadline, expired locks, old published events.
pub async fn tick<D: Db>(db: &D, worker: &str, lease_s: i64) -> Result<Tick, DbError> {
    row::one(db, &TICKER_TICK, &[Param::text(worker), Param::Int(lease_s)]).await
}

/// One sample of one metric.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Metric {
    /// The sample's name, for example `guildhall_runs` or `guildhall_request_duration_seconds_sum`.
    pub name: String,
    /// The family that HELP and TYPE are written for; the name without `_sum`, `_count` and `_bucket`.
    pub family: String,
    /// `gauge`, `counter` or `histogram`.
    #[serde(rename = "type")]
    pub kind: String,
    /// One line of help.
    pub help: String,
    /// Labels of the sample.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

/// The figures of this moment, samples of a family next to each other.
pub async fn metrics<D: Db>(db: &D) -> Result<Vec<Metric>, DbError> {
    row::all(db, &METRICS, &[]).await
}

/// The figures in the Prometheus text format 0.0.4.
pub fn exposition(metrics: &[Metric]) -> String {
    let mut text = String::new();
    let mut family = "";
    for metric in metrics {
        if metric.family != family {
            family = &metric.family;
            let help = metric.help.replace('\\', "\\\\").replace('\n', "\\n");
            text.push_str(&format!(
                "# HELP {family} {help}\n# TYPE {family} {}\n",
                metric.kind
            ));
        }
        text.push_str(&metric.name);
        if !metric.labels.is_empty() {
            let labels: Vec<_> = metric.labels.iter().map(label).collect();
            text.push_str(&format!("{{{}}}", labels.join(",")));
        }
        text.push_str(&format!(" {}\n", metric.value));
    }
    text
}

fn label((name, value): (&String, &String)) -> String {
    let value = value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("{name}=\"{value}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(name: &str, family: &str, labels: &[(&str, &str)], value: f64) -> Metric {
        Metric {
            name: name.into(),
            family: family.into(),
            kind: "gauge".into(),
            help: "How many.".into(),
            labels: labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            value,
        }
    }

    #[test]
    fn help_and_type_come_once_per_family() {
        let text = exposition(&[
            metric("a", "a", &[("x", "1")], 2.0),
            metric("a", "a", &[("x", "say \"hi\"\\\n")], 0.5),
            metric("b_sum", "b", &[], 3.0),
        ]);
        assert_eq!(
            text,
            "# HELP a How many.\n# TYPE a gauge\na{x=\"1\"} 2\na{x=\"say \\\"hi\\\"\\\\\\n\"} 0.5\n\
             # HELP b How many.\n# TYPE b gauge\nb_sum 3\n"
        );
    }
}
