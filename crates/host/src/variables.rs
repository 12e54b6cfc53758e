//! Application variables: templates, sources of values, and what each component gets to see.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use crate::{
    error::{ErrorKind, HostError, Result},
    manifest::{Manifest, Variable},
    runtime_config::Provider,
};

/// Holds a variable's name to Spin's rules; the error says which one it breaks.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() {
        Err("a variable's name must not be empty".into())
    } else if let Some(c) = name.chars().find(|c| !allowed(*c)) {
        Err(format!(
            "invalid character {c:?} in the variable name {name:?}: only a-z, 0-9 and single underscores are allowed"
        ))
    } else if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        Err(format!(
            "the variable name {name:?} must start with a lower-case letter"
        ))
    } else if name.ends_with('_') {
        Err(format!(
            "the variable name {name:?} must end with a letter or digit"
        ))
    } else if name.contains("__") {
        Err(format!(
            "the variable name {name:?} must not contain two underscores in a row"
        ))
    } else {
        Ok(())
    }
}

/// A string with `{{ variable }}` places in it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Literal(String),
    Variable(String),
}

impl Template {
    /// Parses `text`; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find("{{") {
            if start > 0 {
                parts.push(Part::Literal(rest[..start].into()));
            }
            let inside = &rest[start + 2..];
            let Some(end) = inside.find("}}") else {
                return Err(format!("`{{{{` without `}}}}` in {text:?}"));
            };
            parts.push(Part::Variable(inside[..end].trim().into()));
            rest = &inside[end + 2..];
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.into()));
        }
        Ok(Self(parts))
    }

    /// Whether the text holds no variable.
    pub fn is_literal(&self) -> bool {
        self.0.iter().all(|part| matches!(part, Part::Literal(_)))
    }
}

/// Every application variable with its value.
#[derive(Clone, Default)]
pub(crate) struct Variables(HashMap<String, String>);

impl Variables {
    /// Finds the value of each variable `manifest` declares: first in `given`, then in `providers` in
    /// order, then in the environment (`SPIN_VARIABLE_NAME`, then `.env` in `folder`), then its default.
    ///
    /// Only variables that one of `used` needs must have a value.
    pub fn resolve(
        manifest: &Manifest,
        given: &BTreeMap<String, String>,
        providers: &[Provider],
        folder: &Path,
        used: impl Fn(&str) -> bool,
    ) -> Result<Self> {
        if let Some(unknown) = given
            .keys()
            .find(|name| !manifest.variables.iter().any(|v| &v.name == *name))
        {
            return Err(HostError::new(
                ErrorKind::Variable,
                format!("variable {unknown}"),
                "a value is given, but spin.toml declares no such variable",
            )
            .hint(format!(
                "declare it under [variables], or drop it; declared are: {}",
                names(&manifest.variables)
            )));
        }
        let environment = Provider::environment(None, Some(folder.join(".env")))?;
        let mut values = HashMap::new();
        for variable in &manifest.variables {
            let found = given
                .get(&variable.name)
                .cloned()
                .or_else(|| {
                    providers
                        .iter()
                        .chain([&environment])
                        .find_map(|p| p.get(&variable.name))
                })
                .or_else(|| variable.default.clone());
            match found {
                Some(value) => {
                    values.insert(variable.name.clone(), value);
                }
                None if !used(&variable.name) => {}
                None => return Err(missing(variable)),
            }
        }
        Ok(Self(values))
    }

    /// Fills in `text`; `place` is where it stands.
    pub fn fill(&self, place: &str, text: &str) -> Result<String> {
        let template =
            Template::parse(text).map_err(|cause| HostError::new(ErrorKind::Template, place, cause))?;
        let mut filled = String::new();
        for part in &template.0 {
            match part {
                Part::Literal(text) => filled.push_str(text),
                Part::Variable(name) => match self.0.get(name) {
                    Some(value) => filled.push_str(value),
                    None => return Err(unknown(place, name)),
                },
            }
        }
        Ok(filled)
    }

    /// Checks that `text` is a template over declared variables, and tells `visit` which.
    pub fn check(place: &str, text: &str, declared: &[Variable], mut visit: impl FnMut(&str)) -> Result<()> {
        let template =
            Template::parse(text).map_err(|cause| HostError::new(ErrorKind::Template, place, cause))?;
        for part in &template.0 {
            if let Part::Variable(name) = part {
                if !declared.iter().any(|v| &v.name == name) {
                    return Err(unknown(place, name).hint(format!(
                        "declare it under [variables]; declared are: {}",
                        names(declared)
                    )));
                }
                visit(name);
            }
        }
        Ok(())
    }
}

fn names(variables: &[Variable]) -> String {
    if variables.is_empty() {
        return "(none)".into();
    }
    variables
        .iter()
        .map(|v| v.name.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

fn unknown(place: &str, name: &str) -> HostError {
    HostError::new(
        ErrorKind::Template,
        place,
        format!("uses the variable {name:?}, which spin.toml does not declare"),
    )
}

fn missing(variable: &Variable) -> HostError {
    let example = if variable.secret { "SECRET" } else { "VALUE" };
    HostError::new(
        ErrorKind::Variable,
        format!("spin.toml [variables.{}]", variable.name),
        "the variable is required and has no value",
    )
    .hint(format!(
        "set the environment variable SPIN_VARIABLE_{}={example}, or add it to a [[variables_provider]] of \
         runtime-config.toml, or give it a default",
        variable.name.to_ascii_uppercase()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_follow_spins_rules() {
        for good in ["a", "db_url", "a1_b2"] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in ["", "A", "1a", "_a", "a_", "a__b", "a-b", "ä"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn templates_are_filled() {
        let variables = Variables(HashMap::from([
            ("host".into(), "db".into()),
            ("empty".into(), String::new()),
        ]));
        for (text, filled) in [
            ("", ""),
            ("plain", "plain"),
            ("{{host}}", "db"),
            ("postgres://{{ host }}:5432{{empty}}/x", "postgres://db:5432/x"),
            ("}} {", "}} {"),
        ] {
            assert_eq!(variables.fill("here", text).unwrap(), filled, "{text}");
        }
        assert_eq!(
            variables.fill("here", "{{host").unwrap_err().kind(),
            ErrorKind::Template
        );
        assert_eq!(
            variables.fill("here", "{{other}}").unwrap_err().kind(),
            ErrorKind::Template
        );
    }

    proptest! {
        /// Whatever stands around a variable comes through untouched.
        #[test]
        fn literals_survive(before in "[^{}]*", after in "[^{}]*", value in ".*") {
            let variables = Variables(HashMap::from([("v".to_string(), value.clone())]));
            let filled = variables.fill("here", &format!("{before}{{{{ v }}}}{after}")).unwrap();
            prop_assert_eq!(filled, format!("{before}{value}{after}"));
        }

        #[test]
        fn parsing_never_panics(text in ".*") {
            let _ = Template::parse(&text);
        }
    }
}
