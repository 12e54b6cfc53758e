//! Who calls, and what they may do.

use crate::{db::GuestDb, time, vars};
use guildhall_domain::{
    Code, Problem,
    scope::Scope,
    token::{Principal, TOKEN_PREFIX},
};
use guildhall_store::token::Verified;
use http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use std::{cell::RefCell, collections::BTreeMap, time::Duration};
use subtle::ConstantTimeEq;

/// What a route asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing.
    Open,
    /// An API token with this scope (or `admin`).
    Scope(Scope),
    /// The token that the fleet's own components share.
    Internal,
}

/// How long a good token is believed without asking the database again; so long may a revocation go unnoticed.
const BELIEVED: Duration = Duration::from_secs(5);
/// Most tokens that one instance remembers.
const REMEMBERED: usize = 256;

struct Known {
    principal: Principal,
    until_ns: u64,
}

thread_local! {
    static KNOWN: RefCell<BTreeMap<String, Known>> = const { RefCell::new(BTreeMap::new()) };
}

/// Lets the caller through or says what is missing. Gives the principal for [`Access::Scope`].
pub async fn authorize(access: &Access, headers: &HeaderMap) -> Result<Option<Principal>, Problem> {
    match access {
        Access::Open => Ok(None),
        Access::Internal => {
            let expected = vars::required("internal_token").await?;
            let given = bearer(headers).unwrap_or_default();
            // Hashes have one length, so that not even that of the secret can be measured.
            if bool::from(Sha256::digest(given).ct_eq(&Sha256::digest(&expected))) {
                Ok(None)
            } else {
                Err(Problem::new(
                    Code::Unauthenticated,
                    "This route is for the fleet's own components.",
                )
                .hint("Use the public routes in docs/api.md."))
            }
        }
        Access::Scope(scope) => {
            let principal = identify(headers).await?;
            if scope.is_granted_by(&principal.scopes) {
                return Ok(Some(principal));
            }
            Err(Problem::new(
                Code::Forbidden,
                format!(
                    "The token of `{}` lacks the scope `{scope}`, which this route needs.",
                    principal.name
                ),
            )
            .hint(format!(
                "Use a token with it: `guildhall token create --scope {scope} ...`."
            )))
        }
    }
}

async fn identify(headers: &HeaderMap) -> Result<Principal, Problem> {
    let Some(secret) = bearer(headers) else {
        return Err(Problem::new(Code::Unauthenticated, "The request carries no API token.").hint(format!(
            "Send `Authorization: Bearer {TOKEN_PREFIX}...`; `guildhall up` says where the first token is."
        )));
    };
    let hash = token_hash(secret);
    let now = time::monotonic_ns();
    let remembered = KNOWN.with_borrow(|known| {
        known
            .get(&hash)
            .filter(|entry| now < entry.until_ns)
            .map(|entry| entry.principal.clone())
    });
    if let Some(principal) = remembered {
        return Ok(principal);
    }
    match guildhall_store::token::verify(&GuestDb, &hash).await? {
        Verified::Ok {
            principal,
            remaining_ms,
        } => {
            let believed = match remaining_ms {
                Some(ms) => BELIEVED.min(Duration::from_millis(ms.max(0) as u64)),
                None => BELIEVED,
            };
            let until_ns = time::monotonic_ns().saturating_add(believed.as_nanos() as u64);
            KNOWN.with_borrow_mut(|known| {
                known.retain(|_, entry| now < entry.until_ns);
                if known.len() < REMEMBERED {
                    known.insert(
                        hash,
                        Known {
                            principal: principal.clone(),
                            until_ns,
                        },
                    );
                }
            });
            Ok(principal)
        }
        Verified::Expired => Err(Problem::new(Code::TokenExpired, "The API token's time is up.")
            .hint("Make another with `guildhall token create`.")),
        Verified::Revoked => Err(Problem::new(Code::Unauthenticated, "The API token was revoked.")
            .hint("Make another with `guildhall token create`.")),
        Verified::Unknown => Err(Problem::new(
            Code::Unauthenticated,
            "The API token is not known to this fleet.",
        )
        .hint("Check GUILDHALL_URL and GUILDHALL_TOKEN: each fleet has tokens of its own.")),
    }
}

/// What the database stores of a secret: its SHA-256 in hex.
pub fn token_hash(secret: &str) -> String {
    sha256_hex(secret)
}

/// SHA-256 as 64 lower-case hex digits.
pub fn sha256_hex(bytes: impl AsRef<[u8]>) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The credential of an `Authorization: Bearer` header (RFC 6750; the scheme's case does not matter).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credential) = value.split_once(' ')?;
    let credential = credential.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !credential.is_empty()).then_some(credential)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn only_a_bearer_credential_counts() {
        for (value, wanted) in [
            ("Bearer guildhall_x", Some("guildhall_x")),
            ("bearer  guildhall_x ", Some("guildhall_x")),
            ("Basic guildhall_x", None),
            ("Bearer", None),
            ("Bearer ", None),
            ("guildhall_x", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
            assert_eq!(bearer(&headers), wanted, "{value}");
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }

    #[test]
    fn the_hash_is_the_one_that_other_programs_compute() {
        // printf abc | sha256sum
        assert_eq!(
            token_hash("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
