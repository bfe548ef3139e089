use proptest::prelude::*;

use super::*;
use crate::pairs::Pair;
use crate::solve::GreedySolver;

/// Groups of the first `matches` records of either data set, crosswise.
fn groups(records0: u32, records1: u32, matches: u32) -> Groups {
    let mut solver = GreedySolver::new(&[records0.into(), records1.into()]).unwrap();
    for record0 in 0..matches {
        let record1 = matches - 1 - record0;
        solver.add(&Pair { score: 0.9, dataset0: 0, dataset1: 1, record0, record1 }).unwrap();
    }
    solver.finish()
}

/// A party's records in their new order.
fn moved(permutation: &[u32]) -> Vec<u32> {
    let mut records = vec![u32::MAX; permutation.len()];
    for (record, &position) in permutation.iter().enumerate() {
        assert_eq!(std::mem::replace(&mut records[position as usize], record as u32), u32::MAX);
    }
    records
}

proptest! {
    #[test]
    fn rows_line_up_where_the_mask_says_so(records0 in 0..40u32, records1 in 0..40u32, share in 0..=4u32, seed: [u8; 32]) {
        let matches = records0.min(records1) * share / 4;
        let permutations = Permutations::new(&groups(records0, records1, matches), &Seed(seed)).unwrap();
        prop_assert_eq!(permutations.permutation(0).len(), records0 as usize);
        prop_assert_eq!(permutations.permutation(1).len(), records1 as usize);
        prop_assert_eq!(permutations.mask().len(), records0.min(records1) as usize);
        prop_assert_eq!(permutations.matches(), u64::from(matches));
        let moved = [moved(permutations.permutation(0)), moved(permutations.permutation(1))];
        for (position, &matching) in permutations.mask().iter().enumerate() {
            let (a, b) = (moved[0][position], moved[1][position]);
            prop_assert_eq!(matching, a < matches && b == matches - 1 - a);
        }
        prop_assert_eq!(permutations.mask().iter().filter(|&&matching| matching).count() as u32, matches);
    }
}

#[test]
fn the_same_seed_gives_the_same_and_another_another() {
    let groups = groups(50, 60, 20);
    let draw = |seed| Permutations::new(&groups, &Seed([seed; 32])).unwrap();
    assert_eq!(draw(1).permutations, draw(1).permutations);
    assert_ne!(draw(1).permutations, draw(2).permutations);
    assert_ne!(draw(1).mask, draw(2).mask);
}

/// The permutations of one seed, for ever: a retry with a newer version must write the same bytes.
#[test]
fn the_drawing_never_changes() {
    let permutations = Permutations::new(&groups(6, 4, 2), &Seed(std::array::from_fn(|i| i as u8))).unwrap();
    let text = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(text(&|out| permutations.write_mask(out).unwrap()), r#"{"mask":[1,0,1,0]}"#);
    assert_eq!(
        text(&|out| permutations.write_permutation(0, out).unwrap()),
        r#"{"permutation":[2,0,5,4,3,1],"rows":4}"#,
        "for both parties the length of the mask"
    );
    assert_eq!(
        text(&|out| permutations.write_permutation(1, out).unwrap()),
        r#"{"permutation":[0,2,1,3],"rows":4}"#
    );
}

#[test]
fn every_position_is_as_likely() {
    // One match among 3 and 5 records: 9 places for its position and that of another record of party 1.
    let groups = groups(3, 5, 1);
    let mut counts = [[0u32; 5]; 3];
    let draws = 6000;
    for i in 0..draws as u32 {
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&i.to_le_bytes());
        let permutations = Permutations::new(&groups, &Seed(seed)).unwrap();
        counts[permutations.permutation(1)[0] as usize][permutations.permutation(1)[4] as usize] += 1;
    }
    for (position, counts) in counts.iter().enumerate() {
        assert_eq!(counts[position], 0);
        let expected = f64::from(draws) / 12.0;
        for (_, &count) in counts.iter().enumerate().filter(|&(other, _)| other != position) {
            // Five standard deviations.
            assert!((f64::from(count) - expected).abs() < 5.0 * expected.sqrt(), "{count} {expected}");
        }
    }
}

#[test]
fn only_two_parties_can_have_permutations() {
    let groups = GreedySolver::new(&[1, 1, 1]).unwrap().finish();
    let result = Permutations::new(&groups, &Seed([0; 32]));
    assert!(matches!(result, Err(Error::NotTwoParties { parties: 3 })));
}

#[test]
fn a_seed_is_never_printed() {
    assert_eq!(format!("{:?}", Seed([77; 32])), "Seed(secret)");
}
