//! Looks up with VPSHUFB what two rows have in common with thirty-two columns: for processors with AVX2, without AVX-512.
//! See [`super::nibbles`].
//!
//! Bytes cannot be shifted, only words of two. So what is added to the sums of the high halves is not their bytes alone: an
//! even byte gets the low half of its odd neighbour as well, in its own high half. To mask that out each time would take
//! an eighth more instructions; instead it is taken off at the end, as all is known modulo 256, and no sum is greater.

use std::arch::x86_64::{
    __m256i, _mm_load_si128, _mm256_add_epi8, _mm256_add_epi16, _mm256_and_si256,
    _mm256_broadcastsi128_si256, _mm256_load_si256, _mm256_set1_epi16, _mm256_setzero_si256,
    _mm256_shuffle_epi8, _mm256_slli_epi16, _mm256_srli_epi16, _mm256_store_si256, _mm256_sub_epi16,
};

use super::found::Found;
use super::nibbles::{COLUMNS, LookUp, Nibbles, Sums, TABLES, Table, without_few};
use super::places::Place;
use super::popcnt::Popcnt;
use super::{Scratch, Tile};
use crate::threshold::Cutoffs;

/// Proof that the processor has AVX2, and the older kernel for what is not worth transposing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2(Popcnt);

impl Avx2 {
    /// None on a processor without it.
    pub(super) fn detect() -> Option<Self> {
        let has = std::arch::is_x86_feature_detected!("avx2");
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
        // SAFETY: a value of this type only comes from `detect`, which has seen that the processor has AVX2.
        unsafe { score(&mut scratch.nibbles, &mut found, self) }
    }
}

impl LookUp for Avx2 {
    #[inline(always)]
    #[allow(unsafe_code)]
    fn add_common(self, pair: &[u8], columns: &[Place], sums: &mut [Sums; 2]) {
        // SAFETY: as in `score_tile`.
        unsafe { add_common(pair, columns, sums) }
    }
}

#[target_feature(enable = "avx2,popcnt")]
fn score(nibbles: &mut Nibbles, found: &mut Found<'_>, avx2: Avx2) {
    nibbles.score(found, avx2);
}

/// Bytes of a register.
const BYTES: usize = 32;
const REGISTERS: usize = COLUMNS / BYTES;

#[target_feature(enable = "avx2")]
#[inline]
fn add_common(pair: &[u8], columns: &[Place], sums: &mut [Sums; 2]) {
    let mut totals = [_mm256_setzero_si256(); REGISTERS];
    let mut highs = [_mm256_setzero_si256(); REGISTERS];
    for (pair, columns) in pair.as_chunks::<3>().0.iter().zip(columns.as_chunks::<3>().0) {
        let tables = [table(pair[0]), table(pair[1]), table(pair[2])];
        for i in 0..REGISTERS {
            let a = _mm256_shuffle_epi8(tables[0], load(&columns[0], i));
            let b = _mm256_shuffle_epi8(tables[1], load(&columns[1], i));
            let c = _mm256_shuffle_epi8(tables[2], load(&columns[2], i));
            let common = _mm256_add_epi8(_mm256_add_epi8(a, b), c);
            totals[i] = _mm256_add_epi8(totals[i], common);
            highs[i] = _mm256_add_epi8(highs[i], _mm256_srli_epi16::<4>(common));
        }
    }
    let byte = _mm256_set1_epi16(0xff);
    for i in 0..REGISTERS {
        let (total, high) = (totals[i], highs[i]);
        let high_odd = _mm256_srli_epi16::<8>(high);
        let total_odd = _mm256_srli_epi16::<8>(total);
        let low_odd = _mm256_and_si256(_mm256_sub_epi16(total_odd, _mm256_slli_epi16::<4>(high_odd)), byte);
        let high_even = _mm256_and_si256(_mm256_sub_epi16(high, _mm256_slli_epi16::<4>(low_odd)), byte);
        let low_even = _mm256_and_si256(_mm256_sub_epi16(total, _mm256_slli_epi16::<4>(high_even)), byte);
        add(&mut sums[0], i, low_even);
        add(&mut sums[0], i + REGISTERS, low_odd);
        add(&mut sums[1], i, high_even);
        add(&mut sums[1], i + REGISTERS, high_odd);
    }
}

#[target_feature(enable = "avx2")]
#[inline]
#[allow(unsafe_code)]
fn table(pair: u8) -> __m256i {
    let Table(table) = &TABLES[pair as usize];
    // SAFETY: the table is the 16 bytes that are read, and aligned to as many.
    _mm256_broadcastsi128_si256(unsafe { _mm_load_si128(table.as_ptr().cast()) })
}

#[target_feature(enable = "avx2")]
#[inline]
#[allow(unsafe_code)]
fn load(Place(columns): &Place, i: usize) -> __m256i {
    let columns: &[u8; BYTES] = &columns.as_chunks().0[i];
    // SAFETY: the reference is to the 32 bytes that are read, and they are aligned as the whole is.
    unsafe { _mm256_load_si256(columns.as_ptr().cast()) }
}

/// Adds to the i-th register of the sums.
#[target_feature(enable = "avx2")]
#[inline]
#[allow(unsafe_code)]
fn add(Sums(sums): &mut Sums, i: usize, more: __m256i) {
    let sums: &mut [[i16; BYTES / 2]] = sums.as_chunks_mut().0;
    let sums = sums[i].as_mut_ptr().cast();
    // SAFETY: it points to the 32 bytes that are read and written, and they are aligned as the whole is.
    unsafe { _mm256_store_si256(sums, _mm256_add_epi16(_mm256_load_si256(sums), more)) };
}
