//! `guildhall token`: who may call the fleet, and for what.

use super::{items, read};
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::format::{self, short_id, spelled};
use crate::ids;
use crate::output::say;
use crate::table::{Cell, draw};
use guildhall_domain::scope::Scope;
use guildhall_domain::token::TokenInfo;
use serde_json::json;

/// What to do with API tokens.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Token {
    /// Make a token. The secret is printed once, alone, on standard output
    Create {
        /// Whose token this is: the name under which actions are recorded
        #[arg(long, value_name = "NAME")]
        principal: String,
        /// A person can decide approvals, a service cannot
        #[arg(long, default_value = "person", value_parser = ["person", "service"], value_name = "KIND")]
        kind: String,
        /// What it permits; repeat, or separate by commas
        #[arg(long = "scope", required = true, value_delimiter = ',', value_name = "SCOPE")]
        scopes: Vec<Scope>,
        /// The only agent that it may register and report for
        #[arg(long, value_name = "ID")]
        agent: Option<String>,
        /// How long it is good for, for example 90m, 12h, 30d [default: until revoked]
        #[arg(long, value_parser = parse_duration_s, value_name = "TIME")]
        ttl: Option<i64>,
    },
    /// List the tokens, without their secrets
    List {
        /// Those revoked or expired too
        #[arg(long)]
        all: bool,
    },
    /// Make a token stop working
    Revoke {
        /// The token's id, or its beginning
        token_id: String,
    },
}

/// Does it.
pub async fn run(context: &Context, command: Token) -> Result<()> {
    let api = context.api()?;
    let output = &context.output;
    match command {
        Token::Create {
            principal,
            kind,
            scopes,
            agent,
            ttl,
        } => {
            let body = json!({ "principal": principal, "kind": kind, "scopes": scopes, "agent_id": agent, "ttl_s": ttl });
            let answer = api.post("make a token", "/v1/tokens", &body).await?;
            if output.json {
                return output.document("guildhall.token.v1", answer);
            }
            let secret = answer["token"].as_str().ok_or_else(|| {
                CliError::new("cannot make a token").because("the fleet's answer has no secret in it")
            })?;
            say(&format!("a token for {principal}; it is not shown again:"));
            output.line(secret)
        }
        Token::List { all } => {
            let what = "list the tokens";
            let page = api.get(what, "/v1/tokens").await?;
            if output.json {
                return output.document("guildhall.tokens.v1", page);
            }
            let tokens: Vec<TokenInfo> = items(what, &page)?;
            let now = chrono::Utc::now();
            let state = |token: &TokenInfo| match () {
                () if token.revoked_at.is_some() => "revoked",
                () if token.expires_at.is_some_and(|at| at <= now) => "expired",
                () => "active",
            };
            let rows: Vec<Vec<Cell>> = tokens
                .iter()
                .filter(|token| all || state(token) == "active")
                .map(|token| {
                    let scopes: Vec<&str> = token.scopes.iter().map(|scope| scope.as_str()).collect();
                    vec![
                        short_id(&token.id.to_string()).into(),
                        token.principal.as_str().into(),
                        spelled(&token.kind).into(),
                        Cell::toned(state(token), format::tone(state(token))),
                        token.expires_at.map_or("never".into(), format::relative).into(),
                        scopes.join(",").into(),
                    ]
                })
                .collect();
            output.write(&draw(
                output,
                &["TOKEN", "PRINCIPAL", "KIND", "STATE", "EXPIRES", "SCOPES"],
                &rows,
            ))
        }
        Token::Revoke { token_id } => {
            let id = ids::resolve(&api, "token", "/v1/tokens", &token_id).await?;
            let answer = api
                .delete("revoke the token", &format!("/v1/tokens/{id}"))
                .await?;
            if output.json {
                return output.document(
                    "guildhall.token_revoked.v1",
                    json!({ "id": id, "answer": answer }),
                );
            }
            let _: serde_json::Value = read("revoke the token", answer)?;
            output.line(&format!(
                "token {id} is revoked; fleets may accept it for up to five seconds more"
            ))
        }
    }
}

/// `90`, `90s`, `15m`, `12h`, `30d` in seconds.
fn parse_duration_s(text: &str) -> std::result::Result<i64, String> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let factor = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        other => return Err(format!("{other:?} is no unit; use s, m, h or d")),
    };
    let number: i64 = digits
        .parse()
        .map_err(|_| "a number with a unit is needed, such as 12h".to_string())?;
    number
        .checked_mul(factor)
        .filter(|seconds| *seconds > 0)
        .ok_or_else(|| "the time must be above zero".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, seconds) in [
            ("90", 90),
            ("90s", 90),
            ("15m", 900),
            ("12h", 43_200),
            ("30d", 2_592_000),
        ] {
            assert_eq!(parse_duration_s(text), Ok(seconds));
        }
        for wrong in [
            "",
            "0",
            "-1h",
            "1w",
            "h",
            "99999999999999999999d",
            "9223372036854775807d",
        ] {
            assert!(parse_duration_s(wrong).is_err(), "{wrong}");
        }
    }
}
