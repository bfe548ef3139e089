//! How long what clients create is kept: what they ask for, and what the installation says otherwise.

use crds::Retention;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::error::Error;

/// The shortest that may be asked for, in seconds, as the resources allow it.
const SHORTEST: i64 = 60;
/// The longest: a hundred years. More makes no sense, and would leave the calendar at some point.
const LONGEST: i64 = 100 * 366 * 86_400;

/// How long what clients create is kept, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetimes {
    /// Of a project, from its creation on, where its client asks for nothing else. None: until it is deleted.
    pub project: Option<i64>,
    /// The longest that a client may ask for. None: any, and for ever.
    pub longest_project: Option<i64>,
    /// Of a run, from its end on, where its client asks for nothing else. None: as long as its project.
    pub run: Option<i64>,
}

impl Lifetimes {
    /// When a project is deleted by itself. Whoever asks for 0 seconds asks that it never is.
    ///
    /// # Errors
    /// [`Error::Invalid`] when that cannot be, or is longer than the installation allows.
    pub fn retention(&self, asked: Option<i64>) -> Result<Option<Retention>, Error> {
        let seconds = match (asked, self.longest_project) {
            (None, longest) => match (self.project, longest) {
                (Some(usual), Some(longest)) => Some(usual.min(longest)),
                (usual, longest) => usual.or(longest),
            },
            (Some(0), None) => None,
            (Some(0), Some(longest)) => {
                return Err(Error::Invalid(format!(
                    "retention_seconds is 0, for ever; this installation keeps projects for at most {longest} seconds"
                )));
            }
            (Some(seconds), longest) => {
                Some(checked("retention_seconds", seconds, longest.unwrap_or(LONGEST).min(LONGEST))?)
            }
        };
        Ok(seconds.map(|seconds_after_creation| Retention { seconds_after_creation }))
    }

    /// How many seconds after its end a run is deleted by itself. Whoever asks for 0 asks that it never is.
    ///
    /// # Errors
    /// [`Error::Invalid`] when that cannot be.
    pub fn after_end(&self, asked: Option<i64>) -> Result<Option<i64>, Error> {
        match asked {
            None => Ok(self.run),
            Some(0) => Ok(None),
            Some(seconds) => checked("ttl_seconds", seconds, LONGEST).map(Some),
        }
    }
}

/// From when on tokens that are handed out now open nothing any more; 0 seconds stand for never.
///
/// # Errors
/// [`Error::Invalid`] when that cannot be.
pub fn expiry(asked: Option<i64>) -> Result<Option<Time>, Error> {
    match asked {
        None | Some(0) => Ok(None),
        Some(seconds) => {
            let seconds = checked("token_lifetime_seconds", seconds, LONGEST)?;
            // the resource knows whole seconds: a part of one more, rather than of one less
            let whole = Timestamp::from_second(Timestamp::now().as_second() + 1).unwrap_or_default();
            let end = whole.checked_add(SignedDuration::from_secs(seconds));
            end.map(|end| Some(Time(end)))
                .map_err(|error| Error::Invalid(format!("token_lifetime_seconds: {error}")))
        }
    }
}

/// A time so many seconds after another.
pub fn after(start: &Time, seconds: i64) -> Option<Time> {
    start.0.checked_add(SignedDuration::from_secs(seconds)).ok().map(Time)
}

fn checked(field: &str, seconds: i64, longest: i64) -> Result<i64, Error> {
    if (SHORTEST..=longest).contains(&seconds) {
        return Ok(seconds);
    }
    Err(Error::Invalid(format!("{field} is {seconds}; it must be 0, or {SHORTEST} to {longest}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(lifetimes: Lifetimes, asked: Option<i64>) -> Result<Option<i64>, String> {
        let retention = lifetimes.retention(asked).map_err(|error| error.to_string())?;
        Ok(retention.map(|retention| retention.seconds_after_creation))
    }

    #[test]
    fn a_project_is_kept_as_its_client_asks_or_as_is_usual() {
        let usual = Lifetimes { project: Some(1000), ..Lifetimes::default() };
        for (asked, kept) in
            [(None, Some(1000)), (Some(0), None), (Some(60), Some(60)), (Some(LONGEST), Some(LONGEST))]
        {
            assert_eq!(seconds(usual, asked).unwrap(), kept, "{asked:?}");
        }
        assert_eq!(seconds(Lifetimes::default(), None).unwrap(), None);
        for asked in [-1, 1, 59, LONGEST + 1, i64::MIN, i64::MAX] {
            assert!(seconds(usual, Some(asked)).unwrap_err().contains("retention_seconds"), "{asked}");
        }
    }

    #[test]
    fn no_project_is_kept_for_longer_than_the_installation_allows() {
        let most = Lifetimes { project: Some(1000), longest_project: Some(500), run: None };
        assert_eq!(seconds(most, None).unwrap(), Some(500));
        assert_eq!(seconds(Lifetimes { project: None, ..most }, None).unwrap(), Some(500));
        assert_eq!(seconds(most, Some(500)).unwrap(), Some(500));
        for asked in [0, 501] {
            assert!(seconds(most, Some(asked)).unwrap_err().contains("500"), "{asked}");
        }
    }

    #[test]
    fn a_run_is_kept_as_its_client_asks_or_as_is_usual() {
        let usual = Lifetimes { run: Some(1000), ..Lifetimes::default() };
        for (asked, kept) in [(None, Some(1000)), (Some(0), None), (Some(60), Some(60))] {
            assert_eq!(usual.after_end(asked).unwrap(), kept, "{asked:?}");
        }
        assert!(usual.after_end(Some(-5)).is_err());
        assert_eq!(Lifetimes::default().after_end(None).unwrap(), None);
    }

    #[test]
    fn tokens_expire_no_earlier_than_asked_for() {
        assert_eq!(expiry(None).unwrap(), None);
        assert_eq!(expiry(Some(0)).unwrap(), None);
        let before = Timestamp::now();
        let end = expiry(Some(3600)).unwrap().unwrap().0;
        assert!(end.as_second() - before.as_second() >= 3600 && end.subsec_nanosecond() == 0);
        for asked in [-1, 5, i64::MAX] {
            assert!(expiry(Some(asked)).is_err(), "{asked}");
        }
    }
}
