//! Application variables, read once per instance.

use guildhall_domain::{Code, Problem};
use std::{cell::RefCell, collections::BTreeMap};

thread_local! {
    static KNOWN: RefCell<BTreeMap<&'static str, String>> = const { RefCell::new(BTreeMap::new()) };
}

/// The variable's value; an empty one counts as not set. The problem says which variable the component lacks.
pub async fn required(name: &'static str) -> Result<String, Problem> {
    optional(name).await?.ok_or_else(|| not_set(name))
}

/// The variable's value, or `None` when it is empty.
pub async fn optional(name: &'static str) -> Result<Option<String>, Problem> {
    if let Some(value) = KNOWN.with_borrow(|known| known.get(name).cloned()) {
        return Ok(Some(value).filter(|value| !value.is_empty()));
    }
    let value = spin_sdk::variables::get(name).await.map_err(|error| {
        // The error is not quoted: a provider's message may carry an address or a credential.
        let kind = match error {
            spin_sdk::variables::Error::Undefined(_) => "spin.toml does not give it to this component",
            spin_sdk::variables::Error::InvalidName(_) => "its name is not valid",
            spin_sdk::variables::Error::Provider(_) => "its provider failed",
            spin_sdk::variables::Error::Other(_) => "the runtime failed",
        };
        Problem::new(
            Code::NotConfigured,
            format!("The variable `{name}` could not be read: {kind}."),
        )
        .hint(format!(
            "Set it with SPIN_VARIABLE_{} or in a variables provider.",
            name.to_uppercase()
        ))
    })?;
    KNOWN.with_borrow_mut(|known| known.insert(name, value.clone()));
    Ok(Some(value).filter(|value| !value.is_empty()))
}

fn not_set(name: &str) -> Problem {
    Problem::new(Code::NotConfigured, format!("The variable `{name}` is not set.")).hint(format!(
        "Set it with SPIN_VARIABLE_{} or in a variables provider.",
        name.to_uppercase()
    ))
}
