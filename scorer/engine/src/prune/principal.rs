//! The directions in which the encodings of a sample are scattered most: roughly their principal components.
//!
//! By orthogonal iteration (Golub and Van Loan, Matrix Computations, 4th edition, 8.2.4). Any directions are right; the
//! longer this goes on the more unlike records become along them, but after few steps hardly any more.

use rand::rngs::ChaCha20Rng;
use rand::{RngExt, SeedableRng};
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

/// More of them find hardly better directions.
const STEPS: usize = 4;
/// A vector that becomes shorter than this share of itself is one that those before it come to.
const LEAST_LEFT: f32 = 1e-4;

/// Vectors that are nearly orthogonal and of length 1.
#[derive(Debug)]
pub(super) struct Directions {
    /// By direction, then by bit. There are vectors of zeros if the sample is not scattered in as many directions.
    pub vectors: Vec<Vec<f32>>,
    /// About the standard deviation along the direction in which the sample is scattered most.
    pub deviation: f32,
}

/// So many directions, from encodings of `width` words.
pub(super) fn directions(sample: &[u64], width: usize, count: usize) -> Directions {
    let covariances = covariances(sample, width);
    let bits = 64 * width;
    let mut random = ChaCha20Rng::seed_from_u64(count as u64);
    let vector = |_| (0..bits).map(|_| random.random_range(-1.0..1.0)).collect();
    let mut vectors: Vec<Vec<f32>> = (0..count).map(vector).collect();
    let mut deviation = 0.0;
    for _ in 0..STEPS {
        make_orthonormal(&mut vectors);
        let products = multiply(&covariances, &vectors);
        let variances = vectors.iter().zip(&products).map(|(vector, product)| dot(vector, product));
        deviation = variances.fold(0.0, f32::max).sqrt();
        vectors = products;
    }
    make_orthonormal(&mut vectors);
    Directions { vectors, deviation }
}

/// Of every bit with every one, row by row.
fn covariances(sample: &[u64], width: usize) -> Vec<f32> {
    let bits = 64 * width;
    let records = sample.len() / width;
    // for each bit the records that have it
    let mut having = vec![vec![0u64; records.div_ceil(64)]; bits];
    for (record, words) in sample.chunks_exact(width).enumerate() {
        for (bit, having) in having.iter_mut().enumerate() {
            having[record / 64] |= (words[bit / 64] >> (bit % 64) & 1) << (record % 64);
        }
    }
    let share = |count: u32| count as f32 / records as f32;
    let ones = |words: &[u64]| share(words.iter().map(|word| word.count_ones()).sum());
    let means: Vec<f32> = having.iter().map(|having| ones(having)).collect();
    let mut covariances = vec![0.0; bits * bits];
    covariances.par_chunks_exact_mut(bits).enumerate().for_each(|(bit, row)| {
        // the rest is mirrored below
        for (other, covariance) in row.iter_mut().enumerate().skip(bit) {
            let both = having[bit].iter().zip(&having[other]).map(|(a, b)| (a & b).count_ones()).sum();
            *covariance = share(both) - means[bit] * means[other];
        }
    });
    for bit in 0..bits {
        for other in 0..bit {
            covariances[bit * bits + other] = covariances[other * bits + bit];
        }
    }
    covariances
}

/// The products of a symmetric matrix with vectors.
fn multiply(matrix: &[f32], vectors: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let by_bit = transpose(vectors);
    let row = |row: &[f32]| {
        let mut products = vec![0.0; vectors.len()];
        for (&factor, values) in row.iter().zip(&by_bit) {
            for (product, value) in products.iter_mut().zip(values) {
                *product += factor * value;
            }
        }
        products
    };
    transpose(&matrix.par_chunks_exact(by_bit.len()).map(row).collect::<Vec<_>>())
}

fn transpose(rows: &[Vec<f32>]) -> Vec<Vec<f32>> {
    (0..rows[0].len()).into_par_iter().map(|i| rows.iter().map(|row| row[i]).collect()).collect()
}

/// Takes off each vector what lies in the directions of those before it (Gram and Schmidt), and gives it length 1.
fn make_orthonormal(vectors: &mut [Vec<f32>]) {
    for i in 0..vectors.len() {
        let (before, rest) = vectors.split_at_mut(i);
        let vector = &mut rest[0];
        let length = dot(vector, vector).sqrt();
        for earlier in before {
            let common = dot(earlier, vector);
            vector.iter_mut().zip(earlier.iter()).for_each(|(value, earlier)| *value -= common * earlier);
        }
        let left = dot(vector, vector).sqrt();
        let factor = if left > LEAST_LEFT * length { left.recip() } else { 0.0 };
        vector.iter_mut().for_each(|value| *value *= factor);
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    // several sums, which the compiler may keep in one register
    const SUMS: usize = 16;
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<SUMS>(), b.as_chunks::<SUMS>());
    let mut sums = [0.0; SUMS];
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::datasets;

    #[test]
    fn directions_are_orthonormal_and_the_first_ones_tell_most() {
        let width = 4;
        let sample = &datasets(5, &[800], width)[0];
        let Directions { vectors, deviation } = directions(sample, width, 8);
        for (i, a) in vectors.iter().enumerate() {
            for (j, b) in vectors.iter().enumerate() {
                let expected = if i == j { 1.0 } else { 0.0 };
                assert!((dot(a, b) - expected).abs() < 1e-3, "{i} {j}: {}", dot(a, b));
            }
        }
        let covariances = covariances(sample, width);
        let products = multiply(&covariances, &vectors);
        let variances: Vec<f32> = vectors.iter().zip(&products).map(|(a, b)| dot(a, b)).collect();
        let total: f32 = (0..64 * width).map(|bit| covariances[bit * (64 * width + 1)]).sum();
        assert!(variances.iter().sum::<f32>() > 1.2 * total * 8.0 / (64 * width) as f32);
        assert!((variances[0].sqrt() - deviation).abs() < 0.1 * deviation);
    }

    #[test]
    fn there_are_none_in_records_that_are_all_the_same() {
        let Directions { vectors, deviation } = directions(&[7; 300], 1, 3);
        assert!(vectors.iter().flatten().all(|&value| value == 0.0));
        assert_eq!(deviation, 0.0);
    }
}
