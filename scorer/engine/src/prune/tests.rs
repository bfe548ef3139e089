//! The plans that leave pairs out, against the definition.

use proptest::prelude::*;
use rand::rngs::ChaCha20Rng;
use rand::{RngExt, SeedableRng};

use super::leaves::{BOX_SEGMENTS, FINER_SEGMENTS, Leaves};
use super::plan::{Bounding, Forced, LeafPruning};
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
    load(sets, width, &LeafPruning { boxes: learn(BOX_SEGMENTS), bounding }, cutoffs)
}

/// Two data sets in leaves, by segments that nothing was learnt for: an interpreter would take minutes.
pub(crate) fn unlearnt_leaves(sets: &[Vec<u64>], width: usize, cutoffs: &Cutoffs) -> (Leaves, Leaves) {
    let [boxes, segments, finer] = [BOX_SEGMENTS, 16, FINER_SEGMENTS].map(|segments| {
        let bits = (0..64 * width).map(|bit| Some(((bit % segments) as u8, bit % 3 == 0)));
        Segments { segments, bits: bits.collect() }
    });
    load(sets, width, &LeafPruning { boxes, bounding: Bounding::Counts(segments, Some(finer)) }, cutoffs)
}

fn load(sets: &[Vec<u64>], width: usize, pruning: &LeafPruning, cutoffs: &Cutoffs) -> (Leaves, Leaves) {
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
        plan in prop::sample::select(vec![Forced::Pruned, Forced::Indexed]),
    ) {
        let sets = encodings(datasets(seed, &records, width), width);
        prop_assert_eq!(
            pruned(&as_sources(&sets), plan, threshold, shards, memory),
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

#[test]
fn pairs_of_random_like_encodings_are_looked_up_at_high_thresholds() {
    let (records, width) = (60_000, 16);
    let mut random = ChaCha20Rng::seed_from_u64(3);
    let [first, mut second]: [Vec<u64>; 2] =
        std::array::from_fn(|_| (0..records * width).map(|_| random.random()).collect());
    // every seventh of the second data set is like one of the first
    let alike = (0..records).step_by(7).map(|record| ((record * 31 + 5) % records, record));
    for (of_first, of_second) in alike.clone() {
        let words = &mut second[of_second * width..][..width];
        words.copy_from_slice(&first[of_first * width..][..width]);
        (0..of_second % 30)
            .for_each(|_| words[random.random_range(0..width)] ^= 1 << random.random_range(0..64));
    }
    let sets = encodings(vec![first, second], width);
    let mut pairs = Vec::new();
    let linkage = Linkage::new(&as_sources(&sets), Threshold::new(0.96).unwrap()).unwrap().memory(1 << 30);
    let plan = linkage.run(&Meter::default(), &mut pairs).unwrap().plan;
    assert!(matches!(plan, Plan::Indexed { looked_up: ..0.001, .. }), "{plan}");
    pairs.sort();
    let reached = alike.filter_map(|(record0, record1)| {
        let (record0, record1) = (record0 as u32, record1 as u32);
        let score = dice(sets[0].record(record0), sets[1].record(record1));
        (score >= 0.96).then_some(Pair { score, dataset0: 0, dataset1: 1, record0, record1 })
    });
    let reached: std::collections::BTreeSet<Pair> = reached.collect();
    assert!(pairs.len() > 4000 && pairs.into_iter().eq(reached));
}
