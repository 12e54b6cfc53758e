//! Workflows: documents in versions that never change.

use crate::{
    catalogue::{WORKFLOW_GET, WORKFLOW_LIST, WORKFLOW_PUT},
    db::{Db, DbError, Param},
    page::{Page, rows_wanted},
    row,
};
use guildhall_domain::workflow::{Workflow, WorkflowDocument};
use serde::Deserialize;
use serde_json::Value;

/// What became of a [`put`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PutOutcome {
    /// The version is new.
    Created,
    /// It is there already, with the same digest.
    Exists,
    /// It is there already, with another digest; nothing was changed.
    Conflict,
}

/// The answer to [`put`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Put {
    /// What happened.
    pub outcome: PutOutcome,
    /// The version as it is kept.
    pub workflow: Workflow,
}

/// Keeps a validated document under the namespace, name and version that it gives itself.
pub async fn put<D: Db>(
    db: &D,
    definition: &Value,
    source: &str,
    digest: &str,
    by: &str,
) -> Result<Put, DbError> {
    let params = [
        Param::json(definition),
        Param::text(source),
        Param::text(digest),
        Param::text(by),
    ];
    row::one(db, &WORKFLOW_PUT, &params).await
}

/// A version with its document; `latest` is the highest release, or the highest pre-release while there is none.
pub async fn get<D: Db>(
    db: &D,
    namespace: &str,
    name: &str,
    version: &str,
) -> Result<Option<WorkflowDocument>, DbError> {
    let params = [Param::text(namespace), Param::text(name), Param::text(version)];
    row::optional(db, &WORKFLOW_GET, &params).await
}

/// All versions in order of namespace, name and version, optionally of one namespace, after `namespace/name/version`.
pub async fn list<D: Db>(
    db: &D,
    namespace: Option<&str>,
    after: Option<&str>,
    limit: u32,
) -> Result<Page<Workflow>, DbError> {
    let params = [
        Param::opt_text(namespace),
        Param::opt_text(after),
        Param::Int(rows_wanted(limit)),
    ];
    let workflows = row::all(db, &WORKFLOW_LIST, &params).await?;
    Ok(Page::cut(workflows, limit, |workflow: &Workflow| {
        format!("{}/{}/{}", workflow.namespace, workflow.name, workflow.version)
    }))
}
