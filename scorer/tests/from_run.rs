//! Solving again without scoring again: a run that takes over the pairs of an earlier one.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::example;
use support::program::{Ended, job};

/// A store in a folder, with what two parties have contributed.
struct Cluster {
    folder: tempfile::TempDir,
    inputs: Vec<Value>,
}

impl Cluster {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("sources")).unwrap();
        let inputs = ["a", "b"].into_iter().enumerate().map(|(dataset, party)| {
            let source = format!("sources/{party}.json");
            let file = example("thousand").join(format!("hospital-{party}.json"));
            std::fs::copy(file, folder.path().join(&source)).unwrap();
            let plan = json!({"version": 2, "project": "p", "party": party, "source": {"encodings": source},
                "blocking": false, "output": format!("projects/p/parties/{dataset}/u/")});
            let ended = job(&["ingest"], folder.path(), &plan);
            assert_eq!(ended.code, Some(0), "{}", ended.log);
            let mut input = ended.message;
            input["party"] = party.into();
            input
        });
        let inputs = inputs.collect();
        Self { inputs, folder }
    }

    fn store(&self) -> &Path {
        self.folder.path()
    }

    fn plan(&self, run: &str, threshold: f64, shards: u32) -> Value {
        json!({"version": 2, "run": run, "threshold": threshold, "resultType": "similarity_scores",
            "blocking": false, "inputs": self.inputs, "output": format!("runs/{run}/"), "shards": shards,
            "memoryLimitBytes": 256 << 20})
    }

    /// Scores and solves.
    fn scored(&self, run: &str, threshold: f64, shards: u32) -> Value {
        let plan = self.plan(run, threshold, shards);
        for shard in 0..shards {
            let ended = job(&["score", "--shard", &shard.to_string()], self.store(), &plan);
            assert_eq!(ended.code, Some(0), "{}", ended.log);
        }
        let ended = job(&["solve"], self.store(), &plan);
        assert_eq!(ended.code, Some(0), "{}", ended.log);
        ended.message
    }

    fn reuse(&self, run: &str, threshold: f64, shards: u32, earlier: &str) -> Ended {
        let mut plan = self.plan(run, threshold, shards);
        plan["pairsFrom"] = self.pairs_of(earlier);
        job(&["solve"], self.store(), &plan)
    }

    /// How the plan of a later run names an earlier one.
    fn pairs_of(&self, run: &str) -> Value {
        let manifest = std::fs::read(self.path(&format!("runs/{run}/summary.json"))).unwrap();
        let work = serde_json::from_slice::<Value>(&manifest).unwrap()["work"].clone();
        json!({"run": run, "output": format!("runs/{run}/"), "work": work})
    }

    fn path(&self, key: &str) -> PathBuf {
        self.store().join(key)
    }

    fn result(&self, run: &str) -> Vec<u8> {
        std::fs::read(self.path(&format!("runs/{run}/result/similarity_scores.json"))).unwrap()
    }
}

#[test]
fn finds_what_scoring_anew_finds_also_when_the_earlier_runs_are_gone() {
    let cluster = Cluster::new();
    let first = cluster.scored("first", 0.6, 3);
    let mut before = "first".to_owned();
    for threshold in [0.6, 0.75, 0.8, 0.95, 1.0] {
        let anew = format!("anew-{threshold}");
        let expected = cluster.scored(&anew, threshold, 1);
        let again = format!("again-{threshold}");
        let ended = cluster.reuse(&again, threshold, 3, &before);
        assert_eq!(ended.code, Some(0), "{}", ended.log);
        assert!(cluster.result(&again) == cluster.result(&anew), "{threshold}");
        assert_eq!(ended.message["pairs"], expected["pairs"]);
        assert_eq!(ended.message["comparisons"], first["comparisons"]);
        // the next takes its pairs from this one
        std::fs::remove_dir_all(cluster.path(&format!("runs/{before}"))).unwrap();
        before = again;
    }
}

#[test]
fn another_solver_may_solve_the_same_pairs() {
    let cluster = Cluster::new();
    cluster.scored("first", 0.6, 3);
    let groups = |run: &str| std::fs::read(cluster.path(&format!("runs/{run}/result/groups.json"))).unwrap();
    for (number, solver) in [
        json!({"algorithm": "greedy", "mergeThreshold": 0.5, "oneToOne": false}),
        json!({"algorithm": "optimal"}),
        json!({"algorithm": "optimal", "maxComponentRecords": 10}),
    ]
    .into_iter()
    .enumerate()
    {
        let plan = |run: &str, shards: u32| {
            let mut plan = cluster.plan(run, 0.7, shards);
            plan["resultType"] = "groups".into();
            plan["solver"] = solver.clone();
            plan
        };
        let (anew, again) = (format!("anew-{number}"), format!("again-{number}"));
        let scored = job(&["score"], cluster.store(), &plan(&anew, 1));
        assert_eq!(scored.code, Some(0), "{}", scored.log);
        let mut reuse = plan(&again, 3);
        reuse["pairsFrom"] = cluster.pairs_of("first");
        let reused = job(&["solve"], cluster.store(), &reuse);
        assert_eq!(reused.code, Some(0), "{}", reused.log);
        assert!(groups(&again) == groups(&anew), "{solver}");
        assert_eq!(reused.message["solving"], scored.message["solving"]);
        assert_eq!(reused.message["solving"].is_null(), number == 0);
    }
    // the largest component of 34 records is too large for the third
    let summary: Value =
        serde_json::from_slice(&std::fs::read(cluster.path("runs/again-2/summary.json")).unwrap()).unwrap();
    let solving = &summary["solving"];
    assert_eq!((&solving["components"], &solving["largestComponentRecords"]), (&json!(831), &json!(34)));
    assert!(solving["greedyComponents"].as_u64().unwrap() > 0, "{solving}");
}

#[test]
fn solvers_that_make_no_sense_are_refused_in_words() {
    let cluster = Cluster::new();
    for (result_type, solver) in [
        ("similarity_scores", json!({"algorithm": "greedy"})),
        ("permutations", json!({"algorithm": "greedy", "oneToOne": false})),
        ("groups", json!({"algorithm": "greedy", "mergeThreshold": 0})),
        ("groups", json!({"algorithm": "optimal", "maxComponentRecords": 1})),
        ("groups", json!({"algorithm": "best"})),
    ] {
        let mut plan = cluster.plan("first", 0.8, 1);
        plan["resultType"] = result_type.into();
        plan["solver"] = solver;
        let ended = job(&["score"], cluster.store(), &plan);
        let told = (ended.code, &ended.message["reason"]);
        assert_eq!(told, (Some(3), &json!("UnsupportedPlan")), "{plan}: {}", ended.log);
    }
}

#[test]
fn is_the_very_threshold_kept_and_its_neighbour_not() {
    let cluster = Cluster::new();
    cluster.scored("first", 0.6, 1);
    let scores: Value = serde_json::from_slice(&cluster.result("first")).unwrap();
    let score = scores["similarity_scores"][500][2].as_f64().unwrap();
    for threshold in [score.next_down(), score, score.next_up()] {
        let (anew, again) = (format!("anew-{threshold:e}"), format!("again-{threshold:e}"));
        cluster.scored(&anew, threshold, 1);
        assert_eq!(cluster.reuse(&again, threshold, 1, "first").code, Some(0));
        assert!(cluster.result(&again) == cluster.result(&anew), "{threshold}");
    }
}

#[test]
fn a_retried_pod_goes_on_where_it_was() {
    let cluster = Cluster::new();
    cluster.scored("first", 0.6, 3);
    assert_eq!(cluster.reuse("second", 0.8, 3, "first").code, Some(0));
    let result = cluster.result("second");
    std::fs::remove_file(cluster.path("runs/second/summary.json")).unwrap();
    std::fs::remove_file(cluster.path("runs/second/pairs/1.json")).unwrap();
    // shards that have been taken over are not needed again
    std::fs::remove_file(cluster.path("runs/first/pairs/0.pairs")).unwrap();
    let ended = cluster.reuse("second", 0.8, 3, "first");
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(cluster.result("second") == result);
}

#[test]
fn pairs_that_are_not_what_was_scored_are_not_handed_on() {
    let cluster = Cluster::new();
    cluster.scored("first", 0.6, 2);
    let pairs = cluster.path("runs/first/pairs/1.pairs");
    let original = std::fs::read(&pairs).unwrap();
    // the very last pair is far below the threshold of the later run
    let mut flipped = original.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let refused = |what: &str| {
        let ended = cluster.reuse("second", 0.95, 2, "first");
        let told = (ended.code, &ended.message["reason"]);
        assert_eq!(told, (Some(3), &json!("CorruptObject")), "{what}: {}", ended.log);
        assert!(!cluster.path("runs/second/pairs/1.json").exists(), "{what}");
        assert!(!cluster.path("runs/second/result").join("similarity_scores.json").exists(), "{what}");
        ended.message["message"].as_str().unwrap().to_owned()
    };
    for (what, changed) in
        [("flipped", &flipped[..]), ("cut off", &original[..original.len() - 24]), ("empty", &[])]
    {
        std::fs::write(&pairs, changed).unwrap();
        assert!(refused(what).contains("runs/first/pairs/1.pairs"));
    }
    std::fs::write(&pairs, &original).unwrap();
    let manifest = cluster.path("runs/first/pairs/1.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    for (from, to) in
        [("\"shards\":2", "\"shards\":3"), ("\"pairs\":", "\"pairs\":1"), ("\"version\":2", "\"version\":9")]
    {
        assert!(text.contains(from), "{text}");
        std::fs::write(&manifest, text.replace(from, to)).unwrap();
        refused(to);
    }
    std::fs::remove_file(&manifest).unwrap();
    let told = refused("no manifest");
    assert!(told.contains("the pairs of run first were deleted"), "{told}");
    std::fs::write(&manifest, text).unwrap();
    std::fs::remove_file(&pairs).unwrap();
    assert!(refused("no pairs").contains("the pairs of run first were deleted"));
}

#[test]
fn plans_that_make_no_sense_are_refused_in_words() {
    let cluster = Cluster::new();
    let mut plan = cluster.plan("second", 0.8, 1);
    let refused = |subcommand: &str, plan: &Value, why: &str| {
        let ended = job(&[subcommand], cluster.store(), plan);
        let told = (ended.code, &ended.message["reason"]);
        assert_eq!(told, (Some(3), &json!("UnsupportedPlan")), "{why}: {}", ended.log);
        assert!(ended.message["message"].as_str().unwrap().contains(why), "{}", ended.message);
    };
    plan["pairsFrom"] = json!({"run": "first", "output": "runs/first/", "work": "0".repeat(64)});
    refused("score", &plan, "nothing to score");
    plan["pairsFrom"]["output"] = "runs/second/".into();
    refused("solve", &plan, "its pairs from the run itself");
    plan["pairsFrom"]["output"] = "runs/first".into();
    refused("solve", &plan, "must end in '/'");
    plan["pairsFrom"] = json!({"run": "first", "output": "runs/first/", "work": "?"});
    refused("solve", &plan, "pairsFrom.work must be a digest");
    plan["pairsFrom"] = json!({"run": "first", "output": "runs/first/"});
    refused("solve", &plan, "missing field `work`");
}

#[test]
fn pairs_of_other_work_are_not_taken_over() {
    let cluster = Cluster::new();
    cluster.scored("first", 0.6, 2);
    let mut plan = cluster.plan("second", 0.8, 2);
    plan["pairsFrom"] = cluster.pairs_of("first");
    plan["pairsFrom"]["work"] = "0".repeat(64).into();
    let ended = job(&["solve"], cluster.store(), &plan);
    assert_eq!((ended.code, &ended.message["reason"]), (Some(3), &json!("CorruptObject")), "{}", ended.log);
    assert!(ended.message["message"].as_str().unwrap().contains("runs/first/pairs/"), "{}", ended.message);
    // what was taken over under an earlier plan is taken over again under a later one
    assert_eq!(cluster.reuse("second", 0.7, 2, "first").code, Some(0));
    let ended = cluster.reuse("second", 0.9, 2, "first");
    let expected = cluster.scored("anew", 0.9, 2);
    assert_eq!((ended.code, &ended.message["pairs"]), (Some(0), &expected["pairs"]), "{}", ended.log);
    assert!(cluster.result("second") == cluster.result("anew"));
    let manifest = std::fs::read(cluster.path("runs/second/pairs/1.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&manifest).unwrap()["work"], ended.message["work"]);
}
