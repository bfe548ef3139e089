//! The pruned plan against the definition.

use proptest::prelude::*;

use super::leaves::{BOX_SEGMENTS, FINER_SEGMENTS, Leaves};
use super::plan::{Bounding, Forced, Pruning};
use super::projections::Projections;
use super::sample::Sample;
use super::segments::{Effort, Segments};
use crate::pairs::Pair;
use crate::tests::{as_sources, cases, datasets, encodings, expected};
use crate::threshold::Cutoffs;
use crate::*;

/// By what single pairs are left out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bounded {
    /// So many segments.
    Segments(usize),
    /// So many, and then finer ones.
    FinerSegments(usize),
    Projections,
}

/// Two data sets in leaves.
pub(crate) fn leaves(
    sets: &[Vec<u64>],
    width: usize,
    bounded: Bounded,
    cutoffs: &Cutoffs,
) -> (Leaves, Leaves) {
    let sample = Sample::new(sets.to_vec(), width, cutoffs);
    let pairs = sample.random_pairs(1000);
    let learn = |segments| Segments::learn(segments, &pairs, width, cutoffs, Effort::LITTLE);
    let bounding = match bounded {
        Bounded::Segments(segments) => Bounding::Counts(learn(segments), None),
        Bounded::FinerSegments(segments) => Bounding::Counts(learn(segments), Some(learn(FINER_SEGMENTS))),
        Bounded::Projections => Bounding::Projections(Projections::learn(&sample.words(), width, cutoffs)),
    };
    load(sets, width, &Pruning { boxes: learn(BOX_SEGMENTS), bounding }, cutoffs)
}

/// Two data sets in leaves, by segments that nothing was learnt for: an interpreter would take minutes.
pub(crate) fn unlearnt_leaves(sets: &[Vec<u64>], width: usize, cutoffs: &Cutoffs) -> (Leaves, Leaves) {
    let [boxes, segments, finer] = [BOX_SEGMENTS, 16, FINER_SEGMENTS].map(|segments| {
        let bits = (0..64 * width).map(|bit| Some(((bit % segments) as u8, bit % 3 == 0)));
        Segments { segments, bits: bits.collect() }
    });
    load(sets, width, &Pruning { boxes, bounding: Bounding::Counts(segments, Some(finer)) }, cutoffs)
}

fn load(sets: &[Vec<u64>], width: usize, pruning: &Pruning, cutoffs: &Cutoffs) -> (Leaves, Leaves) {
    let load = |words: &Vec<u64>| {
        let source = Encodings::new(words.clone(), width * 8).unwrap();
        let mut leaves = Leaves::default();
        leaves.load(&source, 0..source.records(), pruning, cutoffs).unwrap();
        leaves
    };
    (load(&sets[0]), load(&sets[1]))
}

fn pruned(
    sources: &[&dyn EncodingSource],
    plan: Forced,
    threshold: f64,
    shards: u32,
    memory: usize,
) -> (u64, Vec<Pair>) {
    let (meter, mut comparisons, mut pairs) = (Meter::default(), 0, Vec::new());
    for shard in 0..shards {
        let linkage = Linkage::new(sources, Threshold::new(threshold).unwrap()).unwrap();
        let linkage = linkage.shard(Shard::new(shard, shards).unwrap()).memory(memory);
        comparisons += linkage.run_as(Some(plan), &meter, &mut pairs).unwrap().comparisons;
    }
    assert_eq!(meter.comparisons(), comparisons);
    pairs.sort();
    (comparisons, pairs)
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn finds_the_same_pairs_as_the_definition(
        seed: u64,
        records in prop::collection::vec(0..300u32, 2..4),
        width in prop::sample::select(vec![1, 2, 3, 8, 16, 17, 32]),
        threshold in prop::sample::select(vec![0.3, 0.5, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0]),
        shards in 1..4u32,
        memory in prop::sample::select(vec![20_000, 1 << 22]),
    ) {
        let sets = encodings(datasets(seed, &records, width), width);
        prop_assert_eq!(
            pruned(&as_sources(&sets), Forced::Pruned, threshold, shards, memory),
            expected(&sets, threshold, None)
        );
    }
}

proptest! {
    #![proptest_config(cases(8))]

    // directions of longer encodings take long to find without optimisation
    #[test]
    fn finds_the_same_pairs_by_projections(
        seed: u64,
        records in prop::collection::vec(0..300u32, 2..4),
        width in prop::sample::select(vec![1, 2, 3, 8]),
        threshold in prop::sample::select(vec![0.3, 0.5, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0]),
        shards in 1..4u32,
        memory in prop::sample::select(vec![30_000, 1 << 22]),
    ) {
        let sets = encodings(datasets(seed, &records, width), width);
        prop_assert_eq!(
            pruned(&as_sources(&sets), Forced::Projected, threshold, shards, memory),
            expected(&sets, threshold, None)
        );
    }
}
