//! A store in a local directory: keys are paths below it.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use super::key::PARTIAL;
use super::{Deleted, ObjectInfo, ObjectReader, StoreError};

const READ_BYTES: usize = 256 << 10;

pub(super) struct DirStore {
    root: PathBuf,
}

impl DirStore {
    pub fn new(root: PathBuf) -> Result<Self, StoreError> {
        let partial = root.join(PARTIAL);
        std::fs::create_dir_all(&partial)
            .map_err(StoreError::file(format!("the directory {} cannot be made", partial.display())))?;
        Ok(Self { root })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file of a checked key.
    pub fn path(&self, key: &str) -> PathBuf {
        self.root.join(key)
    }

    pub async fn head(&self, key: &str) -> Result<Option<ObjectInfo>, StoreError> {
        match tokio::fs::metadata(self.path(key)).await {
            Ok(metadata) if metadata.is_file() => Ok(Some(info(key, &metadata))),
            Ok(_) => Ok(None),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(reading(key)(error)),
        }
    }

    pub async fn get(&self, key: &str) -> Result<(ObjectInfo, ObjectReader), StoreError> {
        let info = self.head(key).await?.ok_or_else(|| StoreError::NotFound { key: key.into() })?;
        let reader = self.get_range(key, 0..info.bytes).await?;
        Ok((info, reader))
    }

    pub async fn get_range(&self, key: &str, range: Range<u64>) -> Result<ObjectReader, StoreError> {
        let mut file = tokio::fs::File::open(self.path(key)).await.map_err(|error| {
            if is_absent(&error) { StoreError::NotFound { key: key.into() } } else { reading(key)(error) }
        })?;
        file.seek(std::io::SeekFrom::Start(range.start)).await.map_err(reading(key))?;
        let bytes = range.end - range.start;
        let owned_key = key.to_owned();
        let chunks = ReaderStream::with_capacity(file.take(bytes), READ_BYTES)
            .map_err(move |error| reading(&owned_key)(error));
        Ok(ObjectReader::new(key, bytes, chunks))
    }

    /// Writes a file at once; tells whether it was written, which it always is unless `only_if_absent`.
    pub async fn put(&self, key: &str, content: Bytes, only_if_absent: bool) -> Result<bool, StoreError> {
        let (partial, path) = (self.root.join(PARTIAL), self.path(key));
        let written = tokio::task::spawn_blocking(move || {
            let mut file = tempfile::NamedTempFile::new_in(partial)?;
            std::io::Write::write_all(&mut file, &content)?;
            create_parent(&path)?;
            if only_if_absent {
                match file.persist_noclobber(&path) {
                    Ok(_) => Ok(true),
                    Err(refused) if refused.error.kind() == ErrorKind::AlreadyExists => Ok(false),
                    Err(refused) => Err(refused.error),
                }
            } else {
                file.persist(&path).map(|_| true).map_err(|refused| refused.error)
            }
        });
        joined(written.await).map_err(writing(key))
    }

    /// A file in which an object is built up, to be persisted at `path`.
    pub async fn start(&self, key: &str) -> Result<tempfile::NamedTempFile, StoreError> {
        let partial = self.root.join(PARTIAL);
        joined(tokio::task::spawn_blocking(move || tempfile::NamedTempFile::new_in(partial)).await)
            .map_err(writing(key))
    }

    pub fn list(self: Arc<Self>, prefix: String) -> BoxStream<'static, Result<ObjectInfo, StoreError>> {
        let listing = async move {
            let what = format!("the objects below \"{prefix}\" cannot be listed");
            let found = tokio::task::spawn_blocking(move || self.walk(&prefix)).await;
            joined(found).map_err(StoreError::file(what))
        };
        stream::once(listing).map_ok(|found| stream::iter(found).map(Ok)).try_flatten().boxed()
    }

    /// The names of the folders directly below a prefix that ends in `/`.
    pub fn folders(self: Arc<Self>, prefix: String) -> BoxStream<'static, Result<String, StoreError>> {
        let listing = async move {
            let what = format!("the folders below \"{prefix}\" cannot be listed");
            let found = tokio::task::spawn_blocking(move || subfolders(&self.root.join(prefix))).await;
            joined(found).map_err(StoreError::file(what))
        };
        stream::once(listing).map_ok(|found| stream::iter(found).map(Ok)).try_flatten().boxed()
    }

    fn walk(&self, prefix: &str) -> std::io::Result<Vec<ObjectInfo>> {
        let parent = prefix.rsplit_once('/').map_or("", |(parent, _)| parent);
        let mut folders = vec![parent.to_owned()];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            let entries = match std::fs::read_dir(self.root.join(&folder)) {
                Err(error) if is_absent(&error) => continue,
                entries => entries?,
            };
            for entry in entries {
                let entry = entry?;
                let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
                let key = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                let metadata = match entry.metadata() {
                    Err(error) if is_absent(&error) => continue,
                    metadata => metadata?,
                };
                if metadata.is_dir() && key != PARTIAL {
                    folders.push(key);
                } else if metadata.is_file() && key.starts_with(prefix) {
                    found.push(info(&key, &metadata));
                }
            }
        }
        found.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(found)
    }

    pub async fn delete(&self, key: &str) -> Result<(), StoreError> {
        match tokio::fs::remove_file(self.path(key)).await {
            Err(error) if !is_absent(&error) => {
                Err(StoreError::file(format!("the object \"{key}\" cannot be deleted"))(error))
            }
            _ => Ok(()),
        }
    }

    pub async fn delete_prefix(self: &Arc<Self>, prefix: &str) -> Result<Deleted, StoreError> {
        let mut found = Arc::clone(self).list(prefix.to_owned());
        let mut objects = 0;
        while let Some(object) = found.try_next().await? {
            self.delete(&object.key).await?;
            objects += 1;
        }
        // The folders are empty now, unless somebody is writing there.
        let folder = self.root.join(prefix);
        match tokio::fs::remove_dir_all(&folder).await {
            Err(error) if !is_absent(&error) => {
                Err(StoreError::file(format!("the folder \"{prefix}\" cannot be deleted"))(error))
            }
            _ => Ok(Deleted { objects, kept_versions: None }),
        }
    }

    pub async fn check(&self) -> Result<(), StoreError> {
        tokio::fs::create_dir_all(self.root.join(PARTIAL))
            .await
            .map_err(StoreError::file(format!("the directory {} cannot be used", self.root.display())))
    }
}

fn subfolders(folder: &Path) -> std::io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.extend(entry.file_name().into_string().ok());
        }
    }
    names.sort();
    Ok(names)
}

pub(super) fn create_parent(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), std::fs::create_dir_all)
}

pub(super) fn joined<T>(result: Result<std::io::Result<T>, tokio::task::JoinError>) -> std::io::Result<T> {
    result.map_err(std::io::Error::other)?
}

pub(super) fn writing(key: &str) -> impl FnOnce(std::io::Error) -> StoreError + use<> {
    let key = key.to_owned();
    move |error| match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            StoreError::Full { what: format!("writing \"{key}\"") }
        }
        _ => StoreError::file(format!("the object \"{key}\" cannot be written"))(error),
    }
}

fn reading(key: &str) -> impl FnOnce(std::io::Error) -> StoreError + use<> {
    StoreError::file(format!("the object \"{key}\" cannot be read"))
}

/// A file where a folder is wanted means as well that there is no such object.
fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn info(key: &str, metadata: &Metadata) -> ObjectInfo {
    let modified = metadata.modified().ok();
    let since = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    ObjectInfo {
        key: key.into(),
        bytes: metadata.len(),
        etag: format!("{:x}-{:x}", since.map_or(0, |since| since.as_nanos()), metadata.len()),
        modified,
        metadata: BTreeMap::new(),
    }
}
