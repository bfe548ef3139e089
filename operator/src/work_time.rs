//! For how long runs have been at work, by a clock that never jumps.
//!
//! Deadlines count time in which a pod was seen running. The time of day may be set forwards and backwards; so what
//! passes between two looks is measured by the monotonic clock, and only the sum is written to the status. While the
//! operator itself is away nothing is counted: a deadline may then come later, never too early.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The time at work of all runs that have not ended, by uid.
#[derive(Default)]
pub struct WorkTime(Mutex<HashMap<String, Entry>>);

struct Entry {
    total: Duration,
    /// When a pod was last seen at work, unless none was at the last look.
    last_seen: Option<Instant>,
}

impl WorkTime {
    /// For how long the run has been at work, given whether it is now. `known_seconds` is what its status says.
    pub fn look(&self, uid: &str, known_seconds: i64, is_at_work: bool, now: Instant) -> Duration {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = Duration::from_secs(u64::try_from(known_seconds).unwrap_or(0));
        let entry = entries.entry(uid.to_owned()).or_insert(Entry { total: known, last_seen: None });
        if let Some(last_seen) = entry.last_seen {
            entry.total += now.saturating_duration_since(last_seen);
        }
        entry.last_seen = is_at_work.then_some(now);
        entry.total
    }

    /// The run has ended or is gone.
    pub fn forget(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_time_at_work_counts() {
        let (work_time, start) = (WorkTime::default(), Instant::now());
        let at = |second| start + Duration::from_secs(second);
        let seconds = |second, is_at_work| work_time.look("1", 100, is_at_work, at(second)).as_secs();
        assert_eq!(seconds(0, false), 100, "what the status knew");
        assert_eq!(seconds(1000, true), 100, "queued for long");
        assert_eq!(seconds(1010, true), 110);
        assert_eq!(seconds(1020, false), 120);
        assert_eq!(seconds(9000, true), 120, "suspended for long");
        assert_eq!(seconds(9005, true), 125);
    }
}
