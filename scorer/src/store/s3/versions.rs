//! Older versions of deleted objects, which a bucket with versioning keeps.

use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;

use super::S3Store;
use super::delete::{Doomed, Markers};
use super::error::{S3Result, status};
use crate::store::StoreError;

/// A page of versions, or why there is none.
enum Page {
    Versions(Box<ListObjectVersionsOutput>),
    Refused(String),
}

/// Where the next page begins: a key, and a version of it.
type Position = (Option<String>, Option<String>);

impl S3Store {
    /// Deletes the versions of all objects below a prefix whose objects are deleted, and the markers in their place. Tells why
    /// some stay.
    pub(super) async fn delete_versions(
        &self,
        prefix: &str,
        left_markers: Markers,
    ) -> Result<Option<String>, StoreError> {
        let mut from = (None, None);
        loop {
            let page = match self.version_page(prefix, from).await? {
                Page::Versions(page) => *page,
                // without markers the bucket keeps no versions, and there is nothing to tell of
                Page::Refused(why) => return Ok(left_markers.then(|| kept(prefix, &why))),
            };
            let versions = page.versions.unwrap_or_default().into_iter();
            let versions = versions.map(|version| (version.key, version.version_id));
            let markers = page.delete_markers.unwrap_or_default().into_iter();
            let markers = markers.map(|marker| (marker.key, marker.version_id));
            let doomed =
                versions.chain(markers).filter_map(|(key, version)| Some(Doomed { key: key?, version }));
            match self.delete_all(doomed.collect()).await {
                Ok(_) => {}
                Err(refused @ (StoreError::Denied { .. } | StoreError::Rejected { .. })) => {
                    return Ok(Some(kept(prefix, &refused.to_string())));
                }
                Err(error) => return Err(error),
            }
            if page.is_truncated != Some(true) || page.next_key_marker.is_none() {
                return Ok(None);
            }
            from = (page.next_key_marker, page.next_version_id_marker);
        }
    }

    async fn version_page(&self, prefix: &str, from: Position) -> Result<Page, StoreError> {
        let request = self.client.list_object_versions().bucket(self.bucket()).prefix(self.full(prefix));
        let request = request.set_key_marker(from.0).set_version_id_marker(from.1);
        self.patiently(|| async {
            let answer = request.clone().send().await;
            let does_not_know = matches!(status(&answer), Some(400 | 404 | 405 | 501));
            match answer.for_bucket(self, "listing versions of objects in") {
                Ok(page) => Ok(Page::Versions(Box::new(page))),
                Err(refused) if does_not_know || matches!(refused, StoreError::Denied { .. }) => {
                    Ok(Page::Refused(refused.to_string()))
                }
                Err(error) => Err(error),
            }
        })
        .await
    }
}

fn kept(prefix: &str, why: &str) -> String {
    format!(
        "the bucket keeps older versions of the objects below \"{prefix}\": {why}; delete them by the store's own means, or \
         permit s3:ListBucketVersions and s3:DeleteObjectVersion"
    )
}
