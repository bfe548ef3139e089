use std::borrow::Cow;
use std::io;
use std::ops::Range;

use super::Error;
use super::kernel::room;

/// The smallest encoding that is supported, in bytes.
pub const MIN_ENCODING_BYTES: usize = 8;
/// The largest encoding that is supported, in bytes.
pub const MAX_ENCODING_BYTES: usize = 1024;
/// Words of a cache line.
const LINE_WORDS: usize = 8;

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

    /// The words of all records, back to back, if they are in memory anyway: then they need not be copied, which is
    /// several times as fast for records in tiny blocks.
    fn words(&self) -> Option<&[u64]> {
        None
    }

    /// Appends the words of some records, in the order given.
    fn gather(&self, records: &[u32], words: &mut Vec<u64>) -> io::Result<()> {
        records.iter().try_for_each(|&record| self.read(record..record + 1, words))
    }
}

/// A data set in memory, borrowed or owned.
#[derive(Clone, Debug)]
pub struct Encodings<'a> {
    words: Cow<'a, [u64]>,
    /// Where the first record starts.
    start: usize,
    /// Words of one encoding.
    width: usize,
    records: u32,
}

impl<'a> Encodings<'a> {
    /// Encodings back to back as words. Those that are owned are moved by a few bytes, to where a cache line begins:
    /// so that as few of them as possible have to be fetched when records are read in any order.
    pub fn new(words: impl Into<Cow<'a, [u64]>>, encoding_bytes: usize) -> Result<Self, Error> {
        let mut words = words.into();
        let records = whole_records(words.len() as u64 * 8, encoding_bytes)?;
        let start = match &mut words {
            Cow::Owned(words) => align(words),
            Cow::Borrowed(_) => 0,
        };
        Ok(Self { words, start, width: encoding_bytes / 8, records })
    }

    /// Encodings back to back as bytes, copied.
    ///
    /// ```
    /// use linkage_engine::{EncodingSource, Encodings};
    /// assert_eq!(Encodings::from_bytes(&[0; 48], 16).unwrap().records(), 3);
    /// assert!(Encodings::from_bytes(&[0; 47], 16).is_err());
    /// ```
    pub fn from_bytes(bytes: &[u8], encoding_bytes: usize) -> Result<Encodings<'static>, Error> {
        whole_records(bytes.len() as u64, encoding_bytes)?;
        let mut words = room(bytes.len() / 8 + LINE_WORDS);
        append_words(bytes, &mut words);
        Encodings::new(words, encoding_bytes)
    }

    /// Reads all of a source.
    pub(super) fn load(source: &dyn EncodingSource) -> io::Result<Encodings<'static>> {
        let mut words = room(source.records() as usize * source.encoding_bytes() / 8 + LINE_WORDS);
        source.read(0..source.records(), &mut words)?;
        let encodings = Encodings::new(words, source.encoding_bytes()).map_err(io::Error::other)?;
        if encodings.records != source.records() {
            return Err(fewer_than_announced());
        }
        Ok(encodings)
    }

    /// The words of one record. Panics if there is no such record.
    pub fn record(&self, record: u32) -> &[u64] {
        &self.all()[record as usize * self.width..][..self.width]
    }

    fn all(&self) -> &[u64] {
        &self.words[self.start..]
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
            &self.all()[records.start as usize * self.width..records.end as usize * self.width],
        );
        Ok(())
    }

    fn words(&self) -> Option<&[u64]> {
        Some(self.all())
    }
}

/// Moves the words to where a cache line begins, and tells where that is.
fn align(words: &mut Vec<u64>) -> usize {
    let length = words.len();
    words.reserve_exact(LINE_WORDS);
    let start = words.as_ptr().align_offset(LINE_WORDS * 8);
    // the standard library may refuse to tell
    if start == 0 || start >= LINE_WORDS {
        return 0;
    }
    words.resize(length + start, 0);
    words.copy_within(..length, start);
    start
}

/// What is wrong with a source that does not give as many encodings as it says that there are.
pub(super) fn fewer_than_announced() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "not as many encodings as announced")
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
