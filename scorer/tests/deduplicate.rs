//! `scorer deduplicate`, as a person uses it.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use std::path::Path;
use std::process::Output;

use scorer::engine::{EncodingSource, Encodings, dice};
use scorer::pairs::Pair;
use scorer::solve::GreedySolver;
use serde_json::{Value, json};
use support::example;
use support::program::scorer;

/// A folder with a file of raw encodings, `patients.clk`: some of each of two hospitals, so that people are there twice.
struct Here {
    folder: tempfile::TempDir,
    patients: Encodings<'static>,
}

impl Here {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let some = |hospital: &str, records: usize| {
            std::fs::read(example(&format!("hospital-{hospital}.bin"))).unwrap()[..records * 128].to_vec()
        };
        let bytes = [some("a", 2000), some("b", 2001)].concat();
        std::fs::write(folder.path().join("patients.clk"), &bytes).unwrap();
        Self { folder, patients: Encodings::from_bytes(&bytes, 128).unwrap() }
    }

    fn deduplicate(&self, arguments: &[&str]) -> Output {
        scorer(&["deduplicate"]).args(arguments).current_dir(self.folder.path()).output().unwrap()
    }

    fn json(&self, file: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.folder.path().join(file)).unwrap()).unwrap()
    }

    /// The pairs by the definition, in their order.
    fn pairs(&self, threshold: f64) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for record0 in 0..self.patients.records() {
            for record1 in record0 + 1..self.patients.records() {
                let score = dice(self.patients.record(record0), self.patients.record(record1));
                if score >= threshold {
                    pairs.push(Pair { score, dataset0: 0, dataset1: 0, record0, record1 });
                }
            }
        }
        pairs.sort();
        pairs
    }
}

#[track_caller]
fn succeeds(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn groups_are_of_the_records_of_one_person() {
    let here = Here::new();
    let said = succeeds(&here.deduplicate(&["patients.clk", "--bits", "1024", "--threshold", "0.8"]));
    let pairs = here.pairs(0.8);
    let mut solver = GreedySolver::new(&[4001]).unwrap();
    pairs.iter().for_each(|pair| solver.add(pair).unwrap());
    let groups = solver.finish();
    assert!(groups.len() > 100);
    let expected: Vec<Vec<_>> = groups
        .iter()
        .map(|group| group.iter().map(|member| json!([member.dataset, member.record])).collect())
        .collect();
    assert_eq!(here.json("patients-groups.json"), json!({"groups": expected}));
    for line in [
        "records      4,001 (patients)".to_owned(),
        "comparisons  8,002,000".to_owned(),
        format!("groups       {}", groups.len()),
    ] {
        assert!(said.contains(&line), "{said}");
    }
}

#[test]
fn similarity_scores_are_those_of_every_pair() {
    let here = Here::new();
    let arguments =
        ["patients.clk", "--bits=1024", "-t", "0.75", "--result", "similarity-scores", "-o", "x.json"];
    succeeds(&here.deduplicate(&arguments));
    let pairs = here.pairs(0.75);
    assert!(pairs.len() > 500);
    let scores = here.json("x.json")["similarity_scores"].as_array().unwrap().clone();
    assert_eq!(scores.len(), pairs.len());
    for (score, pair) in scores.iter().zip(&pairs) {
        assert_eq!((&score[0], &score[1]), (&json!([0, pair.record0]), &json!([0, pair.record1])));
        // reading the JSON may round
        assert!((score[2].as_f64().unwrap() - pair.score).abs() < 1e-15);
    }
}

#[test]
fn blocks_limit_what_is_compared() {
    let here = Here::new();
    // every person of one hospital that is at the same place in the other shares a block
    let blocks: serde_json::Map<String, Value> =
        (0..4001u32).map(|record| (record.to_string(), json!([(record % 2000).to_string()]))).collect();
    std::fs::write(here.folder.path().join("blocks.json"), json!({"blocks": blocks}).to_string()).unwrap();
    let arguments = ["patients.clk", "--bits", "1024", "-t", "0.1", "--blocks", "blocks.json"];
    let said = succeeds(&here.deduplicate(&arguments));
    // 1,999 blocks of two records and one of three
    assert!(said.contains("comparisons  2,002\n"), "{said}");
}

#[test]
fn documents_may_hold_the_blocks_as_well() {
    let here = Here::new();
    let file = example("blocked/hospital-a.json").canonicalize().unwrap();
    std::fs::copy(file, here.folder.path().join("a.json")).unwrap();
    let said = succeeds(&here.deduplicate(&["a.json", "-t", "0.9", "--blocks", "a.json"]));
    assert!(said.contains("records      "), "{said}");
    let output = here.deduplicate(&["a.json", "-t", "0.9", "--force"]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("a.json holds blocks, too; to compare only records"), "{message}");
}

#[test]
fn what_is_wrong_is_said_with_the_way_out() {
    let here = Here::new();
    std::fs::write(here.folder.path().join("bad.json"), "{\"clks\": [\"AA!A\"]}").unwrap();
    for (arguments, code, expected) in [
        (&["patients.clk", "-t", "0.9"][..], 1, "patients.clk holds raw encodings"),
        (&["none.clk", "-t", "0.9", "--bits", "64"], 1, "none.clk cannot be read: No such file"),
        (&["patients.clk", "-t", "1.5", "--bits", "64"], 2, "the threshold 1.5 is not above 0 and at most 1"),
        (&["patients.clk", "-t", "0.9", "--bits", "100"], 2, "a multiple of 64 from 64 to 8192"),
        (&["patients.clk", "-t", "0.9", "--bits", "8192"], 1, "patients.clk: the data has 512128 bytes"),
        (&["bad.json", "-t", "0.9"], 1, "bad.json: record 0 (byte 16)"),
        (&["patients.clk"], 2, "--threshold"),
    ] {
        let output = here.deduplicate(arguments);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{message}");
        assert!(message.contains(expected), "{expected}: {message}");
    }
    assert!(!Path::new(&here.folder.path().join("patients-groups.json")).exists());
}

#[test]
fn groups_of_one_file_tell_their_scores() {
    let here = Here::new();
    succeeds(&here.deduplicate(&[
        "patients.clk",
        "--bits",
        "1024",
        "--threshold",
        "0.8",
        "--format",
        "json,ndjson",
    ]));
    let groups = here.json("patients-groups.json")["groups"].as_array().unwrap().clone();
    let lines = std::fs::read_to_string(here.folder.path().join("patients-groups.ndjson")).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(lines.len(), groups.len());
    let scores: std::collections::HashMap<_, _> =
        here.pairs(0.8).iter().map(|pair| ((pair.record0, pair.record1), pair.score)).collect();
    for (line, group) in lines.iter().zip(&groups) {
        let members: Vec<u32> =
            group.as_array().unwrap().iter().map(|one| one[1].as_u64().unwrap() as u32).collect();
        let named = members.iter().map(|record| json!({"party": "patients", "record": record}));
        assert_eq!(line["members"], Value::from_iter(named));
        let found = line["scores"].as_array().unwrap();
        assert_eq!(found.len(), members.len() * (members.len() - 1) / 2);
        for one in found {
            let member = |name: &str| members[one[name].as_u64().unwrap() as usize];
            let score = scores[&(member("a"), member("b"))];
            assert!((one["score"].as_f64().unwrap() - score).abs() < 1e-15, "as serde_json reads it");
        }
    }
}

#[test]
fn packed_files_are_refused_and_json_is_known_in_capitals() {
    let here = Here::new();
    let gzip = [&b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"[..], &[7; 128 * 9 - 10]].concat();
    for name in ["packed.clk", "packed.json.gz", "packed.json"] {
        std::fs::write(here.folder.path().join(name), &gzip).unwrap();
        let output = here.deduplicate(&[name, "--bits", "1024", "--threshold", "0.8"]);
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && message.contains("packed (gzip)"), "{name}: {message}");
    }
    let text = std::fs::read_to_string(example("thousand/hospital-a.json")).unwrap();
    std::fs::write(here.folder.path().join("people.JSON"), format!("\u{feff}{text}")).unwrap();
    let said = succeeds(&here.deduplicate(&["people.JSON", "--threshold", "0.8"]));
    assert!(said.contains("records      1,000 (people)"), "{said}");
}
