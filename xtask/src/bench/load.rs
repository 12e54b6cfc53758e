//! A closed loop: every worker starts its next operation when the last one has ended.

use std::{
    future::Future,
    time::{Duration, Instant},
};

/// How long one operation may take before it counts as failed.
const OPERATION_LIMIT: Duration = Duration::from_secs(30);

/// A pause after a failure, so that a dead server is not asked millions of times.
const AFTER_FAILURE: Duration = Duration::from_millis(50);

/// Something that does one operation after the other over a connection of its own.
pub trait Worker: Send + 'static {
    /// One operation; the error says what happened instead.
    fn operation(&mut self) -> impl Future<Output = Result<(), String>> + Send;
}

/// How long to work.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Work whose speed is not recorded. Its failures are.
    pub warm_up: Duration,
    /// Work that is recorded.
    pub measure: Duration,
}

/// What all workers of one measurement did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// How long each successful operation took that began within the measuring time, sorted.
    pub latencies: Vec<Duration>,
    /// From the end of the warm-up to the end of the last operation.
    pub elapsed: Duration,
    /// Operations that failed, those of the warm-up included.
    pub errors: u64,
    /// What the first failure said.
    pub example: Option<String>,
}

impl Sample {
    /// Successful operations per second.
    pub fn rate(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 {
            self.latencies.len() as f64 / seconds
        } else {
            0.0
        }
    }

    /// The smallest latency that at least `percent` of 100 operations did not exceed (nearest rank), in
    /// milliseconds; `None` without operations.
    pub fn percentile_ms(&self, percent: f64) -> Option<f64> {
        let count = self.latencies.len();
        let rank = (percent / 100.0 * count as f64).ceil() as usize;
        let index = rank.clamp(1, count.max(1)) - 1;
        self.latencies
            .get(index)
            .map(|latency| latency.as_secs_f64() * 1e3)
    }

    fn add(&mut self, other: Sample) {
        self.latencies.extend(other.latencies);
        self.elapsed = self.elapsed.max(other.elapsed);
        self.errors += other.errors;
        self.example = self.example.take().or(other.example);
    }
}

/// Lets all `workers` work at once by `plan`; gives what they did, and the workers back.
pub async fn drive<W: Worker>(workers: Vec<W>, plan: Plan) -> (Sample, Vec<W>) {
    let begin = Instant::now() + plan.warm_up;
    let tasks: Vec<_> = workers
        .into_iter()
        .map(|worker| tokio::spawn(work(worker, begin, begin + plan.measure)))
        .collect();
    let mut total = Sample::default();
    let mut back = Vec::with_capacity(tasks.len());
    for task in tasks {
        match task.await {
            Ok((sample, worker)) => {
                total.add(sample);
                back.push(worker);
            }
            // A worker that panics is a fault of this program: it goes on in the main thread.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    total.latencies.sort_unstable();
    (total, back)
}

async fn work<W: Worker>(mut worker: W, begin: Instant, end: Instant) -> (Sample, W) {
    let mut sample = Sample::default();
    loop {
        let started = Instant::now();
        if started >= end {
            break;
        }
        let outcome = match tokio::time::timeout(OPERATION_LIMIT, worker.operation()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("no end within {} s", OPERATION_LIMIT.as_secs())),
        };
        let ended = Instant::now();
        if started >= begin {
            sample.elapsed = ended - begin;
        }
        match outcome {
            Ok(()) if started >= begin => sample.latencies.push(ended - started),
            Ok(()) => {}
            Err(error) => {
                sample.errors += 1;
                sample.example.get_or_insert(error);
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }
    (sample, worker)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(latencies_ms: impl IntoIterator<Item = u64>) -> Sample {
        let mut latencies: Vec<_> = latencies_ms.into_iter().map(Duration::from_millis).collect();
        latencies.sort_unstable();
        Sample {
            latencies,
            elapsed: Duration::from_secs(2),
            ..Sample::default()
        }
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let hundred = sample((1..=100).rev());
        assert_eq!(hundred.percentile_ms(50.0), Some(50.0));
        assert_eq!(hundred.percentile_ms(99.0), Some(99.0));
        assert_eq!(hundred.percentile_ms(100.0), Some(100.0));
        assert_eq!(hundred.percentile_ms(0.0), Some(1.0));
        assert_eq!(sample([7]).percentile_ms(50.0), Some(7.0));
        assert_eq!(sample([7]).percentile_ms(99.0), Some(7.0));
        assert_eq!(sample([1, 9]).percentile_ms(50.0), Some(1.0));
        assert_eq!(sample([1, 9]).percentile_ms(99.0), Some(9.0));
        assert_eq!(sample([]).percentile_ms(50.0), None);
    }

    #[test]
    fn a_percentile_is_exceeded_by_no_more_than_the_rest() {
        for count in 1..=300_u64 {
            let sample = sample(0..count);
            for percent in [1.0, 50.0, 90.0, 99.0] {
                let value = sample.percentile_ms(percent).unwrap();
                let above = sample
                    .latencies
                    .iter()
                    .filter(|l| l.as_secs_f64() * 1e3 > value)
                    .count();
                assert!(
                    above as f64 <= count as f64 * (1.0 - percent / 100.0) + 1e-9,
                    "{count} {percent}"
                );
            }
        }
    }

    #[test]
    fn the_rate_is_of_successes_over_the_time_taken() {
        assert_eq!(sample(1..=10).rate(), 5.0);
        assert_eq!(Sample::default().rate(), 0.0);
    }

    struct EverySecondFails(u64);

    impl Worker for EverySecondFails {
        async fn operation(&mut self) -> Result<(), String> {
            tokio::time::sleep(Duration::from_millis(1)).await;
            self.0 += 1;
            if self.0.is_multiple_of(2) {
                Err(format!("failure {}", self.0))
            } else {
                Ok(())
            }
        }
    }

    #[tokio::test]
    async fn failures_are_counted_and_never_timed() {
        let plan = Plan {
            warm_up: Duration::ZERO,
            measure: Duration::from_millis(300),
        };
        let (sample, workers) = drive(vec![EverySecondFails(0), EverySecondFails(0)], plan).await;
        let operations: u64 = workers.iter().map(|worker| worker.0).sum();
        assert_eq!(workers.len(), 2);
        assert!(sample.errors > 0);
        assert_eq!(operations, sample.errors + sample.latencies.len() as u64);
        assert_eq!(sample.example.as_deref(), Some("failure 2"));
        assert!(sample.latencies.is_sorted());
    }

    #[tokio::test]
    async fn the_warm_up_is_not_timed_but_its_failures_show() {
        let plan = Plan {
            warm_up: Duration::from_millis(200),
            measure: Duration::ZERO,
        };
        let (sample, _) = drive(vec![EverySecondFails(0)], plan).await;
        assert!(sample.latencies.is_empty());
        assert!(sample.errors > 0);
    }
}
