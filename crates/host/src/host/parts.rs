//! What the components of an application run with, and the triggers made of it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use wasmtime::{Engine, component::InstancePre};
use wasmtime_wasi_http::handler::ProxyHandler;

use super::plan::Plan;
use crate::{
    component,
    engine::Activity,
    error::{ErrorKind, HostError, Result},
    options::{HostOptions, Mode},
    outbound::{
        http::{Connector, HttpClient, HttpHooks, Inside},
        pg::Pools,
        redis::RedisClient,
    },
    routes::Routes,
    state::{ComponentContext, GuestState},
    stdio::ComponentLog,
    trigger::{
        http::{ADMITTED, HttpApp, Instances},
        redis::{Handler, Subscriber},
    },
};

/// What the instances of the application's components are made with.
pub(super) struct Parts<'a> {
    options: &'a HostOptions,
    engine: Engine,
    killed: CancellationToken,
    client: HttpClient,
    components: HashMap<String, Arc<ComponentContext>>,
}

impl<'a> Parts<'a> {
    /// Opens logs and pools for the components of `plan`.
    pub fn new(
        plan: &Plan,
        options: &'a HostOptions,
        engine: Engine,
        killed: CancellationToken,
        activity: &Activity,
    ) -> Result<Self> {
        let config = &plan.runtime_config;
        let blocked = Arc::new(config.blocked.clone());
        let stand_ins = Arc::new(options.stand_ins.clone());
        let connector = Connector::new(blocked.clone(), stand_ins, config.http.connections)
            .map_err(|e| HostError::new(ErrorKind::Runtime, "TLS", format!("cannot be set up: {e}")))?;
        let permits = |count: Option<usize>| count.map(|n| Arc::new(Semaphore::new(n)));
        let pg_permits = permits(config.pg_connections);
        let pools = || Pools::new(options.mode, options.limits.clone(), pg_permits.clone());
        let shared = pools();
        let redis = RedisClient {
            permits: permits(config.redis_connections),
            connect: (options.mode == Mode::Hardened).then_some(options.limits.redis_connect),
            blocked: blocked.clone(),
        };
        let logs = options.state_dir.join("logs");
        let mut components = HashMap::new();
        for declared in plan.components() {
            let log = ComponentLog::open(&declared.id, &logs, options.log).map_err(|e| {
                HostError::new(
                    ErrorKind::Runtime,
                    logs.display().to_string(),
                    format!("the log of {:?} cannot be opened: {e}", declared.id),
                )
                .hint("choose a state folder this user may write to")
            })?;
            let context = ComponentContext {
                id: declared.id.as_str().into(),
                mode: options.mode,
                limits: options.limits.clone(),
                allowed: plan.allowed(declared)?,
                blocked: blocked.clone(),
                variables: plan.component_variables(declared)?,
                environment: declared.environment.clone(),
                log,
                activity: activity.clone(),
                pg: if options.mode == Mode::Strict {
                    pools()
                } else {
                    shared.clone()
                },
                redis: redis.clone(),
            };
            components.insert(declared.id.clone(), Arc::new(context));
        }
        let client = HttpClient::new(&config.http, connector);
        Ok(Self {
            options,
            engine,
            killed,
            client,
            components,
        })
    }

    fn hooks(&self, component: &Arc<ComponentContext>, inside: Option<Inside>) -> HttpHooks {
        HttpHooks {
            component: component.clone(),
            client: self.client.clone(),
            inside,
        }
    }

    /// The HTTP side: a handler for each component with an HTTP trigger, and the routes.
    pub fn http_app(
        &self,
        plan: &Plan,
        guests: &HashMap<String, InstancePre<GuestState>>,
        inside: Inside,
    ) -> Result<HttpApp> {
        let mut handlers = HashMap::new();
        for declared in plan.http_components() {
            let component = &self.components[&declared.id];
            let reuse = match self.options.mode {
                Mode::Strict => self.options.reuse,
                Mode::Hardened => self
                    .options
                    .component_reuse
                    .get(&declared.id)
                    .copied()
                    .unwrap_or(self.options.reuse),
            };
            let instances = Instances {
                engine: self.engine.clone(),
                service: component::http(declared, &guests[&declared.id])?,
                component: component.clone(),
                hooks: self.hooks(component, Some(inside.clone())),
                reuse,
                admission: Arc::new(Semaphore::new(ADMITTED)),
                killed: self.killed.clone(),
            };
            handlers.insert(declared.id.clone(), ProxyHandler::new(instances));
        }
        let routes = Routes::build(plan.http_triggers())?;
        let name = plan.manifest.name.clone();
        Ok(HttpApp::new(
            name,
            self.options.mode,
            self.options.limits.clone(),
            routes,
            handlers,
        ))
    }

    /// The Redis side: a subscriber for each server, not yet connected.
    pub fn subscribers(
        &self,
        plan: &Plan,
        guests: &HashMap<String, InstancePre<GuestState>>,
    ) -> Result<Vec<Subscriber>> {
        let mut servers: BTreeMap<String, BTreeMap<String, Vec<Arc<Handler>>>> = BTreeMap::new();
        for (declared, address, channel) in plan.subscriptions()? {
            let component = &self.components[&declared.id];
            let handler = Handler {
                engine: self.engine.clone(),
                guest: component::redis(declared, &guests[&declared.id])?,
                component: component.clone(),
                hooks: self.hooks(component, None),
            };
            servers
                .entry(address)
                .or_default()
                .entry(channel)
                .or_default()
                .push(Arc::new(handler));
        }
        let subscriber = |(address, channels)| Subscriber {
            address,
            mode: self.options.mode,
            limits: self.options.limits.clone(),
            channels,
        };
        Ok(servers.into_iter().map(subscriber).collect())
    }
}
