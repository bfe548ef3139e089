use super::{Hit, Tile};
use crate::threshold::Cutoffs;

/// Bytes of rows that stay in the fastest cache while the columns stream past.
const BLOCK_BYTES: usize = 1 << 13;
/// Stands for a width that is only known at run time.
const ANY: usize = 0;

#[inline(always)]
pub(super) fn score_tile(rows: Tile<'_>, columns: Tile<'_>, cutoffs: &Cutoffs, hits: &mut Vec<Hit>) {
    // Loops of a known length are unrolled: for the usual sizes.
    match rows.width {
        8 => score_sized::<8>(rows, columns, cutoffs, hits),
        16 => score_sized::<16>(rows, columns, cutoffs, hits),
        32 => score_sized::<32>(rows, columns, cutoffs, hits),
        _ => score_sized::<ANY>(rows, columns, cutoffs, hits),
    }
}

#[inline(always)]
pub(super) fn count_ones(words: &[u64], width: usize, counts: &mut Vec<u32>) {
    counts.extend(
        words.chunks_exact(width).map(|record| record.iter().map(|word| word.count_ones()).sum::<u32>()),
    );
}

#[inline(always)]
fn score_sized<const WIDTH: usize>(
    rows: Tile<'_>,
    columns: Tile<'_>,
    cutoffs: &Cutoffs,
    hits: &mut Vec<Hit>,
) {
    let width = if WIDTH == ANY { rows.width } else { WIDTH };
    let block = (BLOCK_BYTES / (8 * width)).max(1);
    let row_blocks = rows.words.chunks(block * width).zip(rows.counts.chunks(block));
    for (first, (row_words, row_counts)) in row_blocks.enumerate() {
        for (column, (words, &count)) in columns.words.chunks_exact(width).zip(columns.counts).enumerate() {
            let cutoffs = &cutoffs.as_slice()[count as usize..];
            for (row, (row_words, &row_count)) in row_words.chunks_exact(width).zip(row_counts).enumerate() {
                let intersection = intersection(&row_words[..width], &words[..width]);
                if intersection >= cutoffs[row_count as usize] {
                    hits.push(Hit { row: (first * block + row) as u32, column: column as u32, intersection });
                }
            }
        }
    }
}

/// How many bits are set in both.
#[inline(always)]
fn intersection(a: &[u64], b: &[u64]) -> u32 {
    a.iter().zip(b).map(|(x, y)| (x & y).count_ones()).sum()
}
