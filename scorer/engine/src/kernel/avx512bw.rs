//! Looks up what two rows have in common with sixty-four columns: for processors with AVX-512, without VPOPCNTDQ.
//!
//! As [`super::avx2`] does, in registers of twice the size.

use std::arch::x86_64::{
    __m512i, _mm_load_si128, _mm512_add_epi8, _mm512_add_epi16, _mm512_and_si512, _mm512_broadcast_i32x4,
    _mm512_load_si512, _mm512_set1_epi16, _mm512_setzero_si512, _mm512_shuffle_epi8, _mm512_slli_epi16,
    _mm512_srli_epi16, _mm512_store_si512, _mm512_sub_epi16,
};

use super::found::Found;
use super::nibbles::{COLUMNS, LookUp, Nibbles, Sums, TABLES, Table, without_few};
use super::places::Place;
use super::popcnt::Popcnt;
use super::{Scratch, Tile};
use crate::threshold::Cutoffs;

/// Bytes of a register.
const BYTES: usize = 64;
const REGISTERS: usize = COLUMNS / BYTES;

/// Proof that the processor has AVX-512BW, and the older kernel for what is not worth transposing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512bw(Popcnt);

impl Avx512bw {
    /// None on a processor without it.
    pub(super) fn detect() -> Option<Self> {
        let has =
            std::arch::is_x86_feature_detected!("avx512f") && std::arch::is_x86_feature_detected!("avx512bw");
        Popcnt::detect().filter(|_| has).map(Self)
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
        found.columns =
            without_few(&mut found, |rows, few, cutoffs, hits| self.0.score_tile(rows, few, cutoffs, hits));
        // SAFETY: a value of this type only comes from `detect`, which has seen that the processor has both features.
        unsafe { score(&mut scratch.nibbles, &mut found, self) }
    }
}

impl LookUp for Avx512bw {
    #[inline(always)]
    #[allow(unsafe_code)]
    fn add_common(self, pair: &[u8], columns: &[Place], sums: &mut [Sums; 2]) {
        // SAFETY: as in `score_tile`.
        unsafe { add_common(pair, columns, sums) }
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn score(nibbles: &mut Nibbles, found: &mut Found<'_>, avx512bw: Avx512bw) {
    nibbles.score(found, avx512bw);
}

#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn add_common(pair: &[u8], columns: &[Place], sums: &mut [Sums; 2]) {
    let mut totals = [_mm512_setzero_si512(); REGISTERS];
    let mut highs = [_mm512_setzero_si512(); REGISTERS];
    for (pair, columns) in pair.as_chunks::<3>().0.iter().zip(columns.as_chunks::<3>().0) {
        for i in 0..REGISTERS {
            let common = common(pair, columns, i);
            totals[i] = _mm512_add_epi8(totals[i], common);
            highs[i] = _mm512_add_epi8(highs[i], _mm512_srli_epi16::<4>(common));
        }
    }
    let byte = _mm512_set1_epi16(0xff);
    for i in 0..REGISTERS {
        let (total, high) = (totals[i], highs[i]);
        let high_odd = _mm512_srli_epi16::<8>(high);
        let total_odd = _mm512_srli_epi16::<8>(total);
        let low_odd = _mm512_and_si512(_mm512_sub_epi16(total_odd, _mm512_slli_epi16::<4>(high_odd)), byte);
        let high_even = _mm512_and_si512(_mm512_sub_epi16(high, _mm512_slli_epi16::<4>(low_odd)), byte);
        let low_even = _mm512_and_si512(_mm512_sub_epi16(total, _mm512_slli_epi16::<4>(high_even)), byte);
        add(&mut sums[0], i, low_even);
        add(&mut sums[0], i + REGISTERS, low_odd);
        add(&mut sums[1], i, high_even);
        add(&mut sums[1], i + REGISTERS, high_odd);
    }
}

/// What a pair of rows has in common with the columns of the i-th register, at three places.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn common(pair: &[u8], columns: &[Place], i: usize) -> __m512i {
    let a = _mm512_shuffle_epi8(table(pair[0]), load(&columns[0], i));
    let b = _mm512_shuffle_epi8(table(pair[1]), load(&columns[1], i));
    let c = _mm512_shuffle_epi8(table(pair[2]), load(&columns[2], i));
    _mm512_add_epi8(_mm512_add_epi8(a, b), c)
}

#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
#[allow(unsafe_code)]
fn table(pair: u8) -> __m512i {
    let Table(table) = &TABLES[pair as usize];
    // SAFETY: the table is the 16 bytes that are read, and aligned to as many.
    _mm512_broadcast_i32x4(unsafe { _mm_load_si128(table.as_ptr().cast()) })
}

#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
#[allow(unsafe_code)]
fn load(Place(columns): &Place, i: usize) -> __m512i {
    let columns: &[u8; BYTES] = &columns.as_chunks().0[i];
    // SAFETY: the reference is to the 64 bytes that are read, and they are aligned as the whole is.
    unsafe { _mm512_load_si512(columns.as_ptr().cast()) }
}

/// Adds to the i-th register of the sums.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
#[allow(unsafe_code)]
fn add(Sums(sums): &mut Sums, i: usize, more: __m512i) {
    let sums: &mut [[i16; BYTES / 2]] = sums.as_chunks_mut().0;
    let sums = sums[i].as_mut_ptr().cast();
    // SAFETY: it points to the 64 bytes that are read and written, and they are aligned as the whole is.
    unsafe { _mm512_store_si512(sums, _mm512_add_epi16(_mm512_load_si512(sums), more)) };
}
