use std::io::Write;

use proptest::prelude::*;

use super::*;
use crate::prune::tests::Bounded;
use crate::tests::{cases, datasets};
use crate::{Threshold, dice};

/// The hits of two data sets, by the definition.
fn expected(rows: &[u64], columns: &[u64], width: usize, threshold: f64) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (row, a) in rows.chunks_exact(width).enumerate() {
        for (column, b) in columns.chunks_exact(width).enumerate() {
            if dice(a, b) >= threshold {
                let intersection = a.iter().zip(b).map(|(x, y)| (x & y).count_ones()).sum();
                hits.push(Hit { row: row as u32, column: column as u32, intersection });
            }
        }
    }
    hits
}

fn found(kernel: Kernel, rows: &[u64], columns: &[u64], width: usize, threshold: f64) -> Vec<Hit> {
    let counts = |words| {
        let mut counts = Vec::new();
        count_ones(words, width, &mut counts);
        counts
    };
    let (row_counts, column_counts) = (counts(rows), counts(columns));
    let cutoffs = Cutoffs::new(Threshold::new(threshold).unwrap(), width * 8);
    let mut scratch = Scratch::default();
    kernel.score_tile(
        Tile { words: rows, counts: &row_counts, width },
        Tile { words: columns, counts: &column_counts, width },
        &cutoffs,
        &mut scratch,
    );
    scratch.hits.sort();
    scratch.hits
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn every_kernel_equals_the_definition(
        seed: u64,
        rows in 0..40u32,
        columns in 0..40u32,
        width in 1..=128usize,
        usual in prop::sample::select(vec![None, Some(8), Some(16), Some(32)]),
        threshold in prop::sample::select(vec![f64::MIN_POSITIVE, 0.01, 0.4, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0]),
        neighbour in -1..=1i32,
    ) {
        let width = usual.unwrap_or(width);
        let threshold = match neighbour {
            -1 => threshold.next_down(),
            1 => threshold.next_up(),
            _ => threshold,
        };
        prop_assume!(threshold > 0.0 && threshold <= 1.0);
        let sets = datasets(seed, &[rows, columns], width);
        let expected = expected(&sets[0], &sets[1], width, threshold);
        for kernel in Kernel::available() {
            prop_assert_eq!(&found(kernel, &sets[0], &sets[1], width, threshold), &expected, "{}", kernel.name());
        }
    }
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn every_kernel_finds_all_pairs_of_leaves(
        seed: u64,
        records in (1..=64u32, 1..=64u32),
        width in prop::sample::select(vec![1, 3, 8, 16, 31, 32]),
        bounds in prop::sample::select(vec![
            Bounded::Segments(12), Bounded::Segments(16), Bounded::Segments(24), Bounded::Segments(32), Bounded::Segments(48),
            Bounded::FinerSegments(16), Bounded::FinerSegments(48), Bounded::Projections,
        ]),
        threshold in prop::sample::select(vec![0.5, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0]),
    ) {
        // directions of longer encodings take long to find without optimisation
        let width = if matches!(bounds, Bounded::Projections) { width.min(8) } else { width };
        let sets = datasets(seed, &[records.0, records.1], width);
        let cutoffs = Cutoffs::new(Threshold::new(threshold).unwrap(), width * 8);
        let leaves = crate::prune::tests::leaves(&sets, width, bounds, &cutoffs);
        let expected = expected(leaves.0.leaf(0).words, leaves.1.leaf(0).words, width, threshold);
        for kernel in Kernel::available() {
            let mut hits = Vec::new();
            let (rows, columns) = (leaves.0.leaf(0), leaves.1.leaf(0));
            LeafKernel::of(kernel)
                .against(columns, &mut LeafScratch::default())
                .score_leaf(rows, cutoffs.as_slice(), &mut hits);
            hits.sort();
            prop_assert_eq!(&hits, &expected, "{}", kernel.name());
        }
    }
}

#[test]
fn records_of_many_blocks_keep_their_numbers() {
    for (rows, columns, width) in [(700, 31, 3), (150, 420, 17), (33, 257, 16), (600, 129, 1)] {
        let sets = datasets(9, &[rows, columns], width);
        let expected = expected(&sets[0], &sets[1], width, 0.7);
        for kernel in Kernel::available() {
            assert!(found(kernel, &sets[0], &sets[1], width, 0.7) == expected, "{}", kernel.name());
        }
    }
}

/// Few enough records for an interpreter: see `tests/sanitize`.
#[test]
fn few_records_are_matched_as_by_the_definition() {
    for width in [1, 3, 8] {
        let sets = datasets(7, &[9, 17], width);
        let cutoffs = Cutoffs::new(Threshold::new(0.8).unwrap(), width * 8);
        let leaves = crate::prune::tests::unlearnt_leaves(&sets, width, &cutoffs);
        let (rows, columns) = (leaves.0.leaf(0), leaves.1.leaf(0));
        let of_tiles = expected(&sets[0], &sets[1], width, 0.8);
        let of_leaves = expected(rows.words, columns.words, width, 0.8);
        assert!(!of_tiles.is_empty() && of_tiles.len() == of_leaves.len());
        for kernel in Kernel::available() {
            assert_eq!(found(kernel, &sets[0], &sets[1], width, 0.8), of_tiles, "{}", kernel.name());
            let mut hits = Vec::new();
            LeafKernel::of(kernel).against(columns, &mut LeafScratch::default()).score_leaf(
                rows,
                cutoffs.as_slice(),
                &mut hits,
            );
            hits.sort();
            assert_eq!(hits, of_leaves, "{}", kernel.name());
        }
    }
}

/// Says by name what these tests leave out, as nobody should take it for tested.
#[test]
fn every_kernel_is_tested_or_named() {
    let (available, missing) = (kernel_names(), missing_kernel_names());
    assert_eq!(available.len() + missing.len(), NAMES.len(), "a kernel is missing from NAMES");
    // past the test runner, which shows only what failing tests print
    let mut output = std::io::stderr().lock();
    writeln!(output, "kernels tested here: {}", available.join(", ")).unwrap();
    if !missing.is_empty() {
        writeln!(
            output,
            "kernels NOT TESTED HERE, as this processor lacks their instructions: {}",
            missing.join(", ")
        )
        .unwrap();
    }
}

#[test]
fn a_kernel_that_is_not_there_is_named_with_those_that_are() {
    assert_eq!(Kernel::named(Some("portable")).unwrap().name(), "portable");
    assert_eq!(Kernel::named(Some("")).unwrap().name(), Kernel::available()[0].name());
    let error = Kernel::named(Some("abacus")).unwrap_err().to_string();
    assert!(error.contains("abacus") && error.contains("portable"), "{error}");
}

#[test]
fn shares_never_come_to_more_than_the_cutoff() {
    for threshold in thresholds() {
        let cutoffs = Cutoffs::new(Threshold::new(threshold).unwrap(), 128);
        let shares: Vec<i64> = (0..=1024).map(|count| cutoffs.share(count)).collect();
        for (sum, &cutoff) in cutoffs.as_slice().iter().enumerate() {
            for first in sum.saturating_sub(1024)..=sum.min(1024) {
                assert!(
                    shares[first] + shares[sum - first] <= i64::from(cutoff),
                    "{threshold} {first} of {sum}"
                );
            }
        }
    }
}

/// All thresholds of up to three digits, with both neighbours.
fn thresholds() -> impl Iterator<Item = f64> {
    (1..=1000u32)
        .map(|thousandths| f64::from(thousandths) / 1000.0)
        .flat_map(|t| [t.next_down(), t, t.next_up()])
        .filter(|&t| t <= 1.0)
}

#[test]
fn cutoffs_decide_as_the_division_does() {
    for threshold in thresholds() {
        let cutoffs = Cutoffs::new(Threshold::new(threshold).unwrap(), 24);
        for (sum, &least) in cutoffs.as_slice().iter().enumerate().skip(1) {
            for intersection in 0..=sum as u32 {
                let kept = 2.0 * f64::from(intersection) / sum as f64 >= threshold;
                assert_eq!(intersection >= least, kept, "{threshold} {sum} {intersection}");
            }
        }
        assert_eq!(cutoffs.as_slice()[0], u32::MAX, "two empty encodings are never kept");
    }
}

#[test]
fn cutoffs_of_the_largest_encodings_are_exact_at_the_border() {
    for threshold in [0.75, 0.8, 0.85, 0.9, 0.95, 1.0, 0.1 + 0.2, f64::MIN_POSITIVE] {
        for threshold in [threshold.next_down(), threshold, threshold.next_up()] {
            let Ok(threshold) = Threshold::new(threshold) else { continue };
            for (sum, &least) in Cutoffs::new(threshold, 1024).as_slice().iter().enumerate().skip(1) {
                let kept = |intersection: u32| 2.0 * f64::from(intersection) / sum as f64 >= threshold.get();
                assert!(kept(least) && (least == 0 || !kept(least - 1)), "{threshold:?} {sum} {least}");
            }
        }
    }
}

/// Where sums are kept in bytes, they come to their greatest here, and just do not overflow.
#[test]
fn encodings_with_nearly_all_bits_set_are_matched_as_by_the_definition() {
    for (width, threshold) in
        [(1, 0.9), (4, 0.8), (4, 1.0), (5, 0.95), (7, 0.75), (16, 0.4), (16, 0.9), (16, 0.99)]
    {
        let record = |seed: usize, missing: usize| {
            let mut words = vec![u64::MAX; width];
            (0..missing)
                .for_each(|i| words[(seed * 7 + i * 5) % width] &= !(1 << ((seed * 31 + i * 17) % 64)));
            words
        };
        // The last two rows are left to another kernel; and so are all, if one has all bits of four words set.
        for full_row in [false, true] {
            let rows: Vec<_> = (0..130)
                .flat_map(|i| record(i, if full_row && i == 77 { 0 } else { width + i % 4 }))
                .collect();
            let columns: Vec<_> = (0..300).flat_map(|i| record(1000 + i, i % (8 * width))).collect();
            let expected = expected(&rows, &columns, width, threshold);
            assert!(!expected.is_empty());
            for kernel in Kernel::available() {
                assert!(
                    found(kernel, &rows, &columns, width, threshold) == expected,
                    "{} {width} {threshold}",
                    kernel.name()
                );
            }
        }
    }
}
