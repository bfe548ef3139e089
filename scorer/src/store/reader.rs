use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt};
use tokio_util::io::ReaderStream;

use super::StoreError;

const FILE_READ_BYTES: usize = 256 << 10;

/// The bytes of an object, or of a range of it; fails when they end early.
pub struct ObjectReader {
    key: String,
    chunks: BoxStream<'static, Result<Bytes, StoreError>>,
    expected: u64,
    got: u64,
}

impl ObjectReader {
    pub(super) fn new(
        key: &str,
        expected: u64,
        chunks: impl Stream<Item = Result<Bytes, StoreError>> + Send + 'static,
    ) -> Self {
        Self { key: key.into(), chunks: chunks.boxed(), expected, got: 0 }
    }

    /// The bytes of a local file.
    ///
    /// # Errors
    /// Fails when it cannot be opened.
    pub async fn of_file(path: &Path) -> std::io::Result<Self> {
        let file = tokio::fs::File::open(path).await?;
        let metadata = file.metadata().await?;
        if !metadata.is_file() {
            return Err(std::io::Error::other("it is no file"));
        }
        let name = path.display().to_string();
        let what = format!("the file {name} cannot be read");
        let chunks = ReaderStream::with_capacity(file, FILE_READ_BYTES)
            .map_err(move |source| StoreError::File { what: what.clone(), source });
        Ok(Self::new(&name, metadata.len(), chunks))
    }

    pub(super) fn empty() -> Self {
        Self::new("", 0, futures::stream::empty())
    }

    /// How many bytes the whole stream has.
    pub fn bytes(&self) -> u64 {
        self.expected
    }

    /// Reads all that is left into memory: only for what is known to be small.
    ///
    /// # Errors
    /// As the stream itself.
    pub async fn read_to_end(mut self) -> Result<Bytes, StoreError> {
        let mut all = Vec::with_capacity(usize::try_from(self.expected - self.got).unwrap_or(0));
        while let Some(chunk) = self.try_next().await? {
            all.extend_from_slice(&chunk);
        }
        Ok(all.into())
    }
}

impl Stream for ObjectReader {
    type Item = Result<Bytes, StoreError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.chunks.poll_next_unpin(context);
        match &polled {
            Poll::Ready(Some(Ok(chunk))) => self.got += chunk.len() as u64,
            Poll::Ready(None) if self.got != self.expected => {
                let (expected, got) = (self.expected, self.got);
                self.expected = got; // the next poll ends the stream
                return Poll::Ready(Some(Err(StoreError::Truncated {
                    key: self.key.clone(),
                    expected,
                    got,
                })));
            }
            _ => {}
        }
        polled
    }
}
