//! Solving never takes for whole what is not: whatever has become of a shard's objects is found, and named.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use std::path::{Path, PathBuf};

use scorer::pairs::{Pair, PairReader, PairWriter};
use scorer::plan::FORMAT_VERSION;
use scorer::summary::ShardManifest;
use serde_json::{Value, json};
use support::program::{Ended, job};

/// The digest of the run's work.
const WORK: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A store in a folder with two scored shards of a run of 10 and 20 records.
struct Scored {
    folder: tempfile::TempDir,
}

fn pair(score: f64, record0: u32, record1: u32) -> Pair {
    Pair { score, dataset0: 0, dataset1: 1, record0, record1 }
}

impl Scored {
    fn new() -> Self {
        let scored = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir_all(scored.path("pairs")).unwrap();
        scored.write(0, &[pair(0.9, 0, 0), pair(0.8, 1, 2)]);
        scored.write(1, &[pair(0.95, 5, 5), pair(0.9, 6, 6), pair(0.9, 6, 7)]);
        scored
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.path().join("runs/r").join(key)
    }

    /// A shard whose manifest fits, whatever the pairs are.
    fn write(&self, shard: u32, pairs: &[Pair]) {
        let mut writer = PairWriter::new(Vec::new()).unwrap();
        pairs.iter().for_each(|pair| writer.write(pair).unwrap());
        self.write_bytes(shard, pairs.len() as u64, &writer.finish().unwrap());
    }

    fn write_bytes(&self, shard: u32, pairs: u64, content: &[u8]) {
        let manifest = ShardManifest {
            version: FORMAT_VERSION,
            work: WORK.into(),
            shard,
            shards: 2,
            comparisons: 100,
            pairs,
            bytes: content.len() as u64,
            blake3: blake3::hash(content).to_hex().to_string(),
            seconds: 0.0,
        };
        std::fs::write(self.path(&format!("pairs/{shard}.pairs")), content).unwrap();
        let manifest = serde_json::to_vec(&manifest).unwrap();
        std::fs::write(self.path(&format!("pairs/{shard}.json")), manifest).unwrap();
    }

    fn edit_manifest(&self, field: &str, value: Value) {
        let path = self.path("pairs/1.json");
        let mut manifest: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        manifest[field] = value;
        std::fs::write(path, manifest.to_string()).unwrap();
    }

    fn solve(&self, result_type: &str) -> Ended {
        let input = |records: u64| json!({"party": "p", "encodings": "e", "records": records, "encodingBytes": 128, "blake3": "0".repeat(64)});
        let plan = json!({"version": 2, "work": WORK, "run": "r", "threshold": 0.8, "resultType": result_type, "blocking": false,
            "inputs": [input(10), input(20)], "output": "runs/r/", "shards": 2, "memoryLimitBytes": 256 << 20});
        job(&["solve"], self.folder.path(), &plan)
    }

    /// No result is there, however small.
    fn has_no_result(&self) -> bool {
        let results = std::fs::read_dir(self.path("result")).map_or(0, Iterator::count);
        results == 0 && !self.path("summary.json").exists()
    }
}

/// What becomes of the second shard, and what is said of it.
type Fault = (&'static str, fn(&Scored), &'static str);

const FAULTS: &[Fault] = &[
    ("no pairs", |s| std::fs::remove_file(s.path("pairs/1.pairs")).unwrap(), "1.pairs"),
    ("no manifest", |s| std::fs::remove_file(s.path("pairs/1.json")).unwrap(), "1.json"),
    ("half a manifest", |s| std::fs::write(s.path("pairs/1.json"), "{\"version\"").unwrap(), "1.json"),
    ("a manifest of another shard", |s| s.edit_manifest("shard", json!(0)), "1.json"),
    ("a manifest of another run", |s| s.edit_manifest("shards", json!(3)), "1.json"),
    ("a manifest of other work", |s| s.edit_manifest("work", json!("0".repeat(64))), "1.json"),
    ("a manifest of an earlier version", |s| s.edit_manifest("work", json!("")), "1.json"),
    ("a manifest of a later version", |s| s.edit_manifest("version", json!(9)), "1.json"),
    ("a manifest of more pairs", |s| s.edit_manifest("pairs", json!(4)), "1.json"),
    ("a manifest of endless pairs", |s| s.edit_manifest("pairs", json!(u64::MAX)), "1.json"),
    ("a manifest of other pairs", |s| s.edit_manifest("blake3", json!("0".repeat(64))), "1.pairs"),
    ("a missing end", |s| cut(&s.path("pairs/1.pairs"), 24), "1.pairs"),
    ("a missing byte", |s| cut(&s.path("pairs/1.pairs"), 1), "1.pairs"),
    ("nothing", |s| s.write_bytes(1, 0, b""), "1.json"),
    ("no header", |s| s.write_bytes(1, 0, b"PAR1"), "1.pairs"),
    (
        "a pair out of order",
        |s| s.write(1, &[pair(0.8, 1, 1), pair(0.9, 2, 2)]),
        "1.pairs: not sorted: pair 1",
    ),
    ("ties out of order", |s| s.write(1, &[pair(0.8, 3, 1), pair(0.8, 2, 2)]), "1.pairs: not sorted: pair 1"),
    ("a pair twice", |s| s.write(1, &[pair(0.8, 3, 1), pair(0.8, 3, 1)]), "1.pairs: pair 1"),
    ("a pair of the other shard", |s| s.write(1, &[pair(0.9, 0, 0)]), "1.pairs: pair 0"),
    ("a score above 1", |s| s.write(1, &[pair(1.5, 1, 1)]), "1.pairs: pair 0"),
    ("no score", |s| s.write(1, &[pair(f64::NAN, 1, 1)]), "1.pairs: pair 0"),
    ("a record too many", |s| s.write(1, &[pair(0.9, 9, 19), pair(0.8, 10, 1)]), "1.pairs: pair 1"),
    ("a record too many there", |s| s.write(1, &[pair(0.8, 9, 20)]), "1.pairs: pair 0"),
    ("a party too many", |s| s.write(1, &[Pair { dataset1: 2, ..pair(0.8, 1, 1) }]), "1.pairs: pair 0"),
    ("two of a party", |s| s.write(1, &[Pair { dataset1: 0, ..pair(0.8, 1, 2) }]), "1.pairs: pair 0"),
    (
        "parties exchanged",
        |s| s.write(1, &[Pair { dataset0: 1, dataset1: 0, ..pair(0.8, 1, 2) }]),
        "1.pairs: pair 0",
    ),
];

fn cut(path: &Path, bytes: usize) {
    let content = std::fs::read(path).unwrap();
    std::fs::write(path, &content[..content.len() - bytes]).unwrap();
}

#[test]
fn what_has_become_of_a_shard_is_named_and_nothing_is_handed_out() {
    for result_type in ["groups", "similarity_scores", "permutations"] {
        for (what, happen, named) in FAULTS {
            let scored = Scored::new();
            happen(&scored);
            let ended = scored.solve(result_type);
            let message = ended.message["message"].as_str().unwrap_or_default();
            assert_eq!(ended.message["reason"], "CorruptObject", "{what}: {}", ended.log);
            assert_eq!(ended.code, Some(3), "{what}: not to be tried again: {message}");
            assert!(message.contains(named) && message.contains("create a new run"), "{what}: {message}");
            assert!(scored.has_no_result(), "{what}");
        }
    }
}

#[test]
fn without_a_fault_it_is_solved() {
    let scored = Scored::new();
    let ended = scored.solve("groups");
    assert_eq!((ended.code, &ended.message["pairs"]), (Some(0), &json!(5)), "{}", ended.log);
    let content = std::fs::read(scored.path("pairs/1.pairs")).unwrap();
    assert_eq!(PairReader::new("pairs", &content[..]).unwrap().count(), 3);
    let result = std::fs::read_to_string(scored.path("result/groups.json")).unwrap();
    assert_eq!(result, r#"{"groups":[[[0,0],[1,0]],[[0,1],[1,2]],[[0,5],[1,5]],[[0,6],[1,6]]]}"#);
}
