//! Sends an object of any size: a small one at once, a larger one in parts while it is still coming.

use std::sync::Arc;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::{Bytes, BytesMut};
use tokio::task::JoinSet;

use super::S3Store;
use super::error::{S3Result, status};
use crate::store::StoreError;

/// Size of an object's first 2,000 parts: S3's minimum, so that many uploads at once need little memory.
pub const FIRST_PART_BYTES: usize = 5 << 20;
/// How many parts are on their way at once.
pub const PARTS_IN_FLIGHT: usize = 2;
/// After so many parts their size doubles: S3 allows 10,000, which then hold 310 GB.
const PARTS_OF_ONE_SIZE: usize = 2_000;
const CONTENT_TYPE: &str = "application/octet-stream";

pub(in crate::store) struct S3Upload {
    store: Arc<S3Store>,
    key: String,
    buffer: BytesMut,
    parts: Option<Parts>,
}

/// A multipart upload that has begun.
struct Parts {
    store: Arc<S3Store>,
    key: String,
    id: String,
    sent: usize,
    in_flight: JoinSet<Result<CompletedPart, StoreError>>,
    done: Vec<CompletedPart>,
    /// Completed or aborted: nothing is left to clean up.
    ended: bool,
}

impl S3Upload {
    pub fn new(store: Arc<S3Store>, key: &str) -> Self {
        Self { store, key: key.into(), buffer: BytesMut::new(), parts: None }
    }

    /// Fills the current part; sends it once there is more, so that a small object never becomes a multipart upload.
    pub async fn write(&mut self, mut data: &[u8]) -> Result<(), StoreError> {
        while !data.is_empty() {
            let size = part_bytes(self.parts.as_ref().map_or(0, |parts| parts.sent));
            if self.buffer.len() == size {
                let full = std::mem::take(&mut self.buffer).freeze();
                self.begun().await?.send(full).await?;
                continue;
            }
            let (now, later) = data.split_at(data.len().min(size - self.buffer.len()));
            if self.parts.is_some() && self.buffer.is_empty() {
                self.buffer.reserve(size);
            }
            self.buffer.extend_from_slice(now);
            data = later;
        }
        Ok(())
    }

    async fn begun(&mut self) -> Result<&mut Parts, StoreError> {
        let parts = match self.parts.take() {
            Some(parts) => parts,
            None => Parts::begin(Arc::clone(&self.store), &self.key).await?,
        };
        Ok(self.parts.insert(parts))
    }

    pub async fn finish(self, bytes: u64) -> Result<(), StoreError> {
        let last = self.buffer.freeze();
        match self.parts {
            None => self.store.put(&self.key, last, CONTENT_TYPE, false).await.map(drop),
            Some(mut parts) => {
                parts.send(last).await?;
                parts.complete(bytes).await
            }
        }
    }

    pub async fn abort(self) {
        if let Some(mut parts) = self.parts {
            parts.in_flight.shutdown().await;
            parts.ended = true;
            if let Err(error) = parts.store.abort_upload(&parts.store.full(&parts.key), &parts.id).await {
                tracing::warn!(key = parts.key, %error, "an unfinished upload is left in the store");
            }
        }
    }
}

impl Parts {
    async fn begin(store: Arc<S3Store>, key: &str) -> Result<Self, StoreError> {
        let request = store.client.create_multipart_upload().bucket(store.bucket()).key(store.full(key));
        let request = request.content_type(CONTENT_TYPE);
        let begun = store.patiently(|| async { request.clone().send().await.for_writing(key) }).await?;
        let id = begun.upload_id.ok_or_else(|| StoreError::Rejected {
            what: format!("writing \"{key}\""),
            why: "it names no upload".into(),
        })?;
        let (in_flight, done) = (JoinSet::new(), Vec::new());
        Ok(Self { store, key: key.into(), id, sent: 0, in_flight, done, ended: false })
    }

    async fn send(&mut self, content: Bytes) -> Result<(), StoreError> {
        while self.in_flight.len() >= PARTS_IN_FLIGHT {
            self.wait_for_one().await?;
        }
        // never closed
        let place = Arc::clone(&self.store.parts_at_once).acquire_owned().await.ok();
        self.sent += 1;
        let number = i32::try_from(self.sent).unwrap_or(i32::MAX);
        let (store, key, id) = (Arc::clone(&self.store), self.key.clone(), self.id.clone());
        self.in_flight.spawn(async move {
            let put = store.put_part(&key, &id, number, content).await;
            drop(place);
            put
        });
        Ok(())
    }

    async fn wait_for_one(&mut self) -> Result<(), StoreError> {
        if let Some(joined) = self.in_flight.join_next().await {
            let part = joined.map_err(|error| StoreError::Unavailable {
                what: format!("writing \"{}\"", self.key),
                why: error.to_string(),
            })??;
            self.done.push(part);
        }
        Ok(())
    }

    async fn complete(mut self, bytes: u64) -> Result<(), StoreError> {
        while !self.in_flight.is_empty() {
            self.wait_for_one().await?;
        }
        self.done.sort_by_key(CompletedPart::part_number);
        let parts =
            CompletedMultipartUpload::builder().set_parts(Some(std::mem::take(&mut self.done))).build();
        self.store.complete(&self.key, &self.id, &parts, bytes).await?;
        self.ended = true;
        Ok(())
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (store, key, id) = (Arc::clone(&self.store), self.key.clone(), std::mem::take(&mut self.id));
        let mut in_flight = std::mem::take(&mut self.in_flight);
        runtime.spawn(async move {
            in_flight.shutdown().await;
            if let Err(error) = store.abort_upload(&store.full(&key), &id).await {
                tracing::warn!(key, %error, "an unfinished upload is left in the store");
            }
        });
    }
}

impl S3Store {
    async fn put_part(
        &self,
        key: &str,
        id: &str,
        number: i32,
        content: Bytes,
    ) -> Result<CompletedPart, StoreError> {
        let send = || async {
            let request = self.client.upload_part().bucket(self.bucket()).key(self.full(key));
            let request = request.upload_id(id).part_number(number).body(ByteStream::from(content.clone()));
            request.send().await.for_writing(key)
        };
        let sent = self.patiently(send).await?;
        Ok(CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag).build())
    }

    async fn complete(
        &self,
        key: &str,
        id: &str,
        parts: &CompletedMultipartUpload,
        bytes: u64,
    ) -> Result<(), StoreError> {
        let request = self.client.complete_multipart_upload().bucket(self.bucket()).key(self.full(key));
        let request = request.upload_id(id).multipart_upload(parts.clone());
        let lost = match self.patiently(|| async { request.clone().send().await.for_writing(key) }).await {
            Err(lost @ StoreError::UploadLost { .. }) => lost,
            answer => return answer.map(drop),
        };
        // A completion whose answer was lost is sent again, and finds no upload any more.
        match self.head(key).await? {
            Some(object) if object.bytes == bytes => Ok(()),
            _ => Err(lost),
        }
    }

    /// Takes the key as it is in the bucket. An upload that has gone meanwhile is as good as aborted.
    pub(super) async fn abort_upload(&self, full_key: &str, id: &str) -> Result<(), StoreError> {
        let request = self.client.abort_multipart_upload().bucket(self.bucket()).key(full_key);
        let answer = request.upload_id(id).send().await;
        match status(&answer) {
            Some(404) => Ok(()),
            _ => answer.or_store_error(|| format!("aborting an upload to \"{full_key}\""), None).map(drop),
        }
    }
}

fn part_bytes(sent: usize) -> usize {
    FIRST_PART_BYTES << (sent / PARTS_OF_ONE_SIZE).min(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_parts_hold_300_gb() {
        let total: usize = (0..10_000).map(part_bytes).sum();
        assert!(total > 300_000_000_000, "{total}");
        assert!(part_bytes(9_999) <= 80 << 20);
    }
}
