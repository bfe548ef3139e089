//! When to try again after an error: soon at first, then with growing pauses, counted for each object.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

const FIRST: Duration = Duration::from_millis(200);
/// The longest pause. Whatever was in the way has gone for a minute at most before it is noticed.
const LONGEST: Duration = Duration::from_secs(60);

/// The pauses of all objects that have failed last.
pub struct Retries {
    pauses: Mutex<HashMap<String, ExponentialBackoff>>,
    longest: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self::up_to(LONGEST)
    }
}

impl Retries {
    /// With pauses that grow up to this one.
    pub fn up_to(longest: Duration) -> Self {
        Self { pauses: Mutex::default(), longest }
    }

    /// The object has failed once more: after which pause to try again.
    pub fn failed(&self, object: &str) -> Duration {
        let mut pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        let pause = pauses.entry(object.to_owned()).or_insert_with(|| {
            // up to twice as long, by chance: what failed together is not tried again together
            ExponentialBuilder::new()
                .with_min_delay(FIRST)
                .with_max_delay(self.longest / 2)
                .without_max_times()
                .with_jitter()
                .build()
        });
        pause.next().unwrap_or(self.longest).min(self.longest)
    }

    /// The object has not failed, or is gone: the next failure is its first.
    pub fn succeeded(&self, object: &str) {
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner).remove(object);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_minute_and_begin_anew_after_a_success() {
        let retries = Retries::default();
        let pauses: Vec<Duration> = (0..20).map(|_| retries.failed("run a")).collect();
        assert!(pauses[0] <= 2 * FIRST, "{pauses:?}");
        assert!(pauses[19] >= LONGEST / 2 && pauses.iter().all(|pause| *pause <= LONGEST), "{pauses:?}");
        assert!(retries.failed("run b") <= 2 * FIRST, "each object has its own");
        retries.succeeded("run a");
        assert!(retries.failed("run a") <= 2 * FIRST);
    }

    #[test]
    fn many_attempts_take_long() {
        let retries = Retries::default();
        let total: Duration = (0..12).map(|_| retries.failed("run a")).sum();
        assert!(total > Duration::from_secs(120), "no object is tried in a hot loop: {total:?}");
    }
}
