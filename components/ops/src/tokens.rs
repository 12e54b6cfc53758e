//! API tokens: made, listed and revoked by an administrator. A secret is shown once and stored only as its hash.

use guildhall_guest::{
    Ctx, Handled, Reply,
    auth::token_hash,
    domain::{
        Code, Problem, card,
        id::TokenId,
        scope::Scope,
        token::{Principal, PrincipalKind, TOKEN_PREFIX},
    },
    http::{StatusCode, header},
    random_32,
    store::token::{self, RevokeOutcome},
};
use serde::Deserialize;
use serde_json::json;

/// The newest tokens, without secrets.
pub async fn list(ctx: Ctx) -> Handled {
    let items = token::list(&ctx.db()).await?;
    Ok(Reply::json(&json!({"items": items, "next": null})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    principal: String,
    kind: PrincipalKind,
    scopes: Vec<Scope>,
    /// The only agent that the token may register and report for.
    agent_id: Option<String>,
    ttl_s: Option<i64>,
}

/// Makes a token; the answer is the only place where its secret is ever shown.
pub async fn create(mut ctx: Ctx) -> Handled {
    let body: Create = ctx.json().await?;
    let refuse = |what: &str| Err(Problem::new(Code::InvalidBody, what));
    let named = |byte: u8| byte.is_ascii_alphanumeric() || b"._@+-".contains(&byte);
    if !(1..=100).contains(&body.principal.len()) || !body.principal.bytes().all(named) {
        return refuse("`principal` must be 1 to 100 of the characters A-Z a-z 0-9 . _ @ + -");
    }
    if body.scopes.is_empty() {
        return refuse("`scopes` must name at least one scope.");
    }
    if body
        .ttl_s
        .is_some_and(|ttl_s| !(1..=315_360_000).contains(&ttl_s))
    {
        return refuse("`ttl_s` must be 1 to 315360000 seconds (ten years), or left out.");
    }
    if let Some(why) = body.agent_id.as_deref().and_then(|id| card::check_id(id).err()) {
        return refuse(&format!("`agent_id`: {why}."));
    }
    let secret = format!("{TOKEN_PREFIX}{}", hex::encode(random_32()));
    let principal = Principal {
        name: body.principal,
        kind: body.kind,
        scopes: body.scopes,
        agent_id: body.agent_id,
    };
    let actor = &ctx.principal()?.name;
    let info = token::create(&ctx.db(), &token_hash(&secret), &principal, body.ttl_s, actor).await?;
    let location = format!("/v1/tokens/{}", info.id);
    let made = json!({"token": secret, "info": info});
    Ok(Reply::json_status(StatusCode::CREATED, &made).header(header::LOCATION, location))
}

/// Revokes a token; instances that believe it go on doing so for at most 5 s.
pub async fn revoke(ctx: Ctx) -> Handled {
    let id: TokenId = ctx.parsed_param("id")?;
    match token::revoke(&ctx.db(), id, &ctx.principal()?.name).await? {
        RevokeOutcome::Revoked | RevokeOutcome::AlreadyRevoked => Ok(Reply::empty(StatusCode::NO_CONTENT)),
        RevokeOutcome::NotFound => Err(Problem::new(Code::NotFound, format!("There is no token {id}."))
            .hint("GET /v1/tokens lists those there are.")),
    }
}
