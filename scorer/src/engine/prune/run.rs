use std::ops::Range;

use super::leaves::Leaves;
use super::plan::Pruning;
use crate::engine::Error;
use crate::engine::dense::{self, Pass};
use crate::engine::executor::{Done, Executor};
use crate::engine::kernel::Hit;
use crate::engine::linkage::{Linkage, Matcher};
use crate::engine::threshold::score;

/// Leaves of either side that a task compares: enough to be worth a task, few enough that even if all of their records
/// match the pairs take little memory.
const TILE_LEAVES: usize = 16;

/// Finds the pairs of everything with everything, within the linkage's shard, without comparing most of them.
pub(in crate::engine) fn run_pruned(
    linkage: &Linkage<'_>,
    matcher: &Matcher,
    pruning: &Pruning,
    executor: &mut Executor<'_>,
) -> Result<(), Error> {
    let record_bytes = Leaves::record_bytes(linkage.encoding_bytes(), pruning.segments.segments);
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

/// Compares the leaves of two chunks, each with the place of its first record.
fn run_leaves(
    pass: &Pass,
    (rows, first_row): (&Leaves, u32),
    (columns, first_column): (&Leaves, u32),
    matcher: &Matcher,
    executor: &mut Executor<'_>,
) -> Result<(), Error> {
    let row_tiles = rows.len().div_ceil(TILE_LEAVES);
    let tasks = row_tiles * columns.len().div_ceil(TILE_LEAVES);
    executor.run(tasks, |task, hits: &mut Vec<Hit>, pairs| {
        let row_leaves = tile(task % row_tiles, rows.len());
        let column_leaves = tile(task / row_tiles, columns.len());
        for column_leaf in column_leaves.clone() {
            let other = columns.leaf(column_leaf);
            for row_leaf in row_leaves.clone() {
                let leaf = rows.leaf(row_leaf);
                hits.clear();
                matcher.leaves.score_leaves(leaf, other, matcher.cutoffs.as_slice(), hits);
                pairs.extend(hits.iter().map(|hit| {
                    let sum = leaf.ones[hit.row as usize] + other.ones[hit.column as usize];
                    let row = first_row + rows.place(row_leaf, hit.row);
                    let column = first_column + columns.place(column_leaf, hit.column);
                    pass.pair(row, column, score(hit.intersection, sum))
                }));
            }
        }
        let comparisons = rows.records(row_leaves) as u64 * columns.records(column_leaves) as u64;
        Ok(Done { planned: comparisons, comparisons })
    })
}

fn tile(number: usize, leaves: usize) -> Range<usize> {
    number * TILE_LEAVES..((number + 1) * TILE_LEAVES).min(leaves)
}
