//! Secrets: made from the system's randomness, kept in files that only their owner may read.

use crate::error::{CliError, Result};
use guildhall_domain::token::TOKEN_PREFIX;
use sha2::{Digest, Sha256};

/// A random secret of 256 bits as hex.
pub fn random() -> Result<String> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| {
        CliError::new("cannot make a secret").because(format!("the system gives no randomness: {error}"))
    })?;
    Ok(hex::encode(bytes))
}

/// A new API token, recognisable as one.
pub fn api_token() -> Result<String> {
    Ok(format!("{TOKEN_PREFIX}{}", random()?))
}

/// What is stored of a token: its SHA-256, hex.
pub fn hash(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}
