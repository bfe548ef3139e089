use std::io;
use std::ops::Range;

use super::EncodingSource;
use super::encodings::fewer_than_announced;
use super::kernel::{self, Tile};

/// Some records of a data set, in memory, with the number of bits set in each. Reused: it keeps its memory.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    words: Vec<u64>,
    counts: Vec<u32>,
    width: usize,
}

impl Chunk {
    /// Bytes that a record takes in a chunk.
    pub(super) fn record_bytes(encoding_bytes: usize) -> usize {
        encoding_bytes + size_of::<u32>()
    }

    /// Holds a range of records, and nothing else.
    pub(super) fn load(&mut self, source: &dyn EncodingSource, records: Range<u32>) -> io::Result<()> {
        self.fill(source, records.len(), |words| source.read(records, words))
    }

    /// Holds these records, in this order, and nothing else.
    pub(super) fn gather(&mut self, source: &dyn EncodingSource, records: &[u32]) -> io::Result<()> {
        self.fill(source, records.len(), |words| source.gather(records, words))
    }

    /// Some of the records, by their place in the chunk.
    pub(super) fn tile(&self, records: Range<usize>) -> Tile<'_> {
        let words = &self.words[records.start * self.width..records.end * self.width];
        Tile { words, counts: &self.counts[records], width: self.width }
    }

    /// Puts the records into another order: at each place the one that `order` names. It names each record once.
    pub(super) fn reorder(&mut self, order: &[u32]) {
        let width = self.width;
        let mut moved = vec![false; order.len()];
        let mut first_words = vec![0; width];
        for first in 0..order.len() {
            if moved[first] {
                continue;
            }
            // round the circle of places whose records change places with one another
            first_words.copy_from_slice(&self.words[first * width..][..width]);
            let first_count = self.counts[first];
            let mut place = first;
            loop {
                moved[place] = true;
                let from = order[place] as usize;
                if from == first {
                    break;
                }
                self.words.copy_within(from * width..(from + 1) * width, place * width);
                self.counts[place] = self.counts[from];
                place = from;
            }
            self.words[place * width..][..width].copy_from_slice(&first_words);
            self.counts[place] = first_count;
        }
    }

    /// The words of all records.
    pub(super) fn words(&self) -> &[u64] {
        &self.words
    }

    /// Words of one record.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// How many records it holds.
    pub(super) fn len(&self) -> usize {
        self.counts.len()
    }

    /// Bits set in one record.
    pub(super) fn count(&self, record: u32) -> u32 {
        self.counts[record as usize]
    }

    fn fill(
        &mut self,
        source: &dyn EncodingSource,
        records: usize,
        read: impl FnOnce(&mut Vec<u64>) -> io::Result<()>,
    ) -> io::Result<()> {
        self.words.clear();
        self.counts.clear();
        self.width = source.encoding_bytes() / 8;
        if self.words.capacity() < records * self.width {
            self.words = kernel::room(records * self.width);
        }
        self.counts.reserve(records);
        read(&mut self.words)?;
        if self.words.len() != records * self.width {
            return Err(fewer_than_announced());
        }
        kernel::count_ones(&self.words, self.width, &mut self.counts);
        Ok(())
    }
}
