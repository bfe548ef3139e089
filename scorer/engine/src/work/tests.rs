use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn shards_cover_every_comparison_once(records in prop::collection::vec(0..12u32, 0..5), shards in 1..9u32) {
        let mut seen = std::collections::BTreeSet::new();
        for shard in 0..shards {
            for Rectangle { dataset0, records0, dataset1, records1 } in slice(&records, Shard::new(shard, shards).unwrap()) {
                let within = records.len() == 1;
                prop_assert!(dataset0 < dataset1 || within && records0.end <= records1.start || records0 == records1);
                let triangle = within && records0 == records1;
                for record0 in records0 {
                    for record1 in records1.clone().filter(|&record1| !triangle || record0 < record1) {
                        prop_assert!(record0 < records[dataset0 as usize] && record1 < records[dataset1 as usize]);
                        prop_assert!(seen.insert((dataset0, record0, dataset1, record1)));
                    }
                }
            }
        }
        prop_assert_eq!(seen.len() as u128, total(&records));
    }

    #[test]
    fn shards_are_balanced_to_a_line(records in prop::collection::vec(0..5_000_000u32, 2..5), shards in 1..1000u32) {
        let share = total(&records) / u128::from(shards);
        // Either end is moved by half a line of the shorter side at most.
        let line = u128::from(*records.iter().max().unwrap());
        let mut sum = 0;
        for shard in 0..shards {
            let slice = slice(&records, Shard::new(shard, shards).unwrap());
            let comparisons: u128 = slice.iter().map(Rectangle::comparisons).sum();
            prop_assert!(comparisons.abs_diff(share) <= line + 1);
            sum += comparisons;
        }
        prop_assert_eq!(sum, total(&records));
    }
}

#[test]
fn the_largest_data_sets_do_not_overflow() {
    let records = [u32::MAX; 10];
    let last = slice(&records, Shard::new(u32::MAX - 1, u32::MAX).unwrap());
    assert!(!last.is_empty());
    assert_eq!(last.last().unwrap().records0.end, u32::MAX);
}

#[test]
fn a_shard_beyond_the_last_is_refused() {
    assert!(Shard::new(3, 3).is_err());
    assert!(Shard::new(0, 0).is_err());
}
