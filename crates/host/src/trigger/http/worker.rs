//! Instances that serve HTTP requests, and when they are kept, filled and let go.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Sleep,
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use wasmtime::{Engine, Store, StoreContextMut, component::GuestTaskId};
use wasmtime_wasi_http::{
    WasiHttpView as _,
    handler::{HandlerState, Instance, Proxy, ShouldAccept, WorkerExpiration, WorkerState, WorkerStatus},
    p3::bindings::ServicePre,
};

use crate::{
    guard::{self, SpinMeter},
    options::{Mode, Reuse},
    outbound::http::HttpHooks,
    state::{ComponentContext, GuestState},
};

/// Makes instances of one component.
pub(crate) struct Instances {
    pub engine: Engine,
    pub service: ServicePre<GuestState>,
    pub component: Arc<ComponentContext>,
    pub hooks: HttpHooks,
    pub reuse: Reuse,
    /// Requests that no instance has begun yet.
    pub admission: Arc<Semaphore>,
    /// Ends every instance, whatever it is doing.
    pub killed: CancellationToken,
}

/// How many requests may look for an instance at once. Each that finds all of them busy starts another: a crowd that came
/// in one moment would get an instance, with a connection to Postgres, for each of its members. Fewer would make those
/// wait who only need a busy instance's next moment.
pub(crate) const ADMITTED: usize = 16;

impl Instances {
    /// Waits for a turn to look for an instance, in hardened mode. Given back when one begins the request.
    pub async fn admit(&self) -> Option<OwnedSemaphorePermit> {
        match self.component.mode {
            Mode::Strict => None,
            // Nobody closes the semaphore.
            Mode::Hardened => self.admission.clone().acquire_owned().await.ok(),
        }
    }
}

impl HandlerState for Instances {
    type StoreData = GuestState;
    type WorkerExpiration = Expiration;
    type WorkerState = Worker;

    async fn instantiate(&self) -> wasmtime::Result<Instance<GuestState, Expiration, Worker>> {
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
                self.component.limits.http_cpu,
                &self.component.activity,
            )),
        };
        let service = self.service.instantiate_async(&mut store).await?;
        Ok(Instance {
            store,
            proxy: Proxy::P3(service),
            view: |state| state.http(),
            expiration: Expiration {
                reuse: self.reuse,
                timer: Box::pin(tokio::time::sleep(self.reuse.idle)),
                meter: meter.clone(),
                killed: Box::pin(self.killed.clone().cancelled_owned()),
            },
            state: Worker {
                component: self.component.clone(),
                reuse: self.reuse,
                meter,
                killed: self.killed.clone(),
            },
        })
    }
}

/// Decides how many requests an instance takes.
pub(crate) struct Worker {
    component: Arc<ComponentContext>,
    reuse: Reuse,
    meter: Option<SpinMeter>,
    killed: CancellationToken,
}

impl WorkerState for Worker {
    type StoreData = GuestState;
    type RequestData = Option<OwnedSemaphorePermit>;

    fn should_accept_request(&self, concurrent: usize, total: usize) -> ShouldAccept {
        if total >= self.reuse.requests {
            ShouldAccept::Never
        } else if concurrent >= self.reuse.concurrent
            || self.meter.as_ref().is_some_and(SpinMeter::is_spinning)
        {
            // A request would wait for a guest that computes, and fail with it if it never stops.
            ShouldAccept::No
        } else {
            ShouldAccept::Yes
        }
    }

    fn on_request_start(
        &self,
        _: StoreContextMut<'_, GuestState>,
        admission: Option<OwnedSemaphorePermit>,
        _: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + 'static + Send + Sync>> {
        drop(admission);
        // A request takes as long as it takes.
        Box::pin(std::future::pending())
    }

    fn drop(&self, store: Store<GuestState>, result: wasmtime::Result<()>) {
        drop(store);
        if let Err(cause) = result
            && !self.killed.is_cancelled()
        {
            tracing::error!(component = %self.component.id, "an instance was lost with the requests it was serving: {cause:?}");
        }
    }
}

/// Decides when an instance is let go.
pub(crate) struct Expiration {
    reuse: Reuse,
    timer: Pin<Box<Sleep>>,
    meter: Option<SpinMeter>,
    killed: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl WorkerExpiration for Expiration {
    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        status: WorkerStatus,
        start: Instant,
    ) -> Poll<()> {
        if let Some(meter) = &self.meter {
            meter.parked();
        }
        if self.killed.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        match status {
            // Requests have no time limit, and work a handler goes on with after its response is finished too.
            WorkerStatus::Requests | WorkerStatus::PostReturn => Poll::Pending,
            WorkerStatus::Idle => {
                let deadline = (start + self.reuse.idle).into();
                if deadline != self.timer.deadline() {
                    self.timer.as_mut().reset(deadline);
                }
                self.timer.as_mut().poll(cx)
            }
        }
    }
}
