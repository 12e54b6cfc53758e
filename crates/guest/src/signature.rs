//! Signatures of what the hall sends to outside addresses.
//!
//! `Guildhall-Signature: t=UNIX_SECONDS,v1=HEX` where HEX is HMAC-SHA256(key, `t` + `.` + body). The key of a requester
//! is hex(HMAC-SHA256(secret, `guildhall-callback/` + requester)), taken as text: so each can be told theirs
//! (`GET /v1/requests/callback-key`) without learning another's.

use crate::vars;
use guildhall_domain::Problem;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Name of the header.
pub const SIGNATURE: &str = "guildhall-signature";

fn hmac(key: &[u8], parts: &[&[u8]]) -> String {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return String::new();
    };
    parts.iter().for_each(|part| mac.update(part));
    hex::encode(mac.finalize().into_bytes())
}

/// What keys are made of: the variable `callback_secret`, or, where nobody set it, `internal_token`, of which a key
/// tells nothing. Whoever sets the former can change it without the fleet's own token.
pub async fn secret() -> Result<String, Problem> {
    match vars::optional("callback_secret").await? {
        Some(secret) => Ok(secret),
        None => vars::required("internal_token").await,
    }
}

/// The key with which what goes to `requester` is signed.
pub fn key_of(secret: &str, requester: &str) -> String {
    hmac(secret.as_bytes(), &[b"guildhall-callback/", requester.as_bytes()])
}

/// The header's value for `body`, sent at `unix_seconds`.
pub fn sign(key: &str, unix_seconds: u64, body: &[u8]) -> String {
    let seconds = unix_seconds.to_string();
    let mac = hmac(key.as_bytes(), &[seconds.as_bytes(), b".", body]);
    format!("t={seconds},v1={mac}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_one_that_other_programs_compute() {
        // printf '1.body' | openssl dgst -sha256 -hmac key
        assert_eq!(
            sign("key", 1, b"body"),
            "t=1,v1=91b5374b153842ad05b2c4eab9349b8321b14703165bd3fb8b034dfb8be98ae5"
        );
    }

    #[test]
    fn each_requester_has_a_key_of_their_own() {
        assert_ne!(key_of("s", "ada"), key_of("s", "bob"));
        assert_eq!(key_of("s", "ada").len(), 64);
    }
}
