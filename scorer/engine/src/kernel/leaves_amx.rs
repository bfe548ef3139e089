//! Candidates by products of matrices: what [`super::amx`] is to whole encodings, with few bytes a record.

use std::arch::asm;
use std::arch::x86_64::{
    __m512i, _mm512_and_si512, _mm512_movepi32_mask, _mm512_permutex2var_epi32, _mm512_set1_epi32,
    _mm512_setzero_si512,
};
use std::marker::PhantomData;
use std::mem::MaybeUninit;

use super::Hit;
use super::amx::{Amx, LINES, Line, Matrix, configure, release};
use super::candidates::Candidates;
use super::leaves::{Common, Instructions, Plainly, bits, score_leaves};
use super::leaves_avx512::LeavesAvx512;
use super::values::Values;
use super::zmm::{load, store};
use crate::prune::{Counts, LEAF, Leaf, Projected};

/// A leaf has so many groups of sixteen records, each a matrix.
const GROUPS: usize = LEAF / LINES;
/// Values of a record are two lines of a matrix.
const PARTS: usize = 2;
/// In the columns' last part, the lines that change places: see [`Values`].
const BAR_LINES: [usize; 2] = [14, 15];

/// The sums of sixteen rows, by group of columns, then by row. Aligned: lines across two cache lines would take twice as
/// long to be written.
#[repr(C, align(64))]
struct Sums([[Line; LINES]; GROUPS]);

/// Compares leaves by matrices where their records are projected, else by AVX-512.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeavesAmx(LeavesAvx512);

/// The columns of a leaf as matrices, while the matrix registers are this thread's: it is not to be sent to another one.
#[derive(Debug)]
pub(crate) struct Prepared<'a> {
    avx512: LeavesAvx512,
    columns: &'a Columns,
    not_send: PhantomData<*const ()>,
}

/// What a thread reuses from leaf to leaf.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Columns {
    /// By part, then by group.
    matrices: [[Matrix; GROUPS]; PARTS],
}

impl Default for Columns {
    fn default() -> Self {
        Self { matrices: [[Matrix([[0; LINES]; LINES]); GROUPS]; PARTS] }
    }
}

impl LeavesAmx {
    /// The kernel is the proof that the processor has AMX. None without the rest that this takes.
    pub(super) fn of(_: Amx) -> Option<Self> {
        LeavesAvx512::detect().filter(|_| is_x86_feature_detected!("avx512dq")).map(Self)
    }

    #[allow(unsafe_code)]
    pub(super) fn prepare<'a>(self, projected: &Projected<'_>, columns: &'a mut Columns) -> Prepared<'a> {
        // SAFETY: a value of this type only comes from `of`, so that the processor has the features.
        unsafe { columns.fill(projected) };
        configure();
        Prepared { avx512: self.0, columns, not_send: PhantomData }
    }

    /// For leaves whose records are not projected.
    pub(super) fn without_matrices(self) -> LeavesAvx512 {
        self.0
    }
}

impl Prepared<'_> {
    /// Appends the pairs of a leaf and the one that has been prepared.
    #[allow(unsafe_code)]
    pub(super) fn score_leaves(
        &self,
        rows: Leaf<'_>,
        columns: Leaf<'_>,
        cutoffs: &[u32],
        hits: &mut Vec<Hit>,
    ) {
        // SAFETY: what is prepared comes from a `LeavesAmx`, so that the processor has the features.
        unsafe { score(self, rows, columns, cutoffs, hits) }
    }
}

impl Drop for Prepared<'_> {
    fn drop(&mut self) {
        release();
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq,bmi1,bmi2,popcnt")]
fn score(prepared: &Prepared<'_>, rows: Leaf<'_>, columns: Leaf<'_>, cutoffs: &[u32], hits: &mut Vec<Hit>) {
    score_leaves(rows, columns, cutoffs, prepared, hits);
}

impl Common for &Prepared<'_> {
    #[inline(always)]
    fn common(self, a: &[u64], b: &[u64]) -> u32 {
        self.avx512.common(a, b)
    }
}

impl Instructions for &Prepared<'_> {
    #[inline(always)]
    fn near(self, leaf: &Leaf<'_>, other: &Leaf<'_>) -> u64 {
        self.avx512.near(leaf, other)
    }

    /// Never asked for: only leaves whose records are projected are prepared.
    #[inline(always)]
    fn find(
        self,
        columns: &Counts<'_>,
        among_columns: u64,
        rows: &Counts<'_>,
        among_rows: u64,
        most: u8,
        candidates: &mut Candidates,
    ) {
        Plainly.find(columns, among_columns, rows, among_rows, most, candidates)
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    fn find_projected(
        self,
        rows: &Projected<'_>,
        among_rows: u64,
        _: &Projected<'_>,
        among_columns: u64,
        candidates: &mut Candidates,
    ) {
        // SAFETY: as above.
        unsafe { find(rows, among_rows, self.columns, among_columns, candidates) }
    }
}

/// See [`Instructions::find_projected`].
#[target_feature(enable = "avx512f,avx512dq,bmi1,bmi2,popcnt")]
#[allow(unsafe_code)]
fn find(
    rows: &Projected<'_>,
    among_rows: u64,
    columns: &Columns,
    among_columns: u64,
    candidates: &mut Candidates,
) {
    let mut sums = [const { MaybeUninit::<Sums>::uninit() }; GROUPS];
    let row_groups = rows.values.as_chunks::<LINES>().0;
    let among = |group: usize| (among_rows >> (group * LINES)) as u16;
    // what was only just written is slow to be read: so all products are made before any sum is looked at
    let mut before = None;
    for (group, sums) in sums.iter_mut().enumerate().filter(|&(group, _)| among(group) != 0) {
        let to = sums.as_mut_ptr();
        multiply(&row_groups[group], columns, before.unwrap_or(to));
        before = Some(to);
    }
    before.into_iter().for_each(put);
    for (group, sums) in sums.iter().enumerate().filter(|&(group, _)| among(group) != 0) {
        // SAFETY: it has been written above, for the same groups.
        let sums = unsafe { sums.assume_init_ref() };
        let mut reached = [0; LINES];
        for (column_group, sums) in sums.0.iter().enumerate() {
            if are_all_negative(sums) {
                continue;
            }
            let among_columns = (among_columns >> (column_group * LINES)) as u16;
            for (reached, sums) in reached.iter_mut().zip(sums) {
                let reaching = !_mm512_movepi32_mask(load(sums)) & among_columns;
                *reached |= u64::from(reaching) << (column_group * LINES);
            }
        }
        if reached != [0; LINES] {
            bits(among(group).into()).for_each(|row| candidates.add(group * LINES + row, reached[row]));
        }
    }
}

/// Nearly always all are, and this is all that is asked.
#[target_feature(enable = "avx512f,avx512dq")]
#[inline]
fn are_all_negative(sums: &[Line; LINES]) -> bool {
    let mut signs = [_mm512_set1_epi32(-1); 2];
    for lines in sums.as_chunks::<2>().0 {
        for (signs, line) in signs.iter_mut().zip(lines) {
            *signs = _mm512_and_si512(*signs, load(line));
        }
    }
    _mm512_movepi32_mask(_mm512_and_si512(signs[0], signs[1])) == u16::MAX
}

impl Columns {
    #[target_feature(enable = "avx512f")]
    fn fill(&mut self, projected: &Projected<'_>) {
        for (part, matrices) in self.matrices.iter_mut().enumerate() {
            for (matrix, values) in matrices.iter_mut().zip(projected.values.as_chunks::<LINES>().0) {
                transpose(values, part, matrix);
            }
        }
        for Matrix(lines) in &mut self.matrices[PARTS - 1] {
            lines.swap(BAR_LINES[0], BAR_LINES[1]);
        }
    }
}

/// A part of sixteen columns as a matrix: each row has four bytes of all of them.
#[target_feature(enable = "avx512f")]
#[inline]
fn transpose(values: &[Values; LINES], part: usize, matrix: &mut Matrix) {
    let mut lines = [_mm512_setzero_si512(); LINES];
    for (line, Values(values)) in lines.iter_mut().zip(values) {
        *line = load(&values.as_chunks::<{ size_of::<Line>() }>().0[part]);
    }
    // squares of four bytes, then of two by two of those, and so on: those off the diagonal change places
    swap::<8>(&mut lines);
    swap::<4>(&mut lines);
    swap::<2>(&mut lines);
    swap::<1>(&mut lines);
    for (line, to) in lines.into_iter().zip(&mut matrix.0) {
        store(line, to);
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn swap<const STEP: usize>(lines: &mut [__m512i; LINES]) {
    /// By lane: from which one of two registers' lanes it comes.
    const fn from(step: usize, second: bool) -> Line {
        let mut from = [0; LINES];
        let mut lane = 0;
        while lane < LINES {
            let of_second = lane & step != 0;
            from[lane] = match (second, of_second) {
                (false, false) => lane,
                (false, true) => LINES + lane - step,
                (true, false) => lane + step,
                (true, true) => LINES + lane,
            } as i32;
            lane += 1;
        }
        from
    }
    let (first, second) = (load(const { &from(STEP, false) }), load(const { &from(STEP, true) }));
    for i in 0..LINES {
        if i & STEP == 0 {
            let (a, b) = (lines[i], lines[i + STEP]);
            lines[i] = _mm512_permutex2var_epi32(a, first, b);
            lines[i + STEP] = _mm512_permutex2var_epi32(a, second, b);
        }
    }
}

/// Multiplies a group of rows with all columns. The registers of sums hold those of another group until then: these are
/// written, each just before it is used again, as a register can only be written some time after the last multiplication
/// into it.
#[inline]
#[allow(unsafe_code)]
fn multiply(rows: &[Values; LINES], columns: &Columns, sums_before: *mut Sums) {
    // SAFETY: only reached by way of `Amx::detect`, after `configure`. Of the rows all sixteen are read, of the columns all
    // matrices; written are four times 16 lines of 64 bytes, all of the sums.
    unsafe {
        asm!(
            "tileloadd tmm4, [{rows} + {row}]",
            "tileloadd tmm5, [{rows} + {row} + 64]",
            "tileloadd tmm6, [{columns} + {line}]",
            "tilestored [{sums} + {line}], tmm0",
            "tilezero tmm0",
            "tdpbssd tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{columns} + {line} + 1024]",
            "tilestored [{sums} + {line} + 1024], tmm1",
            "tilezero tmm1",
            "tdpbssd tmm1, tmm4, tmm7",
            "tileloadd tmm6, [{columns} + {line} + 2048]",
            "tilestored [{sums} + {line} + 2048], tmm2",
            "tilezero tmm2",
            "tdpbssd tmm2, tmm4, tmm6",
            "tileloadd tmm7, [{columns} + {line} + 3072]",
            "tilestored [{sums} + {line} + 3072], tmm3",
            "tilezero tmm3",
            "tdpbssd tmm3, tmm4, tmm7",
            "tileloadd tmm6, [{columns} + {line} + 4096]",
            "tdpbssd tmm0, tmm5, tmm6",
            "tileloadd tmm7, [{columns} + {line} + 5120]",
            "tdpbssd tmm1, tmm5, tmm7",
            "tileloadd tmm6, [{columns} + {line} + 6144]",
            "tdpbssd tmm2, tmm5, tmm6",
            "tileloadd tmm7, [{columns} + {line} + 7168]",
            "tdpbssd tmm3, tmm5, tmm7",
            rows = in(reg) rows,
            columns = in(reg) &columns.matrices,
            sums = in(reg) sums_before,
            row = in(reg) size_of::<Values>(),
            line = in(reg) size_of::<Line>(),
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack, preserves_flags),
        );
    }
}

/// Writes the sums of the last group.
#[inline]
#[allow(unsafe_code)]
fn put(sums: *mut Sums) {
    // SAFETY: only reached by way of `Amx::detect`, after `configure`. Written are four times 16 lines of 64 bytes, all of the
    // sums.
    unsafe {
        asm!(
            "tilestored [{sums} + {line}], tmm0",
            "tilestored [{sums} + {line} + 1024], tmm1",
            "tilestored [{sums} + {line} + 2048], tmm2",
            "tilestored [{sums} + {line} + 3072], tmm3",
            sums = in(reg) sums,
            line = in(reg) size_of::<Line>(),
            options(nostack, preserves_flags),
        );
    }
}
