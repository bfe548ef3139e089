//! Objects for code that does not wait asynchronously: it must run on a thread of its own (`spawn_blocking`).

use std::io::{self, Read, Write};

use bytes::{Buf, Bytes};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;

use super::{ObjectWriter, Store, StoreError, Written};

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

/// Reads an object, a piece at a time, and holds no connection between the pieces: any number can be open.
///
/// The last read fails unless size and SHA-256 are the expected ones.
pub struct BlockingReader {
    store: Store,
    key: String,
    expected: Written,
    piece_bytes: u64,
    piece: Bytes,
    /// Bytes fetched so far.
    fetched: u64,
    hash: Sha256,
    runtime: Handle,
}

/// An object is not the one that was written.
#[derive(Debug, thiserror::Error)]
#[error("the object \"{key}\" in the store is not the one that was written: its content has changed")]
pub struct ChangedContent {
    key: String,
}

impl BlockingReader {
    /// Opens an object that was written before, to be read in pieces of this size; call it within the runtime.
    pub fn new(store: &Store, key: &str, expected: Written, piece_bytes: u64) -> Self {
        Self {
            store: store.clone(),
            key: key.into(),
            expected,
            piece_bytes: piece_bytes.max(1),
            piece: Bytes::new(),
            fetched: 0,
            hash: Sha256::new(),
            runtime: Handle::current(),
        }
    }

    fn fetch(&mut self) -> io::Result<()> {
        let end = self.expected.bytes.min(self.fetched + self.piece_bytes);
        let fetched = self.runtime.block_on(self.store.fetch(&self.key, self.fetched, end, None));
        self.piece = fetched.map_err(io::Error::other)?;
        self.hash.update(&self.piece);
        self.fetched = end;
        if end == self.expected.bytes && hex::encode(self.hash.finalize_reset()) != self.expected.sha256 {
            self.piece = Bytes::new();
            return Err(io::Error::other(ChangedContent { key: self.key.clone() }));
        }
        Ok(())
    }
}

impl Read for BlockingReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() && self.fetched < self.expected.bytes {
            self.fetch()?;
        }
        let length = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}
