use proptest::prelude::*;
use rand::rngs::ChaCha20Rng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::Threshold;
use crate::tests::datasets;

/// Some records in any order, one of them perhaps twice.
fn some(random: &mut ChaCha20Rng, of: u32, many: usize) -> Vec<u32> {
    let mut records: Vec<u32> = (0..of).collect();
    records.shuffle(random);
    records.truncate(many);
    if random.random() && !records.is_empty() && records.len() < many {
        records.push(records[0]);
    }
    records
}

/// The pairs of these records, by the definition.
fn expected(rows: Records<'_>, columns: Records<'_>, threshold: f64) -> Vec<Found> {
    let ones = |words: &[u64]| words.iter().map(|word| word.count_ones()).sum::<u32>();
    let mut expected = Vec::new();
    for &row in rows.records {
        for &column in columns.records {
            let (a, b) = (rows.record(row, rows.width), columns.record(column, columns.width));
            let intersection = a.iter().zip(b).map(|(x, y)| (x & y).count_ones()).sum();
            if crate::dice(a, b) >= threshold {
                expected.push(Found { row, column, intersection, sum: ones(a) + ones(b) });
            }
        }
    }
    expected.sort();
    expected
}

proptest! {
    #[test]
    fn every_kernel_equals_the_definition(
        seed: u64,
        sizes in (1..30u32, 1..30u32),
        few in 0..=FEW,
        many in 0..20usize,
        swapped: bool,
        width in 1..=128usize,
        usual in prop::sample::select(vec![None, Some(8), Some(16), Some(32)]),
        threshold in prop::sample::select(vec![f64::MIN_POSITIVE, 0.4, 0.75, 0.8, 0.85, 1f64.next_down(), 1.0]),
    ) {
        let width = usual.unwrap_or(width);
        let sets = datasets(seed, &[sizes.0, sizes.1], width);
        let mut random = ChaCha20Rng::seed_from_u64(seed);
        let (rows, columns) = if swapped { (many, few) } else { (few, many) };
        let (rows, columns) = (some(&mut random, sizes.0, rows), some(&mut random, sizes.1, columns));
        let rows = Records { words: &sets[0], width, records: &rows };
        let columns = Records { words: &sets[1], width, records: &columns };
        rows.fetch();
        let cutoffs = Cutoffs::new(Threshold::new(threshold).unwrap(), width * 8);
        let expected = expected(rows, columns, threshold);
        for kernel in Kernel::available() {
            let mut found = Vec::new();
            kernel.score_few(rows, columns, &cutoffs, |pair| found.push(pair));
            found.sort();
            prop_assert_eq!(&found, &expected, "{}", kernel.name());
        }
    }
}
