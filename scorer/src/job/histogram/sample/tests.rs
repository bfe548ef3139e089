use std::io::Write;

use proptest::prelude::*;

use super::*;
use crate::engine::BlocksBuilder;

const BYTES: usize = 8;

/// Data sets in files, of records that share most bits.
fn files(datasets: &[Vec<u64>]) -> (tempfile::TempDir, Vec<FileEncodings>) {
    let folder = tempfile::tempdir().unwrap();
    let open = |(dataset, words): (usize, &Vec<u64>)| {
        let path = folder.path().join(dataset.to_string());
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        std::fs::File::create(&path).unwrap().write_all(&bytes).unwrap();
        FileEncodings::open(path, BYTES, dataset).unwrap()
    };
    let sources = datasets.iter().enumerate().map(open).collect();
    (folder, sources)
}

/// The plain definition, of all records.
fn plainly(datasets: &[Vec<u64>], blocks: Option<&[Vec<u8>]>, bins: &Bins) -> Vec<Sampled> {
    let of_pair = |[first, second]: [u32; 2]| {
        let [first, second] = [first as usize, second as usize];
        let (drawn, other) =
            if datasets[first].len() <= datasets[second].len() { (first, second) } else { (second, first) };
        let mut sampled = Sampled::new(bins.edges().len());
        for (row, a) in datasets[drawn].iter().enumerate() {
            let mut counts = vec![0; bins.edges().len()];
            for (column, b) in datasets[other].iter().enumerate() {
                let itself = drawn == other && row == column;
                let apart = itself || blocks.is_some_and(|of| of[drawn][row] & of[other][column] == 0);
                if !apart && let Some(bin) = bins.of_score(dice(&[*a], &[*b])) {
                    counts[bin] += 1;
                }
            }
            sampled.add_record(&counts);
        }
        sampled
    };
    pairs_of_parties(datasets.len()).into_iter().map(of_pair).collect()
}

/// Words that differ in a few bits only, so that scores are high.
fn word() -> impl Strategy<Value = u64> {
    prop::collection::vec(0..64u32, 0..24)
        .prop_map(|zeros| zeros.iter().fold(u64::MAX, |word, at| word & !(1 << at)))
}

proptest! {
    #[test]
    fn a_sample_of_all_records_is_the_plain_count_whatever_the_shards(
        datasets in prop::collection::vec(prop::collection::vec((word(), 0..8u8), 1..20), 1..4),
        blocking: bool,
        shards in 1..5u32,
        threshold in 0.3..=1.0f64,
    ) {
        let words: Vec<Vec<u64>> = datasets.iter().map(|of| of.iter().map(|&(word, _)| word).collect()).collect();
        let shared: Vec<Vec<u8>> = datasets.iter().map(|of| of.iter().map(|&(_, blocks)| blocks).collect()).collect();
        let bins = Bins::of_threshold(threshold);
        let (_folder, sources) = files(&words);
        let records: Vec<u32> = words.iter().map(|of| of.len() as u32).collect();
        let mut builder = BlocksBuilder::new(&records);
        for (dataset, of) in shared.iter().enumerate() {
            for (record, blocks) in of.iter().enumerate() {
                for block in (0..3).filter(|block| blocks >> block & 1 == 1) {
                    builder.add(dataset, record as u32, block.to_string().as_bytes()).unwrap();
                }
            }
        }
        let blocks = builder.finish().unwrap();
        let blocks = blocking.then_some(&blocks);
        let mut total: Option<Vec<Sampled>> = None;
        for shard in 0..shards {
            let part = sample(&sources, blocks, &bins, (shard, shards), 1 << 20).unwrap();
            match &mut total {
                None => total = Some(part),
                Some(total) => total.iter_mut().zip(&part).for_each(|(sum, part)| sum.add(part)),
            }
        }
        prop_assert_eq!(total.unwrap(), plainly(&words, blocking.then_some(&shared), &bins));
    }

    #[test]
    fn records_are_drawn_once_and_in_order(rows in 1..5000u64, size in 0..600u64) {
        let size = size.min(rows);
        let drawn: Vec<u32> = draw(rows, size).collect();
        prop_assert_eq!(drawn.len() as u64, size);
        prop_assert!(drawn.is_sorted_by(|a, b| a < b));
        prop_assert!(drawn.iter().all(|&record| u64::from(record) < rows));
    }

    #[test]
    fn a_sample_costs_little(rows in 1..200_000_000u64, more in 0..200_000_000u64, pairs in 1..2016u64) {
        let columns = rows + more;
        let size = sample_size([rows, columns], pairs);
        let cost = u128::from(size) * u128::from(columns);
        prop_assert!(size <= rows);
        prop_assert!(cost <= u128::from(FREE_COMPARISONS / pairs) || cost <= u128::from(rows) * u128::from(columns) / 50);
        prop_assert!(cost <= u128::from(FREE_COMPARISONS / pairs) || size <= RECORDS);
    }
}

#[test]
fn small_data_is_sampled_whole() {
    assert_eq!(sample_size([5000, 5000], 1), 5000);
    assert_eq!(sample_size([1_000_000, 1_000_000], 1), 1000);
    assert_eq!(sample_size([10, 0], 1), 10);
    assert_eq!(sample_size_in_blocks(1000, 6828), 1000);
    assert_eq!(sample_size_in_blocks(10, 0), 10);
    assert_eq!(sample_size_in_blocks(10_000_000, 20_000_000), 20_000);
}

#[test]
fn within_one_party_each_pair_is_met_twice() {
    let bins = Bins::of_threshold(0.8);
    let mut sampled = Sampled::new(40);
    for _ in 0..4 {
        let mut counts = vec![0; 40];
        counts[3] = 3;
        sampled.add_record(&counts);
    }
    let histogram = sampled.histogram(&bins, [0, 0], &[0; 40], 8, true);
    // 4 of 8 records met 12 pairs: 24 from both ends, 12 pairs
    assert_eq!((histogram.counts[3], histogram.sampled_share, histogram.exact_from), (12.0, 0.5, 0.8));
}
