//! Objects for code that does not wait asynchronously: it must run on a thread of its own (`spawn_blocking`).

use std::io::{self, Read, Write};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

use super::{ContentHash, ObjectWriter, Store, StoreError, Written};

/// Writes an object. Give it large pieces: see [`std::io::BufWriter`].
pub struct BlockingWriter {
    writer: ObjectWriter,
    runtime: Handle,
}

impl BlockingWriter {
    /// Wraps a writer; call it within the runtime.
    pub fn new(writer: ObjectWriter) -> Self {
        Self { writer, runtime: Handle::current() }
    }

    /// Makes the object visible.
    ///
    /// # Errors
    /// As [`ObjectWriter::finish`].
    pub fn finish(self) -> Result<Written, StoreError> {
        self.runtime.block_on(self.writer.finish())
    }
}

impl Write for BlockingWriter {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.runtime.block_on(self.writer.write(data)).map_err(io::Error::other)?;
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads an object, a piece at a time; while one is read, the next is fetched. It holds no connection between the pieces, so
/// that any number of readers can be open. Memory: two pieces.
///
/// The last read fails unless size and hash are the expected ones.
pub struct BlockingReader {
    object: Arc<Expected>,
    piece: Bytes,
    /// The piece after this one: None before the first read, and after the last.
    next: Option<AbortOnDropHandle<io::Result<Piece>>>,
    has_begun: bool,
    runtime: Handle,
}

/// The object, and what it should be.
struct Expected {
    store: Store,
    key: String,
    written: Written,
    piece_bytes: u64,
}

/// Some bytes of the object.
struct Piece {
    content: Bytes,
    /// Where they end.
    end: u64,
    /// Of all bytes up to there.
    hash: ContentHash,
}

/// An object is not the one that was written.
#[derive(Debug, thiserror::Error)]
#[error("the object \"{key}\" in the store is not the one that was written: its content has changed")]
pub struct ChangedContent {
    key: String,
}

impl Expected {
    /// Fetches the piece that begins where the bytes of this hash end.
    async fn fetch(&self, start: u64, mut hash: ContentHash) -> io::Result<Piece> {
        let end = self.written.bytes.min(start + self.piece_bytes);
        let content = self.store.fetch(&self.key, start, end, None).await.map_err(io::Error::other)?;
        hash.update(&content);
        if end == self.written.bytes && hash.hex() != self.written.blake3 {
            return Err(io::Error::other(ChangedContent { key: self.key.clone() }));
        }
        Ok(Piece { content, end, hash })
    }
}

impl BlockingReader {
    /// Opens an object that was written before, to be read in pieces of this size; call it within the runtime.
    pub fn new(store: &Store, key: &str, expected: Written, piece_bytes: u64) -> Self {
        let (store, key, piece_bytes) = (store.clone(), key.to_owned(), piece_bytes.max(1));
        Self {
            object: Arc::new(Expected { store, key, written: expected, piece_bytes }),
            piece: Bytes::new(),
            next: None,
            has_begun: false,
            runtime: Handle::current(),
        }
    }

    /// Begins to fetch a piece, unless there is none.
    fn begin(&mut self, start: u64, hash: ContentHash) {
        if start < self.object.written.bytes {
            let object = Arc::clone(&self.object);
            let fetching = self.runtime.spawn(async move { object.fetch(start, hash).await });
            self.next = Some(AbortOnDropHandle::new(fetching));
        }
    }

    /// Waits for the next piece, and begins to fetch the one after it.
    fn advance(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.has_begun, true) {
            self.begin(0, ContentHash::new());
        }
        if let Some(next) = self.next.take() {
            let Piece { content, end, hash } = self.runtime.block_on(next).map_err(io::Error::other)??;
            self.piece = content;
            self.begin(end, hash);
        }
        Ok(())
    }
}

impl Read for BlockingReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() {
            self.advance()?;
        }
        let length = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads an object of 1,000 bytes in pieces of a size, expecting this of it.
    async fn read(content: &[u8], expected: Written, piece_bytes: u64) -> io::Result<Vec<u8>> {
        let folder = tempfile::tempdir()?;
        let store = Store::in_directory(folder.path()).map_err(io::Error::other)?;
        let put = store.put_small("a/b", Bytes::copy_from_slice(content), "text/plain").await;
        put.map_err(io::Error::other)?;
        let mut reader = BlockingReader::new(&store, "a/b", expected, piece_bytes);
        let reading = tokio::task::spawn_blocking(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).map(|_| all)
        });
        reading.await?
    }

    fn written(content: &[u8]) -> Written {
        Written { bytes: content.len() as u64, blake3: blake3::hash(content).to_hex().to_string() }
    }

    fn content() -> Vec<u8> {
        (0..1000u32).map(|at| (at % 251) as u8).collect()
    }

    #[tokio::test]
    async fn pieces_of_any_size_make_the_whole() {
        let content = content();
        for piece_bytes in [0, 1, 7, 500, 999, 1000, 1001, u64::MAX / 2] {
            assert_eq!(
                read(&content, written(&content), piece_bytes).await.unwrap(),
                content,
                "{piece_bytes}"
            );
        }
        assert!(read(b"", written(b""), 10).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn other_content_is_an_error_and_so_is_less() {
        let content = content();
        for at in [0, 500, 999] {
            let mut changed = content.clone();
            changed[at] ^= 1;
            let error = read(&changed, written(&content), 300).await.unwrap_err();
            assert!(error.get_ref().is_some_and(|inner| inner.is::<ChangedContent>()), "{error}");
        }
        assert!(read(&content[..999], written(&content), 300).await.is_err());
    }
}
