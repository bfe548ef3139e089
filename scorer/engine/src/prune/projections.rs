//! A bound for single pairs by projections: for processors that multiply matrices, where a scalar product of 128
//! bytes takes less time than as many differences of segment counts.
//!
//! Let `Q` be a matrix of whole numbers, with a row for each of a few directions, and `λ` the greatest eigenvalue of
//! `Q·Qᵀ`. Two encodings that differ in `H` bits then have projections with
//!
//! ```text
//! |Q·a − Q·b|²  ≤  λ·H
//! ```
//!
//! A record's *values* are its projections, moved by a constant, cut off at both ends, and rounded to bytes. Neither
//! moving nor cutting off brings two records further apart; rounding does so at most by the lengths of both records'
//! rounding errors, `e`. In units of the values, so that λ is divided by the square of what one stands for:
//!
//! ```text
//! |x − y|²  ≤  (√(λ·H) + e_x + e_y)²  ≤  (1 + η)·λ·H + (1 + 1/η)·2·(e_x² + e_y²)      for any η > 0
//! ```
//!
//! A pair reaches the threshold only if H is at most the sum of both records' slacks (`Cutoffs::slack`), so that the
//! right side is at most the sum of a part of either record, its *reach*. As `|x − y|² = |x|² + |y|² − 2·x·y`, the
//! scalar product is then at least the sum of both records' *bars*, `(|x|² − reach(x)) / 2`.
//!
//! Any matrix is right. The directions in which records are scattered most ([`super::principal`]) tell most pairs apart.
//!
//! That a projection brings no two points further apart, and so loses no neighbour, is known from similarity search
//! (Faloutsos, Ranganathan and Manolopoulos, SIGMOD 1994, for Fourier coefficients); whole numbers with exact bounds on
//! their rounding, and a threshold that depends on both records, are this project's.

use super::leaves::MAX_SLACK;
use super::principal::{Directions, directions};
use crate::kernel::{COORDINATES, Values};
use crate::threshold::Cutoffs;

/// Bits that are looked up at once.
const NIBBLE: usize = 4;
/// Projections are whole numbers of at most this size, but for what rounding the numbers of at most 2,048 bits adds.
const MOST: f32 = 31_000.0;
/// Values are cut off at so many times the greatest standard deviation: farther out they would be known less precisely.
const DEVIATIONS: f32 = 2.0;
/// A value is a projection divided by at most 2 to this.
const MOST_SHIFT: i32 = 8;
/// Covers the errors of all floating-point arithmetic here many times over.
const MARGIN: f64 = 1.0 + 1e-6;
/// η lies between these.
const SHARES_OF_ERRORS: (f64, f64) = (0.01, 0.1);
/// The square of a rounding error, at most.
const MOST_ERROR: f64 = 0.25;
/// If values would be so precise that a bar may not fit, this much of it is left again and again.
const LESS_PRECISE: f32 = 0.8;

/// What a nibble of some value adds to the projections.
type Addends = [i16; COORDINATES];

/// How records are projected.
#[derive(Clone, Debug)]
pub(super) struct Projections {
    /// By nibble of an encoding, then by its value.
    addends: Vec<[Addends; 1 << NIBBLE]>,
    /// What is taken off the projections.
    centres: Vec<i32>,
    /// Values are projections divided by 2 to this, rounded.
    shift: u32,
    /// λ in units of the values.
    stretch: f64,
    /// η.
    share_of_errors: f64,
}

impl Projections {
    /// Onto the directions in which the encodings of a sample are scattered most.
    pub(super) fn learn(sample: &[u64], width: usize, cutoffs: &Cutoffs) -> Self {
        let directions = directions(sample, width, COORDINATES);
        let slacks = sample.chunks_exact(width).map(|words| f64::from(cutoffs.slack_of(words)));
        let slack = slacks.sum::<f64>() / (sample.len() / width) as f64;
        let mut units = f32::from(i8::MAX) / (DEVIATIONS * directions.deviation).max(1.0);
        loop {
            let (matrix, shift) = in_whole_numbers(&directions, units);
            let unit = f64::from(1u32 << shift);
            let stretch = greatest_eigenvalue(&squares(&matrix)) / (unit * unit);
            // for values that are rounded by chance, and mean slacks, the bound is the least with this η
            let errors = 2.0 * (COORDINATES as f64 / 12.0).sqrt();
            let share_of_errors = errors / (2.0 * stretch * slack).sqrt();
            let share_of_errors = share_of_errors.clamp(SHARES_OF_ERRORS.0, SHARES_OF_ERRORS.1);
            let centres = vec![0; COORDINATES];
            let mut projections =
                Self { addends: addends(&matrix), centres, shift, stretch, share_of_errors };
            let most = projections.reach(MAX_SLACK, MOST_ERROR * COORDINATES as f64);
            if most / 2.0 < f64::from(-Values::LEAST_BAR) {
                projections.centre(sample, width);
                return projections;
            }
            units *= LESS_PRECISE;
        }
    }

    /// The values of a record. With more than [`MAX_SLACK`] they tell nothing.
    pub(super) fn project(&self, record: &[u64], slack: u32) -> Values {
        let most = i32::from(i8::MAX) << self.shift;
        let half = (1 << self.shift) >> 1;
        let (mut length, mut error) = (0, 0);
        let mut coordinates = [0; COORDINATES];
        let sums = self.sums(record);
        for ((coordinate, sum), centre) in coordinates.iter_mut().zip(sums).zip(&self.centres) {
            let projection = (i32::from(sum) - centre).clamp(-most, most);
            let rounded = (projection + half) >> self.shift;
            let rest = projection - (rounded << self.shift);
            length += rounded * rounded;
            error += rest * rest;
            *coordinate = rounded as i8;
        }
        let error = f64::from(error) / f64::from(1u32 << (2 * self.shift));
        let bar = (f64::from(length) - self.reach(slack.min(MAX_SLACK), error)) / 2.0;
        Values::new(&coordinates, bar.floor() as i32)
    }

    /// How far a record's values may be from those of one that it matches, squared, but for the other's part of it; with
    /// the square of its rounding error.
    fn reach(&self, slack: u32, error: f64) -> f64 {
        let of_slack = (1.0 + self.share_of_errors) * self.stretch * f64::from(slack);
        (of_slack + (1.0 + 1.0 / self.share_of_errors) * 2.0 * error) * MARGIN
    }

    /// Moves the sample's mean to the middle of what values can be.
    fn centre(&mut self, sample: &[u64], width: usize) {
        let mut totals = [0i64; COORDINATES];
        for record in sample.chunks_exact(width) {
            totals.iter_mut().zip(self.sums(record)).for_each(|(total, sum)| *total += i64::from(sum));
        }
        let records = (sample.len() / width) as i64;
        self.centres = totals.iter().map(|total| (total / records) as i32).collect();
    }

    /// The projections of a record. Whatever bits it has, no sum overflows: see [`in_whole_numbers`].
    fn sums(&self, record: &[u64]) -> [i16; COORDINATES] {
        let mut sums = [0i16; COORDINATES];
        for (&word, addends) in record.iter().zip(self.addends.chunks_exact(64 / NIBBLE)) {
            for (nibble, by_value) in addends.iter().enumerate() {
                let addends = &by_value[(word >> (NIBBLE * nibble)) as usize % (1 << NIBBLE)];
                sums.iter_mut().zip(addends).for_each(|(sum, &addend)| *sum = sum.wrapping_add(addend));
            }
        }
        sums
    }
}

/// The directions with lengths of so many units, or as many as there can be if no sum of a direction's numbers may
/// overflow: multiplied by a power of two, to be more precise, and the logarithm of that.
fn in_whole_numbers(Directions { vectors, .. }: &Directions, units: f32) -> (Vec<Vec<i16>>, u32) {
    let size = |vector: &Vec<f32>| vector.iter().map(|value| value.abs()).sum();
    let largest = vectors.iter().map(size).fold(0.0, f32::max);
    if largest == 0.0 {
        return (vectors.iter().map(|vector| vec![0; vector.len()]).collect(), 0);
    }
    let most = MOST / largest;
    let units = units.min(most);
    let shift = ((most / units).log2() as i32).clamp(0, MOST_SHIFT);
    let factor = units * (1 << shift) as f32;
    let whole = |vector: &Vec<f32>| -> Vec<i16> {
        let whole: Vec<i16> = vector.iter().map(|value| (value * factor).round() as i16).collect();
        let sum: i32 = whole.iter().map(|&value| i32::from(value).abs()).sum();
        assert!(sum <= i32::from(i16::MAX), "a sum of {sum} would overflow");
        whole
    };
    (vectors.iter().map(whole).collect(), shift as u32)
}

fn addends(rows: &[Vec<i16>]) -> Vec<[Addends; 1 << NIBBLE]> {
    let nibble = |nibble: usize| {
        let mut by_value = [[0i16; COORDINATES]; 1 << NIBBLE];
        for (value, addends) in by_value.iter_mut().enumerate() {
            for (addend, row) in addends.iter_mut().zip(rows) {
                let bits = (0..NIBBLE).filter(|bit| value >> bit & 1 == 1);
                *addend = bits.map(|bit| row[nibble * NIBBLE + bit]).sum();
            }
        }
        by_value
    };
    (0..rows[0].len() / NIBBLE).map(nibble).collect()
}

/// The scalar products of every row with every one: exact, as whole numbers of this size are in f64.
fn squares(rows: &[Vec<i16>]) -> Vec<Vec<f64>> {
    let product = |a: &[i16], b: &[i16]| -> f64 {
        a.iter().zip(b).map(|(&a, &b)| i64::from(i32::from(a) * i32::from(b))).sum::<i64>() as f64
    };
    rows.iter().map(|a| rows.iter().map(|b| product(a, b)).collect()).collect()
}

/// A number that no eigenvalue of a symmetric matrix is above, and the greatest hardly below.
///
/// No eigenvalue is above the greatest sum of a row's sizes. That is far too much for the matrix itself, but it is
/// taken of its 128th power, whose eigenvalues are the 128th powers, so that the 128th root of any factor is left.
fn greatest_eigenvalue(matrix: &[Vec<f64>]) -> f64 {
    const SQUARINGS: i32 = 7;
    let row_sum = |matrix: &[Vec<f64>]| {
        let sum = |row: &Vec<f64>| row.iter().map(|value| value.abs()).sum();
        matrix.iter().map(sum).fold(0.0, f64::max)
    };
    let first = row_sum(matrix);
    if first == 0.0 {
        return 0.0;
    }
    let mut power: Vec<Vec<f64>> =
        matrix.iter().map(|row| row.iter().map(|value| value / first).collect()).collect();
    for _ in 0..SQUARINGS {
        power = square(&power);
    }
    first * row_sum(&power).powf(0.5f64.powi(SQUARINGS)) * MARGIN
}

/// A symmetric matrix times itself.
fn square(matrix: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let row = |row: &Vec<f64>| {
        let mut products = vec![0.0; row.len()];
        for (&factor, other) in row.iter().zip(matrix) {
            products.iter_mut().zip(other).for_each(|(product, value)| *product += factor * value);
        }
        products
    };
    matrix.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tests::{cases, datasets};
    use crate::{Threshold, dice};

    #[test]
    fn no_eigenvalue_is_above_the_bound() {
        // 1, 3
        let bound = greatest_eigenvalue(&[vec![2.0, 1.0], vec![1.0, 2.0]]);
        assert!((3.0..3.03).contains(&bound), "{bound}");
        // n for a matrix of ones
        let bound = greatest_eigenvalue(&vec![vec![1.0; 128]; 128]);
        assert!((128.0..128.01).contains(&bound), "{bound}");
        assert_eq!(greatest_eigenvalue(&[vec![0.0]]), 0.0);
    }

    proptest! {
        #![proptest_config(cases(24))]

        #[test]
        fn values_of_similar_records_reach_their_bars(
            seed: u64,
            width in prop::sample::select(vec![1, 2, 8]),
            threshold in prop::sample::select(vec![0.4, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0]),
        ) {
            let sets = datasets(seed, &[60, 60], width);
            let cutoffs = Cutoffs::new(Threshold::new(threshold).unwrap(), width * 8);
            let projections = Projections::learn(&sets.concat(), width, &cutoffs);
            let project = |record: &[u64]| {
                let slack = cutoffs.slack_of(record);
                (projections.project(record, slack), slack)
            };
            for a in sets[0].chunks_exact(width) {
                let (a_values, a_slack) = project(a);
                for b in sets[1].chunks_exact(width).filter(|b| dice(a, b) >= threshold) {
                    let (b_values, b_slack) = project(b);
                    prop_assert!(
                        a_slack.max(b_slack) > MAX_SLACK || a_values.reach(&b_values)
                    );
                }
            }
        }
    }
}
