//! Writes an object of any size in bounded memory.

use std::path::PathBuf;
use std::sync::Arc;

use super::StoreError;
use super::dir::{DirStore, create_parent, joined, writing};
use super::file_writer::FileWriter;
use super::hash::ContentHash;
use super::s3::{S3Store, S3Upload};

pub use super::s3::{FIRST_PART_BYTES, PARTS_IN_FLIGHT};

/// What has been written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Size in bytes.
    pub bytes: u64,
    /// BLAKE3, in hex.
    pub blake3: String,
}

/// An object that is being written. Nothing is seen under its key before [`ObjectWriter::finish`];
/// dropping the writer gives up, and removes in the background what was written.
///
/// Holds at most one part that is filled and [`PARTS_IN_FLIGHT`] that are sent, of [`FIRST_PART_BYTES`]
/// each; objects above 10 GB have larger parts.
pub struct ObjectWriter {
    key: String,
    hash: ContentHash,
    bytes: u64,
    sink: Sink,
}

enum Sink {
    S3(S3Upload),
    Dir { file: FileWriter, partial: tempfile::TempPath, path: PathBuf },
    Nowhere,
}

impl ObjectWriter {
    pub(super) fn s3(store: Arc<S3Store>, key: &str) -> Self {
        Self::new(key, Sink::S3(S3Upload::new(store, key)))
    }

    pub(super) async fn dir(store: &DirStore, key: &str) -> Result<Self, StoreError> {
        let (file, partial) = store.start(key).await?.into_parts();
        Ok(Self::new(key, Sink::Dir { file: FileWriter::new(file), partial, path: store.path(key) }))
    }

    pub(super) fn discarding(key: &str) -> Self {
        Self::new(key, Sink::Nowhere)
    }

    fn new(key: &str, sink: Sink) -> Self {
        Self { key: key.into(), hash: ContentHash::new(), bytes: 0, sink }
    }

    /// The key under which the object will be seen.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// How many bytes have been taken so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes the next bytes; waits when the store is slower than the caller.
    ///
    /// # Errors
    /// Fails when the store does not take them. The object is lost then.
    pub async fn write(&mut self, data: &[u8]) -> Result<(), StoreError> {
        self.hash.update(data);
        self.bytes += data.len() as u64;
        match &mut self.sink {
            Sink::S3(upload) => upload.write(data).await,
            Sink::Dir { file, .. } => file.write(data).await.map_err(writing(&self.key)),
            Sink::Nowhere => Ok(()),
        }
    }

    /// Makes the object visible, replacing what was under its key.
    ///
    /// # Errors
    /// Fails when the store does not take it; nothing is visible then.
    pub async fn finish(self) -> Result<Written, StoreError> {
        match self.sink {
            Sink::S3(upload) => upload.finish(self.bytes).await?,
            Sink::Dir { file, partial, path } => {
                file.finish().await.map_err(writing(&self.key))?;
                let persisted = tokio::task::spawn_blocking(move || {
                    create_parent(&path)?;
                    partial.persist(&path).map_err(|refused| refused.error)
                });
                joined(persisted.await).map_err(writing(&self.key))?;
            }
            Sink::Nowhere => {}
        }
        Ok(Written { bytes: self.bytes, blake3: self.hash.hex() })
    }

    /// Gives up, and waits until what was written is gone.
    pub async fn abort(self) {
        if let Sink::S3(upload) = self.sink {
            upload.abort().await;
        }
    }
}
