use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::encodings::{append_words, whole_records};
use super::{EncodingSource, Error};

/// How much is read at a time.
const READ_BYTES: usize = 1 << 18;
/// Records whose starts are at most so far from one another are read together, with what is between them.
const NEAR_BYTES: usize = 1 << 12;

/// A data set in a file: raw encodings, back to back. Only what is asked for is read.
#[derive(Debug)]
pub struct FileEncodings {
    file: File,
    records: u32,
    encoding_bytes: usize,
}

impl FileEncodings {
    /// Opens a file. The dataset index is for messages only.
    pub fn open(path: impl AsRef<Path>, encoding_bytes: usize, dataset: usize) -> Result<Self, Error> {
        let open = || {
            let file = File::open(path)?;
            let bytes = file.metadata()?.len();
            Ok((file, bytes))
        };
        let (file, bytes) = open().map_err(|source| Error::Read { dataset, source })?;
        Ok(Self { file, records: whole_records(bytes, encoding_bytes)?, encoding_bytes })
    }
}

impl EncodingSource for FileEncodings {
    fn records(&self) -> u32 {
        self.records
    }

    fn encoding_bytes(&self) -> usize {
        self.encoding_bytes
    }

    fn read(&self, records: Range<u32>, words: &mut Vec<u64>) -> io::Result<()> {
        let size = self.encoding_bytes as u64;
        let (mut at, end) = (u64::from(records.start) * size, u64::from(records.end) * size);
        let mut buffer = vec![0; READ_BYTES.min((end - at) as usize)];
        words.reserve((end - at) as usize / 8);
        while at < end {
            let part = READ_BYTES.min((end - at) as usize);
            self.file.read_exact_at(&mut buffer[..part], at)?;
            append_words(&buffer[..part], words);
            at += part as u64;
        }
        Ok(())
    }

    fn gather(&self, records: &[u32], words: &mut Vec<u64>) -> io::Result<()> {
        let size = self.encoding_bytes;
        let near = |&one: &u32, &next: &u32| one <= next && (next - one) as usize * size <= NEAR_BYTES;
        let mut buffer = Vec::new();
        for records in records.chunk_by(near).flat_map(|near| near.chunks(READ_BYTES / NEAR_BYTES)) {
            let (first, last) = (records[0], records[records.len() - 1]);
            buffer.resize(((last - first) as usize + 1) * size, 0);
            self.file.read_exact_at(&mut buffer, u64::from(first) * size as u64)?;
            for record in records {
                append_words(&buffer[(record - first) as usize * size..][..size], words);
            }
        }
        Ok(())
    }
}
