use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt};
use tokio_util::io::ReaderStream;

use super::{ContentHash, StoreError};

const FILE_READ_BYTES: usize = 256 << 10;

/// The bytes of an object, or of a range of it; fails when they end early.
pub struct ObjectReader {
    key: String,
    chunks: BoxStream<'static, Result<Bytes, StoreError>>,
    expected: u64,
    got: u64,
    check: Option<Check>,
}

/// What the bytes must turn out to be.
struct Check {
    hash: ContentHash,
    blake3: String,
}

impl ObjectReader {
    pub(super) fn new(
        key: &str,
        expected: u64,
        chunks: impl Stream<Item = Result<Bytes, StoreError>> + Send + 'static,
    ) -> Self {
        Self { key: key.into(), chunks: chunks.boxed(), expected, got: 0, check: None }
    }

    /// The same bytes, but the last of them come only if all together have this BLAKE3, in hex; else the stream fails with
    /// [`StoreError::Changed`]. For whole objects: of a part, no hash is known.
    #[must_use]
    pub fn checked(self, blake3: &str) -> Self {
        Self { check: Some(Check { hash: ContentHash::new(), blake3: blake3.into() }), ..self }
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

    fn is_as_written(&self) -> bool {
        self.check.as_ref().is_none_or(|check| check.hash.hex() == check.blake3)
    }

    /// The failure, which is told once: the next poll ends the stream.
    fn changed(&mut self) -> StoreError {
        self.check = None;
        self.chunks = futures::stream::empty().boxed();
        StoreError::Changed { key: self.key.clone() }
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
            Poll::Ready(Some(Ok(chunk))) => {
                self.got += chunk.len() as u64;
                if let Some(check) = &mut self.check {
                    check.hash.update(chunk);
                }
                // whoever has got as many bytes as were announced looks no further
                if self.got == self.expected && !self.is_as_written() {
                    return Poll::Ready(Some(Err(self.changed())));
                }
            }
            Poll::Ready(None) if self.got != self.expected => {
                let (expected, got) = (self.expected, self.got);
                self.expected = got; // the next poll ends the stream
                return Poll::Ready(Some(Err(StoreError::Truncated {
                    key: self.key.clone(),
                    expected,
                    got,
                })));
            }
            // of an object without bytes
            Poll::Ready(None) if !self.is_as_written() => return Poll::Ready(Some(Err(self.changed()))),
            _ => {}
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(pieces: &[&'static str], blake3: &str) -> Vec<Result<Bytes, StoreError>> {
        let bytes = pieces.iter().map(|piece| piece.len() as u64).sum();
        let chunks: Vec<_> = pieces.iter().map(|piece| Ok(Bytes::from(*piece))).collect();
        let reader = ObjectReader::new("k", bytes, futures::stream::iter(chunks)).checked(blake3);
        reader.collect().await
    }

    fn blake3(content: &str) -> String {
        blake3::hash(content.as_bytes()).to_hex().to_string()
    }

    #[tokio::test]
    async fn the_last_bytes_of_an_object_that_was_changed_never_come() {
        for pieces in [&["ab", "cd", "e"][..], &["abcde"], &["ab", "", "cde", ""], &[]] {
            let content = pieces.concat();
            let whole = read(pieces, &blake3(&content)).await;
            let whole: Vec<u8> = whole.into_iter().flat_map(|chunk| chunk.unwrap()).collect();
            assert_eq!(whole, content.as_bytes());

            let mut changed = read(pieces, &blake3("abcdf")).await;
            let last = changed.pop().unwrap();
            assert!(matches!(last, Err(StoreError::Changed { .. })), "{pieces:?}: {last:?}");
            let before: Vec<u8> = changed.into_iter().flat_map(|chunk| chunk.unwrap()).collect();
            assert!(before.len() < content.len() || content.is_empty(), "{pieces:?}");
        }
    }
}
