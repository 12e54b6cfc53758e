//! API tokens. Only the SHA-256 of a secret comes here, as 64 lower-case hex digits.

use crate::{
    catalogue::{TOKEN_CREATE, TOKEN_LIST, TOKEN_REVOKE, TOKEN_VERIFY},
    db::{Db, DbError, Param},
    row,
};
use guildhall_domain::{
    id::TokenId,
    scope::Scope,
    token::{Principal, PrincipalKind, TokenInfo},
};
use serde::Deserialize;
use serde_json::json;

/// Makes a token for `principal`, for good or for `ttl_s` seconds; `actor` is who makes it, for the audit.
pub async fn create<D: Db>(
    db: &D,
    token_hash: &str,
    principal: &Principal,
    ttl_s: Option<i64>,
    actor: &str,
) -> Result<TokenInfo, DbError> {
    let kind = match principal.kind {
        PrincipalKind::Person => "person",
        PrincipalKind::Service => "service",
    };
    let params = [
        Param::text(token_hash),
        Param::text(&principal.name),
        Param::text(kind),
        Param::json(&json!(principal.scopes)),
        Param::opt_text(principal.agent_id.as_deref()),
        Param::OptInt(ttl_s),
        Param::text(actor),
    ];
    row::one(db, &TOKEN_CREATE, &params).await
}

/// What a presented secret is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// It is good, for `remaining_ms` milliseconds or until revoked.
    Ok {
        /// Who calls.
        principal: Principal,
        /// Milliseconds until it expires, if it does.
        remaining_ms: Option<i64>,
    },
    /// Nobody was given it.
    Unknown,
    /// Its time is up.
    Expired,
    /// It was revoked.
    Revoked,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum VerifyRow {
    Ok {
        principal: String,
        kind: PrincipalKind,
        scopes: Vec<Scope>,
        agent_id: Option<String>,
        remaining_ms: Option<i64>,
    },
    Unknown,
    Expired,
    Revoked,
}

/// Looks a secret's hash up.
pub async fn verify<D: Db>(db: &D, token_hash: &str) -> Result<Verified, DbError> {
    Ok(
        match row::one(db, &TOKEN_VERIFY, &[Param::text(token_hash)]).await? {
            VerifyRow::Ok {
                principal,
                kind,
                scopes,
                agent_id,
                remaining_ms,
            } => Verified::Ok {
                principal: Principal {
                    name: principal,
                    kind,
                    scopes,
                    agent_id,
                },
                remaining_ms,
            },
            VerifyRow::Unknown => Verified::Unknown,
            VerifyRow::Expired => Verified::Expired,
            VerifyRow::Revoked => Verified::Revoked,
        },
    )
}

/// The newest 1,000 tokens, revoked and expired ones too, newest first.
pub async fn list<D: Db>(db: &D) -> Result<Vec<TokenInfo>, DbError> {
    row::all(db, &TOKEN_LIST, &[]).await
}

/// What became of a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevokeOutcome {
    /// It works no more.
    Revoked,
    /// It was revoked before.
    AlreadyRevoked,
    /// There is no such token.
    NotFound,
}

/// Revokes a token; `actor` is who does it, for the audit.
pub async fn revoke<D: Db>(db: &D, id: TokenId, actor: &str) -> Result<RevokeOutcome, DbError> {
    row::one(db, &TOKEN_REVOKE, &[Param::id(id), Param::text(actor)]).await
}
