use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::solve::GreedySolver;

fn pair(score: f64, dataset1: u32, record0: u32) -> Pair {
    Pair { score, dataset0: 0, dataset1, record0, record1: 1 }
}

fn groups(pairs: &[Pair]) -> Groups {
    let mut solver = GreedySolver::new(&[3, 2, 2]).unwrap();
    pairs.iter().for_each(|pair| solver.add(pair).unwrap());
    solver.finish()
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn writes_groups() {
    let text = written(|out| write_groups(out, &groups(&[pair(0.9, 2, 0), pair(0.8, 1, 2)])).unwrap());
    assert_eq!(text, r#"{"groups":[[[0,0],[2,1]],[[0,2],[1,1]]]}"#);
    assert_eq!(written(|out| write_groups(out, &groups(&[])).unwrap()), r#"{"groups":[]}"#);
}

#[test]
fn writes_similarity_scores() {
    let pairs = [pair(1.0, 1, 0), pair(2.0 / 3.0, 2, 2)];
    let text = written(|out| assert_eq!(write_similarity_scores(out, pairs.map(Ok)).unwrap(), 2));
    assert_eq!(text, r#"{"similarity_scores":[[[0,0],[1,1],1.0],[[0,2],[2,1],0.6666666666666666]]}"#);
    let text = written(|out| assert_eq!(write_similarity_scores(out, []).unwrap(), 0));
    assert_eq!(text, r#"{"similarity_scores":[]}"#);
}

proptest! {
    #[test]
    fn scores_read_back_to_the_same_bits(intersection in 0..8192u32, sum in 1..16384u32) {
        let score = (2.0 * f64::from(intersection) / f64::from(sum)).min(1.0);
        let text = written(|out| assert_eq!(write_similarity_scores(out, [Ok(pair(score, 1, 0))]).unwrap(), 1));
        let number = text.split(',').next_back().unwrap().trim_end_matches("]]}");
        prop_assert_eq!(number.parse::<f64>().unwrap().to_bits(), score.to_bits());
        let value: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&value["similarity_scores"][0][1], &json!([1, 1]));
    }
}

#[test]
fn an_error_among_the_pairs_is_handed_on() {
    let error = pairs::Error::Truncated { stream: "shard 1".into(), position: 7 };
    let result = write_similarity_scores(Vec::new(), [Ok(pair(0.5, 1, 0)), Err(error)]);
    assert_eq!(result.unwrap_err().to_string(), "shard 1: truncated: it ends in the middle of pair 7");
}

#[test]
fn a_writer_that_fails_is_an_error() {
    let result = write_groups(&mut [0; 5][..], &groups(&[pair(0.9, 1, 0)]));
    assert!(matches!(result, Err(Error::Write(_))));
}
