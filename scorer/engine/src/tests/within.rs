//! One data set compared with itself, against the definition: every plan, shard, memory and blocks.

use super::*;
use crate::prune::Forced;

const PLANS: [Forced; 3] = [Forced::Dense, Forced::Pruned, Forced::Indexed];

/// How the pairs are found.
#[derive(Clone, Copy, Debug)]
enum How<'a> {
    Plan(Forced),
    Blocks(&'a Blocks),
}

/// Runs all shards, and adds up what they give.
fn within(set: &Encodings<'_>, threshold: f64, how: How<'_>, shards: u32, memory: usize) -> (u64, Vec<Pair>) {
    let (meter, mut comparisons, mut pairs) = (Meter::default(), 0, Vec::new());
    for shard in 0..shards {
        let mut linkage = Linkage::within(set, Threshold::new(threshold).unwrap()).unwrap();
        let mut forced = None;
        match how {
            How::Plan(plan) => forced = Some(plan),
            How::Blocks(blocks) => linkage = linkage.blocks(blocks).unwrap(),
        }
        let linkage = linkage.shard(Shard::new(shard, shards).unwrap()).memory(memory);
        let before = meter.comparisons();
        comparisons += linkage.run_as(forced, &meter, &mut pairs).unwrap().comparisons;
        assert_eq!(meter.comparisons() - before, linkage.comparisons().unwrap());
    }
    assert_eq!(meter.pairs(), pairs.len() as u64);
    pairs.sort();
    (comparisons, pairs)
}

fn made_up(seed: u64, records: u32, width: usize) -> Vec<Encodings<'static>> {
    encodings(datasets(seed, &[records], width), width)
}

/// The blocks of which each record has some of the ids, with those ids.
fn blocks_of(ids_of: &[BTreeSet<String>]) -> Blocks {
    let mut builder = BlocksBuilder::new(&[ids_of.len() as u32]);
    for (record, ids) in ids_of.iter().enumerate() {
        // Twice each: it must change nothing.
        ids.iter().chain(ids).for_each(|id| builder.add(0, record as u32, id).unwrap());
    }
    builder.finish().unwrap()
}

fn sizes(most: u32) -> impl Strategy<Value = u32> {
    prop_oneof![0..4u32, prop::sample::select(vec![63, 64, 65]), 0..most]
}

proptest! {
    #![proptest_config(cases(20))]

    #[test]
    fn every_plan_finds_the_same_pairs_as_the_definition(
        seed: u64,
        records in sizes(300),
        width in prop::sample::select(vec![1, 2, 3, 8, 16, 17, 32]),
        threshold in prop::sample::select(vec![0.3, 0.5, 0.8, 0.9, 0.95, 1.0]),
        shards in 1..7u32,
        memory in prop::sample::select(vec![0, 5_000, 20_000, 1 << 22]),
        plan in prop::sample::select(PLANS.to_vec()),
    ) {
        let sets = made_up(seed, records, width);
        // chunks of single records take long
        let memory = if records > 100 { memory.max(1000) } else { memory };
        let memory = if plan == Forced::Indexed { memory.max(20_000) } else { memory };
        let (comparisons, pairs) = within(&sets[0], threshold, How::Plan(plan), shards, memory);
        prop_assert_eq!(comparisons, u64::from(records) * u64::from(records.saturating_sub(1)) / 2);
        prop_assert!(pairs.iter().all(|pair| pair.record0 < pair.record1));
        prop_assert_eq!((comparisons, pairs), expected(&sets, threshold, None));
    }

    #[test]
    fn each_pair_that_shares_a_block_is_compared_once(
        seed: u64,
        records in sizes(120),
        ids in 1..12u32,
        most_blocks in 0..6u32,
        shards in 1..6u32,
    ) {
        let sets = made_up(seed, records, 2);
        let mut random = ChaCha20Rng::seed_from_u64(seed);
        let ids_of_record = |_| -> BTreeSet<String> {
            (0..random.random_range(0..=most_blocks)).map(|_| random.random_range(0..ids).to_string()).collect()
        };
        let ids_of: Vec<_> = (0..records).map(ids_of_record).collect();
        let blocks = blocks_of(&ids_of);
        prop_assert_eq!(
            within(&sets[0], 0.5, How::Blocks(&blocks), shards, 1 << 20),
            expected(&sets, 0.5, Some(&[ids_of]))
        );
    }
}

#[test]
fn many_tiles_and_pieces_are_put_together_without_loss() {
    for records in [512, 1025, 2111] {
        let sets = made_up(records.into(), records, 1);
        let expected = expected(&sets, 0.9, None);
        // Everyone is in a block; a third is in an earlier one as well.
        let ids = |record| if record % 3 == 0 { &["all", "a third"][..] } else { &["all"] };
        let ids_of: Vec<_> =
            (0..records).map(|record| ids(record).iter().map(|&id| id.into()).collect()).collect();
        let blocks = blocks_of(&ids_of);
        for how in PLANS.map(How::Plan).into_iter().chain([How::Blocks(&blocks)]) {
            for (shards, memory) in [(1, 1 << 30), (3, 1 << 30), (1, 20_000)] {
                assert!(within(&sets[0], 0.9, how, shards, memory) == expected, "{records}: {how:?}");
            }
        }
    }
}

#[test]
fn records_that_are_all_the_same_make_every_pair() {
    for word in [1, u64::MAX] {
        let sets = [Encodings::new(vec![word; 2 * 333], 16).unwrap()];
        for how in PLANS.map(How::Plan) {
            let (_, pairs) = within(&sets[0], 1.0, how, 1, 1 << 20);
            assert_eq!(pairs.len(), 333 * 332 / 2);
            assert!(pairs.windows(2).all(|two| two[0] < two[1]));
        }
    }
}

#[test]
fn blocks_of_one_record_are_not_kept() {
    let ids_of = ["a", "b", "b", "c"].map(|id| BTreeSet::from([id.to_owned()]));
    let blocks = blocks_of(&ids_of);
    assert_eq!((blocks.len(), blocks.comparisons()), (1, 1));
}
