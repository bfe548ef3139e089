//! Looks up with TBL what two rows have in common with sixteen columns: for processors with NEON, as all of 64-bit ARM
//! have it. See [`super::nibbles`].
//!
//! CNT counts the bits of bytes, but with the AND before it and the addition after it takes three instructions for 128
//! bits, and the sums of a pair's bytes are still to be added up; the look-up takes two and a third, and nothing besides.

use std::arch::aarch64::{
    uint8x16_t, vaddq_s16, vaddq_u8, vandq_u16, vdupq_n_u8, vdupq_n_u16, vld1q_s16, vld1q_u8, vqtbl1q_u8,
    vreinterpretq_s16_u16, vreinterpretq_u16_u8, vshlq_n_u8, vshrq_n_u16, vsraq_n_u8, vst1q_s16, vsubq_u8,
};

use super::found::Found;
use super::nibbles::{COLUMNS, LookUp, Nibbles, Sums, TABLES, Table, without_few};
use super::places::Place;
use super::{Scratch, Tile, plain};
use crate::threshold::Cutoffs;

/// Bytes of a register.
const BYTES: usize = 16;
const REGISTERS: usize = COLUMNS / BYTES;

/// Proof that the processor has NEON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Neon(());

impl Neon {
    /// None on a processor without it, and on one whose numbers are big-endian.
    pub(super) fn detect() -> Option<Self> {
        let has = cfg!(target_endian = "little") && std::arch::is_aarch64_feature_detected!("neon");
        has.then_some(Self(()))
    }

    #[allow(unsafe_code)]
    pub(super) fn score_tile(
        self,
        rows: Tile<'_>,
        columns: Tile<'_>,
        cutoffs: &Cutoffs,
        scratch: &mut Scratch,
    ) {
        let mut found = Found { rows, columns, cutoffs, hits: &mut scratch.hits };
        found.columns = without_few(&mut found, plain::score_tile);
        // SAFETY: a value of this type only comes from `detect`, which has seen that the processor has NEON.
        unsafe { score(&mut scratch.nibbles, &mut found, self) }
    }
}

impl LookUp for Neon {
    #[inline(always)]
    #[allow(unsafe_code)]
    fn add_common(self, pair: &[u8], columns: &[Place], sums: &mut [Sums; 2]) {
        // SAFETY: as in `score_tile`.
        unsafe { add_common(pair, columns, sums) }
    }
}

#[target_feature(enable = "neon")]
fn score(nibbles: &mut Nibbles, found: &mut Found<'_>, neon: Neon) {
    nibbles.score(found, neon);
}

#[target_feature(enable = "neon")]
#[inline]
fn add_common(pair: &[u8], columns: &[Place], sums: &mut [Sums; 2]) {
    let mut totals = [vdupq_n_u8(0); REGISTERS];
    let mut highs = [vdupq_n_u8(0); REGISTERS];
    for (pair, columns) in pair.as_chunks::<3>().0.iter().zip(columns.as_chunks::<3>().0) {
        let tables = [table(pair[0]), table(pair[1]), table(pair[2])];
        for i in 0..REGISTERS {
            let a = vqtbl1q_u8(tables[0], load(&columns[0], i));
            let b = vqtbl1q_u8(tables[1], load(&columns[1], i));
            let c = vqtbl1q_u8(tables[2], load(&columns[2], i));
            let common = vaddq_u8(vaddq_u8(a, b), c);
            totals[i] = vaddq_u8(totals[i], common);
            highs[i] = vsraq_n_u8::<4>(highs[i], common);
        }
    }
    for i in 0..REGISTERS {
        add(&mut sums[0], i, vsubq_u8(totals[i], vshlq_n_u8::<4>(highs[i])));
        add(&mut sums[1], i, highs[i]);
    }
}

#[target_feature(enable = "neon")]
#[inline]
#[allow(unsafe_code)]
fn table(pair: u8) -> uint8x16_t {
    let Table(table) = &TABLES[pair as usize];
    // SAFETY: the table is the 16 bytes that are read; no alignment is asked for.
    unsafe { vld1q_u8(table.as_ptr()) }
}

#[target_feature(enable = "neon")]
#[inline]
#[allow(unsafe_code)]
fn load(Place(columns): &Place, i: usize) -> uint8x16_t {
    let columns: &[u8; BYTES] = &columns.as_chunks().0[i];
    // SAFETY: the reference is to the 16 bytes that are read; no alignment is asked for.
    unsafe { vld1q_u8(columns.as_ptr()) }
}

/// Adds the bytes of the i-th register to the sums of their columns.
#[target_feature(enable = "neon")]
#[inline]
#[allow(unsafe_code)]
fn add(Sums(sums): &mut Sums, i: usize, bytes: uint8x16_t) {
    let sums: &mut [[i16; BYTES / 2]] = sums.as_chunks_mut().0;
    let bytes = vreinterpretq_u16_u8(bytes);
    let even = vandq_u16(bytes, vdupq_n_u16(0xff));
    for (i, bytes) in [(i, even), (i + REGISTERS, vshrq_n_u16::<8>(bytes))] {
        let sums = sums[i].as_mut_ptr();
        // SAFETY: it points to the 16 bytes that are read and written; no alignment is asked for.
        unsafe { vst1q_s16(sums, vaddq_s16(vld1q_s16(sums), vreinterpretq_s16_u16(bytes))) };
    }
}
