//! Cuts the pairs of records that share a bucket into tasks.

use std::ops::Range;

use super::buckets::PartBuckets;

/// Pairs of a task: even if all of them match, they take little memory.
const TASK_PAIRS: usize = if cfg!(test) { 1 << 10 } else { 1 << 18 };

/// The tasks of some parts.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    groups: Vec<Group>,
    len: usize,
}

/// Buckets with few pairs each, for one task; or one with many pairs, cut into pieces for as many tasks.
#[derive(Debug)]
pub(super) struct Group {
    /// Which of the parts.
    pub(super) part: usize,
    pub(super) buckets: Range<usize>,
    first_task: usize,
    /// Rows and columns of a piece.
    piece: (usize, usize),
    /// Pieces beside one another.
    column_pieces: usize,
}

impl Tasks {
    /// Adds the buckets of a part.
    pub(super) fn add(&mut self, part: usize, rows: &PartBuckets, columns: &PartBuckets) {
        let (mut first, mut pairs) = (0, 0);
        for bucket in 0..rows.len() {
            let (of_rows, of_columns) = (rows.range(bucket).len(), columns.range(bucket).len());
            let more = of_rows * of_columns;
            if pairs + more > TASK_PAIRS {
                if first < bucket {
                    self.add_whole(part, first..bucket);
                }
                (first, pairs) = (bucket, 0);
            }
            if more > TASK_PAIRS {
                self.add_pieces(part, bucket, of_rows, of_columns);
                first = bucket + 1;
            } else {
                pairs += more;
            }
        }
        self.add_whole(part, first..rows.len());
    }

    /// How many tasks there are: at least one.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The group of a task, and which of its pieces that is.
    pub(super) fn get(&self, task: usize) -> (&Group, usize) {
        let group = &self.groups[self.groups.partition_point(|group| group.first_task <= task) - 1];
        (group, task - group.first_task)
    }

    fn add_whole(&mut self, part: usize, buckets: Range<usize>) {
        let piece = (usize::MAX, usize::MAX);
        self.groups.push(Group { part, buckets, first_task: self.len, piece, column_pieces: 1 });
        self.len += 1;
    }

    fn add_pieces(&mut self, part: usize, bucket: usize, rows: usize, columns: usize) {
        let piece_rows = rows.min(TASK_PAIRS.isqrt());
        let piece = (piece_rows, TASK_PAIRS / piece_rows);
        let column_pieces = columns.div_ceil(piece.1);
        let buckets = bucket..bucket + 1;
        self.groups.push(Group { part, buckets, first_task: self.len, piece, column_pieces });
        self.len += rows.div_ceil(piece.0) * column_pieces;
    }
}

impl Group {
    /// What a piece has of the rows and columns of a bucket.
    pub(super) fn piece(
        &self,
        piece: usize,
        rows: Range<usize>,
        columns: Range<usize>,
    ) -> (Range<usize>, Range<usize>) {
        let cut = |range: Range<usize>, number: usize, length: usize| {
            let start = range.start + number * length;
            start..range.end.min(start.saturating_add(length))
        };
        let (row_piece, column_piece) = (piece / self.column_pieces, piece % self.column_pieces);
        (cut(rows, row_piece, self.piece.0), cut(columns, column_piece, self.piece.1))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_pair_of_a_bucket_is_in_one_task(
            sizes in prop::collection::vec(
                prop_oneof![(0..5usize, 0..5usize), (0..100usize, 0..100usize), (0..3usize, 0..3000usize)], 1..20),
            parts in 1..3usize,
        ) {
            let side = |size: fn(&(usize, usize)) -> usize| PartBuckets::of_sizes(sizes.iter().map(size));
            let (rows, columns) = (side(|size| size.0), side(|size| size.1));
            let mut tasks = Tasks::default();
            (0..parts).for_each(|part| tasks.add(part, &rows, &columns));
            let (mut pairs, mut pieces) = (0, std::collections::BTreeSet::new());
            for task in 0..tasks.len() {
                let (group, piece) = tasks.get(task);
                let mut of_task = 0;
                for bucket in group.buckets.clone() {
                    let (rows, columns) = group.piece(piece, rows.range(bucket), columns.range(bucket));
                    of_task += rows.len() * columns.len();
                    if !rows.is_empty() && !columns.is_empty() {
                        prop_assert!(pieces.insert((group.part, rows.start, columns.start)));
                    }
                }
                prop_assert!(of_task <= TASK_PAIRS);
                pairs += of_task;
            }
            // none starts where another one does, and together they are as many as there are
            prop_assert_eq!(pairs, parts * sizes.iter().map(|(rows, columns)| rows * columns).sum::<usize>());
        }
    }
}
