use std::borrow::Cow;
use std::io;
use std::ops::Range;

use super::Error;

/// The smallest encoding that is supported, in bytes.
pub const MIN_ENCODING_BYTES: usize = 8;
/// The largest encoding that is supported, in bytes.
pub const MAX_ENCODING_BYTES: usize = 1024;

/// One data set: encodings of one size, numbered from 0, that can be read in any order from any thread.
///
/// An encoding is a row of 64-bit words: its bytes, eight at a time, little-endian.
pub trait EncodingSource: Sync {
    /// How many records there are.
    fn records(&self) -> u32;

    /// Bytes of one encoding, a multiple of 8.
    fn encoding_bytes(&self) -> usize;

    /// Appends the words of a range of records. The range lies within [`Self::records`].
    fn read(&self, records: Range<u32>, words: &mut Vec<u64>) -> io::Result<()>;

    /// Appends the words of some records, in the order given.
    fn gather(&self, records: &[u32], words: &mut Vec<u64>) -> io::Result<()> {
        records.iter().try_for_each(|&record| self.read(record..record + 1, words))
    }
}

/// A data set in memory, borrowed or owned.
#[derive(Clone, Debug)]
pub struct Encodings<'a> {
    words: Cow<'a, [u64]>,
    /// Words of one encoding.
    width: usize,
    records: u32,
}

impl<'a> Encodings<'a> {
    /// Encodings back to back as words.
    pub fn new(words: impl Into<Cow<'a, [u64]>>, encoding_bytes: usize) -> Result<Self, Error> {
        let words = words.into();
        let records = whole_records(words.len() as u64 * 8, encoding_bytes)?;
        Ok(Self { words, width: encoding_bytes / 8, records })
    }

    /// Encodings back to back as bytes, copied.
    ///
    /// ```
    /// use linkage_engine::{EncodingSource, Encodings};
    /// assert_eq!(Encodings::from_bytes(&[0; 48], 16).unwrap().records(), 3);
    /// assert!(Encodings::from_bytes(&[0; 47], 16).is_err());
    /// ```
    pub fn from_bytes(bytes: &[u8], encoding_bytes: usize) -> Result<Encodings<'static>, Error> {
        let records = whole_records(bytes.len() as u64, encoding_bytes)?;
        let mut words = Vec::with_capacity(bytes.len() / 8);
        append_words(bytes, &mut words);
        Ok(Encodings { words: words.into(), width: encoding_bytes / 8, records })
    }

    /// The words of one record. Panics if there is no such record.
    pub fn record(&self, record: u32) -> &[u64] {
        &self.words[record as usize * self.width..][..self.width]
    }
}

impl EncodingSource for Encodings<'_> {
    fn records(&self) -> u32 {
        self.records
    }

    fn encoding_bytes(&self) -> usize {
        self.width * 8
    }

    fn read(&self, records: Range<u32>, words: &mut Vec<u64>) -> io::Result<()> {
        words.extend_from_slice(
            &self.words[records.start as usize * self.width..records.end as usize * self.width],
        );
        Ok(())
    }
}

/// How many encodings these bytes are.
pub(super) fn whole_records(bytes: u64, encoding_bytes: usize) -> Result<u32, Error> {
    check_encoding_bytes(encoding_bytes)?;
    if !bytes.is_multiple_of(encoding_bytes as u64) {
        return Err(Error::Truncated { bytes, encoding_bytes });
    }
    let records = bytes / encoding_bytes as u64;
    u32::try_from(records).map_err(|_| Error::TooManyRecords(records))
}

/// Whether encodings of this size are supported.
pub(super) fn check_encoding_bytes(encoding_bytes: usize) -> Result<(), Error> {
    let supported = (MIN_ENCODING_BYTES..=MAX_ENCODING_BYTES).contains(&encoding_bytes)
        && encoding_bytes.is_multiple_of(8);
    if supported { Ok(()) } else { Err(Error::EncodingSize(encoding_bytes)) }
}

/// Appends bytes as little-endian words; their number is a multiple of 8.
pub(super) fn append_words(bytes: &[u8], words: &mut Vec<u64>) {
    let (chunks, _) = bytes.as_chunks::<8>();
    words.extend(chunks.iter().map(|chunk| u64::from_le_bytes(*chunk)));
}
