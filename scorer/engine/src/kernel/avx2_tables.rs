//! Tables by AVX2, two registers an entry: see [`super::tables`].

use std::arch::x86_64::{
    __m256i, _mm256_add_epi8, _mm256_and_si256, _mm256_avg_epu8, _mm256_cmpeq_epi8, _mm256_loadu_si256,
    _mm256_movemask_epi8, _mm256_set1_epi16, _mm256_setzero_si256, _mm256_slli_epi16, _mm256_srli_epi16,
    _mm256_storeu_si256, _mm256_sub_epi8, _mm256_subs_epu8,
};

use super::avx2::Avx2;
use super::found::Found;
use super::tables::{self, ByTables, ENTRY, Registers};
use super::{Scratch, Tile};
use crate::threshold::Cutoffs;

/// Proof that the processor has AVX2, with the kernel for what is not worth tables.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2Tables(Avx2);

impl Avx2Tables {
    /// None on a processor without it.
    pub(super) fn detect() -> Option<Self> {
        Avx2::detect().map(Self)
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
        tables::score_tile(rows, columns, cutoffs, scratch, by_tables, |rows, scratch| {
            self.0.score_tile(rows, columns, cutoffs, scratch);
        });
    }
}

#[target_feature(enable = "avx2,popcnt")]
fn score(tables: &mut ByTables, found: &mut Found<'_>, by: Avx2Tables) {
    tables.score(found, by);
}

#[allow(unsafe_code)]
impl Registers for Avx2Tables {
    type Entry = [__m256i; 2];

    #[inline(always)]
    fn load(self, bytes: &[u8; ENTRY]) -> Self::Entry {
        let bytes = bytes.as_ptr().cast::<__m256i>();
        // SAFETY: as in `score_tile`; and the reference is to the 64 bytes that are read, aligned or not.
        unsafe { [_mm256_loadu_si256(bytes), _mm256_loadu_si256(bytes.add(1))] }
    }

    #[inline(always)]
    fn store(self, entry: Self::Entry, bytes: &mut [u8; ENTRY]) {
        let bytes = bytes.as_mut_ptr().cast::<__m256i>();
        // SAFETY: as in `score_tile`; and the reference is to the 64 bytes that are written, aligned or not.
        unsafe {
            _mm256_storeu_si256(bytes, entry[0]);
            _mm256_storeu_si256(bytes.add(1), entry[1]);
        }
    }

    #[inline(always)]
    fn zero(self) -> Self::Entry {
        // SAFETY: as in `score_tile`, here and below.
        unsafe { [_mm256_setzero_si256(); 2] }
    }

    #[inline(always)]
    fn add(self, a: Self::Entry, b: Self::Entry) -> Self::Entry {
        // SAFETY: see above.
        unsafe { [_mm256_add_epi8(a[0], b[0]), _mm256_add_epi8(a[1], b[1])] }
    }

    #[inline(always)]
    fn subtract(self, a: Self::Entry, b: Self::Entry) -> Self::Entry {
        // SAFETY: see above.
        unsafe { [_mm256_sub_epi8(a[0], b[0]), _mm256_sub_epi8(a[1], b[1])] }
    }

    #[inline(always)]
    fn take(self, a: Self::Entry, b: Self::Entry) -> Self::Entry {
        // SAFETY: see above.
        unsafe { [_mm256_subs_epu8(a[0], b[0]), _mm256_subs_epu8(a[1], b[1])] }
    }

    #[inline(always)]
    fn halve(self, a: Self::Entry) -> Self::Entry {
        let zero = self.zero();
        // SAFETY: see above.
        unsafe { [_mm256_avg_epu8(a[0], zero[0]), _mm256_avg_epu8(a[1], zero[1])] }
    }

    #[inline(always)]
    fn sixteenfold(self, a: Self::Entry) -> Self::Entry {
        // SAFETY: see above.
        unsafe {
            let high = _mm256_set1_epi16(0xf0f0_u16.cast_signed());
            let shifted = [_mm256_slli_epi16::<4>(a[0]), _mm256_slli_epi16::<4>(a[1])];
            [_mm256_and_si256(shifted[0], high), _mm256_and_si256(shifted[1], high)]
        }
    }

    #[inline(always)]
    fn high_halves(self, a: Self::Entry) -> Self::Entry {
        // SAFETY: see above.
        unsafe { [_mm256_srli_epi16::<4>(a[0]), _mm256_srli_epi16::<4>(a[1])] }
    }

    #[inline(always)]
    fn sixteenfold_neighbours(self, a: Self::Entry) -> Self::Entry {
        let shifted = self.high_halves(a);
        // SAFETY: see above.
        unsafe {
            let high_of_even = _mm256_set1_epi16(0x00f0);
            [_mm256_and_si256(shifted[0], high_of_even), _mm256_and_si256(shifted[1], high_of_even)]
        }
    }

    #[inline(always)]
    fn zeros(self, a: Self::Entry) -> u64 {
        let zero = self.zero();
        // SAFETY: see above.
        let [low, high] = unsafe {
            let zeros = [_mm256_cmpeq_epi8(a[0], zero[0]), _mm256_cmpeq_epi8(a[1], zero[1])];
            [_mm256_movemask_epi8(zeros[0]), _mm256_movemask_epi8(zeros[1])]
        };
        u64::from(low.cast_unsigned()) | (u64::from(high.cast_unsigned()) << 32)
    }
}
