use crate::prune::LEAF;

/// A power of two with room for the records of a leaf and one more, so that no place has to be checked.
const ROOM: usize = 2 * LEAF;

/// Pairs of records of two leaves that may match.
///
/// A processor would guess wrongly where the bits of most rows end. So rows are added and pairs gone through without a
/// branch that depends on the bits.
#[derive(Debug)]
pub(super) struct Candidates {
    /// Of rows that have any, the columns, a bit each; and 0 after the last.
    columns: [u64; ROOM],
    /// Which rows those are.
    rows: [u8; ROOM],
    /// How many rows.
    len: usize,
    /// How many pairs.
    pairs: usize,
}

impl Candidates {
    #[inline(always)]
    pub(super) fn new() -> Self {
        Self { columns: [0; ROOM], rows: [0; ROOM], len: 0, pairs: 0 }
    }

    /// Adds the columns of a row that has not been added before.
    #[inline(always)]
    pub(super) fn add(&mut self, row: usize, columns: u64) {
        self.columns[self.len % ROOM] = columns;
        self.rows[self.len % ROOM] = row as u8;
        self.len += usize::from(columns != 0);
        self.pairs += columns.count_ones() as usize;
    }

    /// All pairs: row and column.
    #[inline(always)]
    pub(super) fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        let (mut place, mut columns, mut next) = (0, self.columns[0], self.columns[1]);
        (0..self.pairs).map(move |_| {
            let pair = (usize::from(self.rows[place % ROOM]), columns.trailing_zeros() as usize);
            let others = columns & columns.wrapping_sub(1);
            columns = if others == 0 { next } else { others };
            place += usize::from(others == 0);
            // read ahead of its use, so that it is not waited for
            next = self.columns[(place + 1) % ROOM];
            pair
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn all_pairs_are_gone_through(
            rows in prop::collection::vec(prop_oneof![Just(0), Just(1), Just(1 << 63), Just(u64::MAX), any::<u64>()], 0..=LEAF),
        ) {
            let mut candidates = Candidates::new();
            rows.iter().enumerate().for_each(|(row, &columns)| candidates.add(row, columns));
            let pairs = (0..rows.len()).flat_map(|row| (0..64).map(move |column| (row, column)));
            let expected: Vec<_> = pairs.filter(|&(row, column)| rows[row] >> column & 1 == 1).collect();
            prop_assert_eq!(candidates.pairs().collect::<Vec<_>>(), expected);
        }
    }
}
