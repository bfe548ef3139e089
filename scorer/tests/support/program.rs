//! The scorer as a program.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use scorer::plan::RunPlan;
use serde_json::Value;

/// `scorer` with arguments, ready to be run; knows nothing of the caller's settings.
pub fn scorer(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scorer"));
    for variable in [
        "STORE_URL",
        "STORE_ENDPOINT",
        "STORE_PATIENCE_SECONDS",
        "RUN_PLAN",
        "INGEST_PLAN",
        "JOB_COMPLETION_INDEX",
        "LISTEN",
        "RUST_LOG",
    ] {
        command.env_remove(variable);
    }
    command.args(arguments);
    command
}

/// A Job's subcommand on a store in a folder: what it printed, its exit code, and its termination message.
pub fn job(arguments: &[&str], store: &Path, plan: &Value) -> Ended {
    let url = format!("file://{}", store.display());
    run_job(scorer(arguments).args(["--store-url", &url, "--plan", &sealed(plan.clone()).to_string()]))
}

/// The file of a run's seed, beside its other objects.
pub fn seed_of(plan: &Value) -> String {
    format!("seed-{}", sealed(plan.clone())["work"].as_str().unwrap())
}

/// A run's plan with the digest of its work, as the operator makes it. Any other plan, or one that has a digest, as it is.
pub fn sealed(mut plan: Value) -> Value {
    if plan.get("inputs").is_some() && plan.get("work").is_none() {
        plan["work"] = "0".repeat(64).into();
        if let Ok(plan) = serde_json::from_value::<RunPlan>(plan.clone()) {
            return serde_json::json!(plan.sealed());
        }
    }
    plan
}

/// How a Job ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code.
    pub code: Option<i32>,
    /// Its termination message.
    pub message: Value,
    /// Its log.
    pub log: String,
}

pub fn run_job(command: &mut Command) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    let last_words = folder.path().join("termination-log");
    command.arg("--termination-log").arg(&last_words).args(["--listen", "127.0.0.1:0"]);
    let Output { status, stderr, .. } = command.output().unwrap();
    let message = std::fs::read(&last_words).unwrap_or_default();
    Ended {
        code: status.code(),
        message: serde_json::from_slice(&message).unwrap_or_default(),
        log: String::from_utf8(stderr).unwrap(),
    }
}

/// Waits until there is something.
pub fn poll<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        match look() {
            Some(found) => return found,
            None => assert!(start.elapsed() < Duration::from_secs(60), "nothing after a minute"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The body of an answer, over plain HTTP.
pub fn get(port: u16, path: &str) -> Option<String> {
    use std::io::{Read, Write};
    let mut connection = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(connection, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).ok()?;
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}
