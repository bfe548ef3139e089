//! Times that people set, compared with clocks that may be wrong: nothing here can overflow.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

/// What is left of a period of seconds that began at a time. A time in the future counts as now: clocks differ, and are set.
pub fn left(since: Timestamp, seconds: i64, now: Timestamp) -> Duration {
    let whole = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    let gone = Duration::try_from(now.duration_since(since)).unwrap_or(Duration::ZERO);
    whole.saturating_sub(gone)
}

/// Whether a period of seconds has passed.
pub fn has_passed(elapsed: Duration, seconds: i64) -> bool {
    elapsed.as_secs() >= u64::try_from(seconds).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_and_no_clock_overflows() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(left(at(100), 60, at(130)), Duration::from_secs(30));
        assert_eq!(left(at(100), 60, at(1000)), Duration::ZERO);
        assert_eq!(left(at(3700), 60, at(100)), Duration::from_secs(60), "an hour ahead");
        assert_eq!(left(at(100), i64::MAX, at(1000)).as_secs(), i64::MAX as u64 - 900);
        assert_eq!(left(Timestamp::MAX, i64::MAX, Timestamp::MIN).as_secs(), i64::MAX as u64);
        assert_eq!(left(Timestamp::MIN, i64::MIN, Timestamp::MAX), Duration::ZERO);
        assert!(!has_passed(Duration::from_secs(60), i64::MAX));
        assert!(has_passed(Duration::from_secs(60), 60) && has_passed(Duration::ZERO, i64::MIN));
    }
}
