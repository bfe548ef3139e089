//! Listing, and deleting many objects.

use std::sync::Arc;
use std::time::SystemTime;

use aws_sdk_s3::types::{Delete, MultipartUpload, Object, ObjectIdentifier};
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use super::error::S3Result;
use super::{S3Store, info};
use crate::store::{ObjectInfo, StoreError};

/// One request deletes up to 1,000 objects, as many as a page of a listing has.
struct Page {
    objects: Vec<Object>,
    next: Option<String>,
}

enum Position {
    Start,
    At(String),
    End,
}

impl S3Store {
    pub fn list(self: Arc<Self>, prefix: String) -> BoxStream<'static, Result<ObjectInfo, StoreError>> {
        let pages = stream::try_unfold(Position::Start, move |position| {
            let (store, prefix) = (Arc::clone(&self), prefix.clone());
            async move {
                let from = match position {
                    Position::Start => None,
                    Position::At(token) => Some(token),
                    Position::End => return Ok::<_, StoreError>(None),
                };
                let page = store.page(&prefix, from).await?;
                let found: Vec<ObjectInfo> =
                    page.objects.into_iter().filter_map(|object| store.listed(object)).collect();
                Ok(Some((
                    stream::iter(found.into_iter().map(Ok)),
                    page.next.map_or(Position::End, Position::At),
                )))
            }
        });
        futures::TryStreamExt::try_flatten(pages).boxed()
    }

    async fn page(&self, prefix: &str, from: Option<String>) -> Result<Page, StoreError> {
        let request = self.client.list_objects_v2().bucket(self.bucket()).prefix(self.full(prefix));
        let answer = request.set_continuation_token(from).send().await;
        let listing = answer.for_bucket(self, "listing")?;
        Ok(Page { objects: listing.contents.unwrap_or_default(), next: listing.next_continuation_token })
    }

    fn listed(&self, object: Object) -> Option<ObjectInfo> {
        let key = object.key?;
        let key = key.strip_prefix(&self.settings.prefix)?;
        Some(info(key, object.size, object.e_tag, object.last_modified, None))
    }

    pub async fn delete_prefix(&self, prefix: &str) -> Result<u64, StoreError> {
        self.abort_uploads(prefix).await?;
        let mut deleted = 0;
        loop {
            // Always the first page: what it lists is gone afterwards.
            let page = self.page(prefix, None).await?;
            let keys: Vec<String> = page.objects.into_iter().filter_map(|object| object.key).collect();
            if keys.is_empty() {
                return Ok(deleted);
            }
            deleted += keys.len() as u64;
            self.delete_batch(keys).await?;
            if page.next.is_none() {
                return Ok(deleted);
            }
        }
    }

    async fn delete_batch(&self, keys: Vec<String>) -> Result<(), StoreError> {
        let what = || "deleting objects".to_owned();
        let invalid = |error: aws_sdk_s3::error::BuildError| StoreError::Rejected {
            what: what(),
            why: error.to_string(),
        };
        let objects: Result<Vec<_>, _> =
            keys.into_iter().map(|key| ObjectIdentifier::builder().key(key).build()).collect();
        let batch = Delete::builder().set_objects(Some(objects.map_err(invalid)?)).quiet(true);
        let request = self.client.delete_objects().bucket(self.bucket());
        let answer = request.delete(batch.build().map_err(invalid)?).send().await;
        match answer.for_bucket(self, "deleting objects of")?.errors.unwrap_or_default().first() {
            None => Ok(()),
            Some(refused) if refused.code() == Some("AccessDenied") => {
                Err(StoreError::Denied { what: what() })
            }
            Some(refused) => Err(StoreError::Unavailable {
                what: what(),
                why: format!("{} {}", refused.code().unwrap_or(""), refused.message().unwrap_or("")),
            }),
        }
    }

    /// Those that were begun before a time. One whose time is not known stays.
    pub async fn abort_unfinished(&self, prefix: &str, before: SystemTime) -> Result<u64, StoreError> {
        let mut aborted = 0;
        let (mut key_marker, mut id_marker) = (None, None);
        loop {
            let request = self.client.list_multipart_uploads().bucket(self.bucket());
            let request = request.set_key_marker(key_marker).set_upload_id_marker(id_marker);
            let answer = request.prefix(self.full(prefix)).send().await;
            let listing = answer.for_bucket(self, "listing uploads to")?;
            for MultipartUpload { key, upload_id, initiated, .. } in listing.uploads.unwrap_or_default() {
                let begun = initiated.and_then(|time| SystemTime::try_from(time).ok());
                let (Some(key), Some(id), Some(begun)) = (key, upload_id, begun) else { continue };
                if begun < before {
                    self.abort_upload(&key, &id).await?;
                    aborted += 1;
                }
            }
            if listing.is_truncated != Some(true) || listing.next_key_marker.is_none() {
                return Ok(aborted);
            }
            (key_marker, id_marker) = (listing.next_key_marker, listing.next_upload_id_marker);
        }
    }

    /// Parts of uploads that were never finished are not listed as objects, but take their space.
    async fn abort_uploads(&self, prefix: &str) -> Result<(), StoreError> {
        loop {
            let request = self.client.list_multipart_uploads().bucket(self.bucket());
            let answer = request.prefix(self.full(prefix)).send().await;
            let listing = answer.for_bucket(self, "listing uploads to")?;
            let more = listing.is_truncated.unwrap_or(false);
            let uploads = listing.uploads.unwrap_or_default();
            if uploads.is_empty() {
                return Ok(());
            }
            for MultipartUpload { key, upload_id, .. } in uploads {
                let (Some(key), Some(id)) = (key, upload_id) else { continue };
                self.abort_upload(&key, &id).await?;
            }
            if !more {
                return Ok(());
            }
        }
    }
}
