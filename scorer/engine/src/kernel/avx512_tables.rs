//! Tables by AVX-512, a register an entry: see [`super::tables`].

use std::arch::x86_64::{
    __m512i, _mm512_add_epi8, _mm512_and_si512, _mm512_avg_epu8, _mm512_loadu_si512, _mm512_set1_epi16,
    _mm512_setzero_si512, _mm512_slli_epi16, _mm512_srli_epi16, _mm512_storeu_si512, _mm512_sub_epi8,
    _mm512_subs_epu8, _mm512_testn_epi8_mask,
};

use super::avx512::Avx512;
use super::avx512bw::Avx512bw;
use super::found::Found;
use super::tables::{self, ByTables, ENTRY, Registers};
use super::{Scratch, Tile};
use crate::threshold::Cutoffs;

/// Proof that the processor has AVX-512BW, with the kernels for what is not worth tables.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512Tables {
    avx512: Option<Avx512>,
    avx512bw: Avx512bw,
}

impl Avx512Tables {
    /// None on a processor without it.
    pub(super) fn detect() -> Option<Self> {
        Avx512bw::detect().map(|avx512bw| Self { avx512: Avx512::detect(), avx512bw })
    }

    #[allow(unsafe_code)]
    pub(super) fn score_tile(
        self,
        rows: Tile<'_>,
        columns: Tile<'_>,
        cutoffs: &Cutoffs,
        scratch: &mut Scratch,
    ) {
        let by_tables = |tables: &mut ByTables, found: &mut Found<'_>| {
            // SAFETY: a value of this type only comes from `detect`, which has seen that the processor has the features.
            unsafe { score(tables, found, self) }
        };
        tables::score_tile(rows, columns, cutoffs, scratch, by_tables, |rows, scratch| match self.avx512 {
            Some(kernel) => kernel.score_tile(rows, columns, cutoffs, scratch),
            None => self.avx512bw.score_tile(rows, columns, cutoffs, scratch),
        });
    }
}

#[target_feature(enable = "avx512f,avx512bw,popcnt")]
fn score(tables: &mut ByTables, found: &mut Found<'_>, by: Avx512Tables) {
    tables.score(found, by);
}

#[allow(unsafe_code)]
impl Registers for Avx512Tables {
    type Entry = __m512i;

    #[inline(always)]
    fn load(self, bytes: &[u8; ENTRY]) -> Self::Entry {
        // SAFETY: as in `score_tile`; and the reference is to the 64 bytes that are read, aligned or not.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, entry: Self::Entry, bytes: &mut [u8; ENTRY]) {
        // SAFETY: as in `score_tile`; and the reference is to the 64 bytes that are written, aligned or not.
        unsafe { _mm512_storeu_si512(bytes.as_mut_ptr().cast(), entry) }
    }

    #[inline(always)]
    fn zero(self) -> Self::Entry {
        // SAFETY: as in `score_tile`, here and below.
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    fn add(self, a: Self::Entry, b: Self::Entry) -> Self::Entry {
        // SAFETY: see above.
        unsafe { _mm512_add_epi8(a, b) }
    }

    #[inline(always)]
    fn subtract(self, a: Self::Entry, b: Self::Entry) -> Self::Entry {
        // SAFETY: see above.
        unsafe { _mm512_sub_epi8(a, b) }
    }

    #[inline(always)]
    fn take(self, a: Self::Entry, b: Self::Entry) -> Self::Entry {
        // SAFETY: see above.
        unsafe { _mm512_subs_epu8(a, b) }
    }

    #[inline(always)]
    fn halve(self, a: Self::Entry) -> Self::Entry {
        // SAFETY: see above.
        unsafe { _mm512_avg_epu8(a, _mm512_setzero_si512()) }
    }

    #[inline(always)]
    fn sixteenfold(self, a: Self::Entry) -> Self::Entry {
        // SAFETY: see above.
        unsafe { _mm512_and_si512(_mm512_slli_epi16::<4>(a), _mm512_set1_epi16(0xf0f0_u16.cast_signed())) }
    }

    #[inline(always)]
    fn high_halves(self, a: Self::Entry) -> Self::Entry {
        // SAFETY: see above.
        unsafe { _mm512_srli_epi16::<4>(a) }
    }

    #[inline(always)]
    fn sixteenfold_neighbours(self, a: Self::Entry) -> Self::Entry {
        // SAFETY: see above.
        unsafe { _mm512_and_si512(_mm512_srli_epi16::<4>(a), _mm512_set1_epi16(0x00f0)) }
    }

    #[inline(always)]
    fn zeros(self, a: Self::Entry) -> u64 {
        // SAFETY: see above.
        unsafe { _mm512_testn_epi8_mask(a, a) }
    }
}
