//! The whole engine against the plain definition: every kind of source, shard, memory and blocks.

mod within;

use std::collections::BTreeSet;
use std::io::Write;

use proptest::prelude::*;
use rand::rngs::ChaCha20Rng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::pairs::{Pair, PairSorter};

/// Made-up data sets: records are copies of few originals with few bits changed, some all zeros or all ones.
pub(super) fn datasets(seed: u64, records: &[u32], width: usize) -> Vec<Vec<u64>> {
    let mut random = ChaCha20Rng::seed_from_u64(seed);
    let originals: Vec<Vec<u64>> = (0..4).map(|_| (0..width).map(|_| random.random()).collect()).collect();
    let record = |random: &mut ChaCha20Rng| match random.random_range(0..10) {
        0 => vec![0; width],
        1 => vec![u64::MAX; width],
        original => {
            let mut words = originals[original % originals.len()].clone();
            for _ in 0..random.random_range(0..20) {
                words[random.random_range(0..width)] ^= 1 << random.random_range(0..64);
            }
            words
        }
    };
    records.iter().map(|&count| (0..count).flat_map(|_| record(&mut random)).collect()).collect()
}

/// So many cases, unless PROPTEST_CASES says otherwise: an emulated processor takes long.
pub(super) fn cases(usually: u32) -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(usually),
    }
}

/// Every pair of records that share a block (None: all), by the definition; of a single data set, within it.
pub(super) fn expected(
    sets: &[Encodings<'_>],
    threshold: f64,
    blocks: Option<&[Vec<BTreeSet<String>>]>,
) -> (u64, Vec<Pair>) {
    let (mut comparisons, mut pairs) = (0, Vec::new());
    for (i, j) in work::dataset_pairs(sets.len()) {
        for record0 in 0..sets[i].records() {
            let first = if i == j { record0 + 1 } else { 0 };
            for record1 in first..sets[j].records() {
                if blocks.is_some_and(|b| b[i][record0 as usize].is_disjoint(&b[j][record1 as usize])) {
                    continue;
                }
                comparisons += 1;
                let score = dice(sets[i].record(record0), sets[j].record(record1));
                if score >= threshold {
                    pairs.push(Pair { score, dataset0: i as u32, dataset1: j as u32, record0, record1 });
                }
            }
        }
    }
    pairs.sort();
    (comparisons, pairs)
}

/// Runs all shards, and adds up what they give.
fn run(
    sources: &[&dyn EncodingSource],
    threshold: f64,
    blocks: Option<&Blocks>,
    shards: u32,
    memory: usize,
) -> (u64, Vec<Pair>) {
    let (meter, mut comparisons, mut planned, mut pairs) = (Meter::default(), 0, 0, Vec::new());
    for shard in 0..shards {
        let mut linkage = Linkage::new(sources, Threshold::new(threshold).unwrap()).unwrap();
        if let Some(blocks) = blocks {
            linkage = linkage.blocks(blocks).unwrap();
        }
        let linkage = linkage.shard(Shard::new(shard, shards).unwrap()).memory(memory);
        planned += linkage.comparisons().unwrap();
        comparisons += linkage.run(&meter, &mut pairs).unwrap().comparisons;
    }
    assert_eq!(meter.comparisons(), planned);
    assert_eq!(meter.pairs(), pairs.len() as u64);
    pairs.sort();
    (comparisons, pairs)
}

pub(super) fn as_sources<'a>(sets: &'a [Encodings<'a>]) -> Vec<&'a dyn EncodingSource> {
    sets.iter().map(|set| set as &dyn EncodingSource).collect()
}

/// The data sets in files.
fn in_files(words: &[Vec<u64>]) -> Vec<tempfile::NamedTempFile> {
    let in_file = |words: &Vec<u64>| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        words.iter().for_each(|word| file.write_all(&word.to_le_bytes()).unwrap());
        file.flush().unwrap();
        file
    };
    words.iter().map(in_file).collect()
}

pub(super) fn encodings(words: Vec<Vec<u64>>, width: usize) -> Vec<Encodings<'static>> {
    words.into_iter().map(|words| Encodings::new(words, width * 8).unwrap()).collect()
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn finds_the_same_pairs_as_the_definition(
        seed: u64,
        records in prop::collection::vec(0..50u32, 2..5),
        width in prop::sample::select(vec![1, 2, 3, 8, 16, 17, 32, 128]),
        threshold in prop::sample::select(vec![1e-300, 0.3, 0.5, 0.8, 0.9, 1.0]),
        shards in 1..7u32,
        memory in prop::sample::select(vec![0, 5_000, 1 << 20]),
    ) {
        let sets = encodings(datasets(seed, &records, width), width);
        prop_assert_eq!(
            run(&as_sources(&sets), threshold, None, shards, memory),
            expected(&sets, threshold, None)
        );
    }

    #[test]
    fn compares_each_pair_that_shares_a_block_once(
        seed: u64,
        records in prop::collection::vec(0..40u32, 2..5),
        // few blocks are large ones
        ids in prop::sample::select(vec![1, 2, 5, 12, 60]),
        most_blocks in 0..6u32,
        width in prop::sample::select(vec![1, 2, 8, 16, 17]),
        threshold in prop::sample::select(vec![0.5, 0.8, 1.0]),
        shards in 1..6u32,
        files: bool,
        memory in prop::sample::select(vec![0, 1_000, 1 << 20]),
    ) {
        let words = datasets(seed, &records, width);
        let mut random = ChaCha20Rng::seed_from_u64(seed);
        let ids_of_record = |random: &mut ChaCha20Rng| -> BTreeSet<String> {
            (0..random.random_range(0..=most_blocks)).map(|_| random.random_range(0..ids).to_string()).collect()
        };
        let ids_of: Vec<Vec<_>> =
            records.iter().map(|&n| (0..n).map(|_| ids_of_record(&mut random)).collect()).collect();
        let mut builder = BlocksBuilder::new(&records);
        for (dataset, records) in ids_of.iter().enumerate() {
            for (record, ids) in records.iter().enumerate() {
                // Twice each: it must change nothing.
                ids.iter().chain(ids).for_each(|id| builder.add(dataset, record as u32, id).unwrap());
            }
        }
        let blocks = builder.finish().unwrap();
        let in_files = in_files(if files { &words } else { &[] });
        let opened: Vec<_> =
            in_files.iter().map(|file| FileEncodings::open(file.path(), width * 8, 0).unwrap()).collect();
        let sets = encodings(words, width);
        let sources: Vec<&dyn EncodingSource> = match files {
            true => opened.iter().map(|set| set as &dyn EncodingSource).collect(),
            false => as_sources(&sets),
        };
        prop_assert_eq!(
            run(&sources, threshold, Some(&blocks), shards, memory),
            expected(&sets, threshold, Some(&ids_of))
        );
    }

    #[test]
    fn tiny_blocks_beside_a_huge_one(
        seed: u64,
        records in (0..300u32, 0..300u32),
        each in 1..4usize,
        huge in prop::sample::select(vec![0.0, 0.05, 0.5]),
        shards in 1..4u32,
    ) {
        let records = [records.0, records.1];
        let sets = encodings(datasets(seed, &records, 16), 16);
        let mut random = ChaCha20Rng::seed_from_u64(seed);
        let tiny = records[0] / 2 + 1;
        let ids_of = records.map(|n| {
            let mut id = || match random.random_bool(huge) {
                true => "huge".to_owned(),
                false => random.random_range(0..tiny).to_string(),
            };
            (0..n).map(|_| (0..each).map(|_| id()).collect()).collect::<Vec<BTreeSet<_>>>()
        });
        let mut builder = BlocksBuilder::new(&records);
        for (dataset, records) in ids_of.iter().enumerate() {
            for (record, ids) in (0..).zip(records) {
                ids.iter().for_each(|id| builder.add(dataset, record, id).unwrap());
            }
        }
        let blocks = builder.finish().unwrap();
        prop_assert_eq!(
            run(&as_sources(&sets), 0.8, Some(&blocks), shards, 0),
            expected(&sets, 0.8, Some(&ids_of))
        );
    }

    #[test]
    fn files_give_any_records_as_memory_does(
        width in 1..=128usize,
        gathered in prop::collection::vec(0..700u32, 0..300),
        sorted: bool,
    ) {
        let words: Vec<u64> = (0..700 * width as u64).collect();
        let file = in_files(std::slice::from_ref(&words)).remove(0);
        let file = FileEncodings::open(file.path(), width * 8, 0).unwrap();
        let mut records = gathered;
        if sorted {
            records.sort();
        }
        let (mut from_file, mut from_memory) = (vec![7], vec![7]);
        file.gather(&records, &mut from_file).unwrap();
        Encodings::new(words, width * 8).unwrap().gather(&records, &mut from_memory).unwrap();
        prop_assert_eq!(from_file, from_memory);
    }
}

#[test]
fn owned_encodings_start_where_a_cache_line_does() {
    for words in [0, 1, 5, 16, 1000, 100_000] {
        let words: Vec<u64> = (0..words).collect();
        let (owned, borrowed) =
            (Encodings::new(words.clone(), 8).unwrap(), Encodings::new(&words[..], 8).unwrap());
        for encodings in [&owned, &borrowed, &owned.clone()] {
            assert_eq!((encodings.records() as usize, encodings.words()), (words.len(), Some(&words[..])));
        }
        assert!(owned.words().unwrap().as_ptr().addr().is_multiple_of(64));
        assert!(words.last().is_none_or(|&last| owned.record(last as u32) == [last]));
    }
}

#[test]
fn large_blocks_are_cut_into_pieces_without_loss() {
    let records = [1300, 700];
    let sets = encodings(datasets(3, &records, 1), 1);
    let mut builder = BlocksBuilder::new(&records);
    let mut ids_of = vec![vec![BTreeSet::new(); 1300], vec![BTreeSet::new(); 700]];
    for (dataset, &count) in records.iter().enumerate() {
        for record in 0..count {
            // Everyone is in a block; a third is in an earlier one as well.
            let ids = if record % 3 == 0 { vec!["all", "a third"] } else { vec!["all"] };
            for id in ids {
                builder.add(dataset, record, id).unwrap();
                ids_of[dataset][record as usize].insert(id.to_owned());
            }
        }
    }
    let blocks = builder.finish().unwrap();
    let expected = expected(&sets, 0.9, Some(&ids_of));
    assert_eq!(expected.0, 1300 * 700);
    for shards in [1, 3] {
        assert!(run(&as_sources(&sets), 0.9, Some(&blocks), shards, 0) == expected);
    }
}

#[test]
fn files_and_a_sorter_give_the_same_as_memory() {
    let words = datasets(5, &[301, 203], 16);
    let files = in_files(&words);
    let sources: Vec<_> =
        files.iter().map(|file| FileEncodings::open(file.path(), 128, 0).unwrap()).collect();
    let sources = [&sources[0] as &dyn EncodingSource, &sources[1]];
    let mut sorter = PairSorter::new(4_000, std::env::temp_dir());
    let linkage = Linkage::new(&sources, Threshold::new(0.9).unwrap()).unwrap().memory(20_000);
    let outcome = linkage.run(&Meter::default(), &mut sorter).unwrap();
    assert_eq!((outcome.comparisons, outcome.pairs), (301 * 203, sorter.len()));
    let sorted: Vec<Pair> = sorter.finish().unwrap().map(Result::unwrap).collect();
    let sets = encodings(words, 16);
    assert!(sorted.len() > 1000 && sorted == expected(&sets, 0.9, None).1);
}

#[test]
fn cancelling_ends_with_an_error() {
    let sets = encodings(datasets(1, &[10, 10], 1), 1);
    let sources = as_sources(&sets);
    let meter = Meter::default();
    meter.cancel();
    let result = Linkage::new(&sources, Threshold::new(0.5).unwrap()).unwrap().run(&meter, &mut Vec::new());
    assert!(matches!(result, Err(Error::Cancelled)));
}

#[test]
fn a_source_that_fails_is_named() {
    struct Broken;
    impl EncodingSource for Broken {
        fn records(&self) -> u32 {
            5
        }
        fn encoding_bytes(&self) -> usize {
            8
        }
        fn read(&self, _: std::ops::Range<u32>, _: &mut Vec<u64>) -> std::io::Result<()> {
            Err(std::io::Error::other("gone"))
        }
    }
    let good = Encodings::new(vec![1, 2, 3], 8).unwrap();
    let sources: [&dyn EncodingSource; 2] = [&good, &Broken];
    let linkage = Linkage::new(&sources, Threshold::new(0.5).unwrap()).unwrap();
    let error = linkage.run(&Meter::default(), &mut Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "the encodings of data set 1 could not be read: gone");
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let eight = Encodings::new(vec![1], 8).unwrap();
    let sixteen = Encodings::new(vec![1, 2], 16).unwrap();
    let threshold = Threshold::new(0.5).unwrap();
    let different: [&dyn EncodingSource; 2] = [&eight, &sixteen];
    assert!(matches!(Linkage::new(&different, threshold), Err(Error::SizeMismatch { dataset: 1, .. })));
    let alone: [&dyn EncodingSource; 1] = [&eight];
    assert!(matches!(Linkage::new(&alone, threshold), Err(Error::TooFewDatasets(1))));
    assert!(Linkage::within(&eight, threshold).is_ok());
    let two: [&dyn EncodingSource; 2] = [&eight, &eight];
    let blocks = BlocksBuilder::new(&[1, 2]).finish().unwrap();
    assert!(matches!(
        Linkage::new(&two, threshold).unwrap().blocks(&blocks),
        Err(Error::BlocksMismatch { .. })
    ));
    for size in [0, 4, 7, 9, 12, 1025, 1032] {
        assert!(matches!(Encodings::from_bytes(&[0; 32], size), Err(Error::EncodingSize(_))));
    }
    for bad in [0.0, -0.5, 1.0000001, f64::NAN, f64::INFINITY] {
        assert!(Threshold::new(bad).is_err());
    }
}
