//! One upload of a party at a time. What counts in the end is the claim, whatever replica an upload came to; this only
//! spares a party from sending in vain what another upload of its own will contribute.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{StreamExt, stream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::content::unpack::Unpacked;
use crate::error::Error;

/// After this long without data the next upload of the party takes over: a connection may be dead without a word.
const STALLED: Duration = Duration::from_secs(20);

/// A project by its uid, and a party by its position.
type Key = (String, usize);

/// The uploads of this replica that are under way.
#[derive(Clone, Debug)]
pub struct Underway {
    uploads: Arc<Mutex<HashMap<Key, Arc<Upload>>>>,
    stalled: Duration,
}

#[derive(Debug)]
struct Upload {
    last_data: Mutex<Instant>,
    superseded: CancellationToken,
}

/// The turn of one upload, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    key: Key,
    upload: Arc<Upload>,
    all: Underway,
}

impl Default for Underway {
    fn default() -> Self {
        Self::stalled_after(STALLED)
    }
}

impl Underway {
    /// Nothing is under way; an upload without data for this long may be superseded.
    pub fn stalled_after(stalled: Duration) -> Self {
        Self { uploads: Arc::default(), stalled }
    }

    /// Begins an upload of a party.
    ///
    /// # Errors
    /// [`Error::UploadUnderWay`] when another one is at work.
    pub fn begin(&self, project_uid: &str, party: usize) -> Result<Turn, Error> {
        let key = (project_uid.to_owned(), party);
        let upload =
            Arc::new(Upload { last_data: Mutex::new(Instant::now()), superseded: CancellationToken::new() });
        match self.lock().entry(key.clone()) {
            Entry::Occupied(other) if !other.get().is_stalled(self.stalled) => {
                return Err(Error::UploadUnderWay);
            }
            Entry::Occupied(mut other) => other.insert(upload.clone()).superseded.cancel(),
            Entry::Vacant(place) => drop(place.insert(upload.clone())),
        }
        Ok(Turn { key, upload, all: self.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Upload>>> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// The upload's body, which ends with an error as soon as another upload has taken over.
    pub fn watched<'b>(&self, body: Unpacked<'b>) -> Unpacked<'b> {
        let chunks = stream::unfold((body, self.upload.clone()), |(mut body, upload)| async move {
            let chunk = tokio::select! {
                biased;
                () = upload.superseded.cancelled() => Some(Err(Error::Superseded)),
                chunk = body.next() => chunk,
            };
            upload.has_data();
            chunk.map(|chunk| (chunk, (body, upload)))
        });
        // a body may be asked again after its end
        chunks.fuse().boxed()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut uploads = self.all.lock();
        if uploads.get(&self.key).is_some_and(|upload| Arc::ptr_eq(upload, &self.upload)) {
            uploads.remove(&self.key);
        }
    }
}

impl Upload {
    fn has_data(&self) {
        *self.last_data.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn is_stalled(&self, after: Duration) -> bool {
        self.last_data.lock().unwrap_or_else(PoisonError::into_inner).elapsed() >= after
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn a_party_has_one_upload_at_a_time_and_each_party_its_own() {
        let underway = Underway::default();
        let turn = underway.begin("p", 0).unwrap();
        assert!(matches!(underway.begin("p", 0), Err(Error::UploadUnderWay)));
        drop((underway.begin("p", 1).unwrap(), underway.begin("q", 0).unwrap()));
        drop(turn);
        drop(underway.begin("p", 0).unwrap());
        assert!(underway.lock().is_empty());
    }

    #[tokio::test]
    async fn a_watched_body_may_be_asked_again_after_its_end() {
        let underway = Underway::default();
        let turn = underway.begin("p", 0).unwrap();
        let mut body = turn.watched(stream::iter([Ok(Bytes::from_static(b"x"))]).boxed());
        assert_eq!(body.next().await.unwrap().unwrap(), "x");
        assert!(body.next().await.is_none() && body.next().await.is_none());
    }

    #[tokio::test]
    async fn one_that_stands_still_is_superseded() {
        let underway = Underway::stalled_after(Duration::ZERO);
        let first = underway.begin("p", 0).unwrap();
        let mut body = first.watched(stream::pending::<Result<Bytes, Error>>().boxed());
        let second = underway.begin("p", 0).unwrap();
        assert!(matches!(body.next().await, Some(Err(Error::Superseded))));
        // its end does not end the other's turn
        drop(first);
        assert_eq!(underway.lock().len(), 1);
        drop(second);
        assert!(underway.lock().is_empty());
    }
}
