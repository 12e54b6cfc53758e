//! From text to [`Manifest`], refusing what is wrong, unknown or not supported.

use std::{collections::BTreeSet, path::Path};

use super::{Component, Manifest, Section, Variable, triggers::triggers};
use crate::{
    error::{ErrorKind, HostError, Result},
    variables::check_name,
};

const APPLICATION_REFUSED: &[(&str, &str)] = &[(
    "requires",
    "remove it; the host offers what Spin 4.1 offers to the components it supports",
)];

const ROOT_REFUSED: &[(&str, &str)] = &[("profile", "keep one build profile per manifest")];

const COMPONENT_REFUSED: &[(&str, &str)] = &[
    (
        "files",
        "components get no file system; embed data with `include_bytes!` or keep it in Postgres",
    ),
    ("exclude_files", "components get no file system; remove the key"),
    (
        "allowed_http_hosts",
        "deprecated by Spin; use `allowed_outbound_hosts`",
    ),
    ("key_value_stores", "keep state in Postgres or Redis"),
    ("sqlite_databases", "keep state in Postgres"),
    (
        "ai_models",
        "reach a model over HTTP and list its host in `allowed_outbound_hosts`",
    ),
    (
        "dependencies",
        "compose the component before it is named here (`wac plug`)",
    ),
    (
        "dependencies_inherit_configuration",
        "compose the component before it is named here (`wac plug`)",
    ),
    ("profile", "keep one build profile per manifest"),
];

impl Manifest {
    /// Reads the manifest at `path`.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| {
            HostError::new(
                ErrorKind::Unreadable,
                path.display().to_string(),
                format!("cannot be read: {e}"),
            )
            .hint("give the path of a spin.toml")
        })?;
        Self::parse(&text, path.parent().unwrap_or(Path::new("")))
    }

    /// Parses `text`; component sources are taken relative to `folder`.
    pub fn parse(text: &str, folder: &Path) -> Result<Self> {
        let mut root = Section::parse("spin.toml", text)?;
        match root.take("spin_manifest_version") {
            Some(toml::Value::Integer(2)) => {}
            Some(other) => {
                return Err(root
                    .invalid("spin_manifest_version", format!("must be 2, not {other}"))
                    .hint("`spin doctor` upgrades older manifests"));
            }
            None => {
                return Err(root
                    .invalid("spin_manifest_version", "is missing")
                    .hint("begin the file with `spin_manifest_version = 2`"));
            }
        }
        let mut application = root
            .section("application")?
            .ok_or_else(|| root.invalid("[application]", "is missing"))?;
        let name = application.required_string("name")?;
        for text in ["version", "description"] {
            application.string(text)?;
        }
        application.strings("authors")?;
        application.take("tool");
        let redis_address = application_triggers(&mut application)?;
        application.finish(APPLICATION_REFUSED)?;

        let variables = match root.section("variables")? {
            Some(section) => variables(section)?,
            None => Vec::new(),
        };
        let components = match root.section("component")? {
            Some(section) => section
                .into_sections()?
                .into_iter()
                .map(|(id, s)| component(id, s, folder))
                .collect::<Result<_>>()?,
            None => Vec::new(),
        };
        let (http, redis) = triggers(&mut root)?;
        root.take("tool");
        root.finish(ROOT_REFUSED)?;

        let manifest = Self {
            name,
            redis_address,
            variables,
            http,
            redis,
            components,
        };
        manifest.check_references()?;
        Ok(manifest)
    }

    fn check_references(&self) -> Result<()> {
        let known: BTreeSet<&str> = self.components.iter().map(|c| c.id.as_str()).collect();
        let http = self.http.iter().map(|t| (&t.place, &t.component));
        let redis = self.redis.iter().map(|t| (&t.place, &t.component));
        for (place, component) in http.chain(redis) {
            if !known.contains(component.as_str()) {
                return Err(HostError::new(
                    ErrorKind::InvalidManifest,
                    format!("{place} component"),
                    format!("there is no component {component:?}"),
                )
                .hint(format!(
                    "declare [component.{component}], or name one of: {}",
                    list(&known)
                )));
            }
        }
        for trigger in &self.redis {
            if trigger.address.is_none() && self.redis_address.is_none() {
                return Err(HostError::new(
                    ErrorKind::InvalidManifest,
                    format!("{} address", trigger.place),
                    "no Redis address is given",
                )
                .hint("set `address` here or in [application.trigger.redis]"));
            }
        }
        Ok(())
    }
}

fn list(names: &BTreeSet<&str>) -> String {
    if names.is_empty() {
        "(none declared)".into()
    } else {
        names.iter().copied().collect::<Vec<_>>().join(", ")
    }
}

fn application_triggers(application: &mut Section) -> Result<Option<String>> {
    let Some(mut triggers) = application.section("trigger")? else {
        return Ok(None);
    };
    if let Some(mut http) = triggers.section("http")? {
        match http.string("base")?.as_deref() {
            None | Some("/") => {}
            Some(_) => {
                return Err(http
                    .invalid("base", "must be \"/\"")
                    .hint("write the prefix into each route"));
            }
        }
        http.finish(&[])?;
    }
    let address = match triggers.section("redis")? {
        Some(mut redis) => {
            let address = redis.string("address")?;
            redis.finish(&[])?;
            address
        }
        None => None,
    };
    triggers.finish(&[])?;
    Ok(address)
}

fn variables(section: Section) -> Result<Vec<Variable>> {
    section
        .into_sections()?
        .into_iter()
        .map(|(name, mut s)| {
            check_name(&name).map_err(|cause| HostError::new(ErrorKind::Variable, s.here(), cause))?;
            let default = s.string("default")?;
            let required = s.boolean("required")?.unwrap_or(false);
            let secret = s.boolean("secret")?.unwrap_or(false);
            s.string("description")?;
            if default.is_none() && !required {
                return Err(HostError::new(
                    ErrorKind::Variable,
                    s.here(),
                    "has neither a default nor `required = true`",
                )
                .hint("give it one of the two"));
            }
            if default.is_some() && required {
                return Err(HostError::new(
                    ErrorKind::Variable,
                    s.here(),
                    "has both a default and `required = true`",
                )
                .hint("keep one of the two"));
            }
            s.finish(&[])?;
            Ok(Variable {
                name,
                default,
                secret,
            })
        })
        .collect()
}

fn component(id: String, mut s: Section, folder: &Path) -> Result<Component> {
    let kebab = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase())
            && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    if !id.split('-').all(kebab) {
        return Err(
            HostError::new(ErrorKind::InvalidManifest, s.here(), "the id is not kebab-case")
                .hint("use lower-case words, each beginning with a letter, joined by single hyphens"),
        );
    }
    let source = match s.take("source") {
        Some(toml::Value::String(path)) => folder.join(path),
        Some(toml::Value::Table(_)) => {
            return Err(HostError::new(
                ErrorKind::Unsupported,
                s.place("source"),
                "only a path of a local file is supported",
            )
            .hint("download the component and name the file"));
        }
        Some(_) => return Err(s.invalid("source", "must be the path of a WebAssembly component")),
        None => {
            return Err(s
                .invalid("source", "is missing")
                .hint("name the component's .wasm file"));
        }
    };
    s.string("description")?;
    let variables = s.string_map("variables")?;
    for (name, _) in &variables {
        check_name(name).map_err(|cause| {
            HostError::new(ErrorKind::Variable, s.place(&format!("variables.{name}")), cause)
        })?;
    }
    let environment = s.string_map("environment")?;
    let allowed_outbound_hosts = s.strings("allowed_outbound_hosts")?;
    let build = match s.section("build")? {
        Some(mut build) => match build.take("command") {
            Some(toml::Value::String(command)) => Some(command),
            Some(toml::Value::Array(commands)) => Some(
                commands
                    .iter()
                    .filter_map(|c| c.as_str())
                    .collect::<Vec<_>>()
                    .join(" && "),
            ),
            _ => None,
        },
        None => None,
    };
    // What only tools other than the runtime read.
    s.take("tool");
    s.take("targets");
    s.finish(COMPONENT_REFUSED)?;
    Ok(Component {
        id,
        source,
        build,
        variables,
        environment,
        allowed_outbound_hosts,
    })
}
