use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::solve::Member;

const DEFAULT: GreedyOptions = GreedyOptions { merge_threshold: 1.0, one_to_one: None };

/// The rule as it is told: every pair seen is kept, and two groups merge as soon as enough pairs between them were
/// seen.
fn naive(pairs: &[Pair], options: GreedyOptions) -> BTreeSet<Vec<Member>> {
    let mut seen = BTreeSet::new();
    let mut group_of: BTreeMap<Member, Vec<Member>> = BTreeMap::new();
    for pair in pairs {
        let a = Member { dataset: pair.dataset0, record: pair.record0 };
        let b = Member { dataset: pair.dataset1, record: pair.record1 };
        seen.insert((a, b));
        seen.insert((b, a));
        let of_a = group_of.entry(a).or_insert_with(|| vec![a]).clone();
        let of_b = group_of.entry(b).or_insert_with(|| vec![b]).clone();
        let between = || of_a.iter().flat_map(|&x| of_b.iter().map(move |&y| (x, y)));
        let share_party = between().any(|(x, y)| x.dataset == y.dataset);
        let count = between().filter(|edge| seen.contains(edge)).count() as f64;
        let enough = count >= options.merge_threshold * of_a.len() as f64 * of_b.len() as f64;
        if of_a != of_b && enough && !(options.one_to_one == Some(true) && share_party) {
            let mut merged = [of_a, of_b].concat();
            merged.sort();
            for &member in &merged {
                group_of.insert(member, merged.clone());
            }
        }
    }
    group_of.into_values().filter(|group| group.len() > 1).collect()
}

/// In both ways.
fn add(solver: &mut GreedySolver, pairs: &[Pair]) {
    let (together, one_by_one) = pairs.split_at(pairs.len() * 3 / 4);
    solver.add_all(together).unwrap();
    one_by_one.iter().for_each(|pair| solver.add(pair).unwrap());
}

fn solve(records: &[u64], pairs: &[Pair]) -> Groups {
    solve_with(DEFAULT, records, pairs)
}

fn solve_with(options: GreedyOptions, records: &[u64], pairs: &[Pair]) -> Groups {
    let mut solver = GreedySolver::with_options(records, options).unwrap();
    add(&mut solver, pairs);
    assert_eq!(solver.pairs(), pairs.len() as u64);
    solver.finish()
}

/// Sorted pairs without duplicates between `parties` data sets of `records` records, with few different scores.
fn pairs(parties: u32, records: u32, most: usize) -> impl Strategy<Value = Vec<Pair>> {
    let pair =
        (0..parties, 1..parties, 0..records, 0..records, 0..4u8).prop_map(move |(d, shift, r, s, score)| {
            let other = (d + shift) % parties;
            let ((dataset0, record0), (dataset1, record1)) =
                if d < other { ((d, r), (other, s)) } else { ((other, s), (d, r)) };
            ((dataset0, dataset1, record0, record1), score)
        });
    prop::collection::vec(pair, 0..most).prop_map(|pairs| {
        let unique: BTreeMap<_, _> = pairs.into_iter().collect();
        let mut pairs: Vec<Pair> = unique
            .into_iter()
            .map(|((dataset0, dataset1, record0, record1), score)| Pair {
                score: f64::from(score + 6) / 10.0,
                dataset0,
                dataset1,
                record0,
                record1,
            })
            .collect();
        pairs.sort();
        pairs
    })
}

/// Thresholds at which few pairs suffice, and such that are met exactly by one order of factors only.
fn merge_threshold() -> impl Strategy<Value = f64> {
    prop_oneof![1e-9..=1.0, (1..10u32, 1..10u32).prop_map(|(a, b)| f64::from(a.min(b)) / f64::from(a.max(b)))]
}

/// Sorted pairs without duplicates within one data set, with few different scores.
fn pairs_within(records: u32, most: usize) -> impl Strategy<Value = Vec<Pair>> {
    let pair = (0..records, 0..records, 0..4u8);
    prop::collection::vec(pair, 0..most).prop_map(|pairs| {
        let ordered = pairs.into_iter().filter(|(a, b, _)| a < b).map(|(a, b, score)| ((a, b), score));
        let unique: BTreeMap<_, _> = ordered.collect();
        let pair = |((a, b), score)| within(f64::from(score + 6u8) / 10.0, a, b);
        let mut pairs: Vec<Pair> = unique.into_iter().map(pair).collect();
        pairs.sort();
        pairs
    })
}

fn within(score: f64, record0: u32, record1: u32) -> Pair {
    Pair { score, dataset0: 0, dataset1: 0, record0, record1 }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn forms_the_groups_of_the_rule(
        (parties, pairs) in (2..6u32).prop_flat_map(|parties| (Just(parties), pairs(parties, 6, 200))),
    ) {
        let groups = solve(&vec![6; parties as usize], &pairs);
        let found: Vec<Vec<Member>> = groups.iter().collect();
        prop_assert_eq!(found.len() as u64, groups.len());
        prop_assert!(found.is_sorted() && found.iter().all(|group| group.is_sorted()));
        for group in &found {
            let parties: BTreeSet<u32> = group.iter().map(|member| member.dataset).collect();
            prop_assert_eq!(parties.len(), group.len());
        }
        prop_assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), naive(&pairs, DEFAULT));
    }

    #[test]
    fn forms_the_groups_of_the_rule_within_a_single_party(
        (records, pairs) in (1..15u32).prop_flat_map(|records| (Just(records), pairs_within(records, 150))),
    ) {
        let groups = solve(&[records.into()], &pairs);
        let found: Vec<Vec<Member>> = groups.iter().collect();
        prop_assert_eq!(found.len() as u64, groups.len());
        let is_pair = |a: &Member, b: &Member| {
            pairs.iter().any(|pair| (pair.record0, pair.record1) == (a.record, b.record))
        };
        for group in &found {
            for (i, member) in group.iter().enumerate() {
                prop_assert!(group[i + 1..].iter().all(|later| is_pair(member, later)));
            }
        }
        prop_assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), naive(&pairs, DEFAULT));
    }

    #[test]
    fn merges_groups_by_the_share_of_their_pairs(
        (parties, pairs) in (2..6u32).prop_flat_map(|parties| (Just(parties), pairs(parties, 6, 200))),
        merge_threshold in merge_threshold(),
        one_to_one in any::<bool>(),
    ) {
        let options = GreedyOptions { merge_threshold, one_to_one: Some(one_to_one) };
        let groups = solve_with(options, &vec![6; parties as usize], &pairs);
        let found: BTreeSet<Vec<Member>> = groups.iter().collect();
        prop_assert_eq!(found.len() as u64, groups.len());
        for group in &found {
            let parties: BTreeSet<u32> = group.iter().map(|member| member.dataset).collect();
            prop_assert!(!one_to_one || parties.len() == group.len());
        }
        prop_assert_eq!(found, naive(&pairs, options));
    }

    #[test]
    fn merges_groups_of_a_single_party_by_the_share_of_their_pairs(
        (records, pairs) in (1..15u32).prop_flat_map(|records| (Just(records), pairs_within(records, 150))),
        merge_threshold in merge_threshold(),
    ) {
        let options = GreedyOptions { merge_threshold, one_to_one: None };
        let groups = solve_with(options, &[records.into()], &pairs);
        let found: Vec<Vec<Member>> = groups.iter().collect();
        prop_assert_eq!(found.len() as u64, groups.len());
        prop_assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), naive(&pairs, options));
    }

    #[test]
    fn two_parties_need_no_edges(
        pairs in pairs(2, 20, 400),
        merge_threshold in merge_threshold(),
        repeats in any::<bool>(),
    ) {
        // several records of a party are never in one group if every pair must have come
        let options = match repeats {
            true => GreedyOptions { merge_threshold: 1.0, one_to_one: Some(false) },
            false => GreedyOptions { merge_threshold, one_to_one: None },
        };
        let mut solver = GreedySolver::with_options(&[20, 20], options).unwrap();
        add(&mut solver, &pairs);
        prop_assert_eq!(solver.edges.len(), 0);
    }

    #[test]
    fn edges_are_only_kept_between_groups_that_may_merge(pairs in pairs(4, 6, 200)) {
        let mut solver = GreedySolver::new(&[6; 4]).unwrap();
        for pair in &pairs {
            solver.add(pair).unwrap();
            for a in 0..24 {
                for b in 0..24 {
                    let kept = solver.edges.get(a, b);
                    prop_assert_eq!(kept, solver.edges.get(b, a));
                    let heads = solver.group(a) == a && solver.group(b) == b;
                    prop_assert!(kept == 0 || heads && !solver.share_party(a, b));
                }
            }
        }
    }
}

#[test]
fn a_third_record_waits_until_it_was_seen_with_both() {
    let pair = |score, dataset0, dataset1| Pair { score, dataset0, dataset1, record0: 0, record1: 0 };
    let two = [pair(0.9, 0, 1), pair(0.8, 1, 2)];
    assert_eq!(solve(&[1, 1, 1], &two).iter().next().unwrap().len(), 2);
    let three = [pair(0.9, 0, 1), pair(0.8, 1, 2), pair(0.7, 0, 2)];
    assert_eq!(solve(&[1, 1, 1], &three).iter().next().unwrap().len(), 3);
}

#[test]
fn within_a_single_party_a_group_is_of_records_that_are_all_similar() {
    let group = |pairs: &[Pair]| {
        let groups: Vec<_> = solve(&[5], pairs).iter().collect();
        groups.iter().map(|group| group.iter().map(|member| member.record).collect()).collect::<Vec<Vec<_>>>()
    };
    // 2 is similar to 1, but not to 0
    let two = [within(0.95, 0, 1), within(0.9, 1, 2)];
    assert_eq!(group(&two), [[0, 1]]);
    assert_eq!(group(&[&two[..], &[within(0.8, 0, 2)]].concat()), [[0, 1, 2]]);
}

#[test]
fn a_large_group_within_a_single_party_takes_time_by_its_pairs() {
    let records = 1500u32;
    let pairs: Vec<Pair> =
        (0..records).flat_map(|a| (a + 1..records).map(move |b| within(1.0, a, b))).collect();
    let groups = solve(&[records.into()], &pairs);
    assert_eq!(groups.iter().next().unwrap().len(), 1500);
    assert_eq!(groups.len(), 1);
}

#[test]
fn evidence_of_others_stands_in_for_a_pair_that_is_missing() {
    let pair = |score, dataset0, dataset1| Pair { score, dataset0, dataset1, record0: 0, record1: 0 };
    // 0-1 and 2-3 are groups when the others come: 0-2, 0-3, 1-2 are three of the four pairs between them
    let pairs = [pair(0.95, 0, 1), pair(0.95, 2, 3), pair(0.8, 0, 2), pair(0.8, 0, 3), pair(0.8, 1, 2)];
    let sizes = |merge_threshold| {
        let options = GreedyOptions { merge_threshold, ..DEFAULT };
        solve_with(options, &[1; 4], &pairs).iter().map(|group| group.len()).collect::<Vec<_>>()
    };
    assert_eq!(sizes(0.75), [4]);
    assert_eq!(sizes(0.75f64.next_up()), [2, 2]);
}

#[test]
fn options_that_cannot_be_of_use_are_refused() {
    let refused = |records: &[u64], merge_threshold, one_to_one| {
        let options = GreedyOptions { merge_threshold, one_to_one };
        GreedySolver::with_options(records, options).unwrap_err().to_string()
    };
    for merge_threshold in [0.0, -0.5, 1.0f64.next_up(), f64::NAN, f64::INFINITY] {
        let why = refused(&[1, 1], merge_threshold, None);
        assert!(why.contains("mergeThreshold") && why.contains("above 0 and at most 1"), "{why}");
    }
    assert!(refused(&[5], 1.0, Some(true)).contains("there is a single party"));
    let options = GreedyOptions { one_to_one: Some(false), ..DEFAULT };
    assert!(GreedySolver::with_options(&[5], options).is_ok());
}

#[test]
fn nothing_gives_no_groups() {
    for records in [&[][..], &[0, 0], &[3, 0, 2]] {
        let groups = solve(records, &[]);
        assert!(groups.is_empty() && groups.iter().next().is_none());
        assert_eq!(groups.records(), records);
    }
}

#[test]
fn senseless_pairs_are_refused() {
    let pair = |score, dataset0, dataset1, record1| Pair { score, dataset0, dataset1, record0: 0, record1 };
    let mut solver = GreedySolver::new(&[2, 2]).unwrap();
    solver.add(&pair(0.8, 0, 1, 0)).unwrap();
    let refused = |pair: Pair, solver: &mut GreedySolver| solver.add(&pair).unwrap_err().to_string();
    assert_eq!(
        refused(pair(0.8, 0, 1, 2), &mut solver),
        "pair 1 cannot be: there is no record 2 in data set 1"
    );
    assert_eq!(
        refused(pair(0.8, 0, 2, 0), &mut solver),
        "pair 1 cannot be: there is no record 0 in data set 2"
    );
    assert_eq!(
        refused(pair(0.8, 0, 1, u32::MAX), &mut solver),
        "pair 1 cannot be: there is no record 4294967295 in data set 1"
    );
    assert_eq!(
        refused(pair(0.8, 1, 1, 1), &mut solver),
        "pair 1 cannot be: both of its records are of data set 1"
    );
    assert_eq!(
        refused(pair(0.8, 1, 1, 0), &mut solver),
        "pair 1 cannot be: it is of record 0 in data set 1 and itself"
    );
    let mut alone = GreedySolver::new(&[2]).unwrap();
    assert!(refused(within(0.8, 1, 1), &mut alone).ends_with("it is of record 1 in data set 0 and itself"));
    assert!(refused(within(0.8, 0, 2), &mut alone).ends_with("there is no record 2 in data set 0"));
    assert!(refused(pair(0.9, 0, 1, 1), &mut solver).starts_with("pair 1 is not in order"));
    assert!(refused(pair(f64::NAN, 0, 1, 1), &mut solver).starts_with("pair 1 is not in order"));
}

#[test]
fn too_many_records_are_refused() {
    for records in [&[u64::from(u32::MAX), 1][..], &[u64::MAX, u64::MAX]] {
        assert!(matches!(GreedySolver::new(records), Err(Error::TooManyRecords { .. })));
    }
}

/// The scores of all pairs whose records are in one group, by the positions of the group's members.
fn scores_within(groups: &Groups, pairs: &[Pair]) -> Vec<Vec<(usize, usize, f64)>> {
    let of_group = |group: Vec<Member>| {
        let position =
            |dataset, record| group.iter().position(|&member| member == Member { dataset, record });
        let mut scores: Vec<_> = pairs
            .iter()
            .filter_map(|pair| {
                let a = position(pair.dataset0, pair.record0)?;
                let b = position(pair.dataset1, pair.record1)?;
                Some((a.min(b), a.max(b), pair.score))
            })
            .collect();
        scores.sort_by_key(|&(a, b, _)| (a, b));
        scores
    };
    groups.iter().map(of_group).collect()
}

fn check_scores(records: &[u64], pairs: &[Pair]) {
    let mut solver = GreedySolver::new(records).unwrap().keep_scores();
    add(&mut solver, pairs);
    let (groups, scores) = solver.finish_with_scores();
    assert!(groups.iter().eq(solve(records, pairs).iter()), "keeping scores changes no group");
    let scored: Vec<_> = groups.with_scores(&scores).collect();
    assert!(groups.iter().eq(scored.iter().map(|group| group.members.clone())));
    let found: Vec<Vec<_>> = scored.iter().map(|group| group.scores().collect()).collect();
    assert_eq!(found, scores_within(&groups, pairs));
    for group in &scored {
        let size = group.members.len();
        assert_eq!(group.scores().count(), size * (size - 1) / 2, "every pair within a group has a score");
        for (member, highest) in group.highest_scores().into_iter().enumerate() {
            let of_member = group.scores().filter(|&(a, b, _)| a == member || b == member);
            assert_eq!(Some(highest), of_member.map(|(.., score)| score).reduce(f64::max));
        }
    }
}

proptest! {
    #[test]
    fn scores_within_groups_are_all_there(parties in 2..=5u32, pairs in pairs(5, 6, 150)) {
        let pairs: Vec<Pair> = pairs.into_iter().filter(|pair| pair.dataset1 < parties).collect();
        check_scores(&vec![6; parties as usize], &pairs);
    }

    #[test]
    fn scores_within_groups_of_one_party_are_all_there(pairs in pairs_within(24, 250)) {
        check_scores(&[24], &pairs);
    }
}

#[test]
fn pairs_that_can_never_be_within_a_group_are_forgotten() {
    // each record of the first party is similar to all of the second: one pair each makes a group
    let mut solver = GreedySolver::new(&[100, 100]).unwrap().keep_scores();
    for shift in 0..100 {
        for record0 in 0..100 {
            let record1 = (record0 + shift) % 100;
            let pair =
                Pair { score: 1.0 - f64::from(shift) / 200.0, dataset0: 0, dataset1: 1, record0, record1 };
            solver.add(&pair).unwrap();
        }
    }
    assert_eq!(solver.scores_kept(), 100);
    // a third party's records are similar to one of the first only: they never join, but still might
    let mut solver = GreedySolver::new(&[1, 1, 1000]).unwrap().keep_scores();
    for record1 in 0..1000 {
        solver.add(&Pair { score: 0.9, dataset0: 0, dataset1: 2, record0: 0, record1 }).unwrap();
    }
    assert_eq!(solver.scores_kept(), 1, "the others share a party with the group");
}

#[test]
fn scores_that_are_not_asked_for_are_not_kept() {
    let mut solver = GreedySolver::new(&[1, 1]).unwrap();
    solver.add(&Pair { score: 0.9, dataset0: 0, dataset1: 1, record0: 0, record1: 0 }).unwrap();
    assert_eq!(solver.scores_kept(), 0);
    let (groups, scores) = solver.finish_with_scores();
    assert_eq!(groups.with_scores(&scores).map(|group| group.scores().count()).collect::<Vec<_>>(), [0]);
}
