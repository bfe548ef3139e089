//! Candidates by NEON: what is left of the slacks of 64 records stays in registers while their counts stream past.

use std::arch::aarch64::{
    uint8x16_t, vaddq_u8, vaddvq_u16, vandq_u8, vcleq_u8, vcntq_u8, vdupq_n_u8, vdupq_n_u16, vdupq_n_u64,
    vgetq_lane_u64, vld1q_u8, vmaxq_u8, vminq_u8, vpadalq_u8, vpaddq_u8, vreinterpretq_u8_u64,
    vreinterpretq_u64_u8, vsubq_u8,
};

use super::Hit;
use super::candidates::Candidates;
use super::leaves::{Common, Instructions, bits, score_leaves, start};
use super::neon::Neon;
use crate::prune::{BOX_SEGMENTS, Counts, LEAF, Leaf};

/// Bytes of a register.
const BYTES: usize = 16;
/// For the bytes of 64 records.
const REGISTERS: usize = LEAF / BYTES;

/// Compares leaves by NEON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeavesNeon(());

impl LeavesNeon {
    /// The kernel is the proof that the processor has NEON.
    pub(super) fn of(_: Neon) -> Self {
        Self(())
    }

    #[allow(unsafe_code)]
    pub(super) fn score_leaves(
        self,
        rows: Leaf<'_>,
        columns: Leaf<'_>,
        cutoffs: &[u32],
        hits: &mut Vec<Hit>,
    ) {
        // SAFETY: a value of this type only comes from `of`, so that the processor has NEON.
        unsafe { score(self, rows, columns, cutoffs, hits) }
    }
}

impl Common for LeavesNeon {
    #[inline(always)]
    #[allow(unsafe_code)]
    fn common(self, a: &[u64], b: &[u64]) -> u32 {
        // SAFETY: as above.
        unsafe { common(a, b) }
    }
}

impl Instructions for LeavesNeon {
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
        unsafe { find(columns, among_columns, rows, among_rows, most, candidates) }
    }
}

#[target_feature(enable = "neon")]
fn score(neon: LeavesNeon, rows: Leaf<'_>, columns: Leaf<'_>, cutoffs: &[u32], hits: &mut Vec<Hit>) {
    score_leaves(rows, columns, cutoffs, neon, hits);
}

/// As [`super::leaves::Plainly`] does it.
#[target_feature(enable = "neon")]
#[inline]
fn near(leaf: &Leaf<'_>, other: &Leaf<'_>) -> u64 {
    let mut lefts = load(leaf.slacks);
    let start = vdupq_n_u8(start(other.ranges));
    for left in &mut lefts {
        *left = vaddq_u8(*left, start);
    }
    for segment in 0..BOX_SEGMENTS {
        let greatest = vdupq_n_u8(other.ranges.greatest[segment]);
        let least = vdupq_n_u8(other.ranges.least[segment]);
        for (left, counts) in lefts.iter_mut().zip(load(&leaf.boxed[segment])) {
            *left = vaddq_u8(vsubq_u8(*left, vmaxq_u8(counts, greatest)), vminq_u8(counts, least));
        }
    }
    at_most(lefts, leaf.ranges.greatest_slack + other.ranges.greatest_slack)
}

/// As [`super::leaves::Plainly`] does it.
#[target_feature(enable = "neon")]
fn find(
    columns: &Counts<'_>,
    among_columns: u64,
    rows: &Counts<'_>,
    among_rows: u64,
    most: u8,
    candidates: &mut Candidates,
) {
    let halves = load(rows.halves);
    for column in bits(among_columns) {
        let half = vdupq_n_u8(columns.halves[column]);
        let mut lefts = halves;
        for left in &mut lefts {
            *left = vaddq_u8(*left, half);
        }
        for (rows, column_counts) in rows.by_segment.iter().zip(columns.by_segment) {
            let count = vdupq_n_u8(column_counts[column]);
            for (left, row) in lefts.iter_mut().zip(load(rows)) {
                *left = vsubq_u8(*left, vmaxq_u8(row, count));
            }
        }
        candidates.add(column, at_most(lefts, most) & among_rows);
    }
}

/// A bit for each byte that is at most so much.
#[target_feature(enable = "neon")]
#[inline]
fn at_most(mut bytes: [uint8x16_t; REGISTERS], most: u8) -> u64 {
    let most = vdupq_n_u8(most);
    for bytes in &mut bytes {
        *bytes = vcleq_u8(*bytes, most);
    }
    gather(bytes)
}

/// A bit for each byte, all of whose bits are the same.
#[target_feature(enable = "neon")]
#[inline]
fn gather([a, b, c, d]: [uint8x16_t; REGISTERS]) -> u64 {
    // the i-th of eight bytes keeps its bit i; then neighbours are added until eight are one
    let bits = vreinterpretq_u8_u64(vdupq_n_u64(0x8040_2010_0804_0201));
    let ab = vpaddq_u8(vandq_u8(a, bits), vandq_u8(b, bits));
    let cd = vpaddq_u8(vandq_u8(c, bits), vandq_u8(d, bits));
    let abcd = vpaddq_u8(ab, cd);
    vgetq_lane_u64::<0>(vreinterpretq_u64_u8(vpaddq_u8(abcd, abcd)))
}

/// The number of bits set in both of two encodings of the same size. Its sums overflow from 2¹⁹ bits on; encodings have
/// 2¹³ at most.
#[target_feature(enable = "neon")]
#[inline]
fn common(a: &[u64], b: &[u64]) -> u32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<2>(), b.as_chunks::<2>());
    let mut sums = vdupq_n_u16(0);
    for (a, b) in a.iter().zip(b) {
        sums = vpadalq_u8(sums, vcntq_u8(vandq_u8(load_words(a), load_words(b))));
    }
    let mut sum = u32::from(vaddvq_u16(sums));
    for (a, b) in a_rest.iter().zip(b_rest) {
        sum += (a & b).count_ones();
    }
    sum
}

#[target_feature(enable = "neon")]
#[inline]
#[allow(unsafe_code)]
fn load_words(words: &[u64; 2]) -> uint8x16_t {
    // SAFETY: the reference is to the 16 bytes that are read; no alignment is asked for.
    unsafe { vld1q_u8(words.as_ptr().cast()) }
}

#[target_feature(enable = "neon")]
#[inline]
#[allow(unsafe_code)]
fn load(lanes: &[u8; LEAF]) -> [uint8x16_t; REGISTERS] {
    let mut registers = [vdupq_n_u8(0); REGISTERS];
    for (register, lanes) in registers.iter_mut().zip(lanes.as_chunks::<BYTES>().0) {
        // SAFETY: the reference is to the 16 bytes that are read; no alignment is asked for.
        *register = unsafe { vld1q_u8(lanes.as_ptr()) };
    }
    registers
}
