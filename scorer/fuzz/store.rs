//! What both targets need: a store in a folder, a body in chunks, and what is left in the store.

use std::convert::Infallible;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use scorer::ingest::IngestError;
use scorer::store::Store;
use scorer::summary::Contribution;

/// What an upload has left.
#[derive(Debug, PartialEq)]
pub struct Stored {
    pub records: u64,
    pub encodings: Vec<u8>,
    pub blocks: Option<Vec<u8>>,
}

pub fn with_store<T>(take_in: impl AsyncFnOnce(&Store) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::in_directory(folder.path()).unwrap();
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(take_in(&store))
}

pub fn chunks(body: &[u8], size: usize) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    stream::iter(body.chunks(size.max(1)).map(|chunk| Ok(Bytes::copy_from_slice(chunk))))
}

/// What is stored, or why nothing is.
pub async fn check(store: &Store, taken: Result<Contribution, IngestError>) -> Result<Stored, String> {
    let objects = store.list("").count().await;
    let contribution = match taken {
        Ok(contribution) => contribution,
        Err(error) => {
            assert_eq!(objects, 0, "something is left after: {error}");
            let message = error.to_string();
            assert!(message.len() < 1000, "{message}");
            return Err(message);
        }
    };
    assert_eq!(objects, 1 + usize::from(contribution.blocks.is_some()));
    let encodings = store.read_small(&contribution.encodings, u64::MAX).await.unwrap();
    assert_eq!(encodings.len() as u64, contribution.records * u64::from(contribution.encoding_bytes));
    let blocks = match &contribution.blocks {
        Some(key) => Some(store.read_small(key, u64::MAX).await.unwrap()),
        None => None,
    };
    Ok(Stored { records: contribution.records, encodings, blocks })
}
