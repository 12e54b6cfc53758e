//! Errors of the kinds that calls end with.

use crate::{address::Address, wire::Failure};
use guildhall_flow::engine::{Problem, Standard};

/// Either it worked or the task has an error.
pub(crate) type Outcome<T> = Result<T, Problem>;

/// The workflow or the deployment asks for what cannot be done.
pub(crate) fn configuration(detail: impl Into<String>) -> Problem {
    Problem::standard(Standard::Configuration, detail)
}

/// Data does not fit where it should go.
pub(crate) fn validation(detail: impl Into<String>) -> Problem {
    Problem::standard(Standard::Validation, detail)
}

/// No token was given.
pub(crate) fn authentication(detail: impl Into<String>) -> Problem {
    Problem::standard(Standard::Authentication, detail)
}

/// The other side answered something else than it should.
pub(crate) fn communication(status: i64, detail: impl Into<String>) -> Problem {
    Problem::standard(Standard::Communication, detail).with_status(status)
}

/// The other side understood and said no.
pub(crate) fn runtime(detail: impl Into<String>) -> Problem {
    Problem::standard(Standard::Runtime, detail)
}

/// What a failed exchange means for the task.
pub(crate) fn failed(
    failure: Failure,
    method: &str,
    address: &Address,
    limit_ms: u64,
    most: usize,
) -> Problem {
    let target = format!("{method} {}", address.shown());
    let origin = address.origin();
    match failure {
        Failure::NotAllowed => configuration(format!(
            "{target} was not sent: workflows may not call {origin} here. Who runs the hall allows it with one of the \
             variables workflow_host_1 to workflow_host_8, for example SPIN_VARIABLE_WORKFLOW_HOST_1={origin}."
        )),
        Failure::Blocked => configuration(format!(
            "{target} was not sent: the name leads into a network where no component may go ([outbound_networking] \
             block_networks in runtime-config.toml)."
        )),
        Failure::TimedOut => Problem::standard(
            Standard::Timeout,
            format!(
                "{target} had no complete answer within {} s.",
                limit_ms.div_ceil(1000)
            ),
        ),
        Failure::TooLarge => communication(
            502,
            format!("The answer to {target} is larger than {most} bytes, which is the most that is read."),
        ),
        Failure::NotSent(why) => communication(503, format!("{target} could not be sent: {why}.")),
        Failure::NoAnswer(why) => communication(
            502,
            format!("{target} was sent and not answered: {why}. It may have taken effect."),
        ),
    }
}
