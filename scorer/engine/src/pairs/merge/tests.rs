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

fn open(files: &[Vec<u8>]) -> Result<Merge<PairReader<&[u8]>>, Error> {
    let readers = files.iter().enumerate().map(|(i, file)| PairReader::new(format!("shard {i}"), &file[..]));
    Merge::new(readers.collect::<Result<_, _>>()?)
}

fn merge(files: &[Vec<u8>]) -> Result<Vec<Pair>, Error> {
    open(files)?.collect()
}

/// The same, by runs and now and then a pair by itself.
fn merge_by_runs(files: &[Vec<u8>]) -> Result<Vec<Pair>, Error> {
    let mut merge = open(files)?;
    let mut all = Vec::new();
    while let Some(run) = merge.next_run()? {
        assert!(!run.is_empty());
        all.extend(run);
        if all.len() % 3 == 0 {
            all.extend(merge.next().transpose()?);
        }
    }
    assert!(merge.next().is_none() && merge.next_run().unwrap().is_none());
    Ok(all)
}

/// Streams of so few pairs a block that most comparisons are between blocks.
struct InSmallBlocks(std::vec::IntoIter<Pair>);

impl PairStream for InSmallBlocks {
    fn name(&self) -> &str {
        "a stream"
    }

    fn read_block(&mut self, block: &mut Vec<Pair>) -> Result<(), Error> {
        block.clear();
        block.extend(self.0.by_ref().take(3));
        Ok(())
    }
}

proptest! {
    #[test]
    fn merges_shards_into_the_sorted_whole(pairs in prop::collection::btree_map((0..9u8, 0..2000u32), 0..7usize, 0..3000)) {
        let mut shards = vec![Vec::new(); 7];
        let mut all = Vec::new();
        for ((score, record), shard) in pairs {
            // runs of each length
            let shard = if score < 4 { record as usize / 300 } else { shard };
            shards[shard].push(pair(f64::from(score) / 10.0, record));
            all.push(pair(f64::from(score) / 10.0, record));
        }
        all.sort();
        shards.iter_mut().for_each(|shard| shard.sort());
        let files: Vec<_> = shards.iter().map(|shard| file(shard)).collect();
        prop_assert!(merge(&files).unwrap() == all);
        prop_assert!(merge_by_runs(&files).unwrap() == all);
        let streams = shards.into_iter().map(|shard| InSmallBlocks(shard.into_iter())).collect();
        prop_assert!(Merge::new(streams).unwrap().map(Result::unwrap).eq(all));
    }

    /// Any disorder is found: streams as they come are merged only if they are sorted and no pair comes twice.
    #[test]
    fn merges_nothing_that_is_not_sorted(streams in prop::collection::vec(prop::collection::vec((0..3u8, 0..9u32), 0..6), 0..4)) {
        let streams: Vec<Vec<Pair>> = streams
            .into_iter()
            .map(|pairs| pairs.into_iter().map(|(score, record)| pair(f64::from(score) / 2.0, record)).collect())
            .collect();
        let mut all: Vec<Pair> = streams.concat();
        all.sort();
        let is_good = streams.iter().all(|pairs| pairs.is_sorted()) && all.windows(2).all(|two| two[0] != two[1]);
        let files: Vec<_> = streams.iter().map(|pairs| file(pairs)).collect();
        prop_assert_eq!(merge(&files).is_ok_and(|merged| merged == all), is_good);
        prop_assert_eq!(merge_by_runs(&files).is_ok(), is_good);
        let small = streams.into_iter().map(|pairs| InSmallBlocks(pairs.into_iter())).collect();
        prop_assert_eq!(Merge::new(small).and_then(Iterator::collect::<Result<Vec<_>, _>>).is_ok(), is_good);
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
