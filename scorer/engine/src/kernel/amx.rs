//! Whole blocks of 32 x 32 pairs at a time, as products of matrices: for processors with AMX.
//!
//! The bits that two encodings have in common are the scalar product of vectors of zeros and ones. AMX multiplies
//! matrices of bytes, 16 x 64 by 64 x 16 with sums of 32 bits, in 16 cycles: 1024 products a cycle, three times what AND,
//! VPOPCNTQ and addition do for as many bits. So every bit becomes a byte: of the rows once, as there is room for them in
//! the first cache, and of the columns again and again, just before they are multiplied, while the matrices before them
//! are. As with [`super::avx512`], the sums start at minus the columns' share of the cutoff and are compared with the
//! row's, and the few that reach it are looked at one by one.
//!
//! Rust has no stable functions for these instructions: they are in assembler. No code of the compiler's ever uses the
//! matrix registers, so that they keep what they hold from one piece of it to the next.

use std::arch::asm;
use std::arch::x86_64::{
    __m512i, _mm512_and_si512, _mm512_cmpge_epi32_mask, _mm512_max_epi32, _mm512_rolv_epi32,
    _mm512_set1_epi32, _mm512_set1_epi64, _mm512_setr_epi32, _mm512_setzero_si512, _mm512_slli_epi32,
    _mm512_sllv_epi32, _mm512_sub_epi32,
};
use std::sync::OnceLock;

use super::avx512::Avx512;
use super::found::Found;
use super::zmm::{load, store};
use super::{Scratch, Tile};
use crate::threshold::Cutoffs;

/// Rows of a matrix register, and 32-bit numbers in each of them: as many records are side by side.
pub(super) const LINES: usize = 16;
/// Rows, and columns, that are compared at a time: two registers of either make four of sums.
const BLOCK: usize = 2 * LINES;
/// Tiles with fewer rows or columns are not worth the larger blocks.
const LEAST: usize = if cfg!(test) { 1 } else { 2 * BLOCK };
/// Sums count so many for each bit in common.
const UNIT: i32 = 1 << 7;

/// What a row of a matrix register holds, or another register of that size.
pub(super) type Line = [i32; LINES];

/// What a matrix register holds: one word each of sixteen records, every bit of it as a byte.
///
/// A row of the matrix of *rows* is a record, with 64 bytes; a row of the matrix of *columns* has 4 bytes of each record.
/// It does not matter which bits these are, as long as both agree. The four bytes of lane n of a record are bits
/// n / 2 + 0, 8, 16 and 24 of the lower half of the word if n is even, of the higher one if it is odd: those that a mask
/// leaves of the half. They are left where they are in their bytes, so that a bit of a column counts 2^(n / 2), and that of
/// the row is put where it counts 2^(7 - n / 2): the product is [`UNIT`].
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Matrix(pub(super) [Line; LINES]);

/// Sums of all pairs of a block.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Sums([[Line; 2]; BLOCK]);

/// The same word of a block of columns: the lower halves of sixteen and the higher ones, then of the other sixteen.
type Columns = [Line; 4];

/// Proof that the processor has AMX and that this process may use it, and the kernel for tiles that are too small.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amx(Avx512);

/// What a thread reuses from tile to tile.
#[derive(Debug, Default)]
pub(super) struct Expanded {
    /// By half of a block, then by word.
    rows: Vec<Matrix>,
    /// By block, then by word. The last one is filled up with empty records.
    columns: Vec<Columns>,
    /// By block: where the sums of its columns start.
    starts: Vec<[Line; 2]>,
}

impl Amx {
    /// None on a processor without it, or if the operating system does not let this process use it.
    pub(super) fn detect() -> Option<Self> {
        static IS_USABLE: OnceLock<bool> = OnceLock::new();
        let avx512 = Avx512::detect()?;
        IS_USABLE.get_or_init(|| has_amx() && is_permitted()).then_some(Self(avx512))
    }

    #[allow(unsafe_code)]
    pub(super) fn score_tile(
        self,
        rows: Tile<'_>,
        columns: Tile<'_>,
        cutoffs: &Cutoffs,
        scratch: &mut Scratch,
    ) {
        if rows.counts.len() < LEAST || columns.counts.len() < LEAST {
            return self.0.score_tile(rows, columns, cutoffs, scratch);
        }
        let Scratch { hits, expanded, .. } = scratch;
        // SAFETY: a value of this type only comes from `detect`, which has seen that the processor has all features and
        // that the system lets this process use them.
        unsafe { score_expanded(Found { rows, columns, cutoffs, hits }, expanded) }
    }
}

/// Whether the processor has AMX for bytes: CPUID leaf 7, EDX (Intel's manual, volume 2A).
fn has_amx() -> bool {
    const TILE_AND_INT8: u32 = 1 << 24 | 1 << 25;
    // an interpreter does not know CPUID
    if cfg!(miri) {
        return false;
    }
    let leaf = std::arch::x86_64::__cpuid_count(7, 0);
    leaf.edx & TILE_AND_INT8 == TILE_AND_INT8
}

/// Asks Linux for the state of the matrix registers (8 KB a thread), which a process does not have unless it asks.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn is_permitted() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_long = 18;
    // SAFETY: this call reads and writes no memory of the process. A kernel that does not know it says so.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn is_permitted() -> bool {
    false
}

#[target_feature(enable = "avx512f")]
fn score_expanded(mut found: Found<'_>, expanded: &mut Expanded) {
    let (rows, columns, width) = (found.rows, found.columns, found.rows.width);
    let share = |count: u32| found.cutoffs.share(count) as i32 * UNIT;
    expanded.fill_columns(columns, share);
    let mut sums = Sums([[[0; LINES]; 2]; BLOCK]);
    configure();
    for first_row in (0..rows.counts.len()).step_by(BLOCK) {
        let end = (first_row + BLOCK).min(rows.counts.len());
        expanded.fill_rows(&rows.words[first_row * width..end * width], width);
        // what only fills up reaches nothing
        let mut row_shares = [i32::MAX / 2; BLOCK];
        row_shares
            .iter_mut()
            .zip(&rows.counts[first_row..end])
            .for_each(|(of_row, &count)| *of_row = share(count));
        let mut columns = Ahead::new(&expanded.columns);
        for (block, starts) in expanded.starts.iter().enumerate() {
            start(starts);
            let (first, second) = expanded.rows.split_at(width);
            for (first, second) in first.iter().zip(second) {
                columns.advance();
                add_products(first, second, columns.matrices());
            }
            put(&mut sums);
            if any_reaches(&sums, &row_shares) {
                found.keep_of_block(first_row, block * BLOCK, &sums, starts, &row_shares);
            }
        }
    }
    release();
}

impl Expanded {
    #[target_feature(enable = "avx512f")]
    fn fill_columns(&mut self, columns: Tile<'_>, share: impl Fn(u32) -> i32) {
        let width = columns.width;
        let blocks = columns.counts.len().div_ceil(BLOCK);
        self.columns.clear();
        self.columns.resize(blocks * width, [[0; LINES]; 4]);
        for (block, words) in self.columns.chunks_exact_mut(width).zip(columns.words.chunks(BLOCK * width)) {
            for (column, words) in words.chunks_exact(width).enumerate() {
                let (group, lane) = (column / LINES * 2, column % LINES);
                for (lines, &word) in block.iter_mut().zip(words) {
                    lines[group][lane] = word as i32;
                    lines[group + 1][lane] = (word >> 32) as i32;
                }
            }
        }
        self.starts.clear();
        // what only fills up reaches nothing
        self.starts.resize(blocks, [[i32::MIN / 2; LINES]; 2]);
        let starts = self.starts.as_flattened_mut().as_flattened_mut().iter_mut();
        starts.zip(columns.counts).for_each(|(start, &count)| *start = -share(count));
    }

    /// Of at most a block of rows.
    #[target_feature(enable = "avx512f")]
    fn fill_rows(&mut self, words: &[u64], width: usize) {
        // what other rows have left there does no harm
        self.rows.resize(2 * width, Matrix([[0; LINES]; LINES]));
        for (group, words) in self.rows.chunks_exact_mut(width).zip(words.chunks(LINES * width)) {
            for (record, words) in words.chunks_exact(width).enumerate() {
                for (matrix, &word) in group.iter_mut().zip(words) {
                    store(bytes_of_row(word), &mut matrix.0[record]);
                }
            }
        }
    }
}

/// A line of a matrix of rows.
#[target_feature(enable = "avx512f")]
#[inline]
fn bytes_of_row(word: u64) -> __m512i {
    // by lanes: bit n / 2 goes to 7 - n / 2, and so do the 8th, 16th and 24th after it
    let to_the_left = _mm512_setr_epi32(7, 7, 5, 5, 3, 3, 1, 1, -1, -1, -3, -3, -5, -5, -7, -7);
    let places = _mm512_setr_epi32(7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
    let masks = _mm512_sllv_epi32(_mm512_set1_epi32(LOWEST), places);
    _mm512_and_si512(_mm512_rolv_epi32(_mm512_set1_epi64(word.cast_signed()), to_the_left), masks)
}

/// The lowest bit of each byte.
const LOWEST: i32 = 0x0101_0101;

/// The words of columns as matrices, one ahead of what is being multiplied: memory that was only just written is slow to be
/// read as a matrix.
struct Ahead<'a> {
    upcoming: std::slice::Iter<'a, Columns>,
    matrices: [[Matrix; 2]; 2],
    now: usize,
}

impl<'a> Ahead<'a> {
    #[target_feature(enable = "avx512f")]
    fn new(columns: &'a [Columns]) -> Self {
        let mut ahead =
            Self { upcoming: columns.iter(), matrices: [[Matrix([[0; LINES]; LINES]); 2]; 2], now: 0 };
        ahead.advance();
        ahead
    }

    /// Goes to the next word, and expands the one after it.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn advance(&mut self) {
        let Some([low0, high0, low1, high1]) = self.upcoming.next() else {
            self.now ^= 1;
            return;
        };
        let [first, second] = &mut self.matrices[self.now];
        expand(load(low0), load(high0), first);
        expand(load(low1), load(high1), second);
        self.now ^= 1;
    }

    /// Of the word at hand.
    #[inline]
    fn matrices(&self) -> &[Matrix; 2] {
        &self.matrices[self.now]
    }
}

/// The matrix of a word of sixteen columns.
#[target_feature(enable = "avx512f")]
#[inline]
fn expand(low: __m512i, high: __m512i, matrix: &mut Matrix) {
    let mut mask = _mm512_set1_epi32(LOWEST);
    for lines in matrix.0.as_chunks_mut::<2>().0 {
        store(_mm512_and_si512(low, mask), &mut lines[0]);
        store(_mm512_and_si512(high, mask), &mut lines[1]);
        mask = _mm512_slli_epi32::<1>(mask);
    }
}

/// Whether any sum of a block reaches its row's share: nearly always none does, and this is all that is asked.
#[target_feature(enable = "avx512f")]
#[inline]
fn any_reaches(sums: &Sums, row_shares: &[i32; BLOCK]) -> bool {
    let mut most = _mm512_set1_epi32(-1);
    for (sums, &share) in sums.0.iter().zip(row_shares) {
        let highest = _mm512_max_epi32(load(&sums[0]), load(&sums[1]));
        most = _mm512_max_epi32(most, _mm512_sub_epi32(highest, _mm512_set1_epi32(share)));
    }
    _mm512_cmpge_epi32_mask(most, _mm512_setzero_si512()) != 0
}

impl Found<'_> {
    /// Keeps those pairs of a block that reach the threshold.
    #[cold]
    #[inline(never)]
    #[target_feature(enable = "avx512f")]
    fn keep_of_block(
        &mut self,
        first_row: usize,
        first_column: usize,
        sums: &Sums,
        starts: &[Line; 2],
        row_shares: &[i32; BLOCK],
    ) {
        for (row, (sums, &share)) in sums.0.iter().zip(row_shares).enumerate() {
            let share = _mm512_set1_epi32(share);
            let first = _mm512_cmpge_epi32_mask(load(&sums[0]), share);
            let second = _mm512_cmpge_epi32_mask(load(&sums[1]), share);
            let mut candidates = u32::from(first) | u32::from(second) << LINES;
            while candidates != 0 {
                let column = candidates.trailing_zeros() as usize;
                candidates &= candidates - 1;
                let intersection = sums.as_flattened()[column] - starts.as_flattened()[column];
                self.test(first_row + row, first_column + column, (intersection / UNIT) as u32);
            }
        }
    }
}

/// Lets all eight matrix registers have 16 rows of 64 bytes (Intel's manual, volume 1, "Tile configuration").
#[inline]
#[allow(unsafe_code)]
pub(super) fn configure() {
    #[repr(C, align(64))]
    struct Configuration {
        palette: u8,
        start_row: u8,
        reserved: [u8; 14],
        row_bytes: [u16; 16],
        rows: [u8; 16],
    }
    static ALL: Configuration = {
        let mut all =
            Configuration { palette: 1, start_row: 0, reserved: [0; 14], row_bytes: [0; 16], rows: [0; 16] };
        let mut register = 0;
        while register < 8 {
            all.row_bytes[register] = 64;
            all.rows[register] = LINES as u8;
            register += 1;
        }
        all
    };
    // SAFETY: only reached by way of `Amx::detect`; the 64 bytes that are read are a valid configuration. Nothing else in
    // this process uses the matrix registers: the compiler does not know them.
    unsafe {
        asm!("ldtilecfg [{all}]", all = in(reg) &raw const ALL, options(nostack, preserves_flags, readonly))
    };
}

/// Gives the matrix registers up, so that the system need not save them any more.
#[inline]
#[allow(unsafe_code)]
pub(super) fn release() {
    // SAFETY: only reached by way of `Amx::detect`; no memory is touched.
    unsafe { asm!("tilerelease", options(nostack, preserves_flags, nomem)) };
}

/// Lets the sums of a block begin with those of its columns.
#[inline]
#[allow(unsafe_code)]
fn start(starts: &[Line; 2]) {
    // SAFETY: only reached by way of `Amx::detect`, after `configure`. Of either line the 64 bytes are read sixteen times.
    unsafe {
        asm!(
            "tileloadd tmm0, [{starts} + {none}]",
            "tileloadd tmm1, [{starts} + {none} + 64]",
            "tileloadd tmm2, [{starts} + {none}]",
            "tileloadd tmm3, [{starts} + {none} + 64]",
            starts = in(reg) starts,
            none = in(reg) 0usize,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            options(nostack, preserves_flags, readonly),
        );
    }
}

/// Adds the products of a word of both halves of the rows with that of both halves of the columns.
#[inline]
#[allow(unsafe_code)]
fn add_products(first_rows: &Matrix, second_rows: &Matrix, [first_columns, second_columns]: &[Matrix; 2]) {
    // SAFETY: only reached by way of `Amx::detect`, after `configure`. Of each matrix its 16 lines of 64 bytes are read.
    unsafe {
        asm!(
            "tileloadd tmm4, [{first_rows} + {line}]",
            "tileloadd tmm6, [{first_columns} + {line}]",
            "tdpbuud tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{second_columns} + {line}]",
            "tdpbuud tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{second_rows} + {line}]",
            "tdpbuud tmm2, tmm5, tmm6",
            "tdpbuud tmm3, tmm5, tmm7",
            first_rows = in(reg) first_rows,
            second_rows = in(reg) second_rows,
            first_columns = in(reg) first_columns,
            second_columns = in(reg) second_columns,
            line = in(reg) size_of::<Line>(),
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack, preserves_flags, readonly),
        );
    }
}

/// Writes the sums.
#[inline]
#[allow(unsafe_code)]
fn put(sums: &mut Sums) {
    // SAFETY: only reached by way of `Amx::detect`, after `configure`. Written are 2 x 2 x 16 lines of 64 bytes, of which two
    // are side by side: all of the sums.
    unsafe {
        asm!(
            "tilestored [{sums} + {lines}], tmm0",
            "tilestored [{sums} + {lines} + 64], tmm1",
            "tilestored [{sums} + {lines} + 2048], tmm2",
            "tilestored [{sums} + {lines} + 2112], tmm3",
            sums = in(reg) sums,
            lines = in(reg) 2 * size_of::<Line>(),
            options(nostack, preserves_flags),
        );
    }
}
