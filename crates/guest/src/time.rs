//! Waiting. Only lengths of time are measured here; what is due is decided by Postgres's clock.

use futures::future::{Either, select};
use std::{future::Future, pin::pin, time::Duration};

/// The time limit passed before the work was done; the work was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed(
    /// The limit.
    pub Duration,
);

/// Waits without blocking the instance.
pub async fn sleep(duration: Duration) {
    spin_sdk::time::sleep(duration).await;
}

/// Gives `work` at most `limit`; then drops it, which cancels the host call it waits for.
pub async fn timeout<F: Future>(limit: Duration, work: F) -> Result<F::Output, Elapsed> {
    match select(pin!(work), pin!(sleep(limit))).await {
        Either::Left((output, _)) => Ok(output),
        Either::Right(_) => Err(Elapsed(limit)),
    }
}

/// Nanoseconds of this host's monotonic clock, for measuring lengths only.
pub fn monotonic_ns() -> u64 {
    spin_sdk::wasip3::clocks::monotonic_clock::now()
}

/// Growing pauses between attempts: doubles from `first` up to `most`, from the second half of each pause at random
/// so that many waiters do not come back together.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    failures: u32,
}

impl Backoff {
    /// Pauses from `first` to `most`.
    pub fn new(first: Duration, most: Duration) -> Self {
        Backoff {
            first,
            most,
            failures: 0,
        }
    }

    /// Counts a failure and gives the pause before the next attempt. `random` is any uniformly distributed number.
    pub fn pause(&mut self, random: u64) -> Duration {
        let whole = self
            .first
            .saturating_mul(1 << self.failures.min(16))
            .min(self.most);
        self.failures = self.failures.saturating_add(1);
        let half = whole / 2;
        half + half.mul_f64((random % 1000) as f64 / 1000.0)
    }

    /// Starts over after a success. Gives how many failures there were.
    pub fn reset(&mut self) -> u32 {
        std::mem::take(&mut self.failures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pauses_grow_within_bounds(randoms in prop::collection::vec(any::<u64>(), 1..40)) {
            let (first, most) = (Duration::from_millis(200), Duration::from_secs(10));
            let mut backoff = Backoff::new(first, most);
            for (n, random) in randoms.iter().enumerate() {
                let whole = first.saturating_mul(1 << n.min(16)).min(most);
                let pause = backoff.pause(*random);
                prop_assert!(pause >= whole / 2 && pause <= whole, "{n}: {pause:?} of {whole:?}");
            }
            prop_assert_eq!(backoff.reset() as usize, randoms.len());
            prop_assert!(backoff.pause(0) == first / 2);
        }
    }
}
