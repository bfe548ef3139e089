//! Deleting, one object or all below a prefix.

use std::sync::atomic::Ordering;

use aws_sdk_s3::error::BuildError;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use futures::{StreamExt, TryStreamExt, stream};

use super::S3Store;
use super::error::{S3Result, code_and_message, status};
use crate::store::{Deleted, StoreError};

/// The number of requests at once, where one request cannot delete many objects.
const SINGLY_AT_ONCE: usize = 16;

/// What is to be deleted: an object, or one version of it.
#[derive(Clone, Debug)]
pub(super) struct Doomed {
    /// As it is in the bucket.
    pub key: String,
    pub version: Option<String>,
}

/// What came of a request to delete many.
enum Batch {
    Gone(Markers),
    /// The store does not take such requests.
    Refused,
}

/// Whether the store has left markers in place of objects, as it does where it keeps versions.
pub(super) type Markers = bool;

impl S3Store {
    pub async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.patiently(|| self.delete_one(Doomed { key: self.full(key), version: None })).await.map(drop)
    }

    pub async fn delete_prefix(&self, prefix: &str) -> Result<Deleted, StoreError> {
        self.abort_uploads(prefix).await?;
        let (mut objects, mut markers, mut last_first) = (0, false, None);
        loop {
            // Always the first page: what it lists is gone afterwards.
            let page = self.page(prefix, None, None).await?;
            let keys = page.objects.into_iter().filter_map(|object| object.key);
            let doomed: Vec<Doomed> = keys.map(|key| Doomed { key, version: None }).collect();
            let first = doomed.first().map(|doomed| doomed.key.clone());
            if first.is_some() && first == last_first {
                let why = "it lists objects that it has deleted, or somebody writes them anew".into();
                return Err(StoreError::Unavailable {
                    what: format!("deleting all below \"{prefix}\""),
                    why,
                });
            }
            last_first = first;
            objects += doomed.len() as u64;
            markers |= self.delete_all(doomed).await?;
            if page.next.is_none() {
                break;
            }
        }
        Ok(Deleted { objects, kept_versions: self.delete_versions(prefix, markers).await? })
    }

    /// Up to 1,000 at once; one by one where the store does not take that.
    pub(super) async fn delete_all(&self, doomed: Vec<Doomed>) -> Result<Markers, StoreError> {
        if doomed.is_empty() {
            return Ok(false);
        }
        if !self.deletes_singly.load(Ordering::Relaxed) {
            match self.patiently(|| self.delete_batch(doomed.clone())).await? {
                Batch::Gone(markers) => return Ok(markers),
                Batch::Refused => {
                    tracing::info!(
                        "the store does not delete many objects at once; they are deleted one by one"
                    );
                    self.deletes_singly.store(true, Ordering::Relaxed);
                }
            }
        }
        let one_by_one = stream::iter(doomed).map(|one| {
            let one = move || self.delete_one(one.clone());
            self.patiently(one)
        });
        let any = |before, marker| std::future::ready(Ok(before || marker));
        one_by_one.buffer_unordered(SINGLY_AT_ONCE).try_fold(false, any).await
    }

    async fn delete_one(&self, Doomed { key, version }: Doomed) -> Result<Markers, StoreError> {
        let request = self.client.delete_object().bucket(self.bucket()).key(&key);
        let answer = request.set_version_id(version).send().await;
        if status(&answer) == Some(404) {
            return Ok(false);
        }
        let shown = key.strip_prefix(&self.settings.prefix).unwrap_or(&key);
        let gone = answer.or_store_error(|| format!("deleting \"{shown}\""), Some(shown))?;
        Ok(gone.delete_marker == Some(true))
    }

    async fn delete_batch(&self, doomed: Vec<Doomed>) -> Result<Batch, StoreError> {
        let what = || "deleting objects".to_owned();
        let invalid = |error: BuildError| StoreError::Rejected { what: what(), why: error.to_string() };
        let identifier = |Doomed { key, version }: Doomed| {
            ObjectIdentifier::builder().key(key).set_version_id(version).build()
        };
        let objects: Result<Vec<_>, _> = doomed.into_iter().map(identifier).collect();
        // not quiet: what is deleted tells whether a marker stays in its place
        let batch = Delete::builder().set_objects(Some(objects.map_err(invalid)?)).quiet(false);
        let request = self.client.delete_objects().bucket(self.bucket());
        let answer = request.delete(batch.build().map_err(invalid)?).send().await;
        if is_refused(status(&answer), code_and_message(&answer)) {
            return Ok(Batch::Refused);
        }
        let answer = answer.for_bucket(self, "deleting objects of")?;
        // A request may be answered as a success in which not all has succeeded.
        let is_there_no_more = |code: Option<&str>| matches!(code, Some("NoSuchKey" | "NoSuchVersion"));
        let refused = answer.errors.unwrap_or_default();
        match refused.iter().find(|refused| !is_there_no_more(refused.code())) {
            None => {
                let deleted = answer.deleted.unwrap_or_default();
                Ok(Batch::Gone(deleted.iter().any(|deleted| deleted.delete_marker == Some(true))))
            }
            Some(refused) if refused.code() == Some("AccessDenied") => {
                Err(StoreError::Denied { what: what() })
            }
            Some(refused) => Err(StoreError::Unavailable {
                what: what(),
                why: format!("{} {}", refused.code().unwrap_or(""), refused.message().unwrap_or("")),
            }),
        }
    }
}

/// Whether a store does not know requests that delete many objects, or wants a checksum with them that the client no longer
/// sends.
fn is_refused(status: Option<u16>, (code, message): (&str, &str)) -> bool {
    match status {
        Some(501 | 405) => true,
        Some(400) => {
            matches!(code, "MissingContentMD5" | "NotImplemented" | "MethodNotAllowed")
                || message.to_lowercase().contains("content-md5")
        }
        _ => false,
    }
}
