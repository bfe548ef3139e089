use super::{Hit, Tile, plain};
use crate::threshold::Cutoffs;

/// Proof that the processor has the POPCNT instruction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Popcnt(());

impl Popcnt {
    /// None on a processor without it. Cheap: the standard library remembers the answer.
    pub(super) fn detect() -> Option<Self> {
        std::arch::is_x86_feature_detected!("popcnt").then_some(Self(()))
    }

    #[allow(unsafe_code)]
    pub(super) fn score_tile(
        self,
        rows: Tile<'_>,
        columns: Tile<'_>,
        cutoffs: &Cutoffs,
        hits: &mut Vec<Hit>,
    ) {
        // SAFETY: a value of this type only comes from `detect`, which has seen that the processor has POPCNT.
        unsafe { score_tile(rows, columns, cutoffs, hits) }
    }

    #[allow(unsafe_code)]
    pub(super) fn count_ones(self, words: &[u64], width: usize, counts: &mut Vec<u32>) {
        // SAFETY: a value of this type only comes from `detect`, which has seen that the processor has POPCNT.
        unsafe { count_ones(words, width, counts) }
    }
}

#[target_feature(enable = "popcnt")]
fn score_tile(rows: Tile<'_>, columns: Tile<'_>, cutoffs: &Cutoffs, hits: &mut Vec<Hit>) {
    plain::score_tile(rows, columns, cutoffs, hits);
}

#[target_feature(enable = "popcnt")]
fn count_ones(words: &[u64], width: usize, counts: &mut Vec<u32>) {
    plain::count_ones(words, width, counts);
}
