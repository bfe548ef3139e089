//! Results in all formats, as a Job writes them: what Python reads of each is what the JSON says (`formats.py`).

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use scorer::engine::{EncodingSource, Encodings, dice};
use scorer::pairs::Pair;
use serde_json::{Value, json};
use support::example;
use support::program::{job, seed_of};

const BYTES: usize = 128;
const ALL: [&str; 4] = ["JSON", "CSV", "NDJSON", "Parquet"];

/// A store with the encodings of parties, each under its name.
struct Parties {
    store: tempfile::TempDir,
    names: Vec<String>,
    encodings: Vec<Vec<u8>>,
}

impl Parties {
    /// Each party has 40 of the same people as the one before it, and 20 others. It writes them in a way of its own, so some
    /// bits of each encoding differ.
    fn new(number: usize) -> Self {
        let store = tempfile::tempdir().unwrap();
        let people = std::fs::read(example("hospital-a.bin")).unwrap();
        let mut parties = Self { store, names: Vec::new(), encodings: Vec::new() };
        for party in 0..number {
            let mut encodings = people[20 * party * BYTES..][..60 * BYTES].to_vec();
            for (record, encoding) in encodings.chunks_mut(BYTES).enumerate() {
                for change in 0..4 * party {
                    encoding[(37 * record + 11 * change) % BYTES] ^= 1 << ((record + party + change) % 8);
                }
            }
            let name = format!("party-{party}");
            std::fs::write(parties.store.path().join(&name), &encodings).unwrap();
            parties.names.push(name);
            parties.encodings.push(encodings);
        }
        parties
    }

    fn store(&self) -> &Path {
        self.store.path()
    }

    fn inputs(&self) -> Vec<Value> {
        let input = |(dataset, name): (usize, &String)| {
            let plan = json!({"version": 2, "project": "p", "party": name, "blocking": false,
                "source": {"encodings": name, "encodingBytes": BYTES}, "output": format!("projects/p/parties/{dataset}/u/")});
            let ended = job(&["ingest"], self.store(), &plan);
            assert_eq!(ended.code, Some(0), "{}", ended.log);
            let mut input = ended.message;
            input["party"] = json!(name);
            input
        };
        self.names.iter().enumerate().map(input).collect()
    }

    fn plan(&self, result_type: &str, formats: &[&str]) -> Value {
        json!({"version": 2, "run": "r", "threshold": 0.7, "resultType": result_type, "formats": formats,
            "blocking": false, "inputs": self.inputs(), "output": "runs/r/", "shards": 1, "memoryLimitBytes": 400 << 20})
    }

    /// Does the run; the folder with the result's objects.
    fn run(&self, plan: &Value) -> PathBuf {
        let ended = job(&["score"], self.store(), plan);
        assert_eq!(ended.code, Some(0), "{}", ended.log);
        self.store().join("runs/r/result")
    }

    fn judge(&self, results: &Path) {
        let python = std::env::var_os("LINKAGE_PYTHON").map_or_else(|| "python3".into(), PathBuf::from);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/formats.py");
        let output = Command::new(&python).arg(script).arg(results).args(&self.names).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{}: {said}\nIf pyarrow is missing, run tests/setup/install.",
            python.display()
        );
    }

    /// The similarity scores by the definition.
    fn similarity_scores(&self, threshold: f64) -> Value {
        let sets: Vec<Encodings<'_>> =
            self.encodings.iter().map(|bytes| Encodings::from_bytes(bytes, BYTES).unwrap()).collect();
        let mut pairs = Vec::new();
        for (dataset0, a) in (0u32..).zip(&sets) {
            for (dataset1, b) in (0u32..).zip(&sets).skip(dataset0 as usize + 1) {
                for record0 in 0..a.records() {
                    for record1 in 0..b.records() {
                        let score = dice(a.record(record0), b.record(record1));
                        if score >= threshold {
                            pairs.push(Pair { score, dataset0, dataset1, record0, record1 });
                        }
                    }
                }
            }
        }
        pairs.sort();
        let pair =
            |pair: &Pair| json!([[pair.dataset0, pair.record0], [pair.dataset1, pair.record1], pair.score]);
        json!({"similarity_scores": pairs.iter().map(pair).collect::<Vec<_>>()})
    }
}

fn json_text(results: &Path, name: &str) -> String {
    std::fs::read_to_string(results.join(format!("{name}.json"))).unwrap()
}

/// All files of a result, but for the histogram.
fn files(results: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(results).unwrap().map(|entry| entry.unwrap());
    let mut files: BTreeMap<String, Vec<u8>> = entries
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
        .collect();
    files.remove("scores.json");
    files
}

#[test]
fn similarity_scores_are_the_same_in_all_formats_for_any_number_of_parties() {
    for number in 2..=10 {
        let parties = Parties::new(number);
        let results = parties.run(&parties.plan("similarity_scores", &ALL));
        assert_eq!(
            json_text(&results, "similarity_scores"),
            parties.similarity_scores(0.7).to_string(),
            "{number}"
        );
        parties.judge(&results);
    }
}

/// What is at each key that a run's summary names in anonlink's format.
fn pairs_of(parties: &Parties, plan: &Value) -> Vec<PathBuf> {
    let prefix = parties.store().join(plan["output"].as_str().unwrap());
    let summary: Value =
        serde_json::from_slice(&std::fs::read(prefix.join("summary.json")).unwrap()).unwrap();
    let results = summary["results"].as_array().unwrap();
    assert_eq!(results[0]["format"], "JSON", "the main object comes first");
    let pairs = results.iter().filter(|result| result["format"] == "Anonlink");
    pairs
        .map(|result| {
            let file = parties.store().join(result["key"].as_str().unwrap());
            let bytes = std::fs::read(&file).unwrap();
            assert_eq!(result["name"], "similarity_scores");
            assert_eq!(result["bytes"], bytes.len());
            assert_eq!(result["blake3"], blake3::hash(&bytes).to_hex().as_str());
            file
        })
        .collect()
}

#[test]
fn anonlink_loads_similarity_scores_whatever_they_lie_beside_and_however_many_shards() {
    let parties = Parties::new(3);
    for (result_type, beside) in [("similarity_scores", false), ("groups", true), ("groups", false)] {
        for shards in [1, 3] {
            let mut plan = parties.plan(result_type, &["JSON"]);
            (plan["withSimilarityScores"], plan["shards"]) = (json!(beside), json!(shards));
            plan["output"] = json!(format!("runs/{result_type}-{beside}-{shards}/"));
            for shard in 0..shards {
                let ended = job(&["score", "--shard", &shard.to_string()], parties.store(), &plan);
                assert_eq!(ended.code, Some(0), "{}", ended.log);
            }
            assert_eq!(job(&["solve"], parties.store(), &plan).code, Some(0));
            let pairs = pairs_of(&parties, &plan);
            if result_type == "groups" && !beside {
                assert_eq!(pairs, Vec::<PathBuf>::new());
                continue;
            }
            let json =
                parties.store().join(plan["output"].as_str().unwrap()).join("result/similarity_scores.json");
            loaded_by_anonlink(&pairs[0], &json);
        }
    }
}

/// What `anonlink.serialization.load_candidate_pairs` reads is what the JSON says.
fn loaded_by_anonlink(pairs: &Path, json: &Path) {
    let python = std::env::var_os("LINKAGE_PYTHON").map_or_else(|| "python3".into(), PathBuf::from);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/candidate_pairs.py");
    let output = Command::new(&python).arg(script).arg(pairs).arg(json).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\nIf anonlink is missing, run tests/setup/install.");
}

#[test]
fn groups_tell_their_scores_in_all_formats_for_any_number_of_parties() {
    for number in [2, 3, 5, 10] {
        let parties = Parties::new(number);
        let mut plan = parties.plan("groups", &ALL);
        plan["withSimilarityScores"] = json!(true);
        let results = parties.run(&plan);
        // which the judge compares the groups with
        assert_eq!(
            json_text(&results, "similarity_scores"),
            parties.similarity_scores(0.7).to_string(),
            "{number}"
        );
        let groups: Value = json_text(&results, "groups").parse().unwrap();
        assert!(groups["groups"].as_array().unwrap().len() > 30);
        parties.judge(&results);
    }
}

#[test]
fn permutations_are_the_same_in_all_formats() {
    let parties = Parties::new(2);
    let results = parties.run(&parties.plan("permutations", &ALL));
    assert_eq!(files(&results).len(), 12);
    parties.judge(&results);
}

#[test]
fn encrypted_masks_are_the_same_in_all_formats() {
    let mut parties = Parties::new(2);
    // longer than the mask
    parties.encodings[1].truncate(30 * BYTES);
    std::fs::write(parties.store().join("party-1"), &parties.encodings[1]).unwrap();
    let mut plan = parties.plan("permutations", &ALL);
    plan["maskKey"] = json!(base64_simd::URL_SAFE_NO_PAD.encode_to_string(vec![0xff; 256]));
    let results = parties.run(&plan);
    parties.judge(&results);
    for (name, content) in files(&results) {
        let is_clear = content.windows(3).any(|text| text == b",1\r" || text == b",0\r");
        assert!(!name.starts_with("mask") || !is_clear, "{name} has the mask in the clear");
    }
}

#[test]
fn a_pod_that_is_started_again_writes_the_same_bytes() {
    let parties = Parties::new(2);
    for (result_type, with_scores) in
        [("groups", true), ("similarity_scores", false), ("permutations", false)]
    {
        let mut plan = parties.plan(result_type, &ALL);
        plan["withSimilarityScores"] = json!(with_scores);
        plan["output"] = json!(format!("runs/{result_type}/"));
        let run = parties.store().join(format!("runs/{result_type}"));
        std::fs::create_dir_all(&run).unwrap();
        // as it is while the run is not complete
        std::fs::write(run.join(seed_of(&plan)), [7; 32]).unwrap();
        assert_eq!(job(&["score"], parties.store(), &plan).code, Some(0));
        let before = files(&run.join("result"));
        std::fs::remove_file(run.join("summary.json")).unwrap();
        std::fs::write(run.join(seed_of(&plan)), [7; 32]).unwrap();
        assert_eq!(job(&["solve"], parties.store(), &plan).code, Some(0));
        assert!(before == files(&run.join("result")), "{result_type}");
    }
}

#[test]
fn only_the_formats_asked_for_are_written_and_plans_without_any_mean_json() {
    let parties = Parties::new(2);
    let mut plan = parties.plan("groups", &["Parquet", "JSON"]);
    let results = parties.run(&plan);
    let names: Vec<String> = files(&results).into_keys().collect();
    assert_eq!(names, ["groups.json", "groups.parquet"]);
    plan.as_object_mut().unwrap().remove("formats");
    plan["output"] = json!("runs/old/");
    let ended = job(&["score"], parties.store(), &plan);
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    let old = files(&parties.store().join("runs/old/result"));
    assert_eq!(
        old.into_iter().collect::<Vec<_>>(),
        [("groups.json".to_owned(), files(&results)["groups.json"].clone())]
    );
    // JSON comes first, whatever the order of the plan
    let formats = |message: &Value| {
        message["results"].as_array().unwrap().iter().map(|one| one["format"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(formats(&ended.message), ["JSON"]);
}

#[test]
fn formats_that_cannot_be_are_refused() {
    let parties = Parties::new(2);
    let good = parties.plan("permutations", &["JSON"]);
    for (field, value) in [
        ("formats", json!([])),
        ("formats", json!(["xml"])),
        ("formats", json!(["Anonlink"])),
        ("withSimilarityScores", json!(true)),
    ] {
        let mut plan = good.clone();
        plan[field] = value;
        let ended = job(&["score"], parties.store(), &plan);
        assert_eq!((ended.code, &ended.message["reason"]), (Some(3), &json!("UnsupportedPlan")), "{field}");
    }
}

#[test]
fn what_the_formats_need_of_memory_is_told_before_anything_is_solved() {
    let parties = Parties::new(2);
    let mut plan = parties.plan("similarity_scores", &ALL);
    plan["memoryLimitBytes"] = json!(100 << 20);
    let ended = job(&["score"], parties.store(), &plan);
    assert_eq!((ended.code, &ended.message["reason"]), (Some(3), &json!("OutOfMemory")), "{}", ended.log);
    assert!(ended.message["message"].as_str().unwrap().contains("spec.formats"));
    plan["formats"] = json!(["JSON"]);
    assert_eq!(job(&["score"], parties.store(), &plan).code, Some(0));
}
