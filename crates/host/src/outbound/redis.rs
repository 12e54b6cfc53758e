//! `spin:redis@3.0.0`, outbound: a new TCP connection for each `open`, as in Spin.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use redis::{
    AsyncCommands, AsyncConnectionConfig, ErrorKind, FromRedisValue, RedisError, RedisResult as Outcome,
    Value, aio::MultiplexedConnection, io::AsyncDNSResolver,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::{Accessor, HasSelf, Resource};

use super::MAX_BUFFERED;
use crate::{
    bindings::spin::redis::redis::{
        Error, Host, HostConnection, HostConnectionWithStore, Payload, RedisParameter, RedisResult,
    },
    network::BlockedNetworks,
    state::GuestState,
};

/// How connections to Redis are made.
#[derive(Clone)]
pub(crate) struct RedisClient {
    /// Connections at once over all components; unlimited when `None`.
    pub permits: Option<Arc<Semaphore>>,
    /// How long connecting may take; without end when `None`.
    pub connect: Option<Duration>,
    pub blocked: Arc<BlockedNetworks>,
}

/// A guest's connection.
pub struct Connection {
    redis: MultiplexedConnection,
    /// Given back when the guest drops the connection.
    _permit: Option<OwnedSemaphorePermit>,
}

impl RedisClient {
    async fn open(&self, address: &str) -> Result<Connection, Error> {
        let client = redis::Client::open(address).map_err(|_| Error::InvalidAddress)?;
        let permit = match &self.permits {
            Some(permits) => Some(
                permits
                    .clone()
                    .acquire_owned()
                    .await
                    .map_err(|_| Error::TooManyConnections)?,
            ),
            None => None,
        };
        // Waiting on a list (`BLPOP`) is legitimate, so an answer may take as long as it takes.
        let config = AsyncConnectionConfig::new().set_dns_resolver(Resolver(self.blocked.clone()));
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        let redis = match self.connect {
            Some(limit) => tokio::time::timeout(limit, connecting)
                .await
                .map_err(|_| Error::Other(format!("connecting to Redis took longer than {limit:?}")))?,
            None => connecting.await,
        }
        .map_err(other)?;
        Ok(Connection {
            redis,
            _permit: permit,
        })
    }
}

/// Resolves names as the system does and keeps to addresses that are not blocked.
struct Resolver(Arc<BlockedNetworks>);

impl AsyncDNSResolver for Resolver {
    fn resolve<'a, 'b: 'a>(
        &'a self,
        host: &'b str,
        port: u16,
    ) -> redis::RedisFuture<'a, Box<dyn Iterator<Item = SocketAddr> + Send + 'a>> {
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((host, port)).await?.collect();
            let allowed: Vec<_> = found.into_iter().filter(|a| !self.0.blocks(a.ip())).collect();
            if allowed.is_empty() {
                return Err((
                    ErrorKind::IoError,
                    "the address is blocked by runtime-config.toml",
                )
                    .into());
            }
            Ok(Box::new(allowed.into_iter()) as Box<dyn Iterator<Item = SocketAddr> + Send>)
        })
    }
}

fn other(error: RedisError) -> Error {
    Error::Other(error.to_string())
}

fn too_big() -> Error {
    Error::Other(format!("query result exceeds limit of {MAX_BUFFERED} bytes"))
}

impl Host for GuestState {}

impl HostConnection for GuestState {
    fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}

/// The connection behind a guest's handle, shared with it.
fn connection<T: Send>(
    accessor: &Accessor<T, HasSelf<GuestState>>,
    handle: &Resource<Connection>,
) -> Result<MultiplexedConnection, Error> {
    accessor.with(|mut access| match access.get().table.get(handle) {
        Ok(connection) => Ok(connection.redis.clone()),
        Err(e) => Err(Error::Other(format!(
            "could not find connection for resource: {e}"
        ))),
    })
}

impl<T: Send> HostConnectionWithStore<T> for HasSelf<GuestState> {
    async fn open(accessor: &Accessor<T, Self>, address: String) -> Result<Resource<Connection>, Error> {
        let component = accessor.with(|mut access| access.get().component.clone());
        if !component.may_reach(&address, "redis") {
            return Err(Error::InvalidAddress);
        }
        let connection = component.redis.open(&address).await?;
        accessor.with(|mut access| {
            access
                .get()
                .table
                .push(connection)
                .map_err(|_| Error::TooManyConnections)
        })
    }

    async fn publish(
        accessor: &Accessor<T, Self>,
        handle: Resource<Connection>,
        channel: String,
        payload: Payload,
    ) -> Result<(), Error> {
        connection(accessor, &handle)?
            .publish(channel, payload)
            .await
            .map_err(other)
    }

    async fn get(
        accessor: &Accessor<T, Self>,
        handle: Resource<Connection>,
        key: String,
    ) -> Result<Option<Payload>, Error> {
        let value: Option<Vec<u8>> = connection(accessor, &handle)?.get(key).await.map_err(other)?;
        match value {
            Some(value) if value.len() > MAX_BUFFERED => Err(too_big()),
            value => Ok(value),
        }
    }

    async fn set(
        accessor: &Accessor<T, Self>,
        handle: Resource<Connection>,
        key: String,
        value: Payload,
    ) -> Result<(), Error> {
        connection(accessor, &handle)?
            .set(key, value)
            .await
            .map_err(other)
    }

    async fn incr(
        accessor: &Accessor<T, Self>,
        handle: Resource<Connection>,
        key: String,
    ) -> Result<i64, Error> {
        connection(accessor, &handle)?.incr(key, 1).await.map_err(other)
    }

    async fn del(
        accessor: &Accessor<T, Self>,
        handle: Resource<Connection>,
        keys: Vec<String>,
    ) -> Result<u32, Error> {
        connection(accessor, &handle)?.del(keys).await.map_err(other)
    }

    async fn sadd(
        accessor: &Accessor<T, Self>,
        handle: Resource<Connection>,
        key: String,
        values: Vec<String>,
    ) -> Result<u32, Error> {
        connection(accessor, &handle)?
            .sadd(key, values)
            .await
            .map_err(|e| match e.kind() {
                ErrorKind::TypeError => Error::TypeError,
                _ => other(e),
            })
    }

    async fn smembers(
        accessor: &Accessor<T, Self>,
        handle: Resource<Connection>,
        key: String,
    ) -> Result<Vec<String>, Error> {
        connection(accessor, &handle)?.smembers(key).await.map_err(other)
    }

    async fn srem(
        accessor: &Accessor<T, Self>,
        handle: Resource<Connection>,
        key: String,
        values: Vec<String>,
    ) -> Result<u32, Error> {
        connection(accessor, &handle)?
            .srem(key, values)
            .await
            .map_err(other)
    }

    async fn execute(
        accessor: &Accessor<T, Self>,
        handle: Resource<Connection>,
        command: String,
        arguments: Vec<RedisParameter>,
    ) -> Result<Vec<RedisResult>, Error> {
        let mut redis = connection(accessor, &handle)?;
        let mut command = redis::cmd(&command);
        for argument in arguments {
            match argument {
                RedisParameter::Int64(number) => command.arg(number),
                RedisParameter::Binary(bytes) => command.arg(bytes),
            };
        }
        let Flat(results) = command.query_async(&mut redis).await.map_err(other)?;
        let size: usize = results.iter().map(size).sum();
        if size > MAX_BUFFERED {
            Err(too_big())
        } else {
            Ok(results)
        }
    }
}

fn size(result: &RedisResult) -> usize {
    size_of::<RedisResult>()
        + match result {
            RedisResult::Nil | RedisResult::Int64(_) => 0,
            RedisResult::Status(text) => text.len(),
            RedisResult::Binary(bytes) => bytes.len(),
        }
}

/// An answer with nested lists laid out one after the other, which is how the interface gives them.
#[derive(Debug)]
struct Flat(Vec<RedisResult>);

impl FromRedisValue for Flat {
    fn from_redis_value(value: &Value) -> Outcome<Self> {
        let mut results = Vec::new();
        flatten(value, &mut results)?;
        Ok(Self(results))
    }
}

fn flatten(value: &Value, results: &mut Vec<RedisResult>) -> Outcome<()> {
    match value {
        Value::Nil => results.push(RedisResult::Nil),
        Value::Int(number) => results.push(RedisResult::Int64(*number)),
        Value::BulkString(bytes) => results.push(RedisResult::Binary(bytes.clone())),
        Value::SimpleString(text) => results.push(RedisResult::Status(text.clone())),
        Value::Double(number) => results.push(RedisResult::Binary(number.to_string().into_bytes())),
        Value::Boolean(yes) => results.push(RedisResult::Int64(i64::from(*yes))),
        Value::Okay => results.push(RedisResult::Status("OK".into())),
        Value::Array(values) | Value::Set(values) => {
            for value in values {
                flatten(value, results)?;
            }
        }
        other => {
            return Err((
                ErrorKind::TypeError,
                "the answer is of a kind spin:redis cannot carry",
                format!("{other:?}"),
            )
                .into());
        }
    }
    Ok(())
}
