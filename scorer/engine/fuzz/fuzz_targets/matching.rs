//! Small data sets: the engine finds the pairs of the definition, in whatever shards and memory.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use linkage_engine::pairs::Pair;
use linkage_engine::{EncodingSource, Encodings, Linkage, Meter, Shard, Threshold, dice};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    width: u8,
    threshold: u16,
    shards: u8,
    memory: u16,
    cuts: Vec<u8>,
    bytes: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let width = 1 + usize::from(input.width % 20);
    let threshold = f64::from(input.threshold.max(1)) / f64::from(u16::MAX);
    let shards = 1 + u32::from(input.shards % 4);
    let sets = data_sets(&input, width);
    let sources: Vec<&dyn EncodingSource> = sets.iter().map(|set| set as &dyn EncodingSource).collect();

    let (meter, mut pairs, mut comparisons) = (Meter::default(), Vec::new(), 0);
    for shard in 0..shards {
        let linkage = Linkage::new(&sources, Threshold::new(threshold).unwrap()).unwrap();
        let linkage = linkage.shard(Shard::new(shard, shards).unwrap()).memory(input.memory.into());
        comparisons += linkage.run(&meter, &mut pairs).unwrap().comparisons;
    }
    pairs.sort();
    assert_eq!((comparisons, pairs), expected(&sets, threshold));
});

/// Two to four data sets out of the bytes.
fn data_sets(input: &Input<'_>, width: usize) -> Vec<Encodings<'static>> {
    let records = input.bytes.len() / (8 * width);
    let mut rest = &input.bytes[..records * 8 * width];
    let mut sets: Vec<_> = (0..1 + input.cuts.len().min(2))
        .map(|i| {
            let share =
                usize::from(input.cuts.get(i).copied().unwrap_or(128)) * (rest.len() / 8 / width) / 256;
            let (set, others) = rest.split_at(share * 8 * width);
            rest = others;
            Encodings::from_bytes(set, 8 * width).unwrap()
        })
        .collect();
    sets.push(Encodings::from_bytes(rest, 8 * width).unwrap());
    sets
}

fn expected(sets: &[Encodings<'_>], threshold: f64) -> (u64, Vec<Pair>) {
    let (mut comparisons, mut pairs) = (0, Vec::new());
    for (dataset0, first) in sets.iter().enumerate() {
        for (dataset1, second) in sets.iter().enumerate().skip(dataset0 + 1) {
            for record0 in 0..first.records() {
                for record1 in 0..second.records() {
                    comparisons += 1;
                    let score = dice(first.record(record0), second.record(record1));
                    if score >= threshold {
                        let (dataset0, dataset1) = (dataset0 as u32, dataset1 as u32);
                        pairs.push(Pair { score, dataset0, dataset1, record0, record1 });
                    }
                }
            }
        }
    }
    pairs.sort();
    (comparisons, pairs)
}
