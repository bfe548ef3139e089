//! The portable comparison of leaves, compiled for AVX2 and for POPCNT.

use super::Hit;
use super::leaves::{Plainly, score_leaves};
use crate::prune::Leaf;

/// Proof that the processor has POPCNT, and whether it has AVX2.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeavesX86 {
    avx2: bool,
}

impl LeavesX86 {
    /// None on a processor without POPCNT; without AVX2 if that is not to be used.
    pub(super) fn detect(avx2: bool) -> Option<Self> {
        let has_avx2 = std::arch::is_x86_feature_detected!("avx2")
            && std::arch::is_x86_feature_detected!("bmi1")
            && std::arch::is_x86_feature_detected!("bmi2");
        std::arch::is_x86_feature_detected!("popcnt").then_some(Self { avx2: avx2 && has_avx2 })
    }

    #[allow(unsafe_code)]
    pub(super) fn score_leaves(
        self,
        rows: Leaf<'_>,
        columns: Leaf<'_>,
        cutoffs: &[u32],
        hits: &mut Vec<Hit>,
    ) {
        // SAFETY: a value of this type only comes from `detect`, which has seen that the processor has the features.
        unsafe {
            match self.avx2 {
                true => with_avx2(rows, columns, cutoffs, hits),
                false => with_popcnt(rows, columns, cutoffs, hits),
            }
        }
    }
}

#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
fn with_avx2(rows: Leaf<'_>, columns: Leaf<'_>, cutoffs: &[u32], hits: &mut Vec<Hit>) {
    score_leaves(rows, columns, cutoffs, Plainly, hits);
}

#[target_feature(enable = "popcnt")]
fn with_popcnt(rows: Leaf<'_>, columns: Leaf<'_>, cutoffs: &[u32], hits: &mut Vec<Hit>) {
    score_leaves(rows, columns, cutoffs, Plainly, hits);
}
