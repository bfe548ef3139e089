use super::leaves::{self, Plainly};
#[cfg(target_arch = "aarch64")]
use super::leaves_neon::LeavesNeon;
use super::{Hit, Kernel};
#[cfg(target_arch = "x86_64")]
use super::{leaves_avx2::LeavesAvx2, leaves_avx512::LeavesAvx512, leaves_popcnt::LeavesPopcnt};
use crate::prune::Leaf;

/// How leaves are compared: by the instructions of a [`Kernel`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum LeafKernel {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Popcnt(LeavesPopcnt),
    #[cfg(target_arch = "x86_64")]
    Avx2(LeavesAvx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(LeavesAvx512),
    #[cfg(target_arch = "aarch64")]
    Neon(LeavesNeon),
}

impl LeafKernel {
    /// The one that uses the instructions of this kernel, or fewer.
    pub(crate) fn of(kernel: Kernel) -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let popcnt = || LeavesPopcnt::detect().map(Self::Popcnt);
            let avx2 = || LeavesAvx2::detect().map(Self::Avx2).or_else(popcnt);
            let special = match kernel.name() {
                "portable" => None,
                "popcnt" => popcnt(),
                "avx512" | "amx" => LeavesAvx512::detect().map(Self::Avx512).or_else(avx2),
                _ => avx2(),
            };
            special.unwrap_or(Self::Portable)
        }
        #[cfg(not(target_arch = "x86_64"))]
        match kernel {
            Kernel::Portable => Self::Portable,
            #[cfg(target_arch = "aarch64")]
            Kernel::Neon(neon) => Self::Neon(LeavesNeon::of(neon)),
        }
    }

    /// Appends the pairs of two leaves at or above the threshold, in any order. The cutoffs are those of the sums of
    /// bits.
    pub(crate) fn score_leaves(
        self,
        rows: Leaf<'_>,
        columns: Leaf<'_>,
        cutoffs: &[u32],
        hits: &mut Vec<Hit>,
    ) {
        match self {
            Self::Portable => leaves::score_leaves(rows, columns, cutoffs, Plainly, hits),
            #[cfg(target_arch = "x86_64")]
            Self::Popcnt(kernel) => kernel.score_leaves(rows, columns, cutoffs, hits),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(kernel) => kernel.score_leaves(rows, columns, cutoffs, hits),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(kernel) => kernel.score_leaves(rows, columns, cutoffs, hits),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(kernel) => kernel.score_leaves(rows, columns, cutoffs, hits),
        }
    }
}
