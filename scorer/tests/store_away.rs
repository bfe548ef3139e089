//! A Job's pod whose store is away, full, or forgets: it waits, says so, and goes on where it was.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use support::fake_s3::{FakeS3, Fault};
use support::program::{get, poll, run_job, scorer, sealed};
use support::weed;

const RECORDS: usize = 1000;
const BYTES: usize = 128;
const AWAY: Fault = Fault::Answer(503, "ServiceUnavailable", "come back later");

/// A store with what two parties have contributed, and how it is reached.
struct Cluster {
    fake: FakeS3,
    runtime: tokio::runtime::Runtime,
}

impl Cluster {
    fn new() -> Self {
        Self::on(0)
    }

    fn on(port: u16) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let fake = runtime.block_on(FakeS3::start_on(port));
        for party in ["a", "b"] {
            fake.insert(&format!("in/{party}"), encodings(party));
        }
        Self { fake, runtime }
    }

    fn requests(&self, of: &str) -> usize {
        self.fake.requests().iter().filter(|line| line.contains(of)).count()
    }
}

/// Encodings without any pattern, the same each time.
fn encodings(party: &str) -> Vec<u8> {
    let mut state = u64::from(party.as_bytes()[0]);
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..RECORDS * BYTES).map(|_| next()).collect()
}

fn plan(threshold: f64) -> Value {
    let input = |party: &str| {
        let blake3 = blake3::hash(&encodings(party)).to_hex().to_string();
        json!({"party": party, "encodings": format!("in/{party}"), "records": RECORDS, "encodingBytes": BYTES, "blake3": blake3})
    };
    sealed(json!({"version": 2, "run": "r", "threshold": threshold, "resultType": "similarity_scores",
        "blocking": false, "inputs": [input("a"), input("b")], "output": "runs/r/", "shards": 2,
        "memoryLimitBytes": 256 << 20}))
}

fn pod(subcommand: &str, endpoint: &str, plan: &Value) -> Command {
    let mut command = scorer(&[subcommand, "--store-url", "s3://fake/p", "--store-endpoint", endpoint]);
    command.args(["--plan", &plan.to_string()]).envs(weed::credentials());
    command
}

/// A pod that runs, and its port.
struct Pod {
    process: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Pod {
    fn start(mut command: Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        command.arg("--termination-log").arg(folder.path().join("log"));
        command.args(["--listen", &format!("127.0.0.1:{port}")]).stdout(Stdio::null());
        Self { process: command.spawn().unwrap(), port, folder }
    }

    /// What it shows once it waits.
    fn waiting(&self) -> Value {
        poll(|| {
            let progress: Value = serde_json::from_str(&get(self.port, "/progress")?).ok()?;
            progress.get("waiting").is_some().then_some(progress)
        })
    }

    fn ended(mut self) -> (Option<i32>, Value) {
        let code = self.process.wait().unwrap().code();
        (code, serde_json::from_slice(&std::fs::read(self.folder.path().join("log")).unwrap()).unwrap())
    }
}

#[test]
fn a_shard_that_has_compared_waits_for_the_store_and_does_not_compare_anew() {
    let cluster = Cluster::new();
    let away = Arc::new(AtomicBool::new(true));
    let is_away = Arc::clone(&away);
    cluster.fake.fail(move |seen| {
        (is_away.load(Ordering::SeqCst) && seen.starts_with("PUT /fake/p/runs/r/pairs/0.pairs"))
            .then_some(AWAY)
    });
    let pod = Pod::start(pod("score", cluster.fake.endpoint(), &plan(0.6)));
    let seen = pod.waiting();
    let told = seen["waiting"].as_str().unwrap();
    assert!(told.contains("503 ServiceUnavailable") && told.ends_with("goes on when it answers"), "{told}");
    assert_eq!((&seen["stage"], &seen["comparisons"]), (&json!("Scoring"), &seen["totalComparisons"]));
    assert!(get(pod.port, "/metrics").unwrap().contains("linkage_store_waiting 1"));
    away.store(false, Ordering::SeqCst);
    let (code, manifest) = pod.ended();
    assert_eq!((code, &manifest["comparisons"]), (Some(0), &seen["totalComparisons"]), "{manifest}");
    assert_eq!(cluster.requests("HEAD /fake/p/in/a"), 2, "read once: looked at, and fetched");
    assert!(cluster.fake.has("runs/r/pairs/0.json"));
}

#[test]
fn pairs_that_the_store_has_lost_are_written_again_without_comparing_anew() {
    let cluster = Cluster::new();
    // nearly all of the 500,000 pairs of the shard: more than a part holds
    let plan = plan(0.1);
    cluster.fake.fail_next(2, "POST /fake/p/runs/r/pairs/0.pairs?uploadId", Fault::ForgetUpload);
    let ended = run_job(&mut pod("score", cluster.fake.endpoint(), &plan));
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(ended.message["bytes"].as_u64().unwrap() > 6 << 20, "{}", ended.message);
    assert_eq!(cluster.requests("HEAD /fake/p/in/a"), 2, "{}", ended.log);
    assert_eq!(ended.log.matches("writing the pairs again").count(), 2, "{}", ended.log);
    // and they are what solving expects
    assert_eq!(run_job(pod("score", cluster.fake.endpoint(), &plan).args(["--shard", "1"])).code, Some(0));
    let solved = run_job(&mut pod("solve", cluster.fake.endpoint(), &plan));
    assert_eq!(solved.code, Some(0), "{}", solved.log);
}

#[test]
fn a_pod_that_starts_while_the_store_is_away_goes_on_when_it_is_there() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let plan = json!({"version": 2, "project": "p", "party": "a", "blocking": false, "output": "out/",
        "source": {"encodings": "in/a", "encodingBytes": BYTES}});
    let pod = Pod::start(pod("ingest", &format!("http://127.0.0.1:{port}"), &plan));
    let told = pod.waiting()["waiting"].as_str().unwrap().to_owned();
    assert!(told.starts_with("the object store is not available (Connection refused"), "{told}");
    assert!(!told.contains("secret"), "{told}");
    let cluster = Cluster::on(port);
    let (code, message) = pod.ended();
    assert_eq!((code, &message["records"]), (Some(0), &json!(RECORDS)), "{message}");
    assert!(cluster.fake.has("out/encodings"));
    drop(cluster.runtime);
}

#[test]
fn a_pod_whose_patience_is_at_its_end_says_what_it_waited_for() {
    let cluster = Cluster::new();
    for (fault, reason) in
        [(AWAY, "StoreUnavailable"), (Fault::Answer(507, "XMinioStorageFull", ""), "StoreFull")]
    {
        cluster.fake.fail(move |seen| seen.starts_with("PUT").then_some(fault));
        let mut pod = pod("score", cluster.fake.endpoint(), &plan(0.6));
        let ended = run_job(pod.args(["--store-patience-seconds", "1"]));
        assert_eq!((ended.code, &ended.message["reason"]), (Some(1), &json!(reason)), "{}", ended.log);
        assert!(ended.log.contains("waiting for the object store"), "{}", ended.log);
    }
}
