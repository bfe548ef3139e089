//! Candidates by AVX2: what is left of the slacks of 64 records stays in registers while their counts stream past.

use std::arch::x86_64::{
    __m256i, _mm_add_epi64, _mm_cvtsi128_si32, _mm_unpackhi_epi64, _mm256_add_epi8, _mm256_add_epi64,
    _mm256_castsi256_si128, _mm256_cmpeq_epi8, _mm256_extracti128_si256, _mm256_loadu_si256, _mm256_max_epu8,
    _mm256_min_epu8, _mm256_movemask_epi8, _mm256_sad_epu8, _mm256_set1_epi8, _mm256_set1_epi32,
    _mm256_setzero_si256, _mm256_sub_epi8,
};

use super::Hit;
use super::candidates::Candidates;
use super::leaves::{Common, Instructions, Plainly, score_leaves, start};
use super::replicated::Replicated;
use crate::prune::{BOX_SEGMENTS, Counts, FinerCounts, LEAF, Leaf};

/// The bytes of 64 records.
type Registers = [__m256i; 2];

/// Proof that the processor has AVX2, BMI and POPCNT.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeavesAvx2(());

impl LeavesAvx2 {
    /// None on a processor without it.
    pub(super) fn detect() -> Option<Self> {
        let has = std::arch::is_x86_feature_detected!("avx2")
            && std::arch::is_x86_feature_detected!("bmi1")
            && std::arch::is_x86_feature_detected!("bmi2")
            && std::arch::is_x86_feature_detected!("popcnt");
        has.then_some(Self(()))
    }

    #[allow(unsafe_code)]
    pub(super) fn replicate(self, counts: &Counts<'_>, replicated: &mut Replicated) {
        // SAFETY: a value of this type only comes from `detect`, which has seen that the processor has the features.
        unsafe { replicate(counts, replicated) }
    }

    #[allow(unsafe_code)]
    pub(super) fn score_leaves(
        self,
        rows: Leaf<'_>,
        columns: Leaf<'_>,
        replicated: &Replicated,
        cutoffs: &[u32],
        hits: &mut Vec<Hit>,
    ) {
        // SAFETY: as above.
        unsafe { score(self, rows, columns, replicated, cutoffs, hits) }
    }
}

impl Common for (LeavesAvx2, &Replicated) {
    #[inline(always)]
    fn common(self, a: &[u64], b: &[u64]) -> u32 {
        a.iter().zip(b).map(|(a, b)| (a & b).count_ones()).sum()
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    fn finer_distance(self, a: &FinerCounts, b: &FinerCounts) -> u32 {
        // SAFETY: as above.
        unsafe { distance(a, b) }
    }
}

impl Instructions for (LeavesAvx2, &Replicated) {
    #[inline(always)]
    #[allow(unsafe_code)]
    fn near(self, leaf: &Leaf<'_>, other: &Leaf<'_>) -> u64 {
        // SAFETY: as above.
        unsafe { near(leaf, other) }
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    fn find(
        self,
        columns: &Counts<'_>,
        among_columns: u64,
        rows: &Counts<'_>,
        among_rows: u64,
        most: u8,
        candidates: &mut Candidates,
    ) {
        // SAFETY: as above.
        unsafe {
            match rows.by_segment.len() {
                12 => find::<1, 12>(columns, self.1, among_columns, rows, among_rows, most, candidates),
                16 => find::<2, 8>(columns, self.1, among_columns, rows, among_rows, most, candidates),
                24 => find::<3, 8>(columns, self.1, among_columns, rows, among_rows, most, candidates),
                32 => find::<4, 8>(columns, self.1, among_columns, rows, among_rows, most, candidates),
                48 => find::<6, 8>(columns, self.1, among_columns, rows, among_rows, most, candidates),
                _ => Plainly.find(columns, among_columns, rows, among_rows, most, candidates),
            }
        }
    }
}

#[target_feature(enable = "avx2")]
fn replicate(counts: &Counts<'_>, replicated: &mut Replicated) {
    replicated.fill(counts);
}

#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
fn score(
    avx2: LeavesAvx2,
    rows: Leaf<'_>,
    columns: Leaf<'_>,
    replicated: &Replicated,
    cutoffs: &[u32],
    hits: &mut Vec<Hit>,
) {
    score_leaves(rows, columns, cutoffs, (avx2, replicated), hits);
}

/// As [`super::leaves::Plainly`] does it.
#[target_feature(enable = "avx2")]
#[inline]
fn near(leaf: &Leaf<'_>, other: &Leaf<'_>) -> u64 {
    let mut lefts = load(leaf.slacks);
    let start = broadcast(start(other.ranges));
    for left in &mut lefts {
        *left = _mm256_add_epi8(*left, start);
    }
    for segment in 0..BOX_SEGMENTS {
        let greatest = broadcast(other.ranges.greatest[segment]);
        let least = broadcast(other.ranges.least[segment]);
        for (left, counts) in lefts.iter_mut().zip(load(&leaf.boxed[segment])) {
            *left = _mm256_sub_epi8(*left, _mm256_max_epu8(counts, greatest));
            *left = _mm256_add_epi8(*left, _mm256_min_epu8(counts, least));
        }
    }
    at_most(lefts, leaf.ranges.greatest_slack + other.ranges.greatest_slack)
}

/// As [`super::leaves::Plainly`] does it, with so many parts of so many segments, and two columns at a time, for which the
/// counts of the rows are loaded once.
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
fn find<const PARTS: usize, const SEGMENTS: usize>(
    columns: &Counts<'_>,
    replicated: &Replicated,
    mut among_columns: u64,
    rows: &Counts<'_>,
    among_rows: u64,
    most: u8,
    candidates: &mut Candidates,
) {
    let halves = load(rows.halves);
    let (row_counts, column_counts) =
        (in_parts::<PARTS, SEGMENTS>(rows), &replicated.in_parts::<SEGMENTS>()[..PARTS]);
    while among_columns != 0 {
        let first = among_columns.trailing_zeros() as usize;
        among_columns &= among_columns - 1;
        // the last one may have to be its own companion
        let second = if among_columns == 0 { first } else { among_columns.trailing_zeros() as usize };
        among_columns &= among_columns.wrapping_sub(1);
        let mut lefts = [first, second].map(|column| {
            let half = broadcast(columns.halves[column]);
            [_mm256_add_epi8(halves[0], half), _mm256_add_epi8(halves[1], half)]
        });
        // a loop over a part is unrolled, that over the parts is not
        for (rows, columns) in row_counts.iter().zip(column_counts) {
            for (rows, columns) in rows.iter().zip(columns) {
                let rows = load(rows);
                for (lefts, column) in lefts.iter_mut().zip([first, second]) {
                    let count = _mm256_set1_epi32(columns[column]);
                    lefts[0] = _mm256_sub_epi8(lefts[0], _mm256_max_epu8(rows[0], count));
                    lefts[1] = _mm256_sub_epi8(lefts[1], _mm256_max_epu8(rows[1], count));
                }
            }
        }
        candidates.add(first, at_most(lefts[0], most) & among_rows);
        if second != first {
            candidates.add(second, at_most(lefts[1], most) & among_rows);
        }
    }
}

/// The segment counts of a leaf, in parts.
fn in_parts<'a, const PARTS: usize, const SEGMENTS: usize>(
    counts: &Counts<'a>,
) -> &'a [[[u8; LEAF]; SEGMENTS]] {
    &counts.by_segment.as_chunks().0[..PARTS]
}

/// A bit for each byte that is at most so much.
#[target_feature(enable = "avx2")]
#[inline]
fn at_most(bytes: Registers, most: u8) -> u64 {
    let most = broadcast(most);
    let mut mask = 0;
    for bytes in bytes.into_iter().rev() {
        let flags = _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, most), bytes);
        mask = mask << 32 | u64::from(_mm256_movemask_epi8(flags).cast_unsigned());
    }
    mask
}

/// As [`Common::finer_distance`].
#[target_feature(enable = "avx2")]
#[inline]
fn distance(a: &FinerCounts, b: &FinerCounts) -> u32 {
    let mut sums = _mm256_setzero_si256();
    for (a, b) in a.0.as_chunks().0.iter().zip(b.0.as_chunks().0) {
        sums = _mm256_add_epi64(sums, _mm256_sad_epu8(load_half(a), load_half(b)));
    }
    let sums = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
    _mm_cvtsi128_si32(_mm_add_epi64(sums, _mm_unpackhi_epi64(sums, sums))).cast_unsigned()
}

#[target_feature(enable = "avx2")]
#[inline]
fn broadcast(byte: u8) -> __m256i {
    _mm256_set1_epi8(byte.cast_signed())
}

#[target_feature(enable = "avx2")]
#[inline]
fn load(lanes: &[u8; LEAF]) -> Registers {
    let (halves, _) = lanes.as_chunks();
    [load_half(&halves[0]), load_half(&halves[1])]
}

#[target_feature(enable = "avx2")]
#[inline]
#[allow(unsafe_code)]
fn load_half(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: the reference is to the 32 bytes that are read; no alignment is asked for.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}
