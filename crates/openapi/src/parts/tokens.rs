use super::{object, uuid};
use crate::Operation;
use guildhall_domain::{
    scope::Scope,
    token::{PrincipalKind, TokenInfo},
};
use serde_json::json;

pub(super) fn operations() -> Vec<Operation> {
    let new = |method, path, id, summary| Operation::new(method, path, "tokens", id, summary, Scope::Admin);
    let scopes: Vec<_> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
    let _: [PrincipalKind; 2] = [PrincipalKind::Person, PrincipalKind::Service];
    vec![
        new(
            "get",
            "/v1/tokens",
            "listTokens",
            "The newest tokens, without secrets",
        )
        .reply(200, "The tokens.", |schemas| schemas.page::<TokenInfo>()),
        new(
            "post",
            "/v1/tokens",
            "createToken",
            "Make a token; the only time its secret is shown",
        )
        .body(
            object(
                &["principal", "kind", "scopes"],
                json!({
                    "principal": {"type": "string", "pattern": "^[A-Za-z0-9._@+-]{1,100}$"},
                    "kind": {"enum": ["person", "service"]},
                    "scopes": {"type": "array", "minItems": 1, "items": {"enum": scopes}},
                    "ttl_s": {"type": ["integer", "null"], "minimum": 1, "maximum": 315_360_000},
                }),
            ),
            json!({"principal": "ada", "kind": "person", "scopes": ["chat", "runs:read"], "ttl_s": 86400}),
        )
        .reply(201, "The token.", |schemas| {
            let info = schemas.of::<TokenInfo>();
            object(
                &["token", "info"],
                json!({"token": {"type": "string"}, "info": info}),
            )
        }),
        new("delete", "/v1/tokens/{id}", "revokeToken", "End a token for good")
            .path("id", "The token's id.", uuid())
            .empty(
                204,
                "Revoked; instances that believe the token go on for at most 5 s.",
            ),
    ]
}
