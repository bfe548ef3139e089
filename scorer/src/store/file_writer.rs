use std::fs::File;
use std::io::{self, Write};

use tokio::task::JoinHandle;

use super::dir::joined;

/// How much is handed to the thread that writes at a time: enough that handing it over costs nothing beside writing it.
const PIECE_BYTES: usize = 1 << 20;

/// Writes a file on another thread, a piece at a time, while the next piece is filled.
pub(super) struct FileWriter {
    filling: Vec<u8>,
    writing: Writing,
}

/// The file, and an empty buffer for the piece after the next.
enum Writing {
    Idle(File, Vec<u8>),
    Busy(JoinHandle<io::Result<(File, Vec<u8>)>>),
    /// A piece could not be written.
    Failed,
}

impl FileWriter {
    /// Writes from where the file stands.
    pub fn new(file: File) -> Self {
        let buffer = || Vec::with_capacity(PIECE_BYTES);
        Self { filling: buffer(), writing: Writing::Idle(file, buffer()) }
    }

    /// Takes the next bytes; waits when the file is slower than the caller.
    ///
    /// # Errors
    /// Those of an earlier piece.
    pub async fn write(&mut self, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            let room = PIECE_BYTES - self.filling.len();
            let (now, later) = data.split_at(room.min(data.len()));
            self.filling.extend_from_slice(now);
            data = later;
            if self.filling.len() == PIECE_BYTES {
                self.hand_over().await?;
            }
        }
        Ok(())
    }

    /// Waits until all is written.
    ///
    /// # Errors
    /// When some of it could not be.
    pub async fn finish(mut self) -> io::Result<()> {
        self.hand_over().await?;
        self.written().await.map(drop)
    }

    async fn hand_over(&mut self) -> io::Result<()> {
        let (mut file, empty) = self.written().await?;
        let mut piece = std::mem::replace(&mut self.filling, empty);
        self.writing = Writing::Busy(tokio::task::spawn_blocking(move || {
            file.write_all(&piece)?;
            piece.clear();
            Ok((file, piece))
        }));
        Ok(())
    }

    /// Waits for the piece that is being written.
    async fn written(&mut self) -> io::Result<(File, Vec<u8>)> {
        match std::mem::replace(&mut self.writing, Writing::Failed) {
            Writing::Idle(file, empty) => Ok((file, empty)),
            Writing::Busy(task) => joined(task.await),
            Writing::Failed => Err(io::Error::other("an earlier part could not be written")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pieces_of_any_size_make_one_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut writer = FileWriter::new(file.reopen().unwrap());
        let content: Vec<u8> = (0..3 * PIECE_BYTES + 17).map(|at| (at % 251) as u8).collect();
        let mut rest = content.as_slice();
        for size in [0, 1, PIECE_BYTES - 1, PIECE_BYTES, 1000, usize::MAX] {
            let (now, later) = rest.split_at(size.min(rest.len()));
            writer.write(now).await.unwrap();
            rest = later;
        }
        writer.finish().await.unwrap();
        assert_eq!(std::fs::read(file.path()).unwrap(), content);
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_an_error_at_the_latest_at_the_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        // opened for reading alone
        let mut writer = FileWriter::new(File::open(file.path()).unwrap());
        writer.write(b"abc").await.unwrap();
        assert!(writer.finish().await.is_err());
    }
}
