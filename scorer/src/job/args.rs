use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::JobState;
use crate::store::{Store, StoreArgs, StoreError};

/// Settings that all Jobs share.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Job")]
pub struct JobArgs {
    /// Address on which to serve /progress, /metrics and /healthz
    #[arg(long, env = "LISTEN", value_name = "ADDRESS", default_value = "0.0.0.0:8080")]
    pub listen: String,

    /// Directory for temporary files [default: the system's]
    #[arg(long, env = "SCRATCH_DIR", value_name = "DIR")]
    pub scratch: Option<PathBuf>,

    /// File for the last words: what was done, or why not, as JSON
    #[arg(long, env = "TERMINATION_LOG", value_name = "FILE", default_value = super::outcome::TERMINATION_LOG)]
    pub termination_log: PathBuf,

    /// For how long each request waits for a store that is away, overloaded or full, before the Job is tried again
    #[arg(long, env = "STORE_PATIENCE_SECONDS", value_name = "SECONDS", default_value_t = 21_600)]
    pub store_patience_seconds: u64,

    /// Where the objects are.
    #[command(flatten)]
    pub store: StoreArgs,
}

impl JobArgs {
    /// The store, patient as Jobs are: what was compared for minutes must not be lost as the store is away for seconds.
    pub(super) async fn open_store(&self, state: &JobState) -> Result<Store, StoreError> {
        let store = self.store.open().await?.patient(Duration::from_secs(self.store_patience_seconds));
        state.watch(&store);
        Ok(store)
    }
}

/// `scorer ingest`
#[derive(Args, Clone, Debug)]
pub struct IngestArgs {
    /// What to do, as JSON
    #[arg(long, env = "INGEST_PLAN", value_name = "JSON", hide_env_values = true)]
    pub plan: String,

    /// What all Jobs need.
    #[command(flatten)]
    pub job: JobArgs,
}

/// `scorer score`
#[derive(Args, Clone, Debug)]
pub struct ScoreArgs {
    /// What to do, as JSON
    #[arg(long, env = "RUN_PLAN", value_name = "JSON", hide_env_values = true)]
    pub plan: String,

    /// Which part of the comparisons to do, from 0
    #[arg(long, env = "JOB_COMPLETION_INDEX", value_name = "NUMBER", default_value_t = 0)]
    pub shard: u32,

    /// Memory to use in all, in bytes [default: what the plan says]
    #[arg(long, env = "MEMORY_LIMIT", value_name = "BYTES")]
    pub memory_limit: Option<u64>,

    /// What all Jobs need.
    #[command(flatten)]
    pub job: JobArgs,
}

/// `scorer solve`
#[derive(Args, Clone, Debug)]
pub struct SolveArgs {
    /// What to do, as JSON
    #[arg(long, env = "RUN_PLAN", value_name = "JSON", hide_env_values = true)]
    pub plan: String,

    /// Memory to use in all, in bytes [default: what the plan says]
    #[arg(long, env = "MEMORY_LIMIT", value_name = "BYTES")]
    pub memory_limit: Option<u64>,

    /// What all Jobs need.
    #[command(flatten)]
    pub job: JobArgs,
}
