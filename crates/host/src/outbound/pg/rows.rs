//! Rows on their way to a guest.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::Stream as _;
use tokio::sync::oneshot;
use tokio_postgres::RowStream;
use wasmtime::{
    StoreContextMut,
    component::{Destination, StreamProducer, StreamResult, VecBuffer},
};

use super::{
    client::{Client, query_failed, query_text, too_big},
    types,
};
use crate::{
    bindings::spin::postgres::postgres::{DbValue, Error},
    outbound::MAX_BUFFERED,
};

type Row = Vec<DbValue>;

/// Rows handed over at once, at most.
const BATCH: usize = 64;

/// The rest of a result, read from the connection as the guest asks for it.
pub(super) struct RowProducer {
    first: Option<Row>,
    rows: Pin<Box<RowStream>>,
    /// Told how it ended.
    end: Option<oneshot::Sender<Result<(), Error>>>,
    /// Keeps the connection out of the pool while rows are still to come.
    client: Arc<Client>,
}

impl RowProducer {
    /// Produces `first` and then `rows`, or nothing if the result is `over` already; the receiver hears
    /// how it ended.
    pub fn new(
        first: Option<Row>,
        rows: Pin<Box<RowStream>>,
        client: Arc<Client>,
        over: Option<Result<(), Error>>,
    ) -> (Self, oneshot::Receiver<Result<(), Error>>) {
        let (end, ended) = oneshot::channel();
        let mut producer = Self {
            first,
            rows,
            end: Some(end),
            client,
        };
        if let Some(result) = over {
            producer.finish(result);
        }
        (producer, ended)
    }

    fn finish(&mut self, result: Result<(), Error>) {
        if let Some(end) = self.end.take() {
            // The guest may not care how it ended.
            let _ = end.send(result);
        }
    }

    /// The next row; `None` once there is none, for whatever reason.
    fn poll_row(&mut self, cx: &mut Context<'_>) -> Poll<Option<Row>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        if self.end.is_none() {
            return Poll::Ready(None);
        }
        let row = match std::task::ready!(self.rows.as_mut().poll_next(cx)) {
            None => {
                self.finish(Ok(()));
                return Poll::Ready(None);
            }
            Some(row) => row,
        };
        let mode = self.client.mode();
        let row = row
            .map_err(query_failed)
            .and_then(|row| types::values(&row, mode).map_err(query_text));
        match row {
            Ok(row) if types::size(&row) <= MAX_BUFFERED => Poll::Ready(Some(row)),
            Ok(_) => {
                self.finish(Err(too_big()));
                Poll::Ready(None)
            }
            Err(e) => {
                self.finish(Err(e));
                Poll::Ready(None)
            }
        }
    }
}

impl Drop for RowProducer {
    /// A guest that stops reading has had all it wanted.
    fn drop(&mut self) {
        self.finish(Ok(()));
    }
}

impl<T: 'static> StreamProducer<T> for RowProducer {
    type Item = Row;
    type Buffer = VecBuffer<Row>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, T>,
        mut destination: Destination<'a, Row, VecBuffer<Row>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if destination.remaining(&mut store) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let mut batch = Vec::new();
        let result = loop {
            match self.poll_row(cx) {
                Poll::Ready(Some(row)) => {
                    batch.push(row);
                    if batch.len() == BATCH {
                        break StreamResult::Completed;
                    }
                }
                Poll::Ready(None) => break StreamResult::Dropped,
                Poll::Pending if !batch.is_empty() => break StreamResult::Completed,
                Poll::Pending if finish => break StreamResult::Cancelled,
                Poll::Pending => return Poll::Pending,
            }
        };
        if !batch.is_empty() {
            destination.set_buffer(batch.into());
        }
        Poll::Ready(Ok(result))
    }
}
