//! Redis messages to the components that subscribe to their channel.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, future::join_all};
use rand::Rng as _;
use redis::{Msg, RedisResult};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use wasmtime::{Engine, Store};

use crate::{
    bindings::SpinPre,
    error::{ErrorKind, HostError, Result},
    guard,
    options::{Limits, Mode},
    outbound::{chain, http::HttpHooks},
    state::{ComponentContext, GuestState},
};

/// The first wait before connecting again, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Makes an instance for each message to one component.
pub(crate) struct Handler {
    pub engine: Engine,
    pub guest: SpinPre<GuestState>,
    pub component: Arc<ComponentContext>,
    pub hooks: HttpHooks,
}

impl Handler {
    /// Runs the component for one message; the error is a trap's or what the component returned.
    async fn run(&self, payload: Vec<u8>) -> wasmtime::Result<()> {
        let state = GuestState::new(self.component.clone(), self.hooks.clone());
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.memory);
        let meter = match self.component.mode {
            Mode::Strict => {
                guard::unlimited_cpu(&mut store);
                None
            }
            Mode::Hardened => Some(guard::limit_cpu(
                &mut store,
                self.component.limits.redis_cpu,
                &self.component.activity,
            )),
        };
        let guest = self.guest.instantiate_async(&mut store).await?;
        let mut running = std::pin::pin!(store.run_concurrent(async |accessor| {
            guest
                .spin_redis_inbound_redis()
                .call_handle_message(accessor, payload)
                .await
        }));
        let answer = std::future::poll_fn(|cx| {
            let poll = running.as_mut().poll(cx);
            if poll.is_pending()
                && let Some(meter) = &meter
            {
                meter.parked();
            }
            poll
        })
        .await??;
        answer.map_err(|e| wasmtime::format_err!("the component returned an error: {e:?}"))
    }
}

/// All subscriptions of an application at one Redis server.
pub(crate) struct Subscriber {
    pub address: String,
    pub mode: Mode,
    pub limits: Limits,
    /// Channel to the components that want its messages.
    pub channels: BTreeMap<String, Vec<Arc<Handler>>>,
}

/// A live subscription.
pub(crate) struct Subscription(redis::aio::PubSub);

impl Subscriber {
    /// The address without user and password.
    fn shown(&self) -> String {
        match redis::Client::open(self.address.as_str()) {
            Ok(client) => client.get_connection_info().addr.to_string(),
            Err(_) => "(not an address)".into(),
        }
    }

    /// Connects and subscribes to every channel.
    pub async fn connect(&self) -> Result<Subscription> {
        let place = format!("Redis trigger at {}", self.shown());
        let failed = |what: &str, cause: redis::RedisError| {
            HostError::new(
                ErrorKind::Redis,
                place.clone(),
                format!("{what}: {}", chain(&cause)),
            )
            .hint("start the Redis server, or correct the address in spin.toml")
        };
        let client =
            redis::Client::open(self.address.as_str()).map_err(|e| failed("the address is not valid", e))?;
        let connecting = async {
            // The client library takes a server's refusal of a subscription for an answer like any other,
            // so whether the server lets us in is found out on a connection of its own.
            let mut control = client
                .get_multiplexed_async_connection()
                .await
                .map_err(|e| failed("cannot connect", e))?;
            let pong: RedisResult<()> = redis::cmd("PING").query_async(&mut control).await;
            pong.map_err(|e| failed("the server refuses us", e))?;
            let mut pubsub = client
                .get_async_pubsub()
                .await
                .map_err(|e| failed("cannot connect", e))?;
            for channel in self.channels.keys() {
                let subscribed = pubsub.subscribe(channel).await;
                subscribed.map_err(|e| failed(&format!("cannot subscribe to {channel:?}"), e))?;
                // Who may subscribe need not be allowed to ask this.
                let count: RedisResult<(String, u64)> = redis::cmd("PUBSUB")
                    .arg("NUMSUB")
                    .arg(channel)
                    .query_async(&mut control)
                    .await;
                if let Ok((_, 0)) = count {
                    let cause = format!("the server did not accept the subscription to {channel:?}");
                    return Err(HostError::new(ErrorKind::Redis, place.clone(), cause)
                        .hint("let the user of the address read that channel (`ACL SETUSER`)"));
                }
            }
            Ok(Subscription(pubsub))
        };
        match self.mode {
            Mode::Strict => connecting.await,
            Mode::Hardened => {
                let limit = self.limits.redis_connect;
                tokio::time::timeout(limit, connecting).await.unwrap_or_else(|_| {
                    Err(HostError::new(
                        ErrorKind::Redis,
                        place.clone(),
                        format!("connecting took longer than {limit:?}"),
                    ))
                })
            }
        }
    }

    /// As Spin does: one message after the other, until the server goes away, which ends everything.
    ///
    /// Returns why it ended.
    pub async fn run_strict(self, mut subscription: Subscription) -> HostError {
        let mut messages = subscription.0.on_message();
        while let Some(message) = messages.next().await {
            self.handle(&message).await;
        }
        HostError::new(
            ErrorKind::Redis,
            format!("Redis trigger at {}", self.shown()),
            "the server disconnected",
        )
    }

    /// Subscribes again whenever the connection is lost, and handles several messages at once.
    pub async fn run_hardened(self, subscription: Option<Subscription>, stop: CancellationToken) {
        let subscriber = Arc::new(self);
        let working = Arc::new(Semaphore::new(subscriber.limits.redis_in_flight));
        let (queue, waiting) = tokio::sync::mpsc::channel::<Msg>(subscriber.limits.redis_queue.max(1));
        let tasks = TaskTracker::new();
        tasks.spawn(work(subscriber.clone(), waiting, working, tasks.clone()));
        let receiving = subscriber.receive(subscription, queue);
        tokio::select! {
            () = receiving => {}
            () = stop.cancelled() => {}
        }
        tasks.close();
        if tokio::time::timeout(subscriber.limits.drain, tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                "Redis messages were still being handled after {:?}; they are cut off",
                subscriber.limits.drain
            );
        }
    }

    async fn receive(&self, mut subscription: Option<Subscription>, queue: tokio::sync::mpsc::Sender<Msg>) {
        let mut backoff = BACKOFF.0;
        loop {
            if let Some(mut live) = subscription.take() {
                let since = Instant::now();
                let mut messages = live.0.on_message();
                while let Some(message) = messages.next().await {
                    if queue.try_send(message).is_err() {
                        tracing::warn!(
                            "a Redis message was dropped: {} are waiting already",
                            self.limits.redis_queue
                        );
                    }
                }
                tracing::warn!(
                    "the connection to Redis at {} was lost; connecting again",
                    self.shown()
                );
                // One that ends as soon as it is made is no better than one that fails.
                if since.elapsed() > BACKOFF.1 {
                    backoff = BACKOFF.0;
                }
            }
            // Between half the wait and all of it, so that several hosts do not return as one.
            let wait = backoff.mul_f64(rand::rng().random_range(0.5..=1.0));
            tokio::time::sleep(wait).await;
            backoff = (backoff * 2).min(BACKOFF.1);
            match self.connect().await {
                Ok(live) => {
                    tracing::info!("subscribed at Redis {}", self.shown());
                    subscription = Some(live);
                }
                Err(e) => tracing::warn!("{e}"),
            }
        }
    }

    async fn handle(&self, message: &Msg) {
        let Some(handlers) = self.channels.get(message.get_channel_name()) else {
            return;
        };
        let runs = handlers.iter().map(|handler| async move {
            if let Err(cause) = handler.run(message.get_payload_bytes().to_vec()).await {
                tracing::error!(component = %handler.component.id, "a Redis message was not handled: {cause:?}");
            }
        });
        join_all(runs).await;
    }
}

async fn work(
    subscriber: Arc<Subscriber>,
    mut waiting: tokio::sync::mpsc::Receiver<Msg>,
    working: Arc<Semaphore>,
    tasks: TaskTracker,
) {
    while let Some(message) = waiting.recv().await {
        // The semaphore is never closed.
        let Ok(permit) = working.clone().acquire_owned().await else {
            return;
        };
        let subscriber = subscriber.clone();
        tasks.spawn(async move {
            subscriber.handle(&message).await;
            drop(permit);
        });
    }
}
