use proptest::prelude::*;

use super::*;

fn pair(i: u32) -> Pair {
    // Scrambled, with many equal scores.
    let scrambled = i.wrapping_mul(2_654_435_761);
    let score = f64::from(scrambled % 11) / 10.0;
    Pair { score, dataset0: i % 2, dataset1: 2, record0: scrambled, record1: i }
}

fn sorted(sorter: PairSorter) -> Vec<Pair> {
    let (len, pairs) = (sorter.len(), sorter.finish().unwrap());
    assert_eq!(pairs.len(), len);
    pairs.map(Result::unwrap).collect()
}

proptest! {
    #![proptest_config(crate::tests::cases(32))]

    #[test]
    fn tiny_buffers_sort_as_one_does(count in 0..3000u32, buffered in 0..100usize, batch in 1..50usize) {
        let mut expected: Vec<Pair> = (0..count).map(pair).collect();
        let mut sorter = PairSorter::new(buffered * 24, std::env::temp_dir());
        for pairs in expected.chunks(batch) {
            sorter.extend(pairs).unwrap();
        }
        expected.sort();
        prop_assert!(sorted(sorter) == expected);
    }

    #[test]
    fn they_can_be_had_again_however_many_were_taken(count in 0..3000u32, buffered in 0..100usize, taken in 0..3000usize) {
        let mut sorter = PairSorter::new(buffered * 24, std::env::temp_dir());
        (0..count).try_for_each(|i| sorter.push(pair(i))).unwrap();
        let mut expected: Vec<Pair> = (0..count).map(pair).collect();
        expected.sort();
        let mut sorted = sorter.finish().unwrap();
        prop_assert!(sorted.by_ref().take(taken).all(|pair| pair.is_ok()));
        let again = sorted.again().unwrap();
        prop_assert_eq!(again.len(), u64::from(count));
        prop_assert!(again.map(Result::unwrap).collect::<Vec<_>>() == expected);
    }
}

#[test]
fn more_runs_than_are_merged_at_a_time() {
    // 5,000 runs: more than FAN_IN squared, so that there are three levels.
    let count = (MIN_BUFFERED * 5_000) as u32 + 5;
    let mut sorter = PairSorter::new(0, std::env::temp_dir());
    (0..count).for_each(|i| sorter.push(pair(i)).unwrap());
    assert!(sorter.levels.len() == 3 && sorter.levels.iter().all(|level| level.len() < FAN_IN));
    let mut expected: Vec<Pair> = (0..count).map(pair).collect();
    expected.sort();
    assert!(sorted(sorter) == expected);
}

#[test]
fn a_pair_pushed_twice_is_an_error() {
    for between in [0, 1000] {
        let mut sorter = PairSorter::new(0, std::env::temp_dir());
        sorter.push(pair(5)).unwrap();
        (10..10 + between).for_each(|i| sorter.push(pair(i)).unwrap());
        sorter.push(pair(5)).unwrap();
        let result: Result<Vec<Pair>, Error> = sorter.finish().and_then(Iterator::collect);
        assert!(matches!(result, Err(Error::Duplicate { .. })));
    }
}

#[test]
fn a_scratch_directory_that_is_not_there_is_named() {
    let mut sorter = PairSorter::new(0, "/nowhere/at/all");
    let error = (0..100).try_for_each(|i| sorter.push(pair(i))).unwrap_err();
    assert!(error.to_string().starts_with("scratch file in /nowhere/at/all: "), "{error}");
}
