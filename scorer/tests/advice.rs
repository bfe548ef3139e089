//! What is estimated of thresholds, against the known truth of the example data; and how it is told.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use support::example;
use support::program::scorer;

/// Bytes of an encoding of the example data.
const BYTES: usize = 128;

type Pairs = HashSet<(u64, u64)>;

/// Runs and gives back the pairs with their scores, and the histogram.
fn link(folder: &Path, parties: &str, threshold: f64, result: &str, more: &str) -> (Value, Value, String) {
    let manifests = format!(
        "apiVersion: pprl.dev/v1alpha1\nkind: LinkageProject\nmetadata: {{name: project}}\n\
         spec:\n  resultType: {result}\n  encoding: {{bits: 1024}}\n  parties: {parties}\n---\n\
         apiVersion: pprl.dev/v1alpha1\nkind: LinkageRun\nmetadata: {{name: run}}\n\
         spec: {{projectRef: {{name: project}}, threshold: {threshold}{more}}}\n"
    );
    fs::write(folder.join("link.yaml"), manifests).unwrap();
    let output =
        scorer(&["run", "link.yaml", "--force", "--output", "result.json", "--scores", "scores.json"])
            .current_dir(folder)
            .output()
            .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (
        json_in(folder, "result.json"),
        json_in(folder, "scores.json"),
        String::from_utf8(output.stdout).unwrap(),
    )
}

fn json_in(folder: &Path, name: &str) -> Value {
    serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap()
}

fn parties(names: &[&str]) -> String {
    let party = |name: &&str| format!("{{name: {name}, source: {{encodings: {name}.bin}}}}");
    format!("[{}]", names.iter().map(party).collect::<Vec<_>>().join(", "))
}

/// The two hospitals' encodings, and which records are of one person.
fn hospitals() -> ([Vec<u8>; 2], Vec<(u64, u64)>) {
    let encodings = ["hospital-a.bin", "hospital-b.bin"].map(|file| fs::read(example(file)).unwrap());
    let truth = fs::read_to_string(example("truth.csv")).unwrap();
    let pair = |line: &str| {
        let (a, b) = line.split_once(',').unwrap();
        (a.trim().parse().unwrap(), b.trim().parse().unwrap())
    };
    (encodings, truth.lines().skip(1).map(pair).collect())
}

/// Some people's records of either hospital, those in `common` being in both, in new files.
fn write_parties(folder: &Path, first: std::ops::Range<usize>, second: std::ops::Range<usize>) -> Pairs {
    let (encodings, truth) = hospitals();
    let record = |side: usize, at: u64| &encodings[side][at as usize * BYTES..][..BYTES];
    let a: Vec<u8> = truth[first.clone()].iter().flat_map(|&(a, _)| record(0, a)).copied().collect();
    let b: Vec<u8> = truth[second.clone()].iter().flat_map(|&(_, b)| record(1, b)).copied().collect();
    fs::write(folder.join("a.bin"), a).unwrap();
    fs::write(folder.join("b.bin"), b).unwrap();
    let common = first.start.max(second.start)..first.end.min(second.end);
    common.map(|person| ((person - first.start) as u64, (person - second.start) as u64)).collect()
}

/// True precision and recall of all pairs at or above a threshold.
fn truly(pairs: &Value, truth: &Pairs, threshold: f64) -> (f64, f64) {
    let pairs = pairs["similarity_scores"].as_array().unwrap();
    let at_or_above: Vec<_> = pairs.iter().filter(|pair| pair[2].as_f64().unwrap() >= threshold).collect();
    let key = |pair: &&Value| (pair[0][1].as_u64().unwrap(), pair[1][1].as_u64().unwrap());
    let right = at_or_above.iter().filter(|pair| truth.contains(&key(pair))).count() as f64;
    (right / at_or_above.len() as f64, right / truth.len() as f64)
}

/// The largest errors of precision and recall from the lowest threshold with an estimate on.
fn errors(scores: &Value, pairs: &Value, truth: &Pairs) -> (f64, f64) {
    let estimates = scores["estimates"].as_array().unwrap();
    assert!(estimates.len() > 20, "{scores}");
    let mut most = (0.0f64, 0.0f64);
    for estimate in estimates {
        let of = |name: &str| estimate[name].as_f64().unwrap();
        let (precision, recall) = truly(pairs, truth, of("threshold"));
        most = (most.0.max((of("precision") - precision).abs()), most.1.max((of("recall") - recall).abs()));
    }
    most
}

#[test]
fn with_everybody_in_both_the_estimates_are_near_the_truth() {
    let folder = tempfile::tempdir().unwrap();
    let truth = write_parties(folder.path(), 0..5000, 0..5000);
    let (_, scores, said) = link(folder.path(), &parties(&["a", "b"]), 0.8, "Groups", "");
    let (pairs, low, _) = link(folder.path(), &parties(&["a", "b"]), 0.7, "SimilarityScores", "");
    let (precision, recall) = errors(&scores, &pairs, &truth);
    assert!(precision < 0.03 && recall < 0.02, "precision off by {precision}, recall by {recall}");
    // all was compared for the sample, so what is below the threshold is right, too
    let above = |scores: &Value, from: f64| -> f64 {
        let counts = scores["histograms"][0]["counts"].as_array().unwrap();
        let first = ((from - scores["floor"].as_f64().unwrap()) / 0.01).round() as usize;
        counts[first..].iter().map(|count| count.as_f64().unwrap()).sum()
    };
    assert_eq!(above(&scores, 0.7), pairs["similarity_scores"].as_array().unwrap().len() as f64);
    assert_eq!(above(&scores, 0.7), above(&low, 0.7));
    let histogram = &scores["histograms"][0];
    assert_eq!((&histogram["sampled_share"], &histogram["exact_from"]), (&json!(1.0), &json!(0.6)));
    assert!(said.contains("suggested") && said.contains("this run's"), "{said}");
}

#[test]
fn with_half_of_the_people_in_both_they_are_too() {
    let folder = tempfile::tempdir().unwrap();
    let truth = write_parties(folder.path(), 0..3000, 1500..4500);
    let (_, scores, _) = link(folder.path(), &parties(&["a", "b"]), 0.8, "Groups", "");
    let (pairs, _, _) = link(folder.path(), &parties(&["a", "b"]), 0.7, "SimilarityScores", "");
    let (precision, recall) = errors(&scores, &pairs, &truth);
    assert!(precision < 0.05 && recall < 0.04, "precision off by {precision}, recall by {recall}");
    let suggested = scores["suggestion"]["threshold"].as_f64().unwrap();
    let (precision, recall) = truly(&pairs, &truth, suggested);
    assert!(precision > 0.95 && recall > 0.95, "at {suggested}: {precision}, {recall}");
}

#[test]
fn neither_shards_nor_the_result_change_what_is_told() {
    let folder = tempfile::tempdir().unwrap();
    write_parties(folder.path(), 0..700, 300..1000);
    let (_, one, _) = link(folder.path(), &parties(&["a", "b"]), 0.85, "Groups", "");
    let (_, many, _) = link(folder.path(), &parties(&["a", "b"]), 0.85, "SimilarityScores", ", shards: 7");
    assert_eq!(one, many);
}

#[test]
fn every_two_of_three_parties_have_a_histogram() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["north", "south", "west"];
    for name in names {
        let from = example(&format!("three-parties/{name}.json"));
        fs::copy(from, folder.path().join(format!("{name}.json"))).unwrap();
    }
    let parties = parties(&names).replace(".bin", ".json");
    let (_, scores, _) = link(folder.path(), &parties, 0.8, "Groups", "");
    let histograms = scores["histograms"].as_array().unwrap();
    let datasets: Vec<_> = histograms.iter().map(|histogram| histogram["datasets"].clone()).collect();
    assert_eq!(datasets, [json!([0, 1]), json!([0, 2]), json!([1, 2])]);
    let from = scores["histograms"][0]["counts"].as_array().unwrap().len() - 20;
    let at_or_above: f64 = histograms
        .iter()
        .flat_map(|histogram| &histogram["counts"].as_array().unwrap()[from..])
        .map(|count| count.as_f64().unwrap())
        .sum();
    assert_eq!(at_or_above, 1626.0, "as examples/data/README.md says");
    // 1,800 matches, 1,626 pairs at .8: 90 % of them
    let estimates = scores["estimates"].as_array().unwrap();
    let own = estimates.iter().find(|estimate| estimate["threshold"] == json!(0.8)).unwrap();
    assert!((own["recall"].as_f64().unwrap() - 0.90).abs() < 0.02, "{own}");
}

#[test]
fn within_one_file_duplicates_are_estimated_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (encodings, _) = hospitals();
    let people: Vec<_> = encodings[0].chunks(BYTES).take(300).collect();
    let deduplicate = |copies: usize| {
        let records: Vec<u8> = people.iter().flat_map(|person| person.repeat(copies)).collect();
        fs::write(folder.path().join("people.bin"), records).unwrap();
        let arguments = ["deduplicate", "people.bin", "--bits", "1024", "--threshold", "0.8", "--force"];
        let output =
            scorer(&arguments).args(["--scores", "scores.json"]).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        json_in(folder.path(), "scores.json")
    };
    let twice = deduplicate(2);
    assert_eq!(twice["histograms"][0]["datasets"], json!([0, 0]));
    let own =
        twice["estimates"].as_array().unwrap().iter().find(|estimate| estimate["threshold"] == json!(0.8));
    assert_eq!(own.unwrap(), &json!({"threshold": 0.8, "pairs": 300.0, "precision": 1.0, "recall": 1.0}));
    let often = deduplicate(4);
    assert_eq!((&often["estimates"], &often["suggestion"]), (&json!([]), &Value::Null));
    assert!(often["reason"].is_string(), "{often}");
}

#[test]
fn the_advice_is_told_and_drawn_again_from_the_file() {
    let folder = tempfile::tempdir().unwrap();
    write_parties(folder.path(), 0..500, 100..600);
    let (_, scores, _) = link(folder.path(), &parties(&["a", "b"]), 0.8, "Groups", "");
    let advise = |arguments: &[&str]| scorer(arguments).current_dir(folder.path()).output().unwrap();
    let output = advise(&["advise", "scores.json", "--plot", "scores.svg"]);
    let said = String::from_utf8(output.stdout).unwrap();
    let suggested = scores["suggestion"]["threshold"].to_string();
    assert!(output.status.success() && said.contains(&suggested), "{said}");
    assert_eq!(
        String::from_utf8(advise(&["advise", "."]).stdout).unwrap(),
        said.replace("picture      scores.svg\n", "")
    );
    let svg = fs::read_to_string(folder.path().join("scores.svg")).unwrap();
    assert!(svg.starts_with("<svg ") && svg.contains("suggested"));

    let wrong = BTreeMap::from([
        ("none.json", "cannot be read"),
        ("text.json", "does not hold the scores"),
        ("negative.json", "no count below 0"),
    ]);
    fs::write(folder.path().join("text.json"), "{\"groups\": []}").unwrap();
    let mut negative = scores.clone();
    negative["histograms"][0]["counts"][0] = json!(-1);
    fs::write(folder.path().join("negative.json"), negative.to_string()).unwrap();
    for (file, expected) in wrong {
        let output = advise(&["advise", file]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && said.contains(expected), "{file}: {said}");
    }
}
