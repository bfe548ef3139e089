//! A mask that only the holder of a key can read: PyPI's `phe` makes the key and reads the mask (`encrypted_mask.py`).

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use support::example;
use support::program::{job, scorer, seed_of};

const RECORDS: [usize; 2] = [24, 17];
const BYTES: usize = 128;

/// The script under the interpreter that `LINKAGE_PYTHON` names, else `python3`; it must have phe.
fn judge(arguments: &[&str]) {
    let python = std::env::var_os("LINKAGE_PYTHON").map_or_else(|| "python3".into(), PathBuf::from);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/encrypted_mask.py");
    let output = Command::new(&python).arg(script).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{} {arguments:?}: {said}\nIf phe is missing, run tests/setup/install.",
        python.display()
    );
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn json_file(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Encodings of two parties: every third record of the second is one of the first.
fn write_encodings(folder: &Path) -> Vec<(usize, usize)> {
    let all = std::fs::read(example("hospital-b.bin")).unwrap();
    let encoding = |record: usize| &all[record * BYTES..][..BYTES];
    let first: Vec<&[u8]> = (0..RECORDS[0]).map(encoding).collect();
    let second = (0..RECORDS[1]).map(|record| if record % 3 == 0 { 23 - record } else { 1000 + record });
    let matches = (0..RECORDS[1]).filter(|record| record % 3 == 0).map(|record| (23 - record, record));
    std::fs::write(folder.join("a"), first.concat()).unwrap();
    std::fs::write(folder.join("b"), second.map(encoding).collect::<Vec<_>>().concat()).unwrap();
    matches.collect()
}

fn plan(store: &Path, key: &Value, shards: u32) -> Value {
    let inputs: Vec<Value> = ["a", "b"]
        .iter()
        .enumerate()
        .map(|(dataset, party)| {
            let source = json!({"encodings": party, "encodingBytes": BYTES});
            let plan = json!({"version": 2, "project": "p", "party": party, "source": source,
                "blocking": false, "output": format!("projects/p/parties/{dataset}/u/")});
            let ended = job(&["ingest"], store, &plan);
            assert_eq!(ended.code, Some(0), "{}", ended.log);
            let mut input = ended.message;
            input["party"] = json!(party);
            input
        })
        .collect();
    json!({"version": 2, "run": "r", "threshold": 1.0, "resultType": "permutations", "blocking": false,
        "inputs": inputs, "output": "runs/r/", "shards": shards, "memoryLimitBytes": 256 << 20,
        "maskKey": key["n"]})
}

/// The positions to which the permutations bring matching records.
fn matched_positions(results: &Path, matches: &[(usize, usize)]) -> Vec<u64> {
    let permutations = [0, 1].map(|party| json_file(&results.join(format!("permutation-{party}.json"))));
    let at = |party: usize, record: usize| permutations[party]["permutation"][record].as_u64().unwrap();
    for permutation in &permutations {
        assert_eq!(permutation["rows"], RECORDS[0].min(RECORDS[1]), "the length of the mask");
    }
    let position = |&(first, second): &(usize, usize)| {
        assert_eq!(at(0, first), at(1, second));
        at(0, first)
    };
    matches.iter().map(position).collect()
}

#[test]
fn only_the_holder_of_the_key_reads_the_mask() {
    let (keys, store) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // of no whole number of bytes
    judge(&["key", text(keys.path()), "2050"]);
    let matches = write_encodings(store.path());
    let plan = plan(store.path(), &json_file(&keys.path().join("public.json")), 1);
    // as a pod that was ended before it could write the summary
    std::fs::create_dir_all(store.path().join("runs/r")).unwrap();
    let seed = store.path().join("runs/r").join(seed_of(&plan));
    std::fs::write(&seed, [7; 32]).unwrap();
    let ended = job(&["score"], store.path(), &plan);
    assert_eq!((ended.code, &ended.message["groups"]), (Some(0), &json!(6)), "{}", ended.log);

    let results = store.path().join("runs/r/result");
    let positions = matched_positions(&results, &matches);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&results).unwrap().map(|entry| entry.unwrap().path()).collect();
    // not of the mask
    files.retain(|file| !file.ends_with("scores.json"));
    files.sort();
    assert_eq!(files.len(), 3);
    let mut arguments = vec!["check", text(keys.path())];
    let positions = json!(positions).to_string();
    arguments.push(&positions);
    arguments.extend(files.iter().map(|file| text(file)));
    judge(&arguments);
    for file in &files {
        let mask = json_file(file)["mask"].as_array().unwrap().clone();
        assert_eq!(mask.len(), 17);
        assert!(mask.iter().all(Value::is_object), "nothing is in the clear");
    }
    assert!(!seed.exists(), "whoever has the seed can tell which records match");

    // the same pod again writes the same bytes
    let before: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    std::fs::remove_file(store.path().join("runs/r/summary.json")).unwrap();
    std::fs::write(&seed, [7; 32]).unwrap();
    assert_eq!(job(&["solve"], store.path(), &plan).code, Some(0));
    let after: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    assert!(before == after);
}

#[test]
fn plans_with_a_key_that_cannot_be_used_are_refused() {
    let store = tempfile::tempdir().unwrap();
    write_encodings(store.path());
    let good = plan(store.path(), &json!({"n": "_".repeat(342)}), 1);
    for (field, value) in
        [("maskKey", json!("_".repeat(171))), ("maskKey", json!("?")), ("resultType", json!("groups"))]
    {
        let mut plan = good.clone();
        plan[field] = value;
        let ended = job(&["score"], store.path(), &plan);
        assert_eq!((ended.code, &ended.message["reason"]), (Some(3), &json!("UnsupportedPlan")), "{field}");
    }
}

#[test]
fn a_laptop_encrypts_the_mask_too() {
    let folder = tempfile::tempdir().unwrap();
    judge(&["key", text(folder.path()), "2048"]);
    let matches = write_encodings(folder.path());
    let key =
        std::fs::read_to_string(folder.path().join("public.json")).unwrap().replace("\"n\":", "\"modulus\":");
    let manifests = format!(
        "apiVersion: pprl.dev/v1alpha1\nkind: LinkageProject\nmetadata: {{name: project}}\n\
         spec:\n  resultType: Permutations\n  encoding: {{bits: 1024}}\n  paillierPublicKey: {key}\n  \
         parties: [{{name: a, source: {{encodings: a}}}}, {{name: b, source: {{encodings: b}}}}]\n---\n\
         apiVersion: pprl.dev/v1alpha1\nkind: LinkageRun\nmetadata: {{name: first}}\n\
         spec: {{projectRef: {{name: project}}, threshold: 1.0}}\n"
    );
    let run = |manifests: &str| {
        std::fs::write(folder.path().join("link.yaml"), manifests).unwrap();
        scorer(&["run", "link.yaml", "--output", "results"]).current_dir(folder.path()).output().unwrap()
    };
    let short = "A".repeat(342);
    let refused =
        run(&manifests.replace(json_file(&folder.path().join("public.json"))["n"].as_str().unwrap(), &short));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("Paillier public key"), "{refused:?}");
    let output = run(&manifests);
    assert!(output.status.success(), "{output:?}");
    let results = folder.path().join("results");
    for party in [0, 1] {
        let name = format!("permutation-{party}.json");
        std::fs::rename(results.join(format!("first-{name}")), results.join(name)).unwrap();
    }
    let positions = json!(matched_positions(&results, &matches)).to_string();
    judge(&["check", text(folder.path()), &positions, text(&results.join("first-mask.json"))]);
}
