use proptest::prelude::*;

use super::*;
use crate::{BlocksBuilder, Error};

#[test]
fn the_order_of_entries_does_not_matter() {
    let mut entries = Vec::new();
    for record in 0..60u32 {
        entries.push((record as usize % 3, record / 3, format!("{}", record % 7)));
        entries.push((record as usize % 3, record / 3, format!("{}", record % 5)));
    }
    let build = |entries: &[(usize, u32, String)]| {
        let mut builder = BlocksBuilder::new(&[20, 20, 20]);
        entries.iter().for_each(|(dataset, record, id)| builder.add(*dataset, *record, id).unwrap());
        builder.finish().unwrap()
    };
    let (forward, backward) = (build(&entries), {
        entries.reverse();
        build(&entries)
    });
    for shard in 0..4 {
        let shard = Shard::new(shard, 4).unwrap();
        assert!(forward.units(shard).eq(backward.units(shard)));
    }
    for dataset in 0..3 {
        for block in 0..forward.len() {
            assert_eq!(forward.dataset(dataset).members(block), backward.dataset(dataset).members(block));
        }
    }
}

#[test]
fn ids_are_compared_as_bytes() {
    let mut builder = BlocksBuilder::new(&[2, 2]);
    for (record, id) in ["", "a"].into_iter().enumerate() {
        builder.add(0, record as u32, id).unwrap();
    }
    for (record, id) in ["a\0", ""].into_iter().enumerate() {
        builder.add(1, record as u32, id).unwrap();
    }
    let blocks = builder.finish().unwrap();
    assert_eq!((blocks.len(), blocks.comparisons()), (1, 1));
    assert_eq!((blocks.dataset(0).members(0), blocks.dataset(1).members(0)), (&[0][..], &[1][..]));
}

#[test]
fn entries_of_no_record_are_refused() {
    let mut builder = BlocksBuilder::new(&[2, 3]);
    assert!(matches!(builder.add(0, 2, "a"), Err(Error::NoSuchRecord { dataset: 0, record: 2, records: 2 })));
    assert!(matches!(builder.add(2, 0, "a"), Err(Error::NoSuchDataset { dataset: 2, datasets: 2 })));
    assert!(builder.finish().unwrap().is_empty());
}

#[test]
fn the_first_shared_block_is_found() {
    assert!(first_shared_is(3, &[1, 3], &[2, 3]));
    assert!(!first_shared_is(3, &[1, 2, 3], &[2, 3]));
    assert!(first_shared_is(3, &[3, 4], &[0, 1, 3, 4]));
    assert!(!first_shared_is(4, &[3, 4], &[0, 1, 3, 4]));
}

#[test]
fn blocks_are_in_the_order_of_their_first_records() {
    let mut builder = BlocksBuilder::new(&[3, 3, 3]);
    let entries = [(0, 2, "a"), (1, 0, "a"), (0, 1, "c"), (2, 0, "c"), (0, 1, "b"), (1, 1, "b")];
    for (dataset, record, id) in entries.into_iter().chain([(1, 0, "0"), (2, 1, "0"), (0, 0, "alone")]) {
        builder.add(dataset, record, id).unwrap();
    }
    let blocks = builder.finish().unwrap();
    let firsts = |dataset: usize| -> Vec<_> {
        (0..4).map(|block| blocks.dataset(dataset).members(block).first().copied()).collect()
    };
    // b, c, a, 0
    assert_eq!(firsts(0), [Some(1), Some(1), Some(2), None]);
    assert_eq!(firsts(1), [Some(1), None, Some(0), Some(0)]);
    assert_eq!(blocks.dataset(0).members_of(0..3), [1, 1, 2]);
}

proptest! {
    #[test]
    fn pairs_that_share_an_earlier_block_are_counted_once(
        entries in prop::collection::vec((0..2usize, 0..30u32, 0..12u32), 0..150),
        block in 0..12u32,
    ) {
        let mut builder = BlocksBuilder::new(&[30, 30]);
        for (dataset, record, id) in entries {
            builder.add(dataset, record, id.to_be_bytes()).unwrap();
        }
        let blocks = builder.finish().unwrap();
        let block = block.min(blocks.len());
        let all: Vec<u32> = (0..30).collect();
        let sides = [0, 1].map(|dataset| (blocks.dataset(dataset), &all[..]));
        let share = |&(row, column): &(u32, u32)| {
            let others = blocks.dataset(1).blocks(column);
            blocks.dataset(0).blocks(row).iter().any(|shared| *shared < block && others.contains(shared))
        };
        let expected = (0..30).flat_map(|row| (0..30).map(move |column| (row, column))).filter(share).count();
        let mut shared = SharedBefore::default();
        for _ in 0..2 {
            prop_assert_eq!(shared.count(block, sides), expected as u64);
        }
    }
}
