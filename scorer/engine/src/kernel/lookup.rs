//! Pairs of records of the same bucket: told apart by segment counts, then compared. See [`crate::prune::Entry`].
//!
//! Written for whatever vectors the compiler may use; compiled for each instruction set that makes a difference.

use std::ops::Range;

use super::leaves::{Common, Plainly, bits};
use super::{Hit, Kernel, Tile};
#[cfg(target_arch = "x86_64")]
use super::{avx2::Avx2, leaves_avx512::LeavesAvx512, popcnt::Popcnt};
use crate::prune::Entry;
use crate::threshold::Cutoffs;

/// Stands for a width that is only known at run time.
const ANY: usize = 0;
/// Columns that are compared with a row at a time: as many as a word has bits.
pub(super) const COLUMNS: usize = 64;
/// So many entries must follow the last that is meant: they may be looked at, to no effect.
pub(crate) const PADDING: usize = 8;
/// So many candidates ahead of the one that is compared the encodings are fetched.
const AHEAD: usize = 16;

/// Some of the entries of a side, in order of their slacks, the greatest first. After the last, [`PADDING`] more follow.
#[derive(Clone, Debug)]
pub(crate) struct Entries<'a> {
    pub all: &'a [Entry],
    pub range: Range<usize>,
}

/// Which pairs of a bucket are wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// Pairs whose slacks come to this at least.
    pub least_slacks: u32,
    /// Pairs that agree in none of so many parts before this one: 2 at most.
    pub parts_before: u32,
    /// Whether both sides are the same, and of each pair only the one with the later column is wanted.
    pub later: bool,
}

/// The step that takes most of the time.
pub(super) trait Nearness: Copy {
    /// Which of the first columns, 1 to 64, are near to a row: a bit each. At least [`PADDING`] others follow.
    fn near(self, row: &Entry, columns: &[Entry], count: usize) -> u64;
}

impl Nearness for Plainly {
    #[inline(always)]
    fn near(self, row: &Entry, columns: &[Entry], count: usize) -> u64 {
        let near = |(place, column)| u64::from(row.is_near(column)) << place;
        columns[..count].iter().enumerate().map(near).fold(0, |set, near| set | near)
    }
}

/// Goes through the rows.
#[inline(always)]
pub(super) fn find(
    rows: Entries<'_>,
    columns: Entries<'_>,
    wanted: Wanted,
    by: impl Nearness,
    candidates: &mut Vec<(u32, u32)>,
) {
    let (start, mut end) = (columns.range.start, columns.range.end);
    for (place, row) in rows.range.clone().zip(&rows.all[rows.range]) {
        let is_wanted = |column: &Entry| row.slack() + column.slack() >= wanted.least_slacks;
        // nothing for most parts, and little by little for others
        if start < end && !is_wanted(&columns.all[end - 1]) {
            end = start + columns.all[start..end].partition_point(is_wanted);
        }
        if start == end {
            return;
        }
        let mut start = if wanted.later { start.max(place + 1) } else { start };
        while start < end {
            let columns = &columns.all[start..];
            let count = (end - start).min(COLUMNS);
            let bounded = row.is_bounded() && columns[0].is_bounded();
            let near = if bounded { by.near(row, columns, count) } else { u64::MAX >> (COLUMNS - count) };
            for column in bits(near).map(|place| &columns[place]) {
                if row.agrees_anew_with(column, wanted.parts_before) {
                    candidates.push((row.record, column.record));
                }
            }
            start += count;
        }
    }
}

impl Kernel {
    /// Appends the pairs of entries that may match and are wanted: their records' numbers.
    pub(crate) fn find_candidates(
        self,
        rows: Entries<'_>,
        columns: Entries<'_>,
        wanted: Wanted,
        candidates: &mut Vec<(u32, u32)>,
    ) {
        #[cfg(target_arch = "x86_64")]
        if !matches!(self, Self::Portable | Self::Popcnt(_))
            && let Some(avx2) = Avx2::detect()
        {
            return avx2.find_candidates(rows, columns, wanted, candidates);
        }
        find(rows, columns, wanted, Plainly, candidates);
    }

    /// Compares pairs of a row and a column, by their numbers; hands over those at or above the threshold, in any order.
    /// The cutoffs are those of the encodings' size.
    #[allow(unsafe_code)]
    pub(crate) fn score_candidates(
        self,
        rows: Tile<'_>,
        columns: Tile<'_>,
        candidates: &[(u32, u32)],
        cutoffs: &Cutoffs,
        found: impl FnMut(Hit),
    ) {
        #[cfg(target_arch = "x86_64")]
        {
            let portable = matches!(self, Self::Portable);
            let avx512 = matches!(self, Self::Avx512(_) | Self::Avx512Tables(_) | Self::Amx(_));
            if avx512 && let Some(avx512) = LeavesAvx512::detect() {
                // SAFETY: `detect` has seen that the processor has the features.
                return unsafe { with_avx512(rows, columns, candidates, cutoffs, avx512, found) };
            }
            if !portable && Popcnt::detect().is_some() {
                // SAFETY: `detect` has seen that the processor has POPCNT.
                return unsafe { with_popcnt(rows, columns, candidates, cutoffs, found) };
            }
        }
        score(rows, columns, candidates, cutoffs, Plainly, found);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq,bmi1,bmi2,popcnt")]
fn with_avx512(
    rows: Tile<'_>,
    columns: Tile<'_>,
    candidates: &[(u32, u32)],
    cutoffs: &Cutoffs,
    avx512: LeavesAvx512,
    found: impl FnMut(Hit),
) {
    score(rows, columns, candidates, cutoffs, avx512, found);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "popcnt")]
fn with_popcnt(
    rows: Tile<'_>,
    columns: Tile<'_>,
    candidates: &[(u32, u32)],
    cutoffs: &Cutoffs,
    found: impl FnMut(Hit),
) {
    score(rows, columns, candidates, cutoffs, Plainly, found);
}

#[inline(always)]
fn score(
    rows: Tile<'_>,
    columns: Tile<'_>,
    candidates: &[(u32, u32)],
    cutoffs: &Cutoffs,
    by: impl Common,
    found: impl FnMut(Hit),
) {
    // Loops of a known length are unrolled: for the usual sizes.
    match rows.width {
        8 => score_sized::<8>(rows, columns, candidates, cutoffs, by, found),
        16 => score_sized::<16>(rows, columns, candidates, cutoffs, by, found),
        32 => score_sized::<32>(rows, columns, candidates, cutoffs, by, found),
        _ => score_sized::<ANY>(rows, columns, candidates, cutoffs, by, found),
    }
}

#[inline(always)]
fn score_sized<const WIDTH: usize>(
    rows: Tile<'_>,
    columns: Tile<'_>,
    candidates: &[(u32, u32)],
    cutoffs: &Cutoffs,
    by: impl Common,
    mut found: impl FnMut(Hit),
) {
    let width = if WIDTH == ANY { rows.width } else { WIDTH };
    for (place, &(row, column)) in candidates.iter().enumerate() {
        if let Some(&(row, column)) = candidates.get(place + AHEAD) {
            rows.fetch(row);
            columns.fetch(column);
        }
        let words = &rows.words[row as usize * width..][..width];
        let others = &columns.words[column as usize * width..][..width];
        let intersection = by.common(words, others);
        if intersection
            >= cutoffs.as_slice()[(rows.counts[row as usize] + columns.counts[column as usize]) as usize]
        {
            found(Hit { row, column, intersection });
        }
    }
}

impl Tile<'_> {
    /// Lets the processor fetch what is known of a record.
    #[inline(always)]
    fn fetch(&self, record: u32) {
        const LINE_WORDS: usize = 8;
        let words = &self.words[record as usize * self.width..][..self.width];
        words.iter().step_by(LINE_WORDS).for_each(super::fetch);
        super::fetch(&self.counts[record as usize]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tests::cases;

    /// Entries in order of their slacks, with few different hashes, and others after them.
    fn entries(records: Vec<([u8; 16], u8, [u8; 3])>) -> Vec<Entry> {
        let mut entries: Vec<Entry> = (0..)
            .zip(records)
            .map(|(record, (mut counts, slack, hashes))| {
                counts[15] = u8::MAX - slack;
                Entry::new(counts, &hashes.map(u32::from), record)
            })
            .collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.slack()));
        entries
    }

    fn records(most_count: u8, most_slack: u8) -> impl Strategy<Value = Vec<([u8; 16], u8, [u8; 3])>> {
        let counts = prop::array::uniform16(0..=most_count);
        let slack =
            prop_oneof![20 => 0..20u8, 1 => Just(254), 1 => prop::sample::select(vec![19, most_slack])];
        let hashes = [0..2u8, 0..2u8, 0..2u8];
        prop::collection::vec((counts, slack, hashes), 0..150)
    }

    /// What every kernel finds among the entries from some on, against the definition.
    fn check(rows: Vec<Entry>, columns: Vec<Entry>, from: (usize, usize), how: Wanted) {
        let Wanted { least_slacks, parts_before, later } = how;
        let (mut wanted, mut expected) = (Vec::new(), Vec::new());
        for (i, row) in rows.iter().enumerate().skip(from.0) {
            for (j, column) in columns.iter().enumerate().skip(from.1) {
                let slacks = row.slack() + column.slack();
                if slacks >= least_slacks && (!later || i < j) && row.agrees_anew_with(column, parts_before) {
                    let differences =
                        row.counts[..15].iter().zip(&column.counts).map(|(a, b)| u32::from(a.abs_diff(*b)));
                    wanted.push((row.record, column.record));
                    if differences.sum::<u32>() <= slacks || !row.is_bounded() || !column.is_bounded() {
                        expected.push((row.record, column.record));
                    }
                }
            }
        }
        let bounded = rows.iter().chain(&columns).all(Entry::is_bounded);
        let ranges = (from.0.min(rows.len())..rows.len(), from.1.min(columns.len())..columns.len());
        let padded = |entries: Vec<Entry>| [entries, vec![Entry::default(); PADDING]].concat();
        let (rows, columns) = (padded(rows), padded(columns));
        for kernel in Kernel::available() {
            let mut candidates = Vec::new();
            let rows = Entries { all: &rows, range: ranges.0.clone() };
            let columns = Entries { all: &columns, range: ranges.1.clone() };
            kernel.find_candidates(rows, columns, how, &mut candidates);
            if bounded {
                assert_eq!(candidates, expected, "{}", kernel.name());
            } else {
                // others may come along
                assert!(expected.iter().all(|pair| candidates.contains(pair)), "{}", kernel.name());
                assert!(candidates.iter().all(|pair| wanted.contains(pair)), "{}", kernel.name());
            }
        }
    }

    /// Few enough for an interpreter: see `tests/sanitize`.
    #[test]
    fn few_entries_are_told_apart_as_by_the_definition() {
        let side = |seed: u8, records: u8| {
            let record =
                |i: u8| (std::array::from_fn(|k| (seed * i + k as u8) % 5), i % 7 * 3, [i % 2, 0, 1]);
            entries((0..records).map(record).collect())
        };
        for (rows, columns) in [(3, 0), (2, 1), (5, 8), (4, 9), (2, 23)] {
            check(
                side(3, rows),
                side(5, columns),
                (0, 0),
                Wanted { least_slacks: 4, parts_before: 1, later: false },
            );
        }
        check(side(3, 12), side(3, 12), (0, 0), Wanted { least_slacks: 0, parts_before: 0, later: true });
    }

    proptest! {
        #![proptest_config(cases(64))]

        #[test]
        fn every_kernel_finds_the_candidates_that_are_wanted(
            (rows, columns) in prop_oneof![
                (records(2, 19), records(2, 19)),
                (records(4, 254), records(4, 255)),
                (records(255, 255), records(255, 255)),
            ],
            least_slacks in 0..40u32,
            parts_before in 0..3u32,
            later: bool,
            from in (0..30usize, 0..30usize),
        ) {
            let rows = entries(rows);
            let columns = if later { rows.clone() } else { entries(columns) };
            check(rows, columns, from, Wanted { least_slacks, parts_before, later });
        }

        #[test]
        fn every_kernel_scores_candidates_as_by_the_definition(
            seed: u64,
            width in prop::sample::select(vec![1, 3, 8, 16, 31, 32]),
            threshold in prop::sample::select(vec![0.5, 0.8, 0.95, 1.0]),
            candidates in prop::collection::vec((0..30u32, 0..20u32), 0..60),
        ) {
            let sets = crate::tests::datasets(seed, &[30, 20], width);
            let counts = sets.iter().map(|words| {
                let mut counts = Vec::new();
                super::super::count_ones(words, width, &mut counts);
                counts
            });
            let counts: Vec<Vec<u32>> = counts.collect();
            let tile = |side: usize| Tile { words: &sets[side], counts: &counts[side], width };
            let record = |side: usize, record: u32| &sets[side][record as usize * width..][..width];
            let reached = |&&(row, column): &&(u32, u32)| crate::dice(record(0, row), record(1, column)) >= threshold;
            let expected: Vec<_> = candidates.iter().filter(reached).copied().collect();
            let cutoffs = Cutoffs::new(crate::Threshold::new(threshold).unwrap(), width * 8);
            for kernel in Kernel::available() {
                let mut found = Vec::new();
                kernel.score_candidates(tile(0), tile(1), &candidates, &cutoffs, |hit| {
                    let common = record(0, hit.row).iter().zip(record(1, hit.column)).map(|(a, b)| (a & b).count_ones());
                    assert_eq!(hit.intersection, common.sum::<u32>());
                    found.push((hit.row, hit.column));
                });
                prop_assert_eq!(&found, &expected, "{}", kernel.name());
            }
        }
    }
}
