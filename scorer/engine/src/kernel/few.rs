//! Compares few records with others straight from the memory of their data sets, as in tiny blocks.
//!
//! Such records come from anywhere, so that most of the time goes into waiting for memory. Nothing is copied or put into
//! another order, and the bits of each record are counted on the way.

use super::Kernel;
use super::leaves::{Common, Plainly};
#[cfg(target_arch = "x86_64")]
use super::{leaves_avx512::LeavesAvx512, popcnt::Popcnt};
use crate::threshold::Cutoffs;

/// So many records at most are few. With more on either side it is faster to copy them and to compare whole tiles.
pub(crate) const FEW: usize = if cfg!(test) { 3 } else { 8 };
/// Stands for a width that is only known at run time.
const ANY: usize = 0;
/// Words of a cache line.
const LINE_WORDS: usize = 8;

/// Some records of a data set in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Records<'a> {
    /// The encodings of the whole data set.
    pub words: &'a [u64],
    /// Words of one encoding.
    pub width: usize,
    /// Which records.
    pub records: &'a [u32],
}

/// Two records at or above the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Found {
    /// The record among the rows, by its number in the data set.
    pub row: u32,
    /// The record among the columns.
    pub column: u32,
    /// Bits set in both encodings.
    pub intersection: u32,
    /// The sum of the bits set in each.
    pub sum: u32,
}

impl Records<'_> {
    /// Lets the processor fetch the encodings while it does something else.
    ///
    /// Best for many records at once: a processor holds so many instructions at a time, and what it fetches from memory
    /// at the same time is what those ask for.
    pub(crate) fn fetch(self) {
        // as below
        match self.width {
            8 => self.fetch_sized::<8>(),
            16 => self.fetch_sized::<16>(),
            32 => self.fetch_sized::<32>(),
            _ => self.fetch_sized::<ANY>(),
        }
    }

    #[inline(always)]
    fn fetch_sized<const WIDTH: usize>(self) {
        let width = if WIDTH == ANY { self.width } else { WIDTH };
        for &record in self.records {
            let words = self.record(record, width);
            words.iter().step_by(LINE_WORDS).for_each(fetch);
            // there is one more cache line than that, unless the encoding starts where one begins
            words.last().into_iter().for_each(fetch);
        }
    }

    #[inline(always)]
    fn record(&self, record: u32, width: usize) -> &[u64] {
        &self.words[record as usize * width..][..width]
    }
}

/// Asks the processor for a cache line; where it is not known how, nothing is done.
#[inline(always)]
#[allow(unsafe_code)]
pub(crate) fn fetch<T>(item: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: nothing is read, this is but a hint; and the address is that of an item.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(item).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = item;
}

impl Kernel {
    /// Compares every row with every column, of which one side has at most [`FEW`]; hands over the pairs at or above the
    /// threshold, in any order. The cutoffs are those of the encodings' size.
    #[inline]
    #[allow(unsafe_code)]
    pub(crate) fn score_few(
        self,
        rows: Records<'_>,
        columns: Records<'_>,
        cutoffs: &Cutoffs,
        found: impl FnMut(Found),
    ) {
        #[cfg(target_arch = "x86_64")]
        {
            let portable = matches!(self, Self::Portable);
            let avx512 = matches!(self, Self::Avx512(_) | Self::Avx512Tables(_) | Self::Amx(_));
            if avx512 && let Some(avx512) = LeavesAvx512::detect() {
                // SAFETY: `detect` has seen that the processor has the features.
                return unsafe { with_avx512(rows, columns, cutoffs, avx512, found) };
            }
            if !portable && Popcnt::detect().is_some() {
                // SAFETY: `detect` has seen that the processor has POPCNT.
                return unsafe { with_popcnt(rows, columns, cutoffs, found) };
            }
        }
        score_few(rows, columns, cutoffs, Plainly, found);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq,bmi1,bmi2,popcnt")]
fn with_avx512(
    rows: Records<'_>,
    columns: Records<'_>,
    cutoffs: &Cutoffs,
    avx512: LeavesAvx512,
    found: impl FnMut(Found),
) {
    score_few(rows, columns, cutoffs, avx512, found);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "popcnt")]
fn with_popcnt(rows: Records<'_>, columns: Records<'_>, cutoffs: &Cutoffs, found: impl FnMut(Found)) {
    score_few(rows, columns, cutoffs, Plainly, found);
}

#[inline(always)]
fn score_few(
    rows: Records<'_>,
    columns: Records<'_>,
    cutoffs: &Cutoffs,
    by: impl Common,
    mut found: impl FnMut(Found),
) {
    let (few, others, swapped) = match rows.records.len() <= FEW {
        true => (rows, columns, false),
        false => (columns, rows, true),
    };
    let keep = |Found { row, column, intersection, sum }| {
        let (row, column) = if swapped { (column, row) } else { (row, column) };
        found(Found { row, column, intersection, sum });
    };
    // Loops of a known length are unrolled: for the usual sizes.
    match rows.width {
        8 => score_sized::<8>(few, others, cutoffs, by, keep),
        16 => score_sized::<16>(few, others, cutoffs, by, keep),
        32 => score_sized::<32>(few, others, cutoffs, by, keep),
        _ => score_sized::<ANY>(few, others, cutoffs, by, keep),
    }
}

#[inline(always)]
fn score_sized<const WIDTH: usize>(
    few: Records<'_>,
    others: Records<'_>,
    cutoffs: &Cutoffs,
    by: impl Common,
    mut keep: impl FnMut(Found),
) {
    assert!(few.records.len() <= FEW);
    let width = if WIDTH == ANY { few.width } else { WIDTH };
    let mut few_ones = [0; FEW];
    for (ones, &row) in few_ones.iter_mut().zip(few.records) {
        let words = few.record(row, width);
        *ones = by.common(words, words);
    }
    for &column in others.records {
        let words = others.record(column, width);
        let ones = by.common(words, words);
        let cutoffs = &cutoffs.as_slice()[ones as usize..];
        for (&row, &row_ones) in few.records.iter().zip(&few_ones) {
            let intersection = by.common(few.record(row, width), words);
            if intersection >= cutoffs[row_ones as usize] {
                keep(Found { row, column, intersection, sum: row_ones + ones });
            }
        }
    }
}

#[cfg(test)]
mod tests;
