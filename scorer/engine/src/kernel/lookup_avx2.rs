//! Which records of a bucket are near to one, by AVX2: the segment counts of eight at a time.

use std::arch::x86_64::{
    __m128i, _mm_insert_epi8, _mm_loadu_si128, _mm256_add_epi32, _mm256_broadcastsi128_si256,
    _mm256_castsi256_ps, _mm256_cmpgt_epi32, _mm256_movemask_ps, _mm256_or_si256, _mm256_sad_epu8,
    _mm256_set_m128i, _mm256_set1_epi32, _mm256_slli_epi64, _mm256_unpackhi_epi64, _mm256_unpacklo_epi64,
};

use super::avx2::Avx2;
use super::lookup::{COLUMNS, Entries, Nearness, PADDING, Wanted, find};
use crate::prune::Entry;

impl Avx2 {
    #[allow(unsafe_code)]
    pub(super) fn find_candidates(
        self,
        rows: Entries<'_>,
        columns: Entries<'_>,
        wanted: Wanted,
        candidates: &mut Vec<(u32, u32)>,
    ) {
        // SAFETY: a value of this type only comes from `detect`, which has seen that the processor has AVX2.
        unsafe { with_avx2(rows, columns, wanted, self, candidates) }
    }
}

#[target_feature(enable = "avx2,popcnt")]
fn with_avx2(
    rows: Entries<'_>,
    columns: Entries<'_>,
    wanted: Wanted,
    avx2: Avx2,
    candidates: &mut Vec<(u32, u32)>,
) {
    find(rows, columns, wanted, avx2, candidates);
}

impl Nearness for Avx2 {
    #[inline(always)]
    #[allow(unsafe_code)]
    fn near(self, row: &Entry, columns: &[Entry], count: usize) -> u64 {
        // SAFETY: as above.
        unsafe { near(row, columns, count) }
    }
}

/// As [`Entry::is_near`].
#[target_feature(enable = "avx2,popcnt")]
#[inline]
fn near(row: &Entry, columns: &[Entry], count: usize) -> u64 {
    let counts = _mm256_broadcastsi128_si256(_mm_insert_epi8::<15>(load(row), 0));
    let most = _mm256_set1_epi32(row.most_distance().cast_signed());
    let mut far = 0;
    for (i, columns) in columns.as_chunks::<PADDING>().0[..count.div_ceil(PADDING)].iter().enumerate() {
        // of two columns two sums each, of eight counts, in the lower halves of words
        let sums =
            |i: usize| _mm256_sad_epu8(_mm256_set_m128i(load(&columns[i + 4]), load(&columns[i])), counts);
        let first = _mm256_or_si256(sums(0), _mm256_slli_epi64::<32>(sums(1)));
        let second = _mm256_or_si256(sums(2), _mm256_slli_epi64::<32>(sums(3)));
        let sums =
            _mm256_add_epi32(_mm256_unpacklo_epi64(first, second), _mm256_unpackhi_epi64(first, second));
        let eight = _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(sums, most)));
        far |= (eight as u64) << (PADDING * i);
    }
    !far & u64::MAX >> (COLUMNS - count)
}

#[target_feature(enable = "avx2")]
#[inline]
#[allow(unsafe_code)]
fn load(entry: &Entry) -> __m128i {
    // SAFETY: the reference is to the 16 bytes that are read; no alignment is asked for.
    unsafe { _mm_loadu_si128(entry.counts.as_ptr().cast()) }
}
