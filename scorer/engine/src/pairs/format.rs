use std::io::{self, Read, Write};

use super::{Error, Pair};

/// Bytes before the first pair: version and the widths of score, data set index and record index.
pub const HEADER_BYTES: u64 = 4;
/// Bytes of one pair as [`PairWriter`] writes it.
pub const PAIR_BYTES: u64 = 24;

/// What [`PairWriter`] writes: version 1, scores of 8 bytes, indices of 4.
const HEADER: [u8; HEADER_BYTES as usize] = [1, 8, 4, 4];
/// How much is read at a time.
const READ_BYTES: usize = 1 << 16;
/// How many pairs [`PairReader::read_block`] gives at most: those of many streams shall stay in the processor's cache.
pub(super) const BLOCK_PAIRS: usize = 512;

/// Writes pairs in the format of `anonlink.serialization`: 4 header bytes `1, 8, 4, 4`, then per pair 24 bytes
/// little-endian: score (f64), data set 0, data set 1, record 0, record 1 (u32 each).
///
/// Writes go to `out` as they come: give it a buffered one. The order is the caller's business.
#[derive(Debug)]
pub struct PairWriter<W: Write> {
    out: W,
    pairs: u64,
}

impl<W: Write> PairWriter<W> {
    /// Writes the header.
    pub fn new(mut out: W) -> Result<Self, Error> {
        out.write_all(&HEADER).map_err(|e| Error::io("pairs", e))?;
        Ok(Self { out, pairs: 0 })
    }

    /// Writes one pair.
    pub fn write(&mut self, pair: &Pair) -> Result<(), Error> {
        let mut bytes = [0; PAIR_BYTES as usize];
        bytes[..8].copy_from_slice(&pair.score.to_le_bytes());
        bytes[8..12].copy_from_slice(&pair.dataset0.to_le_bytes());
        bytes[12..16].copy_from_slice(&pair.dataset1.to_le_bytes());
        bytes[16..20].copy_from_slice(&pair.record0.to_le_bytes());
        bytes[20..].copy_from_slice(&pair.record1.to_le_bytes());
        self.out.write_all(&bytes).map_err(|e| Error::io("pairs", e))?;
        self.pairs += 1;
        Ok(())
    }

    /// Pairs written so far.
    pub fn pairs(&self) -> u64 {
        self.pairs
    }

    /// Flushes, and gives the writer back.
    pub fn finish(mut self) -> Result<W, Error> {
        self.out.flush().map_err(|e| Error::io("pairs", e))?;
        Ok(self.out)
    }
}

/// Reads pairs in the format of `anonlink.serialization`, in any widths that package can write: scores of 2, 4
/// or 8 bytes, indices of 1, 2, 4 or 8. An iterator over pairs; after the first error it ends.
///
/// It buffers by itself. Scores outside of [0, 1] and indices beyond 32 bits are refused as corrupt.
#[derive(Debug)]
pub struct PairReader<R: Read> {
    input: R,
    name: String,
    widths: Widths,
    buffer: Vec<u8>,
    /// The unread part of `buffer`.
    unread: std::ops::Range<usize>,
    position: u64,
    ended: bool,
}

impl<R: Read> PairReader<R> {
    /// Reads the header. The name says in errors which stream it was.
    pub fn new(name: impl Into<String>, mut input: R) -> Result<Self, Error> {
        let name = name.into();
        let mut header = [0; HEADER_BYTES as usize];
        input.read_exact(&mut header).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => {
                Error::Header { stream: name.clone(), what: "it is shorter than 4 bytes".into() }
            }
            _ => Error::io(&name, e),
        })?;
        let widths = Widths::parse(header).map_err(|what| Error::Header { stream: name.clone(), what })?;
        let size = READ_BYTES / widths.pair() * widths.pair();
        Ok(Self { input, name, widths, buffer: vec![0; size], unread: 0..0, position: 0, ended: false })
    }

    /// The stream's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Fills the buffer with whole pairs, or fewer at the end of the input; false when nothing is left.
    fn refill(&mut self) -> Result<bool, Error> {
        let mut filled = 0;
        while filled < self.buffer.len() {
            match self.input.read(&mut self.buffer[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::io(&self.name, e)),
            }
        }
        self.unread = 0..filled;
        Ok(filled > 0)
    }

    /// Replaces what is in `block` by the next pairs, none at the end.
    ///
    /// # Errors
    /// When reading fails, the input ends within a pair, or one of these pairs makes no sense.
    pub fn read_block(&mut self, block: &mut Vec<Pair>) -> Result<(), Error> {
        block.clear();
        if self.widths != Widths::WRITTEN {
            while block.len() < BLOCK_PAIRS {
                let Some(pair) = self.read_pair()? else { break };
                block.push(pair);
            }
            return Ok(());
        }
        if self.unread.is_empty() && !self.refill()? {
            return Ok(());
        }
        let (written, _) = self.buffer[self.unread.clone()].as_chunks::<{ PAIR_BYTES as usize }>();
        let written = &written[..written.len().min(BLOCK_PAIRS)];
        if written.is_empty() {
            return Err(self.truncated());
        }
        block.extend(written.iter().map(decode_written));
        if let Some(index) = block.iter().position(|pair| !is_valid(pair.score)) {
            return Err(self.corrupt(self.position + index as u64, invalid(block[index].score)));
        }
        self.unread.start += written.len() * PAIR_BYTES as usize;
        self.position += written.len() as u64;
        Ok(())
    }

    fn truncated(&self) -> Error {
        Error::Truncated { stream: self.name.clone(), position: self.position }
    }

    fn corrupt(&self, position: u64, what: String) -> Error {
        Error::Corrupt { stream: self.name.clone(), position, what }
    }

    fn read_pair(&mut self) -> Result<Option<Pair>, Error> {
        if self.unread.is_empty() && !self.refill()? {
            return Ok(None);
        }
        let size = self.widths.pair();
        if self.unread.len() < size {
            return Err(self.truncated());
        }
        let bytes = &self.buffer[self.unread.start..][..size];
        let pair = self.widths.decode(bytes).map_err(|what| self.corrupt(self.position, what))?;
        self.unread.start += size;
        self.position += 1;
        Ok(Some(pair))
    }
}

impl<R: Read> Iterator for PairReader<R> {
    type Item = Result<Pair, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.read_pair().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

/// Bytes of a score, a data set index and a record index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Widths {
    score: usize,
    dataset: usize,
    record: usize,
}

impl Widths {
    /// Those of [`HEADER`].
    const WRITTEN: Self = Self { score: 8, dataset: 4, record: 4 };

    fn parse([version, score, dataset, record]: [u8; 4]) -> Result<Self, String> {
        if version != 1 {
            return Err(format!("version {version} is not known, only 1 is"));
        }
        if !matches!(score, 2 | 4 | 8) {
            return Err(format!("scores of {score} bytes are not known, only of 2, 4 or 8"));
        }
        if let Some(bad) = [dataset, record].into_iter().find(|w| !matches!(w, 1 | 2 | 4 | 8)) {
            return Err(format!("indices of {bad} bytes are not known, only of 1, 2, 4 or 8"));
        }
        Ok(Self { score: score.into(), dataset: dataset.into(), record: record.into() })
    }

    #[inline]
    fn pair(self) -> usize {
        self.score + 2 * self.dataset + 2 * self.record
    }

    /// Decodes one pair from exactly [`Self::pair`] bytes.
    #[inline]
    fn decode(self, bytes: &[u8]) -> Result<Pair, String> {
        let pair = match bytes.try_into() {
            Ok(bytes) if self == Self::WRITTEN => decode_written(bytes),
            _ => self.decode_any(bytes)?,
        };
        if is_valid(pair.score) { Ok(pair) } else { Err(invalid(pair.score)) }
    }

    fn decode_any(self, bytes: &[u8]) -> Result<Pair, String> {
        let (score, indices) = bytes.split_at(self.score);
        let (datasets, records) = indices.split_at(2 * self.dataset);
        Ok(Pair {
            score: decode_float(score),
            dataset0: decode_index(&datasets[..self.dataset])?,
            dataset1: decode_index(&datasets[self.dataset..])?,
            record0: decode_index(&records[..self.record])?,
            record1: decode_index(&records[self.record..])?,
        })
    }
}

/// As [`Widths::decode_any`] with [`Widths::WRITTEN`], which is what shards have: several times as fast.
#[inline]
fn decode_written(bytes: &[u8; PAIR_BYTES as usize]) -> Pair {
    let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let score = f64::from_bits(u64::from(word(4)) << 32 | u64::from(word(0)));
    Pair { score, dataset0: word(8), dataset1: word(12), record0: word(16), record1: word(20) }
}

/// Whether a score is between 0 and 1, and not the negative zero, which would sort before 0: of floats without a sign the
/// bits are in the order of the numbers, and with one they are greater.
#[inline]
fn is_valid(score: f64) -> bool {
    score.to_bits() <= 1f64.to_bits()
}

fn invalid(score: f64) -> String {
    format!("its score {score} is not between 0 and 1")
}

/// A little-endian unsigned integer of at most 8 bytes that must fit 32 bits.
fn decode_index(bytes: &[u8]) -> Result<u32, String> {
    let index = little_endian(bytes);
    u32::try_from(index).map_err(|_| format!("its index {index} needs more than 32 bits"))
}

/// An IEEE float of 2, 4 or 8 bytes, little-endian.
fn decode_float(bytes: &[u8]) -> f64 {
    let bits = little_endian(bytes);
    match bytes.len() {
        2 => half_to_f64(bits as u16),
        4 => f32::from_bits(bits as u32).into(),
        _ => f64::from_bits(bits),
    }
}

fn little_endian(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

/// Widens an IEEE half-precision number; exact.
fn half_to_f64(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (u64::from(bits >> 10 & 31), u64::from(bits & 1023));
    let magnitude = match exponent {
        // multiples of 2 to -24
        0 => fraction as f64 / f64::from(1 << 24),
        31 if fraction == 0 => f64::INFINITY,
        31 => f64::NAN,
        // the exponent has another bias, and the fraction 42 bits more
        _ => f64::from_bits((exponent + 1023 - 15) << 52 | fraction << 42),
    };
    sign * magnitude
}

#[cfg(test)]
mod tests;
