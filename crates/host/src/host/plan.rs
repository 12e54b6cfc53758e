//! What is to be run, with every variable filled in and every reference checked.

use std::{collections::BTreeSet, path::Path};

use crate::{
    error::{ErrorKind, HostError, Result},
    manifest::{Component, HttpTrigger, Manifest, RedisTrigger},
    network::AllowedHosts,
    options::HostOptions,
    runtime_config::RuntimeConfig,
    variables::{Template, Variables},
};

/// A manifest, narrowed to the selected components, and the values of its variables.
pub(super) struct Plan {
    pub manifest: Manifest,
    pub runtime_config: RuntimeConfig,
    variables: Variables,
    /// The ids of the components that are run.
    selected: BTreeSet<String>,
}

impl Plan {
    /// Reads the files of `options` and checks all that can be checked without the components.
    pub fn make(options: &HostOptions) -> Result<Self> {
        let manifest = Manifest::load(&options.manifest)?;
        let runtime_config = match &options.runtime_config {
            Some(path) => RuntimeConfig::load(path)?,
            None => RuntimeConfig::default(),
        };
        let folder = options.manifest.parent().unwrap_or(Path::new(""));
        Self::resolve(manifest, runtime_config, options, folder)
    }

    fn resolve(
        manifest: Manifest,
        runtime_config: RuntimeConfig,
        options: &HostOptions,
        folder: &Path,
    ) -> Result<Self> {
        let selected = select(&manifest, options.components.as_deref())?;
        let used = used_variables(&manifest, &selected)?;
        let variables = Variables::resolve(
            &manifest,
            &options.variables,
            &runtime_config.providers,
            folder,
            |name| used.contains(name),
        )?;
        let plan = Self {
            manifest,
            runtime_config,
            variables,
            selected,
        };
        for component in plan.components() {
            plan.check_siblings(component)?;
        }
        Ok(plan)
    }

    /// The components that are run.
    pub fn components(&self) -> impl Iterator<Item = &Component> {
        self.manifest
            .components
            .iter()
            .filter(|c| self.selected.contains(&c.id))
    }

    /// The HTTP triggers of components that are run.
    pub fn http_triggers(&self) -> impl Iterator<Item = &HttpTrigger> {
        self.manifest
            .http
            .iter()
            .filter(|t| self.selected.contains(&t.component))
    }

    fn redis_triggers(&self) -> impl Iterator<Item = &RedisTrigger> {
        self.manifest
            .redis
            .iter()
            .filter(|t| self.selected.contains(&t.component))
    }

    /// The components that are run and have an HTTP trigger.
    pub fn http_components(&self) -> impl Iterator<Item = &Component> {
        self.components()
            .filter(|c| self.http_triggers().any(|t| t.component == c.id))
    }

    /// Each subscription: component, Redis address, channel.
    pub fn subscriptions(&self) -> Result<Vec<(&Component, String, String)>> {
        let mut subscriptions = Vec::new();
        for trigger in self.redis_triggers() {
            let (place, address) = redis_address(&self.manifest, trigger);
            let address = self.variables.fill(&place, address)?;
            if let Err(e) = redis::Client::open(address.as_str()) {
                // The address itself may hold a password.
                return Err(
                    HostError::new(ErrorKind::Redis, place, format!("is no Redis address: {e}"))
                        .hint("write it as redis://HOST:PORT"),
                );
            }
            let channel = self
                .variables
                .fill(&format!("{} channel", trigger.place), &trigger.channel)?;
            let component = self.components().find(|c| c.id == trigger.component);
            subscriptions.extend(component.map(|c| (c, address, channel)));
        }
        Ok(subscriptions)
    }

    /// The values of a component's variables.
    pub fn component_variables(&self, component: &Component) -> Result<Vec<(String, String)>> {
        let fill = |(name, text): &(String, String)| {
            let value = self
                .variables
                .fill(&component.place(&format!("variables.{name}")), text)?;
            Ok((name.clone(), value))
        };
        component.variables.iter().map(fill).collect()
    }

    /// What a component may reach.
    pub fn allowed(&self, component: &Component) -> Result<AllowedHosts> {
        let place = component.place("allowed_outbound_hosts");
        let mut entries = Vec::new();
        for text in &component.allowed_outbound_hosts {
            let templated = !Template::parse(text).is_ok_and(|t| t.is_literal());
            entries.push((self.variables.fill(&place, text)?, templated));
        }
        AllowedHosts::parse(&entries).map_err(|(i, cause)| {
            let written = &component.allowed_outbound_hosts[i];
            HostError::new(
                ErrorKind::AllowedHost,
                &place,
                format!("entry {written:?}: {cause}"),
            )
            .hint("write scheme://host:port; `*` stands for any of the three")
        })
    }

    /// Every sibling a component names must be there to be called.
    fn check_siblings(&self, component: &Component) -> Result<()> {
        for sibling in self.allowed(component)?.chained() {
            let wrong = |cause: &str| {
                HostError::new(
                    ErrorKind::AllowedHost,
                    component.place("allowed_outbound_hosts"),
                    format!("allows http://{sibling}.spin.internal, but {cause}"),
                )
            };
            if !self.manifest.components.iter().any(|c| c.id == sibling) {
                return Err(wrong("there is no such component").hint("correct the id, or remove the entry"));
            }
            if !self.manifest.http.iter().any(|t| t.component == sibling) {
                return Err(wrong("that component has no HTTP trigger")
                    .hint("give it a [[trigger.http]] with `route = { private = true }`"));
            }
            if !self.selected.contains(sibling) {
                return Err(wrong("that component is not among those selected to run").hint("select it too"));
            }
        }
        Ok(())
    }
}

fn redis_address<'a>(manifest: &'a Manifest, trigger: &'a RedisTrigger) -> (String, &'a str) {
    match &trigger.address {
        Some(address) => (format!("{} address", trigger.place), address),
        None => (
            "spin.toml [application.trigger.redis] address".into(),
            manifest.redis_address.as_deref().unwrap_or_default(),
        ),
    }
}

/// The components that have a trigger, or of those the ones asked for.
fn select(manifest: &Manifest, wanted: Option<&[String]>) -> Result<BTreeSet<String>> {
    let triggered: BTreeSet<String> = manifest
        .http
        .iter()
        .map(|t| &t.component)
        .chain(manifest.redis.iter().map(|t| &t.component))
        .cloned()
        .collect();
    for idle in manifest.components.iter().filter(|c| !triggered.contains(&c.id)) {
        tracing::warn!("component {:?} has no trigger and is not loaded", idle.id);
    }
    let Some(wanted) = wanted else {
        return Ok(triggered);
    };
    for id in wanted {
        if !triggered.contains(id) {
            return Err(HostError::new(
                ErrorKind::InvalidManifest,
                format!("selected component {id:?}"),
                "spin.toml has no component of that id with a trigger",
            )
            .hint(format!(
                "choose among: {}",
                triggered.iter().cloned().collect::<Vec<_>>().join(", ")
            )));
        }
    }
    Ok(wanted.iter().cloned().collect())
}

/// Checks every template of the manifest, and tells which variables the selected components need.
fn used_variables(manifest: &Manifest, selected: &BTreeSet<String>) -> Result<BTreeSet<String>> {
    let mut used = BTreeSet::new();
    let mut check = |place: &str, text: &str, component: &str| {
        Variables::check(place, text, &manifest.variables, |name| {
            if selected.contains(component) {
                used.insert(name.to_string());
            }
        })
    };
    for component in &manifest.components {
        for (name, text) in &component.variables {
            check(
                &component.place(&format!("variables.{name}")),
                text,
                &component.id,
            )?;
        }
        for text in &component.allowed_outbound_hosts {
            check(&component.place("allowed_outbound_hosts"), text, &component.id)?;
        }
    }
    for trigger in &manifest.redis {
        let (place, address) = redis_address(manifest, trigger);
        check(&place, address, &trigger.component)?;
        check(
            &format!("{} channel", trigger.place),
            &trigger.channel,
            &trigger.component,
        )?;
    }
    Ok(used)
}
