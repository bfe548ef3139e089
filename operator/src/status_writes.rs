//! How often progress is written.
//!
//! A status that is written goes through etcd to everybody who watches. So what changes all the time is written seldom:
//! at most every two seconds for a run, and for all runs together not more often than the API server bears. Nothing is
//! lost: the next look, two seconds later, has newer figures. What people wait for (a stage, a reason, an end) is always
//! written at once.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// The shortest time between two writes of one run's progress.
const PAUSE: Duration = Duration::from_secs(2);
/// Writes of progress a second, of all runs together.
const PER_SECOND: NonZeroU32 = NonZeroU32::new(20).unwrap();

/// Decides when progress may be written.
pub struct StatusWrites {
    all: DefaultDirectRateLimiter,
    last: Mutex<HashMap<String, Instant>>,
}

impl Default for StatusWrites {
    fn default() -> Self {
        Self { all: RateLimiter::direct(Quota::per_second(PER_SECOND)), last: Mutex::default() }
    }
}

impl StatusWrites {
    /// Whether the progress of a run may be written now. If so, that counts as written.
    pub fn may_write_progress(&self, uid: &str, now: Instant) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.get(uid).is_some_and(|last| now.saturating_duration_since(*last) < PAUSE)
            || self.all.check().is_err()
        {
            return false;
        }
        last.insert(uid.to_owned(), now);
        true
    }

    /// The run has ended or is gone.
    pub fn forget(&self, uid: &str) {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_writes_its_progress_every_two_seconds_at_most() {
        let (writes, start) = (StatusWrites::default(), Instant::now());
        let at = |millis| writes.may_write_progress("a", start + Duration::from_millis(millis));
        assert_eq!([at(0), at(500), at(1999), at(2000), at(2001)], [true, false, false, true, false]);
    }

    #[test]
    fn many_runs_share_what_the_api_server_bears() {
        let (writes, now) = (StatusWrites::default(), Instant::now());
        let written = (0..200).filter(|run| writes.may_write_progress(&run.to_string(), now)).count();
        assert!((1..=40).contains(&written), "{written}");
    }
}
