use std::ops::Range;

use super::leaves::{Leaves, Ranges};
use super::plan::LeafPruning;
use crate::dense::{self, Pass};
use crate::executor::{Done, Executor};
use crate::kernel::{Hit, LeafScratch};
use crate::linkage::{Linkage, Matcher};
use crate::threshold::score;
use crate::{Error, work};

/// Leaves of either side that a task compares: enough to be worth a task, few enough that even if all of their records
/// match the pairs take little memory.
const TILE_LEAVES: usize = 16;
/// Row tiles that stay in a core's cache while the columns stream past.
const BAND_TILES: usize = 8;

/// Finds the pairs of everything with everything, within the linkage's shard, without comparing most of them.
pub(crate) fn run_pruned(
    linkage: &Linkage<'_>,
    matcher: &Matcher,
    pruning: &LeafPruning,
    executor: &mut Executor<'_>,
) -> Result<(), Error> {
    let record_bytes = Leaves::record_bytes(linkage.encoding_bytes(), &pruning.bounding);
    dense::for_each_pair_of_chunks(
        linkage,
        record_bytes,
        |leaves: &mut Leaves, dataset, records| {
            let loaded = leaves.load(linkage.sources[dataset], records, pruning, &matcher.cutoffs);
            loaded.map_err(|source| Error::Read { dataset, source })
        },
        |pass, rows, columns| run_leaves(pass, rows, columns, matcher, executor),
    )
}

/// Compares the leaves of two chunks, each with the place of its first record. Those of one and the same chunk are
/// compared with themselves and with later ones.
fn run_leaves(
    pass: &Pass,
    (rows, first_row): (&Leaves, u32),
    (columns, first_column): (&Leaves, u32),
    matcher: &Matcher,
    executor: &mut Executor<'_>,
) -> Result<(), Error> {
    let row_tiles = rows.len().div_ceil(TILE_LEAVES);
    let column_tiles = columns.len().div_ceil(TILE_LEAVES);
    let same = pass.is_same(first_row, first_column);
    executor.run(row_tiles * column_tiles, |task, (hits, scratch): &mut (Vec<Hit>, LeafScratch), pairs| {
        let (row_tile, column_tile) = in_bands(task, row_tiles, column_tiles);
        if same && row_tile > column_tile {
            return Ok(Done::default());
        }
        let (row_leaves, column_leaves) = (tile(row_tile, rows.len()), tile(column_tile, columns.len()));
        let row_ranges = Ranges::around(&rows.ranges()[row_leaves.clone()]);
        for column_leaf in column_leaves.clone() {
            let other = columns.leaf(column_leaf);
            if row_ranges.is_none_or(|ranges| ranges.are_far_from(other.ranges)) {
                continue;
            }
            let last = if same { row_leaves.end.min(column_leaf + 1) } else { row_leaves.end };
            let is_near = |&row_leaf: &usize| !rows.ranges()[row_leaf].are_far_from(other.ranges);
            let mut near = (row_leaves.start..last).filter(is_near).peekable();
            if near.peek().is_none() {
                continue;
            }
            let against = matcher.leaves.against(other, scratch);
            for row_leaf in near {
                let leaf = rows.leaf(row_leaf);
                hits.clear();
                against.score_leaf(leaf, matcher.cutoffs.as_slice(), hits);
                if same && row_leaf == column_leaf {
                    hits.retain(|hit| hit.row < hit.column);
                }
                pairs.extend(hits.iter().map(|hit| {
                    let sum = leaf.ones[hit.row as usize] + other.ones[hit.column as usize];
                    let row = first_row + rows.place(row_leaf, hit.row);
                    let column = first_column + columns.place(column_leaf, hit.column);
                    pass.pair(row, column, score(hit.intersection, sum))
                }));
            }
        }
        let (row_records, column_records) = (rows.records(row_leaves), columns.records(column_leaves));
        let same = same && row_tile == column_tile;
        let comparisons = work::comparisons(same, row_records as u32, column_records as u32) as u64;
        Ok(Done { planned: comparisons, comparisons })
    })
}

/// The tiles of a task: band after band of row tiles, in each the columns, for each of those the band's row tiles.
fn in_bands(task: usize, row_tiles: usize, column_tiles: usize) -> (usize, usize) {
    let first = task / (BAND_TILES * column_tiles) * BAND_TILES;
    let band = BAND_TILES.min(row_tiles - first);
    let task = task - first * column_tiles;
    (first + task % band, task / band)
}

fn tile(number: usize, leaves: usize) -> Range<usize> {
    number * TILE_LEAVES..((number + 1) * TILE_LEAVES).min(leaves)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_tiles_is_a_task() {
        for (row_tiles, column_tiles) in [(1, 1), (3, 5), (8, 2), (19, 3), (16, 1)] {
            let mut tasks: Vec<_> =
                (0..row_tiles * column_tiles).map(|task| in_bands(task, row_tiles, column_tiles)).collect();
            tasks.sort_unstable();
            let all = (0..row_tiles).flat_map(|row| (0..column_tiles).map(move |column| (row, column)));
            assert!(tasks.into_iter().eq(all));
        }
    }
}
