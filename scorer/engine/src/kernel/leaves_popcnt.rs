//! The portable comparison of leaves, compiled for processors with POPCNT.

use super::Hit;
use super::leaves::{Plainly, score_leaves};
use crate::prune::Leaf;

/// Proof that the processor has POPCNT.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeavesPopcnt(());

impl LeavesPopcnt {
    /// None on a processor without it.
    pub(super) fn detect() -> Option<Self> {
        std::arch::is_x86_feature_detected!("popcnt").then_some(Self(()))
    }

    #[allow(unsafe_code)]
    pub(super) fn score_leaves(
        self,
        rows: Leaf<'_>,
        columns: Leaf<'_>,
        cutoffs: &[u32],
        hits: &mut Vec<Hit>,
    ) {
        // SAFETY: a value of this type only comes from `detect`, which has seen that the processor has the feature.
        unsafe { with_popcnt(rows, columns, cutoffs, hits) }
    }
}

#[target_feature(enable = "popcnt")]
fn with_popcnt(rows: Leaf<'_>, columns: Leaf<'_>, cutoffs: &[u32], hits: &mut Vec<Hit>) {
    score_leaves(rows, columns, cutoffs, Plainly, hits);
}
