//! Listing: objects, the folders that they are in, and uploads that were never finished.

use std::sync::Arc;
use std::time::SystemTime;

use aws_sdk_s3::operation::list_multipart_uploads::ListMultipartUploadsOutput;
use aws_sdk_s3::types::{MultipartUpload, Object};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt, TryStreamExt};

use super::error::S3Result;
use super::{S3Store, info};
use crate::store::{ObjectInfo, StoreError};

/// One request deletes up to 1,000 objects, as many as a page of a listing has.
pub(super) struct Page {
    pub objects: Vec<Object>,
    /// What lies below these is left out.
    folders: Vec<String>,
    pub next: Option<String>,
}

enum Position {
    Start,
    At(String),
    End,
}

impl S3Store {
    pub fn list(self: Arc<Self>, prefix: String) -> BoxStream<'static, Result<ObjectInfo, StoreError>> {
        let store = Arc::clone(&self);
        let found = move |page: Page| -> Vec<ObjectInfo> {
            page.objects.into_iter().filter_map(|object| store.listed(object)).collect()
        };
        self.pages(prefix, None).map_ok(move |page| stream::iter(found(page)).map(Ok)).try_flatten().boxed()
    }

    /// The names of the folders directly below a prefix that ends in `/` or is empty.
    pub fn folders(self: Arc<Self>, prefix: String) -> BoxStream<'static, Result<String, StoreError>> {
        let whole = self.full(&prefix);
        let found = move |page: Page| -> Vec<String> {
            let names =
                page.folders.iter().filter_map(|folder| folder.strip_prefix(&whole)?.strip_suffix('/'));
            names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
        };
        let pages = self.pages(prefix, Some("/"));
        pages.map_ok(move |page| stream::iter(found(page)).map(Ok)).try_flatten().boxed()
    }

    fn pages(
        self: Arc<Self>,
        prefix: String,
        delimiter: Option<&'static str>,
    ) -> impl Stream<Item = Result<Page, StoreError>> + Send {
        stream::try_unfold(Position::Start, move |position| {
            let (store, prefix) = (Arc::clone(&self), prefix.clone());
            async move {
                let from = match position {
                    Position::Start => None,
                    Position::At(token) => Some(token),
                    Position::End => return Ok::<_, StoreError>(None),
                };
                let page = store.page(&prefix, delimiter, from).await?;
                let next = page.next.clone().map_or(Position::End, Position::At);
                Ok(Some((page, next)))
            }
        })
    }

    pub(super) async fn page(
        &self,
        prefix: &str,
        delimiter: Option<&str>,
        from: Option<String>,
    ) -> Result<Page, StoreError> {
        let request = self.client.list_objects_v2().bucket(self.bucket()).prefix(self.full(prefix));
        let request = request.set_delimiter(delimiter.map(str::to_owned)).set_continuation_token(from);
        let answer = self.patiently(|| async { request.clone().send().await.for_bucket(self, "listing") });
        let listing = answer.await?;
        let folders = listing.common_prefixes.unwrap_or_default();
        Ok(Page {
            objects: listing.contents.unwrap_or_default(),
            folders: folders.into_iter().filter_map(|folder| folder.prefix).collect(),
            next: listing.next_continuation_token,
        })
    }

    fn listed(&self, object: Object) -> Option<ObjectInfo> {
        let key = object.key?;
        let key = key.strip_prefix(&self.settings.prefix)?;
        Some(info(key, object.size, object.e_tag, object.last_modified, None))
    }

    async fn uploads(
        &self,
        prefix: &str,
        from: (Option<String>, Option<String>),
    ) -> Result<ListMultipartUploadsOutput, StoreError> {
        let request = self.client.list_multipart_uploads().bucket(self.bucket()).prefix(self.full(prefix));
        let request = request.set_key_marker(from.0).set_upload_id_marker(from.1);
        self.patiently(|| async { request.clone().send().await.for_bucket(self, "listing uploads to") }).await
    }

    /// Those that were begun before a time. One whose time is not known stays.
    pub async fn abort_unfinished(&self, prefix: &str, before: SystemTime) -> Result<u64, StoreError> {
        let mut aborted = 0;
        let mut from = (None, None);
        loop {
            let listing = self.uploads(prefix, from).await?;
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
            from = (listing.next_key_marker, listing.next_upload_id_marker);
        }
    }

    /// Parts of uploads that were never finished are not listed as objects, but take their space.
    pub(super) async fn abort_uploads(&self, prefix: &str) -> Result<(), StoreError> {
        loop {
            let listing = self.uploads(prefix, (None, None)).await?;
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
