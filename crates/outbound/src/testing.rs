//! A wire for tests: answers by a list and keeps what was sent.

use crate::wire::{Failure, Request, Response, Wire};
use serde_json::Value;
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::Future,
};

/// The wire.
#[derive(Default)]
pub(crate) struct Script {
    answers: RefCell<VecDeque<Result<Response, Failure>>>,
    sent: RefCell<Vec<Request>>,
    pub elapsed_ms: Cell<u64>,
}

impl Script {
    pub fn new(answers: impl IntoIterator<Item = Response>) -> Script {
        let script = Script::default();
        script.answers.borrow_mut().extend(answers.into_iter().map(Ok));
        script
    }

    pub fn failing(failure: Failure) -> Script {
        let script = Script::default();
        script.answers.borrow_mut().push_back(Err(failure));
        script
    }

    /// All that was sent.
    pub fn sent(&self) -> Vec<Request> {
        self.sent.borrow().clone()
    }
}

impl Wire for Script {
    async fn send(&self, request: Request) -> Result<Response, Failure> {
        self.sent.borrow_mut().push(request);
        let answer = self.answers.borrow_mut().pop_front();
        answer.unwrap_or_else(|| Err(Failure::NotSent("the script is at its end".into())))
    }

    fn random(&self) -> u64 {
        7
    }

    fn unix_seconds(&self) -> u64 {
        1_800_000_000
    }

    fn elapsed_ms(&self) -> u64 {
        self.elapsed_ms.get()
    }
}

/// Runs what waits for nothing but a script.
pub(crate) fn run<F: Future>(work: F) -> F::Output {
    futures::executor::block_on(work)
}

/// A request to fill.
pub(crate) fn request() -> Request {
    Request {
        method: "GET".into(),
        uri: "https://api.example/".into(),
        headers: Vec::new(),
        body: Vec::new(),
        limit_ms: 1,
        max_answer: 1,
    }
}

/// An answer with JSON.
pub(crate) fn json_answer(status: u16, body: &Value) -> Response {
    answer(status, "application/json", &body.to_string())
}

/// An answer.
pub(crate) fn answer(status: u16, media_type: &str, body: &str) -> Response {
    Response {
        status,
        headers: vec![("content-type".into(), media_type.into())],
        body: body.as_bytes().to_vec(),
    }
}
