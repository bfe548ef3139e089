//! The object store: an S3 bucket, or a local directory that is laid out alike.
//!
//! Knows keys and bytes; nothing of what they mean. Keys are relative to the store's URL, use `/` between their
//! segments, and can never lead out of it. A reader gets all bytes of an object or an error, never fewer.

mod args;
mod blocking;
mod dir;
mod error;
mod file_writer;
mod hash;
mod key;
mod patience;
mod reader;
mod s3;
mod transfer;
mod writer;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::BoxStream;

pub use args::StoreArgs;
pub use blocking::{BlockingReader, BlockingWriter, ChangedContent};
pub use error::StoreError;
pub use reader::ObjectReader;
pub use s3::{Permission, TemporaryCredentials, TokenService, TokenServiceArgs};
pub use writer::{FIRST_PART_BYTES, ObjectWriter, PARTS_IN_FLIGHT, Written};

pub(crate) use hash::ContentHash;

use dir::DirStore;
use s3::S3Store;

/// An object store. Cheap to clone; all clones share their connections.
#[derive(Clone)]
pub struct Store {
    backend: Backend,
    /// Whether what is written is hashed and counted, and not kept.
    discards: bool,
}

#[derive(Clone)]
enum Backend {
    S3(Arc<S3Store>),
    Dir(Arc<DirStore>),
}

/// What the store knows of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its key, relative to the store's URL.
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// Changes whenever the object is replaced.
    pub etag: String,
    /// When it was written, if the store says so.
    pub modified: Option<SystemTime>,
    /// User metadata, names in lower case; empty in listings and for local directories.
    pub metadata: BTreeMap<String, String>,
}

/// What came of deleting all below a prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// How many objects were deleted.
    pub objects: u64,
    /// Why older versions of them stay in the bucket; None when there are none, or they went.
    pub kept_versions: Option<String>,
}

impl Store {
    /// A store in a local directory, which is created when needed.
    ///
    /// # Errors
    /// Fails when the directory cannot be made.
    pub fn in_directory(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        Ok(Self { backend: Backend::Dir(Arc::new(DirStore::new(root.into())?)), discards: false })
    }

    /// The same store, for work that is costly to do again: each request, and each part of an object, waits for a store that
    /// is away, overloaded or full, for at most so long; and goes on within 15 seconds after its return. Without a limit
    /// above zero it is as impatient as before.
    #[must_use]
    pub fn patient(&self, limit: Duration) -> Self {
        match &self.backend {
            Backend::S3(s3) if !limit.is_zero() => {
                Self { backend: Backend::S3(Arc::new(s3.patient(limit))), discards: self.discards }
            }
            _ => self.clone(),
        }
    }

    /// The same store, with at most so many parts of [`FIRST_PART_BYTES`] on their way at once, of all objects that are written:
    /// it bounds the memory that they take in all.
    #[must_use]
    pub fn with_parts_at_once(&self, parts: usize) -> Self {
        match &self.backend {
            Backend::S3(s3) => {
                Self { backend: Backend::S3(Arc::new(s3.with_parts_at_once(parts))), discards: self.discards }
            }
            Backend::Dir(_) => self.clone(),
        }
    }

    /// The same store to read from. What [`Store::writer`] writes to it is hashed and counted, but not kept; and no object is
    /// deleted by [`Store::delete`]: to learn of data whether it is what is there already.
    #[must_use]
    pub fn discarding(&self) -> Self {
        Self { discards: true, ..self.clone() }
    }

    fn is_patient(&self) -> bool {
        matches!(&self.backend, Backend::S3(s3) if s3.is_patient())
    }

    /// While a patient store is waited for: what is wrong, since when, and what happens next, in a sentence.
    pub fn waiting(&self) -> Option<String> {
        match &self.backend {
            Backend::S3(s3) => s3.waiting(),
            Backend::Dir(_) => None,
        }
    }

    /// What is known of an object, or None if there is none.
    ///
    /// # Errors
    /// Fails when the key is invalid or the store does not answer.
    pub async fn head(&self, key: &str) -> Result<Option<ObjectInfo>, StoreError> {
        key::check(key)?;
        match &self.backend {
            Backend::S3(s3) => s3.head(key).await,
            Backend::Dir(dir) => dir.head(key).await,
        }
    }

    /// An object's bytes, as a stream.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is none. The stream itself fails when it ends early.
    pub async fn get(&self, key: &str) -> Result<(ObjectInfo, ObjectReader), StoreError> {
        key::check(key)?;
        match &self.backend {
            Backend::S3(s3) => s3.get(key).await,
            Backend::Dir(dir) => dir.get(key).await,
        }
    }

    /// A range of an object's bytes, as a stream.
    ///
    /// # Errors
    /// As [`Store::get`]; also when the object ends before the range does.
    pub async fn get_range(&self, key: &str, range: Range<u64>) -> Result<ObjectReader, StoreError> {
        key::check(key)?;
        if range.is_empty() {
            return Ok(ObjectReader::empty());
        }
        match &self.backend {
            Backend::S3(s3) => s3.get_range(key, range, None).await,
            Backend::Dir(dir) => dir.get_range(key, range).await,
        }
    }

    /// A whole small object.
    ///
    /// # Errors
    /// As [`Store::get`]; [`StoreError::TooLarge`] when it has more than `max_bytes`.
    pub async fn read_small(&self, key: &str, max_bytes: u64) -> Result<Vec<u8>, StoreError> {
        let (info, mut reader) = self.get(key).await?;
        if info.bytes > max_bytes {
            return Err(StoreError::TooLarge { key: key.into(), bytes: info.bytes, max_bytes });
        }
        let mut content = Vec::with_capacity(usize::try_from(info.bytes).unwrap_or(0));
        while let Some(chunk) = reader.try_next().await? {
            content.extend_from_slice(&chunk);
        }
        Ok(content)
    }

    /// Writes a small object at once, replacing what was there.
    ///
    /// # Errors
    /// Fails when the key is invalid or the store does not answer.
    pub async fn put_small(&self, key: &str, content: Bytes, content_type: &str) -> Result<(), StoreError> {
        key::check(key)?;
        match &self.backend {
            Backend::S3(s3) => s3.put(key, content, content_type, false).await.map(drop),
            Backend::Dir(dir) => dir.put(key, content, false).await.map(drop),
        }
    }

    /// Writes a small object unless there is one already; of several at once, one wins. Tells whether it was written.
    ///
    /// # Errors
    /// Fails when the key is invalid or the store does not answer.
    pub async fn put_if_absent(
        &self,
        key: &str,
        content: Bytes,
        content_type: &str,
    ) -> Result<bool, StoreError> {
        key::check(key)?;
        match &self.backend {
            Backend::S3(s3) => s3.put(key, content, content_type, true).await,
            Backend::Dir(dir) => dir.put(key, content, true).await,
        }
    }

    /// Starts writing an object of any size. Nothing is seen under the key before [`ObjectWriter::finish`].
    ///
    /// # Errors
    /// Fails when the key is invalid.
    pub async fn writer(&self, key: &str) -> Result<ObjectWriter, StoreError> {
        key::check(key)?;
        match &self.backend {
            _ if self.discards => Ok(ObjectWriter::discarding(key)),
            Backend::S3(s3) => Ok(ObjectWriter::s3(Arc::clone(s3), key)),
            Backend::Dir(dir) => ObjectWriter::dir(dir, key).await,
        }
    }

    /// All objects whose keys start with a prefix, in the order of their keys.
    pub fn list(&self, prefix: &str) -> BoxStream<'static, Result<ObjectInfo, StoreError>> {
        if let Err(error) = key::check_prefix(prefix) {
            return Box::pin(futures::stream::once(async { Err(error) }));
        }
        match &self.backend {
            Backend::S3(s3) => Arc::clone(s3).list(prefix.to_owned()),
            Backend::Dir(dir) => Arc::clone(dir).list(prefix.to_owned()),
        }
    }

    /// Deletes an object; it is no error when there is none.
    ///
    /// # Errors
    /// Fails when the key is invalid or the store does not answer.
    pub async fn delete(&self, key: &str) -> Result<(), StoreError> {
        key::check(key)?;
        match &self.backend {
            _ if self.discards => Ok(()),
            Backend::S3(s3) => s3.delete(key).await,
            Backend::Dir(dir) => dir.delete(key).await,
        }
    }

    /// The names of the folders directly below a prefix that ends in `/`. Those that hold nothing but unfinished uploads may be
    /// missing.
    pub fn folders(&self, prefix: &str) -> BoxStream<'static, Result<String, StoreError>> {
        let checked = match prefix.ends_with('/') {
            true => key::check_prefix(prefix),
            false => {
                Err(StoreError::InvalidKey { key: prefix.into(), why: "a folder's prefix must end in '/'" })
            }
        };
        if let Err(error) = checked {
            return Box::pin(futures::stream::once(async { Err(error) }));
        }
        match &self.backend {
            Backend::S3(s3) => Arc::clone(s3).folders(prefix.to_owned()),
            Backend::Dir(dir) => Arc::clone(dir).folders(prefix.to_owned()),
        }
    }

    /// Deletes all objects below a prefix, what unfinished uploads have left there, and older versions, as far as the bucket
    /// has any and the store permits that.
    ///
    /// # Errors
    /// Fails when the prefix does not end in `/`, or the store does not answer; some objects may be gone then.
    pub async fn delete_prefix(&self, prefix: &str) -> Result<Deleted, StoreError> {
        key::check_prefix(prefix)?;
        if !prefix.ends_with('/') {
            return Err(StoreError::InvalidKey {
                key: prefix.into(),
                why: "a prefix to delete must end in '/'",
            });
        }
        match &self.backend {
            Backend::S3(s3) => s3.delete_prefix(prefix).await,
            Backend::Dir(dir) => dir.delete_prefix(prefix).await,
        }
    }

    /// Gives up uploads to keys below a prefix that were begun before a time and never finished: their parts are no
    /// objects, but take space. Tells how many.
    ///
    /// # Errors
    /// Fails when the prefix is invalid or the store does not answer.
    pub async fn abort_unfinished(&self, prefix: &str, before: SystemTime) -> Result<u64, StoreError> {
        key::check_prefix(prefix)?;
        match &self.backend {
            Backend::S3(s3) => s3.abort_unfinished(prefix, before).await,
            // a file that is not finished has no key yet
            Backend::Dir(_) => Ok(0),
        }
    }

    /// Whether the store can be reached and used. Creates a missing bucket when that is switched on.
    ///
    /// # Errors
    /// Fails when it cannot.
    pub async fn check(&self) -> Result<(), StoreError> {
        match &self.backend {
            Backend::S3(s3) => s3.check().await,
            Backend::Dir(dir) => dir.check().await,
        }
    }

    /// Where the objects are, when the store is in S3.
    pub fn s3_place(&self) -> Option<S3Place> {
        match &self.backend {
            Backend::S3(s3) => Some(s3.place()),
            Backend::Dir(_) => None,
        }
    }

    /// The file that holds an object, when the store is a local directory.
    pub fn local_path(&self, key: &str) -> Option<PathBuf> {
        match &self.backend {
            Backend::Dir(dir) if key::check(key).is_ok() => Some(dir.path(key)),
            _ => None,
        }
    }
}

/// Where a store is in S3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Place {
    /// The bucket.
    pub bucket: String,
    /// What stands before each key there: empty, or ending in `/`.
    pub prefix: String,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.backend {
            Backend::S3(s3) => write!(f, "Store({})", s3.url()),
            Backend::Dir(dir) => write!(f, "Store(file://{})", dir.root().display()),
        }
    }
}
