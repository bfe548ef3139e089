//! Any ids as blocks: each pair of records that shares one is compared once, and no other; what names no record is
//! refused.
#![no_main]

use std::collections::BTreeSet;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use linkage_engine::pairs::Pair;
use linkage_engine::{BlocksBuilder, EncodingSource, Encodings, Linkage, Meter, Shard, Threshold, dice};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    encodings: [Vec<u8>; 3],
    entries: Vec<(u8, u8, &'a [u8])>,
    threshold: u8,
    shards: u8,
    memory: u16,
}

fuzz_target!(|input: Input<'_>| {
    let threshold = f64::from(input.threshold.max(1)) / 255.0;
    let sets = input.encodings.map(|words| {
        // each byte is a record, with more bits than one byte has
        let words: Vec<u64> = words.into_iter().map(|byte| u64::from(byte) * 0x0101_0000_0001).collect();
        Encodings::new(words, 8).unwrap()
    });
    let records = sets.each_ref().map(|set| set.records());
    let mut builder = BlocksBuilder::new(&records);
    let mut ids = records.map(|records| vec![BTreeSet::new(); records as usize]);
    for (dataset, record, id) in input.entries {
        let (dataset, record) = (usize::from(dataset % 4), u32::from(record));
        let is_there = records.get(dataset).is_some_and(|&records| record < records);
        assert_eq!(builder.add(dataset, record, id).is_ok(), is_there);
        if is_there {
            ids[dataset][record as usize].insert(id);
        }
    }
    let blocks = builder.finish().unwrap();

    let mut expected = Vec::new();
    let mut comparisons = 0;
    for (i, j) in [(0, 1), (0, 2), (1, 2)] {
        for record0 in 0..records[i] {
            for record1 in 0..records[j] {
                if ids[i][record0 as usize].is_disjoint(&ids[j][record1 as usize]) {
                    continue;
                }
                comparisons += 1;
                let score = dice(sets[i].record(record0), sets[j].record(record1));
                if score >= threshold {
                    expected.push(Pair { score, dataset0: i as u32, dataset1: j as u32, record0, record1 });
                }
            }
        }
    }
    expected.sort();

    let sources = sets.each_ref().map(|set| set as &dyn EncodingSource);
    let shards = 1 + u32::from(input.shards % 4);
    let (meter, mut pairs, mut compared) = (Meter::default(), Vec::new(), 0);
    for shard in 0..shards {
        let linkage = Linkage::new(&sources, Threshold::new(threshold).unwrap()).unwrap();
        let linkage = linkage.blocks(&blocks).unwrap().shard(Shard::new(shard, shards).unwrap());
        compared += linkage.memory(input.memory.into()).run(&meter, &mut pairs).unwrap().comparisons;
    }
    pairs.sort();
    assert_eq!((compared, pairs), (comparisons, expected));
});
