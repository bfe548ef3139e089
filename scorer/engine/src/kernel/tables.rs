//! Looks up in memory what a column has in common with many rows, five bits at a time: for large tiles, and for all
//! processors that add bytes side by side.
//!
//! This is the method of the Four Russians (Arlazarov, Dinic, Kronrod and Faradzhev, 1970), made for multiplying matrices
//! of bits. 128 rows share tables, one for each piece of five bits of a word: by what a column has there, it says how many
//! bits that has in common with each of the rows. So a column takes 13 look-ups and additions a word for all 128 rows, and
//! no bit is counted but for making the tables, which many columns share.
//!
//! An entry's byte is worth two rows, one a half. The halves of three entries at most are added up before they are told
//! apart: as in [`super::nibbles`], the whole bytes are added to one sum, and their high halves to another. Both are known
//! modulo 256, and no sum is greater.
//!
//! What the rows and the column have in common in a section of the encodings is taken off what they still miss to reach
//! the threshold; where nothing is missing in the end, there is a candidate. That is counted in bytes, too, and so by twos
//! or fours of bits, rounded such that no pair is lost that reaches the threshold. Of candidates the bits are counted after
//! all: few have been let through in vain.

use super::found::Found;
use super::places::{Place, RECORDS, WORD_PLACES, transpose, word_of_each};
use super::{Scratch, Tile};
use crate::threshold::Cutoffs;

/// Rows that share tables.
const ROWS: usize = RECORDS;
/// Bytes of an entry.
pub(super) const ENTRY: usize = ROWS / 2;
const WORD_BITS: usize = 64;
const PIECE_BITS: usize = 5;
/// Pieces of a word; the last one is shorter.
const PIECES: usize = WORD_BITS.div_ceil(PIECE_BITS);
/// Of the pieces, so many are in the first of two words.
const FIRST_PIECES: usize = 8;
const ENTRIES: usize = 1 << PIECE_BITS;
/// Pieces are told as the place of the entry in units of so many bytes, which instructions can multiply by.
const UNIT: usize = 8;
const ENTRY_UNITS: usize = ENTRY / UNIT;
/// Words of which a byte can hold the sum, unless all of their bits are set in both records.
const SECTION: usize = 4;
/// What is missing is halved so often at most, before the rounding lets too many candidates through.
const MOST_HALVINGS: u32 = 2;
/// Of fewer rows the tables, and with fewer columns the work for the tables, are not worth it; tests have few.
const FEWEST: (usize, usize) = if cfg!(test) { (3, 5) } else { (64, 256) };

/// What one kind of register does with the bytes of an entry.
pub(super) trait Registers: Copy {
    type Entry: Copy;
    fn load(self, bytes: &[u8; ENTRY]) -> Self::Entry;
    fn store(self, entry: Self::Entry, bytes: &mut [u8; ENTRY]);
    fn zero(self) -> Self::Entry;
    /// Modulo 256.
    fn add(self, a: Self::Entry, b: Self::Entry) -> Self::Entry;
    /// Modulo 256.
    fn subtract(self, a: Self::Entry, b: Self::Entry) -> Self::Entry;
    /// What is left of a, at least zero.
    fn take(self, a: Self::Entry, b: Self::Entry) -> Self::Entry;
    /// Rounded up.
    fn halve(self, a: Self::Entry) -> Self::Entry;
    /// Sixteen times, modulo 256.
    fn sixteenfold(self, a: Self::Entry) -> Self::Entry;
    /// The high halves. Those of the even bytes have the low halves of their odd neighbours in front of them, as bytes
    /// cannot be shifted, but words of two.
    fn high_halves(self, a: Self::Entry) -> Self::Entry;
    /// Sixteen times the odd bytes, modulo 256, each in the place of the even one before it, and zero in its own.
    fn sixteenfold_neighbours(self, a: Self::Entry) -> Self::Entry;
    /// A bit for each byte that is zero.
    fn zeros(self, a: Self::Entry) -> u64;
}

/// By piece of a word, then by what a column has there: an entry, which is aligned as registers are. There is room for
/// whatever a byte can ask for.
#[derive(Debug)]
#[repr(align(64))]
struct Tables([[u8; UNIT]; (PIECES * ENTRIES + 1) * ENTRY_UNITS]);

/// What a column and the rows have in common in the words of a section so far.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Common {
    /// Of whole bytes.
    totals: [u8; ENTRY],
    /// Of their high halves; see [`Registers::high_halves`].
    highs: [u8; ENTRY],
}

/// What a column and the rows still have to have in common, in units of bits. First those of the low halves.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Missing([[u8; ENTRY]; 2]);

/// A tile, by tables.
#[derive(Debug, Default)]
pub(super) struct ByTables {
    tables: Tables,
    /// The same word of each column.
    words: Vec<u64>,
    /// The first pieces of a word, one a byte, and the others. By word, then by column.
    pieces: [Vec<u64>; 2],
    /// By column.
    common: Vec<Common>,
    missing: Vec<Missing>,
}

impl Default for Tables {
    fn default() -> Self {
        Self([[0; UNIT]; _])
    }
}

/// Compares large tiles by tables. What is not worth it is left to another kernel: a whole tile, or the last of its rows.
pub(super) fn score_tile(
    rows: Tile<'_>,
    columns: Tile<'_>,
    cutoffs: &Cutoffs,
    scratch: &mut Scratch,
    by_tables: impl FnOnce(&mut ByTables, &mut Found<'_>),
    otherwise: impl FnOnce(Tile<'_>, &mut Scratch),
) {
    let (many, rest) = rows.split_at(worth_it(rows, columns, cutoffs));
    if !many.counts.is_empty() {
        by_tables(
            &mut scratch.by_tables,
            &mut Found { rows: many, columns, cutoffs, hits: &mut scratch.hits },
        );
    }
    let hits = scratch.hits.len();
    if !rest.counts.is_empty() {
        otherwise(rest, scratch);
    }
    scratch.hits[hits..].iter_mut().for_each(|hit| hit.row += many.counts.len() as u32);
}

/// How many of the rows are worth comparing by tables.
fn worth_it(rows: Tile<'_>, columns: Tile<'_>, cutoffs: &Cutoffs) -> usize {
    let (len, rest) = (rows.counts.len(), rows.counts.len() % ROWS);
    if columns.counts.len() < FEWEST.1
        || halvings(rows, columns, cutoffs) > MOST_HALVINGS
        || rows.words.chunks_exact(rows.width).any(has_full_section)
    {
        return 0;
    }
    if rest < FEWEST.0 { len - rest } else { len }
}

/// How often what is missing has to be halved to fit into a byte.
fn halvings(rows: Tile<'_>, columns: Tile<'_>, cutoffs: &Cutoffs) -> u32 {
    let most = |counts: &[u32]| cutoffs.share(counts.iter().copied().max().unwrap_or(0));
    let most = most(rows.counts) + most(columns.counts);
    // once at least, to save the distinction
    (1..).find(|&halvings| most >> halvings <= i64::from(u8::MAX)).unwrap_or(u32::MAX)
}

fn has_full_section(record: &[u64]) -> bool {
    record.as_chunks::<SECTION>().0.contains(&[u64::MAX; SECTION])
}

impl ByTables {
    /// Inlined, to be compiled for the processor that the registers are of.
    #[inline(always)]
    pub(super) fn score(&mut self, found: &mut Found<'_>, by: impl Registers) {
        let (rows, columns, cutoffs) = (found.rows, found.columns, found.cutoffs);
        let (width, columns_len) = (rows.width, columns.counts.len());
        let halvings = halvings(rows, columns, cutoffs);
        self.fill_pieces(columns);
        self.common.resize(columns_len, Common { totals: [0; ENTRY], highs: [0; ENTRY] });
        for (block, (words, counts)) in
            rows.words.chunks(ROWS * width).zip(rows.counts.chunks(ROWS)).enumerate()
        {
            self.fill_missing(counts, columns.counts, |count| (cutoffs.share(count) >> halvings) as u8);
            for word in 0..width {
                self.tables.fill(&word_of_each(words, width, word));
                let is_first = word % SECTION == 0;
                let is_last = word % SECTION == SECTION - 1 || word == width - 1;
                match (is_first, is_last, halvings) {
                    (true, false, _) => self.add_word::<true, 0>(word, by),
                    (false, false, _) => self.add_word::<false, 0>(word, by),
                    (true, true, 1) => self.add_word::<true, 1>(word, by),
                    (false, true, 1) => self.add_word::<false, 1>(word, by),
                    (true, true, _) => self.add_word::<true, 2>(word, by),
                    (false, true, _) => self.add_word::<false, 2>(word, by),
                }
            }
            for (column, Missing([low, high])) in self.missing.iter().enumerate() {
                let candidates = [by.zeros(by.load(low)), by.zeros(by.load(high))];
                if candidates != [0, 0] {
                    keep(found, block * ROWS, column, candidates);
                }
            }
        }
    }

    #[inline(always)]
    fn fill_pieces(&mut self, columns: Tile<'_>) {
        let (width, len) = (columns.width, columns.counts.len());
        for pieces in &mut self.pieces {
            pieces.resize(width * len, 0);
        }
        let [first, others] = &mut self.pieces;
        let words = &mut self.words;
        words.resize(len, 0);
        for (word, (first, others)) in
            first.chunks_exact_mut(len).zip(others.chunks_exact_mut(len)).enumerate()
        {
            let records = columns.words.chunks_exact(width);
            words.iter_mut().zip(records).for_each(|(of_one, record)| *of_one = record[word]);
            first.iter_mut().zip(&*words).for_each(|(pieces, word)| *pieces = spread(*word));
            let shift = FIRST_PIECES * PIECE_BITS;
            others.iter_mut().zip(&*words).for_each(|(pieces, word)| *pieces = spread(word >> shift));
        }
    }

    /// What all pairs miss before anything has been added.
    #[inline(always)]
    fn fill_missing(&mut self, rows: &[u32], columns: &[u32], share: impl Fn(u32) -> u8) {
        // what only fills up reaches nothing
        let mut of_rows = [u8::MAX; ROWS];
        for (place, missing) in of_rows.iter_mut().enumerate() {
            if let Some(&count) = rows.get(row(place)) {
                *missing = share(count);
            }
        }
        let (halves, _) = of_rows.as_chunks();
        self.missing.clear();
        self.missing.resize(columns.len(), Missing([halves[0], halves[1]]));
        for (Missing(missing), &count) in self.missing.iter_mut().zip(columns) {
            let of_column = share(count);
            for missing in missing.as_flattened_mut() {
                *missing = missing.saturating_add(of_column);
            }
        }
    }

    /// Adds what all columns have in common with the rows in a word, whose tables have been filled. If there are halvings,
    /// the section ends with it.
    #[inline(always)]
    fn add_word<const IS_FIRST: bool, const HALVINGS: u32>(&mut self, word: usize, by: impl Registers) {
        let len = self.missing.len();
        let [first, others] = self.pieces.each_ref().map(|pieces| &pieces[word * len..][..len]);
        let columns = self.common.iter_mut().zip(&mut self.missing);
        for ((&first, &others), (common, missing)) in first.iter().zip(others).zip(columns) {
            let [mut totals, mut highs] = match IS_FIRST {
                true => [by.zero(); 2],
                false => [by.load(&common.totals), by.load(&common.highs)],
            };
            let mut piece = 0;
            // how many pieces are added up: fifteen bits fit into half of a byte
            for (mut pieces, groups) in [(first, &[3, 3, 2][..]), (others, &[3, 2])] {
                for &group in groups {
                    let mut sum = by.load(self.tables.entry(piece, pieces as u8));
                    for i in 1..group {
                        pieces >>= 8;
                        sum = by.add(sum, by.load(self.tables.entry(piece + i, pieces as u8)));
                    }
                    pieces >>= 8;
                    piece += group;
                    totals = by.add(totals, sum);
                    highs = by.add(highs, by.high_halves(sum));
                }
            }
            if HALVINGS == 0 {
                by.store(totals, &mut common.totals);
                by.store(highs, &mut common.highs);
                continue;
            }
            let low = by.subtract(totals, by.sixteenfold(highs));
            let high = by.subtract(highs, by.sixteenfold_neighbours(low));
            for (missing, mut common) in missing.0.iter_mut().zip([low, high]) {
                for _ in 0..HALVINGS {
                    common = by.halve(common);
                }
                by.store(by.take(by.load(missing), common), missing);
            }
        }
    }
}

impl Tables {
    #[inline(always)]
    fn entry(&self, piece: usize, place: u8) -> &[u8; ENTRY] {
        let start = piece * ENTRIES * ENTRY_UNITS + usize::from(place);
        let units: &[[u8; UNIT]; ENTRY_UNITS] = self.0[start..].first_chunk().expect("there is room");
        units.as_flattened().try_into().expect("an entry has so many bytes")
    }

    /// For the same word of each of the rows.
    #[inline(always)]
    fn fill(&mut self, words: &[u64; ROWS]) {
        let mut bits = [[0; ENTRY]; WORD_BITS];
        fill_single_bits(words, &mut bits);
        let tables = self.0.as_chunks_mut::<ENTRY_UNITS>().0.chunks_exact_mut(ENTRIES);
        for (table, bits) in tables.zip(bits.chunks(PIECE_BITS)) {
            // what has a bit set has in common what the one without it has, and that bit
            for (bit, more) in bits.iter().enumerate() {
                let (without, with) = table.split_at_mut(1 << bit);
                for (without, with) in without.iter().zip(with) {
                    let more = without.as_flattened().iter().zip(more).map(|(without, more)| without + more);
                    with.as_flattened_mut().iter_mut().zip(more).for_each(|(with, more)| *with = more);
                }
            }
        }
    }
}

/// Which rows have a bit set, for each bit of a word: entries.
#[inline(always)]
fn fill_single_bits(words: &[u64; ROWS], entries: &mut [[u8; ENTRY]; WORD_BITS]) {
    const NIBBLE_BITS: usize = 4;
    let mut places = [Place([0; ROWS]); WORD_PLACES];
    transpose(words, &mut places);
    // the low nibbles of the bytes come first
    let (low, high) = places.split_at(WORD_PLACES / 2);
    let places = low.iter().zip(high).flat_map(|(low, high)| [low, high]);
    for (entries, Place(nibbles)) in entries.as_chunks_mut::<NIBBLE_BITS>().0.iter_mut().zip(places) {
        let (halves, _) = nibbles.as_chunks::<ENTRY>();
        for (bit, entry) in entries.iter_mut().enumerate() {
            for (byte, (low, high)) in entry.iter_mut().zip(halves[0].iter().zip(&halves[1])) {
                *byte = ((low | (high << 4)) >> bit) & 0x11;
            }
        }
    }
}

/// The row by its place in [`Missing`]: as that of a record in [`Place`].
fn row(place: usize) -> usize {
    place / 2 + ROWS / 2 * (place % 2)
}

/// Spreads eight pieces of five bits over bytes, for each to be the place of its entry.
#[inline(always)]
fn spread(word: u64) -> u64 {
    let twenties = (word & 0xf_ffff) | ((word << 12) & 0x000f_ffff_0000_0000);
    let tens = (twenties & 0x0000_03ff_0000_03ff) | ((twenties << 6) & 0x03ff_0000_03ff_0000);
    let fives = (tens & 0x001f_001f_001f_001f) | ((tens << 3) & 0x1f00_1f00_1f00_1f00);
    const { assert!(ENTRY_UNITS == 1 << 3) };
    fives << 3
}

/// Keeps those candidates among a column's pairs that reach the threshold.
#[inline(always)]
fn keep(found: &mut Found<'_>, first_row: usize, column: usize, candidates: [u64; 2]) {
    let width = found.rows.width;
    for (half, mut candidates) in candidates.into_iter().enumerate() {
        while candidates != 0 {
            let row = first_row + row(half * ENTRY + candidates.trailing_zeros() as usize);
            candidates &= candidates - 1;
            let (a, b) =
                (&found.rows.words[row * width..][..width], &found.columns.words[column * width..][..width]);
            found.test(row, column, a.iter().zip(b).map(|(a, b)| (a & b).count_ones()).sum());
        }
    }
}
