use super::segments::Segments;

/// Bits that are looked up at once.
const NIBBLE: usize = 4;

/// Counts the segments of records, by tables for every four bits.
#[derive(Debug)]
pub(super) struct Counting<const SEGMENTS: usize> {
    /// By word, by nibble, by its value: what it adds to the counts.
    table: Vec<[[[u8; SEGMENTS]; 1 << NIBBLE]; 64 / NIBBLE]>,
}

impl<const SEGMENTS: usize> Counting<SEGMENTS> {
    pub(super) fn new(segments: &Segments) -> Self {
        debug_assert_eq!(segments.segments, SEGMENTS);
        let words = segments.bits.chunks(64);
        let table = words.map(|bits| {
            let mut table = [[[0; SEGMENTS]; 1 << NIBBLE]; 64 / NIBBLE];
            for (bit, &place) in bits.iter().enumerate() {
                let Some((segment, turned)) = place else { continue };
                for (value, counts) in table[bit / NIBBLE].iter_mut().enumerate() {
                    let set = (value >> (bit % NIBBLE) & 1 == 1) != turned;
                    counts[usize::from(segment)] += u8::from(set);
                }
            }
            table
        });
        Self { table: table.collect() }
    }

    /// The segment counts of one record.
    pub(super) fn count(&self, record: &[u64]) -> [u8; SEGMENTS] {
        let mut counts = [0u8; SEGMENTS];
        for (word, table) in record.iter().zip(&self.table) {
            for (nibble, values) in table.iter().enumerate() {
                let value = (word >> (NIBBLE * nibble)) as usize % (1 << NIBBLE);
                // cannot overflow: a segment has at most 255 bits
                counts
                    .iter_mut()
                    .zip(&values[value])
                    .for_each(|(count, add)| *count = count.wrapping_add(*add));
            }
        }
        counts
    }
}
