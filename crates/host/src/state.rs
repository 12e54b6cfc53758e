//! What belongs to one instance, and what all instances of a component share.

use std::sync::Arc;

use wasmtime_wasi::{ResourceTable, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView, sockets::SocketAddrUse};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::{
    engine::Activity,
    guard::MemoryCap,
    network::{AllowedHosts, BlockedNetworks},
    options::{Limits, Mode},
    outbound::{http::HttpHooks, pg::Pools, redis::RedisClient},
    stdio::ComponentLog,
};

/// What every instance of a component is made from.
pub(crate) struct ComponentContext {
    pub id: Arc<str>,
    pub mode: Mode,
    pub limits: Limits,
    pub allowed: AllowedHosts,
    pub blocked: Arc<BlockedNetworks>,
    /// Values of the component's own variables.
    pub variables: Vec<(String, String)>,
    pub environment: Vec<(String, String)>,
    pub log: ComponentLog,
    pub activity: Activity,
    pub pg: Pools,
    pub redis: RedisClient,
}

impl ComponentContext {
    /// Whether a component may reach `url`; a refusal is logged.
    pub fn may_reach(&self, url: &str, scheme: &str) -> bool {
        let allowed = self.allowed.allows(url, scheme);
        if !allowed {
            tracing::warn!(
                component = %self.id,
                "refused to reach {scheme} {}: not in allowed_outbound_hosts of [component.{}]",
                without_credentials(url),
                self.id
            );
        }
        allowed
    }
}

/// `url` with whatever stands before an `@` blanked.
fn without_credentials(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((before, host)) => {
            let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
            let separator = if scheme.is_empty() { "" } else { "://" };
            format!("{scheme}{separator}***@{host}")
        }
        None => url.into(),
    }
}

/// The data of one store.
pub(crate) struct GuestState {
    pub component: Arc<ComponentContext>,
    pub table: ResourceTable,
    pub memory: MemoryCap,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: HttpHooks,
}

impl GuestState {
    /// The state of a fresh instance of `component`, which reaches HTTP through `hooks`.
    pub fn new(component: Arc<ComponentContext>, hooks: HttpHooks) -> Self {
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdout(component.log.stream())
            .stderr(component.log.stream())
            .envs(&component.environment);
        // What is not switched on here is denied before the check is asked; looking up names stays off.
        wasi.allow_tcp(true).allow_udp(true);
        let context = component.clone();
        wasi.socket_addr_check(move |address, used_for| {
            let scheme = match used_for {
                // Connecting binds too, to no address in particular; anything else is a server's business.
                SocketAddrUse::TcpBind => {
                    let implicit = address.ip().is_unspecified() && address.port() == 0;
                    return Box::pin(async move { implicit });
                }
                SocketAddrUse::TcpConnect => "tcp",
                SocketAddrUse::UdpBind | SocketAddrUse::UdpSend => "udp",
                _ => return Box::pin(async { false }),
            };
            let allowed =
                context.may_reach(&address.to_string(), scheme) && !context.blocked.blocks(address.ip());
            Box::pin(async move { allowed })
        });
        let limit = (component.mode == Mode::Hardened).then_some(component.limits.memory_bytes);
        Self {
            memory: MemoryCap::new(component.id.clone(), limit),
            component,
            table: ResourceTable::new(),
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            hooks,
        }
    }
}

impl WasiView for GuestState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for GuestState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.hooks,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}
