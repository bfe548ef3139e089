//! Whole files to the store, and back.

use std::path::Path;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Backend, ContentHash, Store, StoreError, Written};

/// Bytes fetched by one request, and how many requests run at once: they bound the memory of a download.
const RANGE_BYTES: u64 = 8 << 20;
const RANGES_AT_ONCE: usize = 3;
const READ_BYTES: usize = 1 << 20;
const ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(200);

impl Store {
    /// Copies an object into a new local file.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is none, [`StoreError::Replaced`] when it is replaced meanwhile.
    pub async fn download_to(&self, key: &str, path: &Path) -> Result<Written, StoreError> {
        let info = self.head(key).await?.ok_or_else(|| StoreError::NotFound { key: key.into() })?;
        let to_file = || StoreError::file(format!("the file {} cannot be written", path.display()));
        let mut file = tokio::fs::File::create(path).await.map_err(|error| to_file()(error))?;
        let mut hash = ContentHash::new();
        let starts = (0..info.bytes).step_by(RANGE_BYTES as usize);
        let mut chunks = stream::iter(starts)
            .map(|start| self.fetch(key, start, info.bytes.min(start + RANGE_BYTES), Some(&info.etag)))
            .buffered(RANGES_AT_ONCE);
        while let Some(chunk) = chunks.try_next().await? {
            hash.update(&chunk);
            file.write_all(&chunk).await.map_err(|error| to_file()(error))?;
        }
        file.flush().await.map_err(|error| to_file()(error))?;
        Ok(Written { bytes: info.bytes, blake3: hash.hex() })
    }

    /// One range, tried again when the connection breaks within the body, which the client itself does not do.
    pub(super) async fn fetch(
        &self,
        key: &str,
        start: u64,
        end: u64,
        etag: Option<&str>,
    ) -> Result<bytes::Bytes, StoreError> {
        let attempts = if self.is_patient() { 1 } else { ATTEMPTS };
        let mut attempt = 1;
        loop {
            let reader = match &self.backend {
                Backend::S3(s3) => s3.get_range(key, start..end, etag).await,
                Backend::Dir(dir) => dir.get_range(key, start..end).await,
            };
            let fetched = match reader {
                Ok(reader) => reader.read_to_end().await,
                Err(error) => return Err(error),
            };
            match fetched {
                Err(error) if error.is_transient() && attempt < attempts => {
                    tracing::warn!(key, start, attempt, %error, "reading again");
                    tokio::time::sleep(PAUSE * attempt).await;
                    attempt += 1;
                }
                fetched => return fetched,
            }
        }
    }

    /// Copies a local file into the store.
    ///
    /// # Errors
    /// Fails when the file cannot be read or the store does not take it.
    pub async fn upload_from(&self, path: &Path, key: &str) -> Result<Written, StoreError> {
        let from_file = || StoreError::file(format!("the file {} cannot be read", path.display()));
        let mut file = tokio::fs::File::open(path).await.map_err(|error| from_file()(error))?;
        let mut writer = self.writer(key).await?;
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let read = file.read(&mut buffer).await.map_err(|error| from_file()(error))?;
            if read == 0 {
                return writer.finish().await;
            }
            writer.write(&buffer[..read]).await?;
        }
    }
}
