use proptest::prelude::*;

use super::*;
use crate::pairs::PairWriter;

fn pair(score: f64, record1: u32) -> Pair {
    Pair { score, dataset0: 0, dataset1: 1, record0: 0, record1 }
}

fn file(pairs: &[Pair]) -> Vec<u8> {
    let mut writer = PairWriter::new(Vec::new()).unwrap();
    pairs.iter().for_each(|pair| writer.write(pair).unwrap());
    writer.finish().unwrap()
}

fn merge(files: &[Vec<u8>]) -> Result<Vec<Pair>, Error> {
    let readers = files.iter().enumerate().map(|(i, file)| PairReader::new(format!("shard {i}"), &file[..]));
    Merge::new(readers.collect::<Result<_, _>>()?)?.collect()
}

proptest! {
    #[test]
    fn merges_shards_into_the_sorted_whole(pairs in prop::collection::btree_map((0..9u8, 0..50u32), 0..7usize, 0..200)) {
        let mut shards = vec![Vec::new(); 7];
        let mut all = Vec::new();
        for ((score, record), shard) in pairs {
            shards[shard].push(pair(f64::from(score) / 10.0, record));
            all.push(pair(f64::from(score) / 10.0, record));
        }
        all.sort();
        shards.iter_mut().for_each(|shard| shard.sort());
        let files: Vec<_> = shards.iter().map(|shard| file(shard)).collect();
        prop_assert_eq!(merge(&files).unwrap(), all);
    }
}

#[test]
fn no_streams_and_empty_streams_merge_to_nothing() {
    assert!(merge(&[]).unwrap().is_empty());
    assert!(merge(&[file(&[]), file(&[])]).unwrap().is_empty());
}

#[test]
fn a_stream_out_of_order_is_named() {
    let good = file(&[pair(0.9, 1), pair(0.5, 2)]);
    let bad = file(&[pair(0.8, 1), pair(0.7, 5), pair(0.7, 4), pair(0.1, 1)]);
    let error = merge(&[good, bad]).unwrap_err();
    assert!(matches!(&error, Error::Unsorted { stream, position: 2 } if stream == "shard 1"), "{error}");
}

#[test]
fn a_truncated_or_corrupt_stream_is_named() {
    let good = file(&[pair(0.9, 1), pair(0.5, 2)]);
    let mut bad = file(&[pair(0.8, 1), pair(0.7, 5)]);
    bad.pop();
    assert!(matches!(
        merge(&[good.clone(), bad]).unwrap_err(),
        Error::Truncated { stream, position: 1 } if stream == "shard 1"
    ));
    let bad = file(&[pair(7.0, 1)]);
    assert!(matches!(
        merge(&[bad, good]).unwrap_err(),
        Error::Corrupt { stream, position: 0, .. } if stream == "shard 0"
    ));
}

#[test]
fn a_pair_seen_twice_is_named() {
    let one = file(&[pair(0.9, 1), pair(0.5, 2)]);
    let other = file(&[pair(0.7, 2), pair(0.5, 2)]);
    let error = merge(&[one, other]).unwrap_err();
    assert!(matches!(&error, Error::Duplicate { stream, position: 1 } if stream == "shard 1"), "{error}");
    let error = merge(&[file(&[pair(0.9, 1), pair(0.9, 1)])]).unwrap_err();
    assert!(matches!(error, Error::Duplicate { position: 1, .. }), "{error}");
}
