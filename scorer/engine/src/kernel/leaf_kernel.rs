use std::marker::PhantomData;

use super::leaves::{self, Plainly};
#[cfg(target_arch = "aarch64")]
use super::leaves_neon::LeavesNeon;
use super::{Hit, Kernel};
#[cfg(target_arch = "x86_64")]
use super::{
    leaves_amx::{Columns, LeavesAmx, Prepared},
    leaves_avx2::LeavesAvx2,
    leaves_avx512::LeavesAvx512,
    leaves_popcnt::LeavesPopcnt,
    replicated::Replicated,
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
    #[cfg(target_arch = "x86_64")]
    replicated: Replicated,
    #[cfg(target_arch = "x86_64")]
    columns: Columns,
}

/// A leaf that others are about to be compared with.
#[derive(Debug)]
pub(crate) struct Against<'a> {
    columns: Leaf<'a>,
    by: By<'a>,
}

/// A kernel, with what it has got ready.
#[derive(Debug)]
enum By<'a> {
    /// Some kernels borrow nothing; a processor may know no others.
    Portable(PhantomData<&'a ()>),
    #[cfg(target_arch = "x86_64")]
    Popcnt(LeavesPopcnt),
    #[cfg(target_arch = "x86_64")]
    Avx2(LeavesAvx2, &'a Replicated),
    #[cfg(target_arch = "x86_64")]
    Avx512(LeavesAvx512, &'a Replicated),
    #[cfg(target_arch = "x86_64")]
    Amx(Prepared<'a>),
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
            let avx512 = || LeavesAvx512::detect().map(Self::Avx512).or_else(avx2);
            let special = match kernel {
                Kernel::Portable => None,
                Kernel::Popcnt(_) => popcnt(),
                Kernel::Avx512(_) | Kernel::Avx512Tables(_) => avx512(),
                Kernel::Amx(amx) => LeavesAmx::of(amx).map(Self::Amx).or_else(avx512),
                Kernel::Avx2(_) | Kernel::Avx2Tables(_) | Kernel::Avx512bw(_) => avx2(),
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
        #[cfg(not(target_arch = "x86_64"))]
        let _ = scratch;
        let by = match self {
            Self::Portable => By::Portable(PhantomData),
            #[cfg(target_arch = "x86_64")]
            Self::Popcnt(kernel) => By::Popcnt(kernel),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(kernel) => {
                if let Bounds::Counts(counts) = &columns.bounds {
                    kernel.replicate(counts, &mut scratch.replicated);
                }
                By::Avx2(kernel, &scratch.replicated)
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(kernel) => Self::by_avx512(kernel, &columns, scratch),
            #[cfg(target_arch = "x86_64")]
            Self::Amx(kernel) => match &columns.bounds {
                Bounds::Projected(projected) => By::Amx(kernel.prepare(projected, &mut scratch.columns)),
                Bounds::Counts(_) => Self::by_avx512(kernel.without_matrices(), &columns, scratch),
            },
            #[cfg(target_arch = "aarch64")]
            Self::Neon(kernel) => By::Neon(kernel),
        };
        Against { columns, by }
    }

    #[cfg(target_arch = "x86_64")]
    fn by_avx512<'a>(kernel: LeavesAvx512, columns: &Leaf<'_>, scratch: &'a mut LeafScratch) -> By<'a> {
        if let Bounds::Counts(counts) = &columns.bounds {
            kernel.replicate(counts, &mut scratch.replicated);
        }
        By::Avx512(kernel, &scratch.replicated)
    }
}

impl Against<'_> {
    /// Appends the pairs of a leaf and this one at or above the threshold, in any order. The cutoffs are those of the
    /// sums of bits.
    pub(crate) fn score_leaf(&self, rows: Leaf<'_>, cutoffs: &[u32], hits: &mut Vec<Hit>) {
        let columns = self.columns;
        match &self.by {
            By::Portable(_) => leaves::score_leaves(rows, columns, cutoffs, Plainly, hits),
            #[cfg(target_arch = "x86_64")]
            By::Popcnt(kernel) => kernel.score_leaves(rows, columns, cutoffs, hits),
            #[cfg(target_arch = "x86_64")]
            By::Avx2(kernel, replicated) => kernel.score_leaves(rows, columns, replicated, cutoffs, hits),
            #[cfg(target_arch = "x86_64")]
            By::Avx512(kernel, replicated) => kernel.score_leaves(rows, columns, replicated, cutoffs, hits),
            #[cfg(target_arch = "x86_64")]
            By::Amx(prepared) => prepared.score_leaves(rows, columns, cutoffs, hits),
            #[cfg(target_arch = "aarch64")]
            By::Neon(kernel) => kernel.score_leaves(rows, columns, cutoffs, hits),
        }
    }
}
