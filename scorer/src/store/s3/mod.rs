//! A store in an S3 bucket.

mod client;
mod credentials;
mod credentials_file;
mod delete;
mod error;
mod list;
mod read;
mod token_service;
mod upload;
mod versions;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use bytes::Bytes;
use tokio::sync::Semaphore;

use super::patience::Patience;
use super::{ObjectInfo, S3Place, StoreError};
use error::{S3Result, status};

pub(super) use client::S3Settings;
pub use token_service::{Permission, TemporaryCredentials, TokenService, TokenServiceArgs};
pub(super) use upload::S3Upload;
pub use upload::{FIRST_PART_BYTES, PARTS_IN_FLIGHT};

pub(super) struct S3Store {
    client: Client,
    settings: S3Settings,
    /// Without it a request is tried again as the client does it, for some seconds.
    patience: Option<Patience>,
    /// Places for parts on their way, of all objects that are written.
    parts_at_once: Arc<Semaphore>,
    /// Whether the store has refused to delete many objects at once.
    deletes_singly: Arc<AtomicBool>,
}

impl S3Store {
    pub async fn new(settings: S3Settings) -> Result<Self, StoreError> {
        let client = client::connect(&settings).await?;
        Ok(Self {
            client,
            settings,
            patience: None,
            parts_at_once: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
            deletes_singly: Arc::default(),
        })
    }

    /// The same, with patience in place of the client's own attempts.
    pub fn patient(&self, limit: Duration) -> Self {
        let config = self.client.config().to_builder().retry_config(RetryConfig::disabled()).build();
        Self {
            client: Client::from_conf(config),
            settings: self.settings.clone(),
            patience: Some(Patience::new(limit)),
            parts_at_once: Arc::clone(&self.parts_at_once),
            deletes_singly: Arc::clone(&self.deletes_singly),
        }
    }

    /// The same, with so many parts on their way at once, of all objects that are written.
    pub fn with_parts_at_once(&self, parts: usize) -> Self {
        Self {
            client: self.client.clone(),
            settings: self.settings.clone(),
            patience: self.patience.clone(),
            parts_at_once: Arc::new(Semaphore::new(parts)),
            deletes_singly: Arc::clone(&self.deletes_singly),
        }
    }

    pub fn is_patient(&self) -> bool {
        self.patience.is_some()
    }

    pub fn waiting(&self) -> Option<String> {
        self.patience.as_ref()?.waiting()
    }

    /// Sends a request, once or as often as there is patience.
    async fn patiently<T, F, Fut>(&self, mut request: F) -> Result<T, StoreError>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, StoreError>>,
    {
        match &self.patience {
            Some(patience) => patience.wait(request).await,
            None => request().await,
        }
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
        self.patiently(|| async {
            let answer = self.client.head_object().bucket(self.bucket()).key(self.full(key)).send().await;
            if status(&answer) == Some(404) {
                return Ok(None);
            }
            let head = answer.for_key(self, "looking for", key)?;
            Ok(Some(info(key, head.content_length, head.e_tag, head.last_modified, head.metadata)))
        })
        .await
    }

    /// Tells whether the object was written, which it always is unless `only_if_absent`.
    pub async fn put(
        &self,
        key: &str,
        content: Bytes,
        content_type: &str,
        only_if_absent: bool,
    ) -> Result<bool, StoreError> {
        self.patiently(|| async {
            let request = self
                .client
                .put_object()
                .bucket(self.bucket())
                .key(self.full(key))
                .content_type(content_type)
                .set_if_none_match(only_if_absent.then(|| "*".to_owned()))
                .body(ByteStream::from(content.clone()));
            let answer = request.send().await;
            if only_if_absent && status(&answer) == Some(412) {
                return Ok(false);
            }
            answer.for_writing(key)?;
            Ok(true)
        })
        .await
    }

    pub async fn check(&self) -> Result<(), StoreError> {
        self.patiently(|| async {
            let answer = self.client.head_bucket().bucket(self.bucket()).send().await;
            if status(&answer) == Some(404) {
                return match self.settings.create_bucket {
                    true => client::create_bucket(&self.client, &self.settings).await,
                    false => Err(StoreError::BucketMissing { bucket: self.bucket().into() }),
                };
            }
            answer.for_bucket(self, "reaching").map(drop)
        })
        .await
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
