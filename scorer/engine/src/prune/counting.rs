use super::segments::Segments;

/// Bits that are looked up at once.
const NIBBLE: usize = 4;
/// Counts that a word holds, a byte each.
const COUNTS: usize = 8;

/// Counts the segments of records, eight a word, by tables for every four bits.
#[derive(Debug)]
pub(super) struct Counting<const WORDS: usize> {
    /// By word of the record, by nibble, by its value: what it adds to the counts.
    table: Vec<[[[u64; WORDS]; 1 << NIBBLE]; 64 / NIBBLE]>,
}

impl<const WORDS: usize> Counting<WORDS> {
    pub(super) fn new(segments: &Segments) -> Self {
        debug_assert_eq!(segments.segments.div_ceil(COUNTS), WORDS);
        let words = segments.bits.chunks(64);
        let table = words.map(|bits| {
            let mut table = [[[0; WORDS]; 1 << NIBBLE]; 64 / NIBBLE];
            for (bit, &place) in bits.iter().enumerate() {
                let Some((segment, turned)) = place else { continue };
                let one = 1 << (8 * (usize::from(segment) % COUNTS));
                for (value, counts) in table[bit / NIBBLE].iter_mut().enumerate() {
                    if (value >> (bit % NIBBLE) & 1 == 1) != turned {
                        counts[usize::from(segment) / COUNTS] += one;
                    }
                }
            }
            table
        });
        Self { table: table.collect() }
    }

    /// The segment counts of one record, and 0 for each that there is no segment for. No byte overflows into the next: a segment has at most 255 bits.
    pub(super) fn count(&self, record: &[u64]) -> [[u8; COUNTS]; WORDS] {
        let mut counts = [0u64; WORDS];
        for (&word, table) in record.iter().zip(&self.table) {
            for (nibble, values) in table.iter().enumerate() {
                let add = &values[(word >> (NIBBLE * nibble)) as usize % (1 << NIBBLE)];
                counts.iter_mut().zip(add).for_each(|(counts, add)| *counts += add);
            }
        }
        counts.map(u64::to_le_bytes)
    }
}
