use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::matching::{Matching, NONE};
use super::*;
use crate::solve::{GreedySolver, Member};

const MEMORY: u64 = 1 << 20;

fn pair(score: f64, record0: u32, record1: u32) -> Pair {
    Pair { score, dataset0: 0, dataset1: 1, record0, record1 }
}

fn solve_within(
    records: [u64; 2],
    max_component_records: u32,
    memory_bytes: u64,
    pairs: &[Pair],
) -> Result<(Groups, Solving), Error> {
    let options = OptimalOptions { max_component_records };
    solve_optimally(&records, options, memory_bytes, || Ok(pairs.iter().copied().map(Ok)))
}

fn matched(groups: &Groups) -> Vec<(u32, u32)> {
    let pairs: Vec<_> = groups.iter().map(|group| <[Member; 2]>::try_from(group).unwrap()).collect();
    assert_eq!(pairs.len() as u64, groups.len());
    assert!(pairs.iter().all(|[a, b]| (a.dataset, b.dataset) == (0, 1)));
    pairs.into_iter().map(|[a, b]| (a.record, b.record)).collect()
}

fn solve(records: [u64; 2], pairs: &[Pair]) -> Vec<(u32, u32)> {
    matched(&solve_within(records, 1000, MEMORY, pairs).unwrap().0)
}

/// The definition: all matchings are tried. As positions of pairs, ascending; sums are of exact fractions.
fn defined(pairs: &[Pair]) -> Vec<(u32, u32)> {
    fn extend(pairs: &[Pair], from: usize, chosen: &mut Vec<usize>, all: &mut Vec<Vec<usize>>) {
        all.push(chosen.clone());
        for next in from..pairs.len() {
            let is_free = |&other: &usize| {
                pairs[other].record0 != pairs[next].record0 && pairs[other].record1 != pairs[next].record1
            };
            if chosen.iter().all(is_free) {
                chosen.push(next);
                extend(pairs, next + 1, chosen, all);
                chosen.pop();
            }
        }
    }
    let mut all = Vec::new();
    extend(pairs, 0, &mut Vec::new(), &mut all);
    let sum = |chosen: &Vec<usize>| -> i128 {
        chosen.iter().map(|&at| (pairs[at].score * (1u128 << 80) as f64) as i128).sum()
    };
    let greatest = all.iter().map(sum).max().unwrap();
    // the earliest positions come first
    let best = all.into_iter().filter(|chosen| sum(chosen) == greatest).min().unwrap();
    let mut best: Vec<_> = best.into_iter().map(|at| (pairs[at].record0, pairs[at].record1)).collect();
    best.sort_unstable();
    best
}

/// Scores with ties, among sums too; and scores as two encodings have them.
fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        3 => (1..=8u32).prop_map(|eighths| f64::from(eighths) / 8.0),
        1 => (1..200u32, 1..200u32).prop_map(|(common, more)| f64::from(2 * common) / f64::from(2 * common + more)),
    ]
}

/// Sorted pairs without duplicates between data sets of so many records.
fn pairs(records: u32, most: usize) -> impl Strategy<Value = Vec<Pair>> {
    prop::collection::vec((0..records, 0..records, score()), 0..most).prop_map(|pairs| {
        let unique: BTreeMap<_, _> = pairs.into_iter().map(|(a, b, score)| ((a, b), score)).collect();
        let mut pairs: Vec<Pair> = unique.into_iter().map(|((a, b), score)| pair(score, a, b)).collect();
        pairs.sort();
        pairs
    })
}

/// Prices prove a matching the greatest, by what linear programming calls duality.
fn assert_greatest(graph: &Graph, matching: &Matching) {
    let zero = Weight::ZERO;
    assert!(matching.left_prices.iter().chain(&matching.right_prices).all(|&price| price >= zero));
    for left in 0..matching.right_of.len() as u32 {
        let right = matching.right_of[left as usize];
        assert!(right != NONE || matching.left_prices[left as usize] == zero);
        for edge in graph.edges_of(left) {
            let slack = matching.slack(left, edge);
            assert!(if edge.right == right { slack == zero } else { slack >= zero });
        }
    }
    for (right, &left) in matching.left_of.iter().enumerate() {
        if left == NONE {
            assert_eq!(matching.right_prices[right], zero);
        } else {
            assert_eq!(matching.right_of[left as usize] as usize, right);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn finds_the_matching_of_the_definition(
        pairs in (1..6u32).prop_flat_map(|records| pairs(records, 14)),
    ) {
        prop_assert_eq!(solve([6, 6], &pairs), defined(&pairs));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn prices_prove_larger_matchings_the_greatest(
        pairs in (1..60u32).prop_flat_map(|records| pairs(records, 1500)),
    ) {
        let held: Vec<Held> = pairs
            .iter()
            .map(|pair| Held { a: pair.record0, b: 1000 + pair.record1, score: pair.score })
            .collect();
        let graph = Graph::new(&held);
        let mut matching = graph.solve();
        assert_greatest(&graph, &matching);
        graph.prefer_earlier_pairs(&mut matching);
        assert_greatest(&graph, &matching);
    }

    #[test]
    fn gives_the_same_whatever_the_memory(pairs in pairs(60, 80)) {
        let roomy = solve_within([60, 60], 1000, MEMORY, &pairs).unwrap();
        let least = (0..).step_by(256).find_map(|memory| solve_within([60, 60], 1000, memory, &pairs).ok());
        let least = least.unwrap();
        prop_assert_eq!(matched(&least.0), matched(&roomy.0));
        prop_assert_eq!(least.1, roomy.1);
    }

    #[test]
    fn large_components_are_solved_greedily_and_counted(pairs in pairs(40, 50), most in 2..8u32) {
        let (groups, solving) = solve_within([40, 40], most, MEMORY, &pairs).unwrap();
        // the definition: components by spreading from each record
        let mut component: Vec<usize> = (0..80).collect();
        let ends = |pair: &Pair| (pair.record0 as usize, 40 + pair.record1 as usize);
        for _ in 0..80 {
            for (a, b) in pairs.iter().map(ends) {
                let least = component[a].min(component[b]);
                (component[a], component[b]) = (least, least);
            }
        }
        let size = |record: usize| component.iter().filter(|&&other| other == component[record]).count();
        let is_small = |pair: &&Pair| size(pair.record0 as usize) <= most as usize;
        let (small, large): (Vec<Pair>, Vec<Pair>) = pairs.iter().partition(is_small);
        let mut greedy = GreedySolver::new(&[40, 40]).unwrap();
        large.iter().for_each(|pair| greedy.add(pair).unwrap());
        let mut expected = [solve([40, 40], &small), matched(&greedy.finish())].concat();
        expected.sort_unstable();
        prop_assert_eq!(matched(&groups), expected);

        let firsts = (0..80).filter(|&record| component[record] == record && size(record) > 1);
        let sizes: Vec<u64> = firsts.map(|record| size(record) as u64).collect();
        let too_large = sizes.iter().filter(|&&size| size > u64::from(most));
        prop_assert_eq!(solving, Solving {
            components: sizes.len() as u64,
            largest_component_records: sizes.iter().copied().max().unwrap_or(0),
            greedy_components: too_large.clone().count() as u64,
            greedy_records: too_large.sum(),
            greedy_pairs: large.len() as u64,
        });
    }
}

#[test]
fn two_good_pairs_are_better_than_a_very_good_one() {
    let pairs = [pair(0.95, 0, 0), pair(0.9, 0, 1), pair(0.9, 1, 0)];
    assert_eq!(solve([2, 2], &pairs), [(0, 1), (1, 0)]);
    // unless these are too bad
    let pairs = [pair(0.95, 0, 0), pair(0.475, 0, 1), pair(0.474, 1, 0)];
    assert_eq!(solve([2, 2], &pairs), [(0, 0)]);
}

#[test]
fn sums_are_not_rounded() {
    // in floats, both sums are 1.5
    let least = 1.0f64.next_down() - 0.5;
    let pairs =
        [pair(1.0, 0, 0), pair(1.0f64.next_down(), 0, 1), pair(0.5f64.next_up(), 1, 0), pair(least, 1, 1)];
    assert_eq!(solve([2, 2], &pairs), defined(&pairs));
    let last_bit = 2f64.powi(-48 - 52);
    let tiny = 2f64.powi(-48);
    for (score, expected) in [(tiny, [(0, 0), (1, 1)]), (tiny + last_bit, [(0, 1), (1, 0)])] {
        let pairs = [pair(1.0, 0, 0), pair(1.0, 0, 1), pair(score, 1, 0), pair(tiny, 1, 1)];
        assert_eq!(solve([2, 2], &pairs), expected);
    }
}

#[test]
fn equal_sums_are_decided_by_the_earliest_pairs() {
    let all_equal: Vec<Pair> = (0..4).flat_map(|a| (0..4).map(move |b| pair(0.75, a, b))).collect();
    assert_eq!(solve([4, 4], &all_equal), [(0, 0), (1, 1), (2, 2), (3, 3)]);
    // 1 + 0.5 = 0.75 + 0.75, and 0.25 + 0.25 = 0.5
    let pairs = [pair(1.0, 0, 1), pair(0.75, 0, 0), pair(0.75, 1, 1), pair(0.5, 1, 0)];
    assert_eq!(solve([2, 2], &pairs), [(0, 1), (1, 0)]);
    let pairs = [pair(0.5, 0, 1), pair(0.25, 0, 0), pair(0.25, 1, 1)];
    assert_eq!(solve([2, 2], &pairs), [(0, 1)]);
}

#[test]
fn a_thousand_records_that_are_all_similar_take_no_minutes() {
    let records = 500;
    let scores: [fn(u32, u32) -> f64; 3] = [
        |_, _| 0.75,
        |a, b| f64::from(600 + a.wrapping_mul(7919).wrapping_add(b.wrapping_mul(104_729)) % 401) / 1000.0,
        |a, b| f64::from(a + 1) * f64::from(b + 1) / 250_000.0,
    ];
    for score in scores {
        let all = (0..records).flat_map(|a| (0..records).map(move |b| (a, b)));
        let mut pairs: Vec<Pair> = all.map(|(a, b)| pair(score(a, b), a, b)).collect();
        pairs.sort();
        let start = Instant::now();
        let (groups, solving) = solve_within([500, 500], 1000, 1 << 30, &pairs).unwrap();
        let took = start.elapsed();
        assert_eq!((groups.len(), solving.components, solving.greedy_components), (500, 1, 0));
        println!("{took:?}");
        assert!(took < Duration::from_secs(60), "{took:?}");
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let refused = |pairs: &[Pair]| solve_within([2, 2], 1000, MEMORY, pairs).unwrap_err().to_string();
    let other = |dataset0, dataset1| Pair { dataset0, dataset1, ..pair(0.9, 0, 1) };
    assert!(refused(&[pair(0.8, 0, 0), pair(0.9, 1, 1)]).starts_with("pair 1 is not in order"));
    assert!(refused(&[pair(0.8, 2, 0)]).contains("there is no record 2 in data set 0"));
    assert!(refused(&[pair(0.8, 0, 2)]).contains("there is no record 2 in data set 1"));
    assert!(refused(&[other(1, 0)]).contains("of data sets 1 and 0, not 0 and 1"));
    assert!(refused(&[other(0, 0)]).contains("of data sets 0 and 0, not 0 and 1"));
    for score in [0.0, -1.0, 1.5, f64::NAN, f64::INFINITY, 1e-300] {
        assert!(refused(&[pair(score, 0, 0)]).contains("scores are above 0 and at most 1"), "{score}");
    }
    for records in [&[][..], &[5], &[5, 5, 5]] {
        let nothing = || Ok::<_, Error>(std::iter::empty());
        let solved = solve_optimally(records, OptimalOptions::default(), MEMORY, nothing);
        assert!(solved.unwrap_err().to_string().contains("exactly two parties"));
    }
    for most in [0, 1, OptimalOptions::MOST_RECORDS + 1] {
        let why = solve_within([2, 2], most, MEMORY, &[]).unwrap_err().to_string();
        assert!(why.contains("maxComponentRecords"), "{why}");
    }
    assert_eq!(solve([0, 3], &[]), []);
}

#[test]
fn too_little_memory_is_told_with_the_way_out() {
    let all: Vec<Pair> = (0..20).flat_map(|a| (0..20).map(move |b| pair(0.75, a, b))).collect();
    let why = solve_within([20, 20], 1000, 10_000, &all).unwrap_err();
    assert!(matches!(why, Error::Memory { records: 40, pairs: 400, needed_bytes: 10_001.. }), "{why}");
    assert!(why.to_string().contains("lower maxComponentRecords"), "{why}");
    assert!(solve_within([20, 20], 39, 10_000, &all).is_ok());
}

#[test]
fn pairs_that_change_between_readings_are_noticed() {
    let all: Vec<Pair> = (0..4).flat_map(|a| (0..4).map(move |b| pair(0.75, a, b))).collect();
    for second in [&all[..15], &[all.as_slice(), &all[15..]].concat()] {
        let mut readings = [&all[..], second].into_iter();
        let pairs = || Ok::<_, Error>(readings.next().unwrap().iter().copied().map(Ok));
        let solved = solve_optimally(&[4, 4], OptimalOptions::default(), MEMORY, pairs);
        assert!(matches!(solved, Err(Error::Changed)));
    }
}
