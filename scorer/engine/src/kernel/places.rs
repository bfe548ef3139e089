//! Encodings by their nibbles, those of many records at the same place side by side.

/// Records that are transposed together.
pub(super) const RECORDS: usize = 128;
/// Nibbles of a word.
pub(super) const WORD_PLACES: usize = 16;
pub(super) const LOW_HALVES: u64 = 0x0f0f_0f0f_0f0f_0f0f;

/// The nibbles of some records at the same place, one a byte: of the first half of the records in the even bytes, of the
/// second half in the odd ones.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Place(pub(super) [u8; RECORDS]);

/// The same word of some records. What is missing of them is filled up with empty ones.
#[inline(always)]
pub(super) fn word_of_each(records: &[u64], width: usize, word: usize) -> [u64; RECORDS] {
    let mut words = [0; RECORDS];
    words.iter_mut().zip(records.chunks_exact(width)).for_each(|(of_one, record)| *of_one = record[word]);
    words
}

/// Sorts the nibbles of words by place: the low ones of their eight bytes, then the high ones.
#[inline(always)]
pub(super) fn transpose(words: &[u64; RECORDS], places: &mut [Place; WORD_PLACES]) {
    /// As many squares of eight by eight bytes at once as registers have 64-bit lanes.
    const SQUARES: usize = 4;
    for first in (0..RECORDS).step_by(8 * SQUARES) {
        let mut squares = [[0; SQUARES]; 8];
        for (byte, rows) in squares.iter_mut().enumerate() {
            for (square, row) in rows.iter_mut().enumerate() {
                *row = words[first / 2 + 4 * square + byte / 2 + RECORDS / 2 * (byte % 2)];
            }
        }
        for (step, mask) in [(4, u64::MAX >> 32), (2, 0x0000_ffff_0000_ffff), (1, 0x00ff_00ff_00ff_00ff)] {
            for i in (0..8).filter(|i| i & step == 0) {
                let (above, below) = squares.split_at_mut(i + step);
                for (a, b) in above[i].iter_mut().zip(&mut below[0]) {
                    let differing = ((*a >> (8 * step)) ^ *b) & mask;
                    *a ^= differing << (8 * step);
                    *b ^= differing;
                }
            }
        }
        for (i, words) in squares.iter().enumerate() {
            let low = words.map(|word| (word & LOW_HALVES).to_le_bytes());
            let high = words.map(|word| ((word >> 4) & LOW_HALVES).to_le_bytes());
            places[i].0[first..][..8 * SQUARES].copy_from_slice(low.as_flattened());
            places[i + 8].0[first..][..8 * SQUARES].copy_from_slice(high.as_flattened());
        }
    }
}
