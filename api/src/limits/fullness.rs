//! Remembers for a moment that the store had no space left, so that nobody sends gigabytes in vain. It is a hint of this
//! replica alone: what counts is what the store says to the upload that comes next.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::Error;

/// For how long uploads are refused unread after one for which the store had no space.
const MEMORY: Duration = Duration::from_secs(10);

/// When the store was last found full.
#[derive(Debug, Default)]
pub struct Fullness(Mutex<Option<Instant>>);

impl Fullness {
    /// Notes what became of an upload, if it tells that the store is full.
    pub fn note<T>(&self, outcome: &Result<T, Error>) {
        if matches!(outcome, Err(Error::StoreFull)) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
    }

    /// Lets an upload begin.
    ///
    /// # Errors
    /// [`Error::StoreFull`] when the store had no space for another one a moment ago.
    pub fn check(&self) -> Result<(), Error> {
        let found = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if found.is_some_and(|when| when.elapsed() < MEMORY) { Err(Error::StoreFull) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_full_store_is_remembered_for_a_moment() {
        let fullness = Fullness::default();
        fullness.note(&Ok(()));
        fullness.note::<()>(&Err(Error::Forbidden));
        assert!(fullness.check().is_ok());
        fullness.note::<()>(&Err(Error::StoreFull));
        tokio::time::advance(MEMORY - Duration::from_millis(1)).await;
        assert!(matches!(fullness.check(), Err(Error::StoreFull)));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(fullness.check().is_ok());
    }
}
