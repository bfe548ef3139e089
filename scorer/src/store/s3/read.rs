//! Reads objects. A patient store goes on within an object where the connection broke off.

use std::ops::Range;
use std::sync::Arc;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use futures::{Stream, stream};

use super::error::{S3Result, chain, status};
use super::{S3Store, info};
use crate::store::{ObjectInfo, ObjectReader, StoreError};

impl S3Store {
    pub async fn get(self: &Arc<Self>, key: &str) -> Result<(ObjectInfo, ObjectReader), StoreError> {
        let request = self.client.get_object().bucket(self.bucket()).key(self.full(key));
        let answer =
            self.patiently(|| async { request.clone().send().await.for_key(self, "reading", key) }).await;
        let object = answer?;
        let info = info(key, object.content_length, object.e_tag, object.last_modified, object.metadata);
        let etag = Some(info.etag.clone()).filter(|etag| !etag.is_empty());
        let chunks = self.chunks(key, 0..info.bytes, etag, object.body);
        let reader = ObjectReader::new(key, info.bytes, chunks);
        Ok((info, reader))
    }

    /// A range that is not empty, of just that version of the object when an ETag is given.
    pub async fn get_range(
        self: &Arc<Self>,
        key: &str,
        range: Range<u64>,
        etag: Option<&str>,
    ) -> Result<ObjectReader, StoreError> {
        let object = self.patiently(|| self.open_range(key, range.clone(), etag)).await?;
        let bytes = range.end - range.start;
        Ok(ObjectReader::new(key, bytes, self.chunks(key, range, object.e_tag, object.body)))
    }

    async fn open_range(
        &self,
        key: &str,
        range: Range<u64>,
        etag: Option<&str>,
    ) -> Result<GetObjectOutput, StoreError> {
        let header = format!("bytes={}-{}", range.start, range.end - 1);
        let request = self.client.get_object().bucket(self.bucket()).key(self.full(key)).range(header);
        let answer = request.set_if_match(etag.map(str::to_owned)).send().await;
        match status(&answer) {
            Some(412) => Err(StoreError::Replaced { key: key.into() }),
            Some(416) => {
                Err(StoreError::Truncated { key: key.into(), expected: range.end, got: range.start })
            }
            _ => answer.for_key(self, "reading", key),
        }
    }

    fn chunks(
        self: &Arc<Self>,
        key: &str,
        range: Range<u64>,
        etag: Option<String>,
        body: ByteStream,
    ) -> impl Stream<Item = Result<Bytes, StoreError>> + Send + use<> {
        let rest = Rest { store: Arc::clone(self), key: key.into(), range, etag, body };
        stream::try_unfold(rest, |mut rest| async move {
            let chunk = rest.next().await?;
            Ok(chunk.map(|chunk| (chunk, rest)))
        })
    }
}

/// What is left to be read of a range of an object.
struct Rest {
    store: Arc<S3Store>,
    key: String,
    range: Range<u64>,
    etag: Option<String>,
    body: ByteStream,
}

impl Rest {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let mut chunk = first_chunk(&mut self.body, &self.key).await;
        let broke_off = match &chunk {
            Ok(None) => !self.range.is_empty(),
            Ok(Some(_)) => false,
            Err(_) => true,
        };
        if broke_off && self.store.is_patient() && !self.range.is_empty() {
            chunk = self.resume(chunk.err()).await;
        }
        if let Ok(Some(chunk)) = &chunk {
            self.range.start += chunk.len() as u64;
        }
        chunk
    }

    /// Opens the rest anew, until some of it comes.
    async fn resume(&mut self, mut error: Option<StoreError>) -> Result<Option<Bytes>, StoreError> {
        let Self { store, key, range, etag, .. } = &*self;
        let resumed = store.patiently(|| {
            // the first attempt is the one that has just failed
            let failed = error.take();
            async move {
                if let Some(error) = failed {
                    return Err(error);
                }
                let mut body = store.open_range(key, range.clone(), etag.as_deref()).await?.body;
                match first_chunk(&mut body, key).await? {
                    Some(chunk) => Ok((body, chunk)),
                    None => {
                        let (expected, got) = (range.end, range.start);
                        Err(StoreError::Truncated { key: key.clone(), expected, got })
                    }
                }
            }
        });
        let (body, chunk) = resumed.await?;
        self.body = body;
        Ok(Some(chunk))
    }
}

async fn first_chunk(body: &mut ByteStream, key: &str) -> Result<Option<Bytes>, StoreError> {
    let unavailable = |error: aws_sdk_s3::primitives::ByteStreamError| StoreError::Unavailable {
        what: format!("reading \"{key}\""),
        why: chain(&error),
    };
    body.try_next().await.map_err(unavailable)
}
