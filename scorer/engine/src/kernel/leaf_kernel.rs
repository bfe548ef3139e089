use super::leaves::{self, Plainly};
#[cfg(target_arch = "aarch64")]
use super::leaves_neon::LeavesNeon;
use super::replicated::Replicated;
use super::{Hit, Kernel};
#[cfg(target_arch = "x86_64")]
use super::{
    leaves_amx::{Columns, LeavesAmx, Prepared},
    leaves_avx2::LeavesAvx2,
    leaves_avx512::LeavesAvx512,
    leaves_popcnt::LeavesPopcnt,
};
#[cfg(target_arch = "x86_64")]
use crate::prune::Bounds;
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
    #[cfg(target_arch = "x86_64")]
    Amx(LeavesAmx),
    #[cfg(target_arch = "aarch64")]
    Neon(LeavesNeon),
}

/// What a thread reuses from leaf to leaf.
#[derive(Debug, Default)]
pub(crate) struct LeafScratch {
    replicated: Replicated,
    #[cfg(target_arch = "x86_64")]
    columns: Columns,
}

/// A leaf that others are about to be compared with.
#[derive(Debug)]
pub(crate) struct Against<'a> {
    kernel: LeafKernel,
    columns: Leaf<'a>,
    replicated: &'a Replicated,
    #[cfg(target_arch = "x86_64")]
    prepared: Option<Prepared<'a>>,
}

impl LeafKernel {
    /// The one that uses the instructions of this kernel, or fewer.
    pub(crate) fn of(kernel: Kernel) -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let popcnt = || LeavesPopcnt::detect().map(Self::Popcnt);
            let avx2 = || LeavesAvx2::detect().map(Self::Avx2).or_else(popcnt);
            let avx512 = || LeavesAvx512::detect().map(Self::Avx512).or_else(avx2);
            let special = match kernel {
                Kernel::Portable => None,
                Kernel::Popcnt(_) => popcnt(),
                Kernel::Avx512(_) => avx512(),
                Kernel::Amx(amx) => LeavesAmx::of(amx).map(Self::Amx).or_else(avx512),
                Kernel::Avx2(_) | Kernel::Avx512bw(_) => avx2(),
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

    /// Gets a leaf ready for being compared with others.
    pub(crate) fn against<'a>(self, columns: Leaf<'a>, scratch: &'a mut LeafScratch) -> Against<'a> {
        #[cfg(target_arch = "x86_64")]
        let prepared = match (self, &columns.bounds) {
            (Self::Amx(amx), Bounds::Projected(projected)) => {
                Some(amx.prepare(projected, &mut scratch.columns))
            }
            (Self::Amx(amx), Bounds::Counts(counts)) => {
                amx.without_matrices().replicate(counts, &mut scratch.replicated);
                None
            }
            (Self::Avx512(avx512), Bounds::Counts(counts)) => {
                avx512.replicate(counts, &mut scratch.replicated);
                None
            }
            (Self::Avx2(avx2), Bounds::Counts(counts)) => {
                avx2.replicate(counts, &mut scratch.replicated);
                None
            }
            _ => None,
        };
        Against {
            kernel: self,
            columns,
            replicated: &scratch.replicated,
            #[cfg(target_arch = "x86_64")]
            prepared,
        }
    }
}

impl Against<'_> {
    /// Appends the pairs of a leaf and this one at or above the threshold, in any order. The cutoffs are those of the
    /// sums of bits.
    pub(crate) fn score_leaf(&self, rows: Leaf<'_>, cutoffs: &[u32], hits: &mut Vec<Hit>) {
        let (columns, replicated) = (self.columns, self.replicated);
        match self.kernel {
            LeafKernel::Portable => leaves::score_leaves(rows, columns, replicated, cutoffs, Plainly, hits),
            #[cfg(target_arch = "x86_64")]
            LeafKernel::Popcnt(kernel) => kernel.score_leaves(rows, columns, replicated, cutoffs, hits),
            #[cfg(target_arch = "x86_64")]
            LeafKernel::Avx2(kernel) => kernel.score_leaves(rows, columns, replicated, cutoffs, hits),
            #[cfg(target_arch = "x86_64")]
            LeafKernel::Avx512(kernel) => kernel.score_leaves(rows, columns, replicated, cutoffs, hits),
            #[cfg(target_arch = "x86_64")]
            LeafKernel::Amx(kernel) => match &self.prepared {
                Some(prepared) => kernel.score_leaves(rows, columns, replicated, prepared, cutoffs, hits),
                None => kernel.without_matrices().score_leaves(rows, columns, replicated, cutoffs, hits),
            },
            #[cfg(target_arch = "aarch64")]
            LeafKernel::Neon(kernel) => kernel.score_leaves(rows, columns, replicated, cutoffs, hits),
        }
    }
}
