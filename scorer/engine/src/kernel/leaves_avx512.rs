//! Candidates by AVX-512BW: the counts of 64 records stay in registers while one record after the other is compared.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi8, _mm512_add_epi64, _mm512_and_si512, _mm512_cmple_epu8_mask, _mm512_max_epu8,
    _mm512_min_epu8, _mm512_popcnt_epi64, _mm512_reduce_add_epi64, _mm512_set1_epi8, _mm512_set1_epi32,
    _mm512_setzero_si512, _mm512_sub_epi8,
};

use super::Hit;
use super::candidates::Candidates;
use super::leaves::{Common, Instructions, Plainly, bits, score_leaves, start};
use super::replicated::Replicated;
use super::zmm::load;
use crate::prune::{BOX_SEGMENTS, Counts, LEAF, Leaf};

/// Proof that the processor has AVX-512 with BW, VL, and VPOPCNTDQ.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeavesAvx512(());

impl LeavesAvx512 {
    /// None on a processor without it.
    pub(super) fn detect() -> Option<Self> {
        let has = std::arch::is_x86_feature_detected!("avx512f")
            && std::arch::is_x86_feature_detected!("avx512bw")
            && std::arch::is_x86_feature_detected!("avx512vl")
            && std::arch::is_x86_feature_detected!("avx512vpopcntdq");
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

impl LeavesAvx512 {
    /// See [`Instructions::near`].
    #[inline(always)]
    #[allow(unsafe_code)]
    pub(super) fn near(self, leaf: &Leaf<'_>, other: &Leaf<'_>) -> u64 {
        // SAFETY: as above.
        unsafe { near(leaf, other) }
    }
}

impl Common for LeavesAvx512 {
    #[inline(always)]
    #[allow(unsafe_code)]
    fn common(self, a: &[u64], b: &[u64]) -> u32 {
        // SAFETY: as above.
        unsafe { common(a, b) }
    }
}

impl Common for (LeavesAvx512, &Replicated) {
    #[inline(always)]
    fn common(self, a: &[u64], b: &[u64]) -> u32 {
        self.0.common(a, b)
    }
}

impl Instructions for (LeavesAvx512, &Replicated) {
    #[inline(always)]
    fn near(self, leaf: &Leaf<'_>, other: &Leaf<'_>) -> u64 {
        self.0.near(leaf, other)
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
                12 => find::<3, 4, 1>(columns, self.1, among_columns, rows, among_rows, most, candidates),
                16 => find::<2, 8, 1>(columns, self.1, among_columns, rows, among_rows, most, candidates),
                24 => find::<3, 8, 1>(columns, self.1, among_columns, rows, among_rows, most, candidates),
                32 => find::<2, 8, 2>(columns, self.1, among_columns, rows, among_rows, most, candidates),
                48 => find::<3, 8, 2>(columns, self.1, among_columns, rows, among_rows, most, candidates),
                _ => Plainly.find(columns, among_columns, rows, among_rows, most, candidates),
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn replicate(counts: &Counts<'_>, replicated: &mut Replicated) {
    replicated.fill(counts);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq,bmi1,bmi2,popcnt")]
fn score(
    avx512: LeavesAvx512,
    rows: Leaf<'_>,
    columns: Leaf<'_>,
    replicated: &Replicated,
    cutoffs: &[u32],
    hits: &mut Vec<Hit>,
) {
    score_leaves(rows, columns, cutoffs, (avx512, replicated), hits);
}

/// See [`Instructions::near`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn near(leaf: &Leaf<'_>, other: &Leaf<'_>) -> u64 {
    let broadcast = |value: u8| _mm512_set1_epi8(value.cast_signed());
    let mut left = _mm512_add_epi8(load(leaf.slacks), broadcast(start(other.ranges)));
    for segment in 0..BOX_SEGMENTS {
        let counts = load(&leaf.boxed[segment]);
        let greatest = _mm512_max_epu8(counts, broadcast(other.ranges.greatest[segment]));
        let least = _mm512_min_epu8(counts, broadcast(other.ranges.least[segment]));
        left = _mm512_add_epi8(_mm512_sub_epi8(left, greatest), least);
    }
    _mm512_cmple_epu8_mask(left, broadcast(leaf.ranges.greatest_slack + other.ranges.greatest_slack))
}

/// The segments in groups, so many at a time as registers hold; what is left of each record's halves after one part
/// is in memory until the next one.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq,bmi1,bmi2,popcnt")]
fn find<const GROUPS: usize, const SEGMENTS: usize, const PARTS: usize>(
    columns: &Counts<'_>,
    replicated: &Replicated,
    among_columns: u64,
    rows: &Counts<'_>,
    among_rows: u64,
    most: u8,
    candidates: &mut Candidates,
) {
    let most = _mm512_set1_epi8(most.cast_signed());
    let mut lefts = [_mm512_setzero_si512(); LEAF];
    let column_counts = replicated.in_parts::<SEGMENTS>().as_chunks::<GROUPS>().0;
    let row_counts = in_parts::<GROUPS, SEGMENTS>(rows);
    for (part, (row_counts, column_counts)) in row_counts.iter().zip(column_counts).enumerate() {
        let counts = Registers::load(row_counts);
        let halves = load(rows.halves);
        for column in bits(among_columns) {
            let left = if PARTS == 1 || part == 0 {
                _mm512_add_epi8(halves, _mm512_set1_epi8(columns.halves[column].cast_signed()))
            } else {
                lefts[column]
            };
            let left = _mm512_sub_epi8(left, counts.greater(column_counts, column));
            if PARTS == 1 || part + 1 == PARTS {
                candidates.add(column, _mm512_cmple_epu8_mask(left, most) & among_rows);
            } else {
                lefts[column] = left;
            }
        }
    }
}

/// The counts of 64 records, by groups of segments. Loops of eight are unrolled, longer ones not.
type Groups<Count, const GROUPS: usize, const SEGMENTS: usize> = [[[Count; LEAF]; SEGMENTS]; GROUPS];

/// The segment counts of a leaf, so many groups of segments at a time.
fn in_parts<'a, const GROUPS: usize, const SEGMENTS: usize>(
    counts: &Counts<'a>,
) -> &'a [Groups<u8, GROUPS, SEGMENTS>] {
    counts.by_segment.as_chunks().0.as_chunks().0
}

/// The counts of 64 records, in registers.
struct Registers<const GROUPS: usize, const SEGMENTS: usize>([[__m512i; SEGMENTS]; GROUPS]);

impl<const GROUPS: usize, const SEGMENTS: usize> Registers<GROUPS, SEGMENTS> {
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    fn load(counts: &Groups<u8, GROUPS, SEGMENTS>) -> Self {
        let mut registers = [[_mm512_setzero_si512(); SEGMENTS]; GROUPS];
        for (registers, counts) in registers.iter_mut().zip(counts) {
            for (register, counts) in registers.iter_mut().zip(counts) {
                *register = load(counts);
            }
        }
        Self(registers)
    }

    /// The sums of the greater of each count and that of one record of another leaf.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    fn greater(&self, columns: &Groups<i32, GROUPS, SEGMENTS>, column: usize) -> __m512i {
        // two sums, as an addition has to wait for the one before
        let mut sums = [_mm512_setzero_si512(); 2];
        for (registers, columns) in self.0.iter().zip(columns) {
            for (segment, (&counts, columns)) in registers.iter().zip(columns).enumerate() {
                let greater = _mm512_max_epu8(counts, _mm512_set1_epi32(columns[column]));
                sums[segment % 2] = _mm512_add_epi8(sums[segment % 2], greater);
            }
        }
        _mm512_add_epi8(sums[0], sums[1])
    }
}

/// The number of bits set in both of two encodings of the same size.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq")]
#[inline]
fn common(a: &[u64], b: &[u64]) -> u32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = _mm512_setzero_si512();
    for (a, b) in a.iter().zip(b) {
        sums = _mm512_add_epi64(sums, _mm512_popcnt_epi64(_mm512_and_si512(load(a), load(b))));
    }
    let mut sum = _mm512_reduce_add_epi64(sums) as u32;
    for (a, b) in a_rest.iter().zip(b_rest) {
        sum += (a & b).count_ones();
    }
    sum
}
