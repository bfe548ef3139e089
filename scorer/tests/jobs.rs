//! The subcommands of the Jobs, as a pod runs them.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use serde_json::{Value, json};
use support::example;
use support::program::{Ended, get, job, poll, run_job, scorer, sealed, seed_of};
use support::weed::{self, Weed};

/// A store in a folder, with the sources of two parties.
struct Cluster {
    folder: tempfile::TempDir,
}

impl Cluster {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("sources")).unwrap();
        for (name, file) in [("a.json", "hospital-a.json"), ("b.json", "hospital-b.json")] {
            std::fs::copy(example("thousand").join(file), folder.path().join("sources").join(name)).unwrap();
        }
        Self { folder }
    }

    fn store(&self) -> &Path {
        self.folder.path()
    }

    fn ingest(&self, dataset: usize, source: Value) -> Ended {
        job(&["ingest"], self.store(), &ingest_plan(dataset, source))
    }

    /// The contributions of both parties.
    fn contributions(&self) -> [Value; 2] {
        ["a", "b"].map(|party| {
            let dataset = usize::from(party == "b");
            let ended = self.ingest(dataset, json!({"encodings": format!("sources/{party}.json")}));
            assert_eq!(ended.code, Some(0), "{}", ended.log);
            ended.message
        })
    }

    fn json(&self, key: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.store().join(key)).unwrap()).unwrap()
    }

    fn has(&self, key: &str) -> bool {
        self.store().join(key).exists()
    }
}

fn ingest_plan(dataset: usize, source: Value) -> Value {
    json!({"version": 2, "project": "p", "party": "party", "source": source, "blocking": false,
        "output": format!("projects/p/parties/{dataset}/u/")})
}

fn run_plan(contributions: &[Value], result_type: &str, shards: u32) -> Value {
    let inputs: Vec<Value> = contributions
        .iter()
        .map(|contribution| {
            let mut input = contribution.clone();
            input["party"] = "party".into();
            input
        })
        .collect();
    json!({"version": 2, "run": "r", "threshold": 0.8, "resultType": result_type, "blocking": false,
        "inputs": inputs, "output": "runs/r/", "shards": shards, "memoryLimitBytes": 256 << 20})
}

#[test]
fn ingest_says_what_it_has_taken_in_and_does_it_once() {
    let cluster = Cluster::new();
    let [first, _] = cluster.contributions();
    assert_eq!((&first["records"], &first["encodingBytes"]), (&json!(1000), &json!(128)));
    assert_eq!(cluster.json("projects/p/parties/0/u/contribution.json"), first);
    // again, without the source: all is done
    let again = cluster.ingest(0, json!({"encodings": "sources/gone.json"}));
    assert_eq!((again.code, again.message), (Some(0), first));
}

#[test]
fn a_source_at_fault_is_told_apart_from_trouble() {
    let cluster = Cluster::new();
    let sources = cluster.store().join("sources");
    std::fs::write(sources.join("malformed.json"), "{\"clks\": [").unwrap();
    std::fs::write(sources.join("base64.json"), "{\"clks\": [\"!\"]}").unwrap();
    std::fs::write(sources.join("empty.json"), "{\"clks\": []}").unwrap();
    std::fs::write(sources.join("odd.json"), "{\"clks\": [\"AAAA\"]}").unwrap();
    std::fs::write(sources.join("raw"), [0; 100]).unwrap();
    for (source, reason) in [
        (json!({"encodings": "sources/none.json"}), "SourceNotFound"),
        (json!({"encodings": "sources/malformed.json"}), "MalformedJson"),
        (json!({"encodings": "sources/base64.json"}), "InvalidBase64"),
        (json!({"encodings": "sources/empty.json"}), "EmptyData"),
        (json!({"encodings": "sources/odd.json"}), "EncodingSizeMismatch"),
        (json!({"encodings": "sources/a.json", "encodingBytes": 64}), "EncodingSizeMismatch"),
        (json!({"encodings": "sources/raw", "encodingBytes": 64}), "TruncatedData"),
        (json!({"encodings": "sources/raw"}), "EncodingSizeMismatch"),
        (json!({"encodings": "sources/a.json", "blocks": "sources/b.json"}), "InvalidBlocks"),
    ] {
        let ended = cluster.ingest(0, source.clone());
        assert_eq!(
            (ended.code, &ended.message["reason"]),
            (Some(3), &json!(reason)),
            "{source}: {}",
            ended.log
        );
        assert!(ended.message["message"].as_str().unwrap().len() > 20);
        assert!(!cluster.has("projects/p/parties/0/u/contribution.json"));
        assert!(!cluster.has("projects/p/parties/0/u/encodings"));
    }
    let away = run_job(
        scorer(&["ingest", "--store-url", "s3://bucket", "--store-endpoint", "http://127.0.0.1:1"])
            .args(["--store-patience-seconds", "0", "--plan"])
            .arg(ingest_plan(0, json!({"encodings": "sources/a.json"})).to_string())
            .envs(weed::credentials()),
    );
    assert_eq!((away.code, &away.message["reason"]), (Some(1), &json!("StoreUnavailable")), "{}", away.log);
    assert!(!away.log.contains("test-secret-key"));
}

#[test]
fn blocks_may_come_in_an_object_of_their_own() {
    let cluster = Cluster::new();
    let blocks: serde_json::Map<_, _> = (0..1000).map(|i| (i.to_string(), json!([i % 10, "all"]))).collect();
    std::fs::write(cluster.store().join("sources/blocks"), json!({"blocks": blocks}).to_string()).unwrap();
    let mut plan = ingest_plan(0, json!({"encodings": "sources/a.json", "blocks": "sources/blocks"}));
    plan["blocking"] = true.into();
    let ended = job(&["ingest"], cluster.store(), &plan);
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert_eq!(ended.message["blocks"], "projects/p/parties/0/u/blocks");
    std::fs::write(cluster.store().join("sources/blocks"), json!({"blocks": {"1000": []}}).to_string())
        .unwrap();
    plan["output"] = "projects/p/parties/1/u/".into();
    let ended = job(&["ingest"], cluster.store(), &plan);
    assert_eq!((ended.code, &ended.message["reason"]), (Some(3), &json!("InvalidBlocks")), "{}", ended.log);
    assert!(!cluster.has("projects/p/parties/1/u/encodings"));
}

#[test]
fn blocks_that_are_not_what_was_contributed_are_never_linked() {
    let cluster = Cluster::new();
    let blocks: serde_json::Map<_, _> = (0..1000).map(|i| (i.to_string(), json!([i % 10]))).collect();
    std::fs::write(cluster.store().join("sources/blocks"), json!({"blocks": blocks}).to_string()).unwrap();
    let contributions = ["a", "b"].map(|party| {
        let source = json!({"encodings": format!("sources/{party}.json"), "blocks": "sources/blocks"});
        let mut plan = ingest_plan(usize::from(party == "b"), source);
        plan["blocking"] = true.into();
        let ended = job(&["ingest"], cluster.store(), &plan);
        assert_eq!(ended.code, Some(0), "{}", ended.log);
        ended.message
    });
    let object = cluster.store().join("projects/p/parties/1/u/blocks");
    let written = std::fs::read(&object).unwrap();
    assert_eq!(contributions[1]["blocksBlake3"], blake3::hash(&written).to_hex().as_str());
    let mut plan = run_plan(&contributions, "groups", 1);
    plan["blocking"] = true.into();
    for input in plan["inputs"].as_array_mut().unwrap() {
        // what a contribution tells beside what a plan says of it
        input.as_object_mut().unwrap().remove("recordsWithoutBlock");
    }

    // the first record is in block 1 instead of 0: as well-formed as before
    let mut changed = written.clone();
    changed[6] = b'1';
    std::fs::write(&object, changed).unwrap();
    let ended = job(&["score"], cluster.store(), &plan);
    assert_eq!((ended.code, &ended.message["reason"]), (Some(3), &json!("CorruptObject")), "{}", ended.log);
    let told = ended.message["message"].as_str().unwrap();
    assert!(told.contains("not what party party contributed") && told.contains("1/u/blocks"), "{told}");
    assert!(!cluster.has("runs/r/summary.json"));

    std::fs::write(&object, written).unwrap();
    assert_eq!(job(&["score"], cluster.store(), &plan).code, Some(0));
    // what an earlier version took in has no hash of its blocks
    for input in plan["inputs"].as_array_mut().unwrap() {
        input.as_object_mut().unwrap().remove("blocksBlake3");
    }
    plan["output"] = "runs/s/".into();
    assert_eq!(job(&["score"], cluster.store(), &plan).code, Some(0));
}

#[test]
fn one_shard_is_scored_and_solved_at_once() {
    let cluster = Cluster::new();
    let plan = run_plan(&cluster.contributions(), "groups", 1);
    let ended = job(&["score"], cluster.store(), &plan);
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    let summary = cluster.json("runs/r/summary.json");
    assert_eq!(ended.message, summary);
    assert_eq!(
        (&summary["comparisons"], &summary["pairs"], &summary["groups"]),
        (&json!(1_000_000), &json!(948), &json!(948))
    );
    assert_eq!(summary["results"][0]["key"], "runs/r/result/groups.json");
    assert_eq!(cluster.json("runs/r/result/groups.json")["groups"].as_array().unwrap().len(), 948);
    // a pod that is started again does nothing
    std::fs::remove_file(cluster.store().join("runs/r/result/groups.json")).unwrap();
    for subcommand in ["score", "solve"] {
        assert_eq!(job(&[subcommand], cluster.store(), &plan).message, summary);
    }
    assert!(!cluster.has("runs/r/result/groups.json"));
}

#[test]
fn shards_are_scored_one_by_one_and_solved_together() {
    let cluster = Cluster::new();
    let contributions = cluster.contributions();
    assert_eq!(
        job(&["score"], cluster.store(), &run_plan(&contributions, "similarity_scores", 1)).code,
        Some(0)
    );
    let whole = std::fs::read(cluster.store().join("runs/r/result/similarity_scores.json")).unwrap();

    let mut plan = run_plan(&contributions, "similarity_scores", 3);
    plan["output"] = "runs/s/".into();
    let early = job(&["solve"], cluster.store(), &plan);
    assert_eq!((early.code, &early.message["reason"]), (Some(3), &json!("CorruptObject")), "{}", early.log);
    for shard in ["2", "0", "1"] {
        let ended = job(&["score", "--shard", shard], cluster.store(), &plan);
        assert_eq!(ended.code, Some(0), "{}", ended.log);
        assert_eq!(cluster.json(&format!("runs/s/pairs/{shard}.json")), ended.message);
        assert!(!cluster.has("runs/s/summary.json"));
    }
    let ended = job(&["solve"], cluster.store(), &plan);
    assert_eq!((ended.code, &ended.message["pairs"]), (Some(0), &json!(948)), "{}", ended.log);
    assert!(whole == std::fs::read(cluster.store().join("runs/s/result/similarity_scores.json")).unwrap());
}

#[test]
fn what_the_shards_have_counted_is_checked_and_may_be_missing() {
    let cluster = Cluster::new();
    let plan = run_plan(&cluster.contributions(), "groups", 2);
    for shard in ["0", "1"] {
        assert_eq!(job(&["score", "--shard", shard], cluster.store(), &plan).code, Some(0));
    }
    let counted = cluster.store().join("runs/r/pairs/1.scores.json");
    let good = std::fs::read_to_string(&counted).unwrap();
    for bad in ["{", "{}", &good.replace("\"shards\":2", "\"shards\":3"), &good.replacen("[0,", "[", 1)] {
        std::fs::write(&counted, bad).unwrap();
        let ended = job(&["solve"], cluster.store(), &plan);
        assert_eq!((ended.code, &ended.message["reason"]), (Some(3), &json!("CorruptObject")), "{bad}");
        assert!(ended.message["message"].as_str().unwrap().contains("pairs/1.scores.json"), "{bad}");
        assert!(!cluster.has("runs/r/summary.json"));
    }
    std::fs::write(&counted, good).unwrap();
    let summary = job(&["solve"], cluster.store(), &plan).message;
    assert_eq!(summary["scores"]["key"], "runs/r/result/scores.json");
    let counts = cluster.json("runs/r/result/scores.json")["histograms"][0]["counts"].clone();
    assert_eq!(summary["scores"]["counts"], counts);
    let at_or_above: f64 = counts.as_array().unwrap()[20..].iter().map(|count| count.as_f64().unwrap()).sum();
    assert_eq!(at_or_above, 948.0);

    std::fs::remove_file(counted).unwrap();
    std::fs::remove_file(cluster.store().join("runs/r/summary.json")).unwrap();
    let without = job(&["solve"], cluster.store(), &plan);
    assert_eq!((without.code, without.message.get("scores")), (Some(0), None), "{}", without.log);
}

#[test]
fn a_retried_pod_draws_the_same_permutations_and_the_seed_does_not_stay() {
    let cluster = Cluster::new();
    let plan = run_plan(&cluster.contributions(), "permutations", 1);
    std::fs::create_dir_all(cluster.store().join("runs/r")).unwrap();
    let seed = cluster.store().join("runs/r").join(seed_of(&plan));
    let draw = || {
        assert_eq!(job(&["score"], cluster.store(), &plan).code, Some(0));
        assert!(!seed.exists());
        std::fs::remove_file(cluster.store().join("runs/r/summary.json")).unwrap();
        ["mask", "permutation-0", "permutation-1"]
            .map(|name| cluster.json(&format!("runs/r/result/{name}.json")))
    };
    std::fs::write(&seed, [7; 32]).unwrap();
    let first = draw();
    std::fs::write(&seed, [7; 32]).unwrap();
    assert_eq!(draw(), first);
    // without a seed from before, it draws one that nobody knows
    assert_ne!(draw(), first);
}

#[test]
fn what_was_changed_in_the_store_is_found() {
    let cluster = Cluster::new();
    let contributions = cluster.contributions();
    let plan = run_plan(&contributions, "groups", 2);
    let encodings = cluster.store().join("projects/p/parties/1/u/encodings");
    let original = std::fs::read(&encodings).unwrap();
    let mut flipped = original.clone();
    flipped[77] ^= 1;
    for changed in [&flipped[..], &original[..original.len() - 128], &[]] {
        std::fs::write(&encodings, changed).unwrap();
        let ended = job(&["score", "--shard", "0"], cluster.store(), &plan);
        assert_eq!(
            (ended.code, &ended.message["reason"]),
            (Some(3), &json!("CorruptObject")),
            "{}",
            ended.log
        );
    }
    std::fs::write(&encodings, &original).unwrap();
    for shard in ["0", "1"] {
        assert_eq!(job(&["score", "--shard", shard], cluster.store(), &plan).code, Some(0));
    }
    let pairs = cluster.store().join("runs/r/pairs/1.pairs");
    let original = std::fs::read(&pairs).unwrap();
    let mut flipped = original.clone();
    let last = flipped.len() - 1;
    flipped[last - 30] ^= 1;
    for changed in [&flipped[..], &original[..last], &[]] {
        std::fs::write(&pairs, changed).unwrap();
        let ended = job(&["solve"], cluster.store(), &plan);
        assert_eq!(
            (ended.code, &ended.message["reason"]),
            (Some(3), &json!("CorruptObject")),
            "{}",
            ended.log
        );
        assert!(!cluster.has("runs/r/result/groups.json"));
    }
    std::fs::write(&pairs, original).unwrap();
    assert_eq!(job(&["solve"], cluster.store(), &plan).code, Some(0));
}

#[test]
fn too_little_memory_is_said_not_suffered() {
    let cluster = Cluster::new();
    let plan = run_plan(&cluster.contributions(), "groups", 1);
    let ended = job(&["score", "--memory-limit", "1000000"], cluster.store(), &plan);
    assert_eq!((ended.code, &ended.message["reason"]), (Some(3), &json!("OutOfMemory")), "{}", ended.log);
    assert!(ended.message["message"].as_str().unwrap().contains("raise spec.resources.limits.memory"));
}

#[test]
fn a_plan_that_is_not_understood_is_refused_for_good_and_in_words() {
    let cluster = Cluster::new();
    let good = sealed(run_plan(&cluster.contributions(), "groups", 1));
    let ingest = ingest_plan(0, json!({"encodings": "sources/a.json"}));
    let cases: &[(&str, &Value, &str, Value, &str)] = &[
        (
            "score",
            &good,
            "/version",
            json!(3),
            "understands plans of version 2, the plan is of version 3; let",
        ),
        ("solve", &good, "/version", json!(1), "the plan is of version 1"),
        ("ingest", &ingest, "/version", json!(3), "the plan is of version 3"),
        ("score", &good, "/later", json!(1), "unknown field `later`"),
        ("score", &good, "/inputs/0/later", json!(1), "unknown field `later`"),
        ("solve", &good, "/solver", json!({"algorithm": "greedy", "later": 1}), "unknown field `later`"),
        ("ingest", &ingest, "/later", json!(1), "unknown field `later`"),
        ("ingest", &ingest, "/source/later", json!(1), "unknown field `later`"),
        ("ingest", &ingest, "/limits", json!({"later": 1}), "unknown field `later`"),
        ("score", &good, "/work", json!("0123"), "its work must be a digest"),
        ("score", &good, "/shards", json!(0), "one shard or more"),
        ("score", &good, "/inputs", json!([]), "two inputs or more"),
        ("score", &good, "/output", json!("runs/r"), "its output must end in '/'"),
        ("score", &good, "/blocking", json!(true), "some input has no blocks"),
    ];
    for (subcommand, plan, pointer, value, why) in cases {
        let mut plan = (*plan).clone();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        plan.pointer_mut(parent).unwrap()[field] = value.clone();
        let ended = job(&[subcommand], cluster.store(), &plan);
        assert_eq!((ended.code, &ended.message["reason"]), (Some(3), &json!("UnsupportedPlan")), "{pointer}");
        let message = ended.message["message"].as_str().unwrap();
        assert!(message.contains(why) && message.contains("chart value image"), "{pointer}: {message}");
    }
    let mut without = good.clone();
    without.as_object_mut().unwrap().remove("work");
    for text in [without.to_string(), "{".into(), "[]".into(), String::new()] {
        let url = format!("--store-url=file://{}", cluster.store().display());
        let ended = run_job(&mut scorer(&["score", &url, "--plan", &text]));
        assert_eq!((ended.code, &ended.message["reason"]), (Some(3), &json!("UnsupportedPlan")), "{text}");
    }
    let no_such_shard = job(&["score", "--shard", "1"], cluster.store(), &good);
    assert_ne!(no_such_shard.code, Some(0));
}

#[test]
fn a_shard_of_other_work_is_computed_anew_and_its_result_is_replaced() {
    let cluster = Cluster::new();
    let contributions = cluster.contributions();
    let first = run_plan(&contributions, "groups", 2);
    for shard in ["0", "1"] {
        assert_eq!(job(&["score", "--shard", shard], cluster.store(), &first).code, Some(0));
    }
    assert_eq!(job(&["solve"], cluster.store(), &first).code, Some(0));
    // the same keys, other work: the parties in another order
    let mut other = first.clone();
    other["inputs"].as_array_mut().unwrap().reverse();
    let mixed = job(&["solve"], cluster.store(), &other);
    assert_eq!((mixed.code, &mixed.message["reason"]), (Some(3), &json!("CorruptObject")), "{}", mixed.log);
    assert!(mixed.message["message"].as_str().unwrap().contains("other work"), "{}", mixed.message);
    for shard in ["0", "1"] {
        let ended = job(&["score", "--shard", shard], cluster.store(), &other);
        assert_eq!(
            (ended.code, &ended.message["work"]),
            (Some(0), &sealed(other.clone())["work"]),
            "{}",
            ended.log
        );
        assert_eq!(cluster.json(&format!("runs/r/pairs/{shard}.json")), ended.message);
    }
    let solved = job(&["solve"], cluster.store(), &other);
    assert_eq!(solved.code, Some(0), "{}", solved.log);
    assert_eq!(cluster.json("runs/r/summary.json"), solved.message);
    let turned = |groups: Value| -> std::collections::BTreeSet<(u64, u64)> {
        let records = |group: &Value| [0, 1].map(|at| group[at][1].as_u64().unwrap());
        let pairs = groups["groups"].as_array().unwrap().iter().map(records);
        pairs.map(|[a, b]| (b, a)).collect()
    };
    let replaced = turned(cluster.json("runs/r/result/groups.json"));
    assert_eq!(job(&["score"], cluster.store(), &run_plan(&contributions, "groups", 1)).code, Some(0));
    let straight: std::collections::BTreeSet<(u64, u64)> =
        turned(cluster.json("runs/r/result/groups.json")).into_iter().map(|(a, b)| (b, a)).collect();
    assert_eq!(replaced, straight);
}

#[test]
fn a_manifest_that_is_no_use_is_replaced() {
    let cluster = Cluster::new();
    let plan = run_plan(&cluster.contributions(), "groups", 2);
    let scored = || job(&["score", "--shard", "1"], cluster.store(), &plan);
    assert_eq!(scored().code, Some(0));
    let path = cluster.store().join("runs/r/pairs/1.json");
    let good = cluster.json("runs/r/pairs/1.json");
    let with = |field: &str, value: Value| {
        let mut changed = good.clone();
        changed[field] = value;
        changed.to_string()
    };
    let mut old = good.clone();
    old.as_object_mut().unwrap().remove("work");
    for of_no_use in [
        with("version", json!(1)),
        with("work", json!("0".repeat(64))),
        with("shard", json!(0)),
        with("shards", json!(3)),
        old.to_string(),
        "{\"version\"".to_owned(),
    ] {
        std::fs::write(&path, &of_no_use).unwrap();
        let ended = scored();
        assert_eq!(ended.code, Some(0), "{of_no_use}: {}", ended.log);
        let written = cluster.json("runs/r/pairs/1.json");
        assert_eq!((&written["work"], &written["blake3"]), (&good["work"], &good["blake3"]), "{of_no_use}");
    }
    let unchanged = cluster.json("runs/r/pairs/1.json");
    assert_eq!(scored().code, Some(0));
    assert_eq!(cluster.json("runs/r/pairs/1.json"), unchanged, "a shard of this work is not computed twice");
}

#[test]
fn a_pod_shows_its_progress_and_ends_when_asked_to() {
    let cluster = Cluster::new();
    // 40,000 x 40,000 of the largest encodings: minutes of work
    let raw = vec![0x5a; 40_000 * 1024];
    std::fs::write(cluster.store().join("sources/raw"), &raw).unwrap();
    let contributions = [0, 1].map(|dataset| {
        let ended = cluster.ingest(dataset, json!({"encodings": "sources/raw", "encodingBytes": 1024}));
        assert_eq!(ended.code, Some(0), "{}", ended.log);
        ended.message
    });
    let mut plan = run_plan(&contributions, "groups", 2);
    plan["threshold"] = 1.0.into();
    let plan = sealed(plan);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut pod = scorer(&["score", "--listen", &format!("127.0.0.1:{port}"), "--plan", &plan.to_string()])
        .arg(format!("--store-url=file://{}", cluster.store().display()))
        .spawn()
        .unwrap();
    let progress = poll(|| {
        let progress: Value = serde_json::from_str(&get(port, "/progress")?).ok()?;
        (progress["comparisons"].as_u64()? > 0).then_some(progress)
    });
    assert_eq!((&progress["stage"], &progress["totalComparisons"]), (&json!("Scoring"), &json!(800_000_000)));
    assert_eq!(get(port, "/healthz").as_deref(), Some("ok\n"));
    let metrics = get(port, "/metrics").unwrap();
    assert!(metrics.contains("\nlinkage_comparisons_planned 800000000"), "{metrics}");
    assert!(metrics.contains("linkage_stage{stage=\"scoring\"} 1"), "{metrics}");

    let asked = Instant::now();
    let id = pod.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(pod.wait().unwrap().code(), Some(143));
    assert!(asked.elapsed() < Duration::from_secs(8), "{:?}", asked.elapsed());
    assert!(!cluster.has("runs/r/pairs/0.json"));
}

#[test]
fn all_of_it_works_on_s3() {
    if !weed::in_child_with_credentials("all_of_it_works_on_s3") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (weed, store) = runtime.block_on(async {
        let weed = Weed::start().await;
        let store = weed.bucket("jobs").await;
        for party in ["a", "b"] {
            let file = example("thousand").join(format!("hospital-{party}.json"));
            store.upload_from(&file, &format!("sources/{party}.json")).await.unwrap();
        }
        (weed, store)
    });
    let job = |arguments: &[&str], plan: Value| {
        let mut command = scorer(arguments);
        command.args(["--store-url", "s3://jobs/some/prefix", "--store-endpoint", weed.endpoint()]);
        let ended = run_job(command.args(["--plan", &sealed(plan).to_string()]));
        assert_eq!(ended.code, Some(0), "{}", ended.log);
        ended.message
    };
    let contributions = ["a", "b"].map(|party| {
        let source = json!({"encodings": format!("sources/{party}.json")});
        job(&["ingest"], ingest_plan(usize::from(party == "b"), source))
    });
    let plan = run_plan(&contributions, "permutations", 2);
    for shard in ["0", "1"] {
        job(&["score", "--shard", shard], plan.clone());
    }
    let summary = job(&["solve"], plan);
    assert_eq!((&summary["pairs"], &summary["groups"]), (&json!(948), &json!(948)));
    runtime.block_on(async {
        for result in summary["results"].as_array().unwrap() {
            let object = store.head(result["key"].as_str().unwrap()).await.unwrap().unwrap();
            assert_eq!(result["bytes"], object.bytes);
        }
        let seeds: Vec<_> = store.list("runs/r/seed").try_collect().await.unwrap();
        assert_eq!(seeds, []);
        assert!(store.delete_prefix("runs/r/").await.unwrap().objects >= 8);
    });
}
