//! Eight columns at a time, one a 64-bit lane: for processors with AVX-512 and VPOPCNTDQ.
//!
//! The columns are transposed, so that a register holds the same word of eight records. The words of a row are
//! broadcast by the very instruction that needs them. No pair is divided, nor its cutoff looked up: the running sums
//! start at minus the columns' share of the cutoff and are compared with the row's, which lets through a few pairs too
//! many (see [`Cutoffs::share`]); those are then looked at one by one.

use std::arch::x86_64::{
    __cpuid, __m512i, _mm512_add_epi64, _mm512_and_si512, _mm512_cmpge_epi64_mask, _mm512_popcnt_epi64,
    _mm512_set1_epi64, _mm512_setzero_si512,
};
use std::ops::Range;

use super::found::Found;
use super::popcnt::Popcnt;
use super::zmm::{load, store};
use super::{Hit, Scratch, Tile};
use crate::threshold::Cutoffs;

/// 64-bit lanes of a register.
const LANES: usize = 8;
/// Bytes of rows that stay in the fastest cache while the columns stream past.
const BLOCK_BYTES: usize = 1 << 14;
/// Rows that share a load of a column's word, where the columns do not fit into registers.
const ROWS_AT_ONCE: usize = 4;

/// Whether this kernel is faster than tables, whose loads bound them: on AMD's processors since Zen 5 (family 26), which
/// count the bits of 64 bytes twice a cycle. Measured: 2,397 million pairs a second instead of 2,183.
pub(super) fn outruns_tables() -> bool {
    const ZEN_5: u32 = 26;
    if cfg!(miri) {
        // which cannot ask the processor
        return false;
    }
    let (maker, version) = (__cpuid(0), __cpuid(1).eax);
    let is_amd = [maker.ebx, maker.edx, maker.ecx].map(u32::to_le_bytes).as_flattened() == b"AuthenticAMD";
    // what does not fit into the first field goes on in the second
    is_amd && (version >> 8 & 0xf) + (version >> 20 & 0xff) >= ZEN_5
}

/// What a register holds, such as the same word of eight records.
type Lanes = [i64; LANES];

/// Proof that the processor has AVX-512 with VPOPCNTDQ, and the older kernel for tiles that are not worth transposing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512(Popcnt);

/// Columns, eight side by side.
#[derive(Debug, Default)]
pub(super) struct Transposed {
    /// By group of eight columns, then by word. The last group is filled up with empty records.
    words: Vec<Lanes>,
    /// By group of eight columns: where their sums start.
    starts: Vec<Lanes>,
    /// What the sums of each row have to reach.
    row_shares: Vec<i64>,
}

impl Avx512 {
    /// None on a processor without it.
    pub(super) fn detect() -> Option<Self> {
        let has = std::arch::is_x86_feature_detected!("avx512f")
            && std::arch::is_x86_feature_detected!("avx512vpopcntdq");
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
        let Scratch { hits, transposed, .. } = scratch;
        // as in tiny blocks
        if rows.counts.len() < LANES || columns.counts.len() < LANES {
            return self.0.score_tile(rows, columns, cutoffs, hits);
        }
        transposed.fill(rows, columns, cutoffs);
        // SAFETY: a value of this type only comes from `detect`, which has seen that the processor has both features.
        unsafe { score_transposed(rows, columns, cutoffs, transposed, hits) }
    }
}

impl Transposed {
    fn fill(&mut self, rows: Tile<'_>, columns: Tile<'_>, cutoffs: &Cutoffs) {
        let width = columns.width;
        let groups = columns.counts.len().div_ceil(LANES);
        self.words.clear();
        self.words.resize(groups * width, [0; LANES]);
        let records = columns.words.chunks(LANES * width);
        for (group, records) in self.words.chunks_exact_mut(width).zip(records) {
            for (lane, record) in records.chunks_exact(width).enumerate() {
                for (lanes, &word) in group.iter_mut().zip(record) {
                    lanes[lane] = word.cast_signed();
                }
            }
        }
        self.starts.clear();
        self.starts.extend(columns.counts.chunks(LANES).map(|counts| {
            // what only fills up reaches nothing
            let mut starts = [i64::MIN / 2; LANES];
            starts.iter_mut().zip(counts).for_each(|(start, &count)| *start = -cutoffs.share(count));
            starts
        }));
        self.row_shares.clear();
        self.row_shares.extend(rows.counts.iter().map(|&count| cutoffs.share(count)));
    }
}

impl Found<'_> {
    /// Keeps those of eight pairs that reach the threshold.
    #[cold]
    #[inline(never)]
    fn keep(&mut self, row: usize, group: usize, starts: &Lanes, sums: &Lanes, mut candidates: u8) {
        while candidates != 0 {
            let lane = candidates.trailing_zeros() as usize;
            candidates &= candidates - 1;
            self.test(row, group * LANES + lane, (sums[lane] - starts[lane]) as u32);
        }
    }
}

#[target_feature(enable = "avx512f,avx512vpopcntdq")]
fn score_transposed(
    rows: Tile<'_>,
    columns: Tile<'_>,
    cutoffs: &Cutoffs,
    transposed: &Transposed,
    hits: &mut Vec<Hit>,
) {
    let width = rows.width;
    let mut found = Found { rows, columns, cutoffs, hits };
    let block = (BLOCK_BYTES / (8 * width)).max(ROWS_AT_ONCE);
    for first in (0..rows.counts.len()).step_by(block) {
        let block = first..(first + block).min(rows.counts.len());
        for (group, (words, starts)) in
            transposed.words.chunks_exact(width).zip(&transposed.starts).enumerate()
        {
            let group = Group { number: group, words, starts, row_shares: &transposed.row_shares };
            match width {
                8 => group.against_rows::<8>(block.clone(), &mut found),
                16 => group.against_rows::<16>(block.clone(), &mut found),
                _ => group.against_wide_rows(block.clone(), &mut found),
            }
        }
    }
}

/// Eight columns.
struct Group<'a> {
    number: usize,
    words: &'a [Lanes],
    starts: &'a Lanes,
    row_shares: &'a [i64],
}

impl Group<'_> {
    /// The columns stay in registers.
    #[target_feature(enable = "avx512f,avx512vpopcntdq")]
    #[inline]
    fn against_rows<const WIDTH: usize>(&self, rows: Range<usize>, found: &mut Found<'_>) {
        // no closures here: what they call is not inlined, as the instructions are not known outside
        let mut columns = [_mm512_setzero_si512(); WIDTH];
        for (column, words) in columns.iter_mut().zip(self.words) {
            *column = load(words);
        }
        let start = load(self.starts);
        let row_words = &found.rows.words[rows.start * WIDTH..rows.end * WIDTH];
        for (row, words) in rows.zip(row_words.as_chunks::<WIDTH>().0) {
            // several sums, as an addition has to wait for the one before
            let mut sums = [start, _mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()];
            for word in 0..WIDTH {
                sums[word % 4] = add_common(sums[word % 4], columns[word], words[word]);
            }
            let sum =
                _mm512_add_epi64(_mm512_add_epi64(sums[0], sums[1]), _mm512_add_epi64(sums[2], sums[3]));
            self.test(row, sum, found);
        }
    }

    /// The columns are loaded again for every few rows.
    #[target_feature(enable = "avx512f,avx512vpopcntdq")]
    #[inline]
    fn against_wide_rows(&self, rows: Range<usize>, found: &mut Found<'_>) {
        let width = self.words.len();
        let start = load(self.starts);
        let row_words = found.rows.words;
        let record = |row: usize| &row_words[row * width..][..width];
        let mut row = rows.start;
        while row + ROWS_AT_ONCE <= rows.end {
            let [a, b, c, d] = [record(row), record(row + 1), record(row + 2), record(row + 3)];
            let mut sums = [start; ROWS_AT_ONCE];
            for (word, column) in self.words.iter().enumerate() {
                let column = load(column);
                sums[0] = add_common(sums[0], column, a[word]);
                sums[1] = add_common(sums[1], column, b[word]);
                sums[2] = add_common(sums[2], column, c[word]);
                sums[3] = add_common(sums[3], column, d[word]);
            }
            for (i, sum) in sums.into_iter().enumerate() {
                self.test(row + i, sum, found);
            }
            row += ROWS_AT_ONCE;
        }
        for row in row..rows.end {
            let mut sum = start;
            for (column, &word) in self.words.iter().zip(record(row)) {
                sum = add_common(sum, load(column), word);
            }
            self.test(row, sum, found);
        }
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    fn test(&self, row: usize, sum: __m512i, found: &mut Found<'_>) {
        let candidates = _mm512_cmpge_epi64_mask(sum, _mm512_set1_epi64(self.row_shares[row]));
        if candidates != 0 {
            let mut sums = [0; LANES];
            store(sum, &mut sums);
            found.keep(row, self.number, self.starts, &sums, candidates);
        }
    }
}

/// Adds the number of bits that a row's word has in common with those of eight columns.
#[target_feature(enable = "avx512f,avx512vpopcntdq")]
#[inline]
fn add_common(sum: __m512i, columns: __m512i, row: u64) -> __m512i {
    let common = _mm512_and_si512(columns, _mm512_set1_epi64(row.cast_signed()));
    _mm512_add_epi64(sum, _mm512_popcnt_epi64(common))
}
