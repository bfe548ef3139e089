//! The scorer as a program.

use std::path::Path;
use std::process::{Command, Output};

/// `scorer` with arguments, ready to be run; knows nothing of the caller's settings.
pub fn scorer(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scorer"));
    for variable in [
        "STORE_URL",
        "STORE_ENDPOINT",
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
pub fn job(arguments: &[&str], store: &Path, plan: &serde_json::Value) -> Ended {
    let url = format!("file://{}", store.display());
    run_job(scorer(arguments).args(["--store-url", &url, "--plan", &plan.to_string()]))
}

/// How a Job ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code.
    pub code: Option<i32>,
    /// Its termination message.
    pub message: serde_json::Value,
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
