//! Secrets by name: what `use` in an authentication policy refers to.

use crate::{
    address::Address,
    problems::{Outcome, configuration},
};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, fmt};

/// The secrets that workflows may name, and where each may be sent.
#[derive(Clone, Default)]
pub struct Secrets(BTreeMap<String, Secret>);

/// One secret.
#[derive(Clone)]
pub(crate) struct Secret {
    /// `username`, `password`, `token`, …: the members of the policy that it stands for.
    pub members: Map<String, Value>,
    /// The origins that may receive it.
    pub origins: Vec<String>,
}

impl Secrets {
    /// Reads `{"NAME": {"hosts": ["https://api.example.com"], "token": "…"}, …}`; an empty text has none. An error names
    /// the secret that is malformed and never says what is in it.
    pub fn parse(text: &str) -> Result<Secrets, String> {
        if text.trim().is_empty() {
            return Ok(Secrets::default());
        }
        // The parser's message may quote what it read.
        let value: Value = serde_json::from_str(text).map_err(|_| "it is not JSON".to_owned())?;
        let Value::Object(map) = value else {
            return Err("it is not a JSON object of names and secrets".into());
        };
        let read = |(name, secret)| Ok((String::clone(&name), read(&name, secret)?));
        map.into_iter()
            .map(read)
            .collect::<Result<_, String>>()
            .map(Secrets)
    }

    /// The secret of this name.
    pub(crate) fn find(&self, name: &str) -> Outcome<&Secret> {
        self.0.get(name).ok_or_else(|| {
            configuration(format!(
                "There is no secret `{name}` here. Who runs the hall gives it in the variable workflow_secrets \
                 (SPIN_VARIABLE_WORKFLOW_SECRETS), together with the hosts that it may be sent to."
            ))
        })
    }
}

fn read(name: &str, secret: Value) -> Result<Secret, String> {
    let Value::Object(mut members) = secret else {
        return Err(format!("`{name}` is not an object"));
    };
    let hosts = match members.remove("hosts") {
        Some(Value::Array(hosts)) if !hosts.is_empty() => hosts,
        _ => {
            return Err(format!(
                "`{name}` has no `hosts`, the list of those that it may be sent to"
            ));
        }
    };
    let origin = |host: Value| {
        let text = host.as_str().unwrap_or_default();
        let text = match text.contains("://") {
            true => text.to_owned(),
            false => format!("https://{text}"),
        };
        let address = Address::parse(&text)
            .ok()
            .filter(|address| address.target() == "/");
        address
            .map(|address| address.origin())
            .ok_or_else(|| format!("`hosts` of `{name}` has what is neither HOST, HOST:PORT nor an origin"))
    };
    let origins = hosts.into_iter().map(origin).collect::<Result<_, String>>()?;
    Ok(Secret { members, origins })
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_read_and_never_shown() {
        let secrets = Secrets::parse(
            r#"{"pets": {"hosts": ["api.example", "http://127.0.0.1:8080", "https://B.example:443/"], "token": "t0p"}}"#,
        )
        .expect("secrets");
        let secret = secrets.find("pets").expect("a secret");
        assert_eq!(
            secret.origins,
            [
                "https://api.example",
                "http://127.0.0.1:8080",
                "https://b.example"
            ]
        );
        assert_eq!(secret.members["token"], "t0p");
        assert_eq!(format!("{secrets:?}"), r#"{"pets"}"#);
        let missing = secrets.find("cats").err().and_then(|problem| problem.detail);
        assert!(missing.is_some_and(|detail| detail.contains("workflow_secrets")));
        assert!(Secrets::parse(" ").is_ok_and(|secrets| secrets.0.is_empty()));
        for bad in [
            "t0p",
            "[]",
            r#"{"x": "t0p"}"#,
            r#"{"x": {"token": "t0p"}}"#,
            r#"{"x": {"hosts": [], "token": "t0p"}}"#,
            r#"{"x": {"hosts": ["https://a/path"], "token": "t0p"}}"#,
            r#"{"x": {"hosts": [1], "token": "t0p"}}"#,
        ] {
            let why = Secrets::parse(bad).expect_err(bad);
            assert!(!why.contains("t0p"), "{why}");
        }
    }
}
