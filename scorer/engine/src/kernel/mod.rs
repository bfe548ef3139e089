//! The innermost loop, behind [`Kernel::score_tile`]: compares every row of a tile with every column.
//!
//! [`plain`] is portable. On x86-64 it is compiled a second time for processors with POPCNT (all since 2008), which the
//! baseline instruction set lacks, [`avx512`] is for those with AVX-512 VPOPCNTDQ, and [`amx`] multiplies matrices.
//! [`avx2`] and [`avx512bw`] look up what has no instruction of its own before that, and so does [`neon`] on 64-bit ARM.
//! [`avx2_tables`] and [`avx512_tables`] look up in memory, which is faster for large tiles. All find the same.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx2_tables;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_tables;
#[cfg(target_arch = "x86_64")]
mod avx512bw;
mod candidates;
mod ceiling;
mod few;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod found;
mod leaf_kernel;
mod leaves;
#[cfg(target_arch = "x86_64")]
mod leaves_amx;
#[cfg(target_arch = "x86_64")]
mod leaves_avx2;
#[cfg(target_arch = "x86_64")]
mod leaves_avx512;
#[cfg(target_arch = "aarch64")]
mod leaves_neon;
#[cfg(target_arch = "x86_64")]
mod leaves_popcnt;
mod lookup;
#[cfg(target_arch = "x86_64")]
mod lookup_avx2;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod nibbles;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod places;
mod plain;
#[cfg(target_arch = "x86_64")]
mod popcnt;
#[cfg(target_arch = "x86_64")]
mod replicated;
mod room;
#[cfg(target_arch = "x86_64")]
mod tables;
mod values;
#[cfg(target_arch = "x86_64")]
mod zmm;

pub use ceiling::{kernel_names, missing_kernel_names, register_ceiling, segment_ceiling};
pub(super) use few::{FEW, Found, Records, fetch};
pub(super) use leaf_kernel::{LeafKernel, LeafScratch};
pub(super) use lookup::{Entries, PADDING, Wanted};
pub(super) use room::room;
pub(super) use values::{COORDINATES, Values};

use super::Error;
use super::threshold::Cutoffs;

/// Encodings side by side, with the number of bits set in each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tile<'a> {
    /// `counts.len()` encodings of `width` words.
    pub words: &'a [u64],
    /// Bits set in each encoding.
    pub counts: &'a [u32],
    /// Words of one encoding.
    pub width: usize,
}

impl Tile<'_> {
    /// The first so many records, and the others.
    #[cfg(target_arch = "x86_64")]
    fn split_at(self, records: usize) -> (Self, Self) {
        let (words, counts) = (self.words.split_at(records * self.width), self.counts.split_at(records));
        (Self { words: words.0, counts: counts.0, ..self }, Self { words: words.1, counts: counts.1, ..self })
    }
}

/// A pair at or above the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hit {
    /// Row of the first tile.
    pub row: u32,
    /// Row of the second tile.
    pub column: u32,
    /// Bits set in both encodings.
    pub intersection: u32,
}

/// What a thread reuses from tile to tile.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// The pairs found, in any order.
    pub hits: Vec<Hit>,
    #[cfg(target_arch = "x86_64")]
    transposed: avx512::Transposed,
    #[cfg(target_arch = "x86_64")]
    expanded: amx::Expanded,
    #[cfg(target_arch = "x86_64")]
    by_tables: tables::ByTables,
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    nibbles: nibbles::Nibbles,
}

/// A way to compare, that this processor knows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kernel {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Popcnt(popcnt::Popcnt),
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx2Tables(avx2_tables::Avx2Tables),
    #[cfg(target_arch = "x86_64")]
    Avx512bw(avx512bw::Avx512bw),
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx512Tables(avx512_tables::Avx512Tables),
    #[cfg(target_arch = "x86_64")]
    Amx(amx::Amx),
    #[cfg(target_arch = "aarch64")]
    Neon(neon::Neon),
}

/// What LINKAGE_KERNEL calls the kernels that there are, on whatever processor.
const NAMES: [&str; 9] =
    ["amx", "avx512-tables", "avx512", "avx512bw", "avx2-tables", "avx2", "neon", "popcnt", "portable"];

/// The environment variable that names the kernel to use instead of the fastest one.
const VARIABLE: &str = "LINKAGE_KERNEL";

impl Kernel {
    /// The kernels that this processor knows, the fastest first.
    pub(super) fn available() -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        let special = [
            amx::Amx::detect().map(Self::Amx),
            avx512::Avx512::detect().filter(|_| avx512::outruns_tables()).map(Self::Avx512),
            avx512_tables::Avx512Tables::detect().map(Self::Avx512Tables),
            avx512::Avx512::detect().filter(|_| !avx512::outruns_tables()).map(Self::Avx512),
            avx512bw::Avx512bw::detect().map(Self::Avx512bw),
            avx2_tables::Avx2Tables::detect().map(Self::Avx2Tables),
            avx2::Avx2::detect().map(Self::Avx2),
            popcnt::Popcnt::detect().map(Self::Popcnt),
        ];
        #[cfg(target_arch = "aarch64")]
        let special = [neon::Neon::detect().map(Self::Neon)];
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let special: [Option<Self>; 0] = [];
        special.into_iter().flatten().chain([Self::Portable]).collect()
    }

    /// The kernel to use: the fastest, unless LINKAGE_KERNEL names another one.
    ///
    /// # Errors
    /// The variable names none that this processor knows; the error lists those.
    pub(super) fn chosen() -> Result<Self, Error> {
        Self::named(std::env::var(VARIABLE).ok().as_deref())
    }

    fn named(name: Option<&str>) -> Result<Self, Error> {
        let available = Self::available();
        match name {
            None | Some("") => Ok(available[0]),
            Some(name) => {
                available.iter().copied().find(|kernel| kernel.name() == name).ok_or_else(|| Error::Kernel {
                    name: name.to_owned(),
                    available: available.iter().map(|kernel| kernel.name()).collect(),
                })
            }
        }
    }

    /// What LINKAGE_KERNEL calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Self::Popcnt(_) => "popcnt",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2Tables(_) => "avx2-tables",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512bw(_) => "avx512bw",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Tables(_) => "avx512-tables",
            #[cfg(target_arch = "x86_64")]
            Self::Amx(_) => "amx",
            #[cfg(target_arch = "aarch64")]
            Self::Neon(_) => "neon",
        }
    }

    /// Compares every encoding of `rows` with every one of `columns`; appends the pairs at or above the threshold to
    /// the hits, in any order. The cutoffs are those of the encodings' size.
    pub(super) fn score_tile(
        self,
        rows: Tile<'_>,
        columns: Tile<'_>,
        cutoffs: &Cutoffs,
        scratch: &mut Scratch,
    ) {
        debug_assert!(rows.width == columns.width && cutoffs.as_slice().len() == 128 * rows.width + 1);
        match self {
            Self::Portable => plain::score_tile(rows, columns, cutoffs, &mut scratch.hits),
            #[cfg(target_arch = "x86_64")]
            Self::Popcnt(popcnt) => popcnt.score_tile(rows, columns, cutoffs, &mut scratch.hits),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2) => avx2.score_tile(rows, columns, cutoffs, scratch),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2Tables(tables) => tables.score_tile(rows, columns, cutoffs, scratch),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512bw(avx512bw) => avx512bw.score_tile(rows, columns, cutoffs, scratch),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(avx512) => avx512.score_tile(rows, columns, cutoffs, scratch),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Tables(tables) => tables.score_tile(rows, columns, cutoffs, scratch),
            #[cfg(target_arch = "x86_64")]
            Self::Amx(amx) => amx.score_tile(rows, columns, cutoffs, scratch),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(neon) => neon.score_tile(rows, columns, cutoffs, scratch),
        }
    }
}

/// Appends the number of bits set in each encoding of `width` words.
pub(super) fn count_ones(words: &[u64], width: usize, counts: &mut Vec<u32>) {
    #[cfg(target_arch = "x86_64")]
    if let Some(popcnt) = popcnt::Popcnt::detect() {
        return popcnt.count_ones(words, width, counts);
    }
    plain::count_ones(words, width, counts);
}

#[cfg(test)]
mod tests;
