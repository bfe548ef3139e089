use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::pairs::{self, Pair};
use crate::solve::{GreedySolver, Groups, ScoresWithin};

fn pair(score: f64, dataset1: u32, record0: u32) -> Pair {
    Pair { score, dataset0: 0, dataset1, record0, record1: 1 }
}

fn groups(pairs: &[Pair]) -> Groups {
    scored_groups(pairs).0
}

fn scored_groups(pairs: &[Pair]) -> (Groups, ScoresWithin) {
    let mut solver = GreedySolver::new(&[3, 2, 2]).unwrap().keep_scores();
    pairs.iter().for_each(|pair| solver.add(pair).unwrap());
    solver.finish_with_scores()
}

/// Names as they may be on a laptop; in a cluster they are lower-case letters, digits and `-`.
fn parties() -> [String; 3] {
    ["a".into(), "b, \"the\nother\"".into(), "=c".into()]
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

#[test]
fn groups_tell_parties_and_scores_in_all_formats_but_json() {
    // the first group is of three: its last pair comes last
    let all = [pair(0.9, 2, 0), pair(0.8, 1, 0), pair(0.7, 1, 2)];
    let between = Pair { score: 0.75, dataset0: 1, dataset1: 2, record0: 1, record1: 1 };
    let (groups, scores) = scored_groups(&[all[0], all[1], between, all[2]]);
    let parties = parties();
    let text = |format| {
        let out = write_groups_as(Vec::new(), format, &groups, &scores, &parties).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert_eq!(text(ResultFormat::Json), r#"{"groups":[[[0,0],[1,1],[2,1]]]}"#);
    let csv = "group,party,record,score\r\n0,a,0,0.9\r\n0,\"b, \"\"the\nother\"\"\",1,0.8\r\n0,'=c,1,0.9\r\n";
    assert_eq!(text(ResultFormat::Csv), csv);
    let members =
        r#"[{"party":"a","record":0},{"party":"b, \"the\nother\"","record":1},{"party":"=c","record":1}]"#;
    let scores = r#"[{"a":0,"b":1,"score":0.8},{"a":0,"b":2,"score":0.9},{"a":1,"b":2,"score":0.75}]"#;
    let line = format!("{{\"group\":0,\"members\":{members},\"scores\":{scores}}}\n");
    assert_eq!(text(ResultFormat::Ndjson), line);
}

#[test]
fn similarity_scores_name_the_parties_in_all_formats_but_json() {
    let parties = parties();
    let text = |format| {
        let mut writer = SimilarityScoresWriter::new(Vec::new(), format, &parties).unwrap();
        writer.pair(&pair(1.0, 1, 0)).unwrap();
        writer.pair(&pair(2.0 / 3.0, 2, 2)).unwrap();
        String::from_utf8(writer.finish().unwrap()).unwrap()
    };
    let expected = "party_a,record_a,party_b,record_b,score\r\n\
                    a,0,\"b, \"\"the\nother\"\"\",1,1.0\r\na,2,'=c,1,0.6666666666666666\r\n";
    assert_eq!(text(ResultFormat::Csv), expected);
    let lines: Vec<Value> = text(ResultFormat::Ndjson).lines().map(|line| line.parse().unwrap()).collect();
    let expected = [
        json!({"party_a": "a", "record_a": 0, "party_b": parties[1], "record_b": 1, "score": 1.0}),
        json!({"party_a": "a", "record_a": 2, "party_b": "=c", "record_b": 1, "score": 2.0 / 3.0}),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn permutations_and_masks_are_tables_too() {
    let mut solver = GreedySolver::new(&[3, 2]).unwrap();
    solver.add(&pair(0.9, 1, 2)).unwrap();
    let permutations = Permutations::new(&solver.finish(), &Seed([1; 32])).unwrap();
    let mask = String::from_utf8(permutations.write_mask_as(Vec::new(), ResultFormat::Csv).unwrap()).unwrap();
    let bits: String = permutations.mask().iter().map(|&bit| format!("{},", u8::from(bit))).collect();
    let rows: Vec<&str> = mask.lines().skip(1).map(|line| line.split_once(',').unwrap().1).collect();
    assert_eq!(rows.join(",") + ",", bits);
    let written = permutations.write_permutation_as(0, Vec::new(), ResultFormat::Ndjson).unwrap();
    let rows: Vec<Value> =
        String::from_utf8(written).unwrap().lines().map(|line| line.parse().unwrap()).collect();
    for (position, row) in rows.iter().enumerate() {
        let record = row["record"].as_u64().unwrap() as usize;
        assert_eq!(row, &json!({"record": record, "position": position}));
        assert_eq!(permutations.permutation(0)[record] as usize, position);
    }
    assert_eq!(rows.len(), 3);
}

#[test]
fn a_data_set_without_a_party_is_an_error() {
    let mut writer = SimilarityScoresWriter::new(Vec::new(), ResultFormat::Csv, &[]).unwrap();
    assert!(matches!(writer.pair(&pair(0.5, 1, 0)), Err(Error::Row(_))));
}
