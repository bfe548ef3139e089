//! A store in an S3 bucket.

mod client;
mod error;
mod list;
mod upload;

use std::ops::Range;
use std::time::SystemTime;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use bytes::Bytes;

use super::{ObjectInfo, ObjectReader, S3Place, StoreError};
use error::{S3Result, status};

pub(super) use client::S3Settings;
pub(super) use upload::S3Upload;
pub use upload::{FIRST_PART_BYTES, PARTS_IN_FLIGHT};

pub(super) struct S3Store {
    client: Client,
    settings: S3Settings,
}

impl S3Store {
    pub async fn new(settings: S3Settings) -> Self {
        Self { client: client::connect(&settings).await, settings }
    }

    pub fn url(&self) -> String {
        format!("s3://{}/{}", self.settings.bucket, self.settings.prefix)
    }

    pub fn place(&self) -> S3Place {
        S3Place { bucket: self.settings.bucket.clone(), prefix: self.settings.prefix.clone() }
    }

    fn bucket(&self) -> &str {
        &self.settings.bucket
    }

    /// The key in the bucket.
    fn full(&self, key: &str) -> String {
        format!("{}{key}", self.settings.prefix)
    }

    pub async fn head(&self, key: &str) -> Result<Option<ObjectInfo>, StoreError> {
        let answer = self.client.head_object().bucket(self.bucket()).key(self.full(key)).send().await;
        if status(&answer) == Some(404) {
            return Ok(None);
        }
        let head = answer.for_key(self, "looking for", key)?;
        Ok(Some(info(key, head.content_length, head.e_tag, head.last_modified, head.metadata)))
    }

    pub async fn get(&self, key: &str) -> Result<(ObjectInfo, ObjectReader), StoreError> {
        let answer = self.client.get_object().bucket(self.bucket()).key(self.full(key)).send().await;
        let object = answer.for_key(self, "reading", key)?;
        let info = info(key, object.content_length, object.e_tag, object.last_modified, object.metadata);
        let reader = reader(key, info.bytes, object.body);
        Ok((info, reader))
    }

    /// A range that is not empty, of just that version of the object when an ETag is given.
    pub async fn get_range(
        &self,
        key: &str,
        range: Range<u64>,
        etag: Option<&str>,
    ) -> Result<ObjectReader, StoreError> {
        let header = format!("bytes={}-{}", range.start, range.end - 1);
        let request = self.client.get_object().bucket(self.bucket()).key(self.full(key)).range(header);
        let answer = request.set_if_match(etag.map(str::to_owned)).send().await;
        match status(&answer) {
            Some(412) => return Err(StoreError::Replaced { key: key.into() }),
            Some(416) => {
                return Err(StoreError::Truncated { key: key.into(), expected: range.end, got: range.start });
            }
            _ => {}
        }
        let object = answer.for_key(self, "reading", key)?;
        Ok(reader(key, range.end - range.start, object.body))
    }

    /// Tells whether the object was written, which it always is unless `only_if_absent`.
    pub async fn put(
        &self,
        key: &str,
        content: Bytes,
        content_type: &str,
        only_if_absent: bool,
    ) -> Result<bool, StoreError> {
        let request = self
            .client
            .put_object()
            .bucket(self.bucket())
            .key(self.full(key))
            .content_type(content_type)
            .set_if_none_match(only_if_absent.then(|| "*".to_owned()))
            .body(ByteStream::from(content));
        let answer = request.send().await;
        if only_if_absent && status(&answer) == Some(412) {
            return Ok(false);
        }
        answer.for_key(self, "writing", key)?;
        Ok(true)
    }

    pub async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let answer = self.client.delete_object().bucket(self.bucket()).key(self.full(key)).send().await;
        if status(&answer) == Some(404) {
            return Ok(());
        }
        answer.for_key(self, "deleting", key).map(drop)
    }

    pub async fn check(&self) -> Result<(), StoreError> {
        let answer = self.client.head_bucket().bucket(self.bucket()).send().await;
        if status(&answer) == Some(404) {
            return match self.settings.create_bucket {
                true => client::create_bucket(&self.client, &self.settings).await,
                false => Err(StoreError::BucketMissing { bucket: self.bucket().into() }),
            };
        }
        answer.for_bucket(self, "reaching").map(drop)
    }
}

fn info(
    key: &str,
    bytes: Option<i64>,
    etag: Option<String>,
    modified: Option<DateTime>,
    metadata: Option<std::collections::HashMap<String, String>>,
) -> ObjectInfo {
    ObjectInfo {
        key: key.into(),
        bytes: bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0),
        etag: etag.unwrap_or_default(),
        modified: modified.and_then(|time| SystemTime::try_from(time).ok()),
        metadata: metadata
            .unwrap_or_default()
            .into_iter()
            .map(|(name, value)| (name.to_lowercase(), value))
            .collect(),
    }
}

fn reader(key: &str, bytes: u64, body: ByteStream) -> ObjectReader {
    let what = format!("reading \"{key}\"");
    let chunks = futures::stream::try_unfold((body, what), |(mut body, what)| async move {
        match body.try_next().await {
            Ok(Some(chunk)) => Ok(Some((chunk, (body, what)))),
            Ok(None) => Ok(None),
            Err(error) => Err(StoreError::Unavailable { what, why: error::chain(&error) }),
        }
    });
    ObjectReader::new(key, bytes, chunks)
}
