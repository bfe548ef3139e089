//! Runs a Job to its end, and says how it ended.

use std::fs::OpenOptions;
use std::future::Future;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use super::args::{IngestArgs, JobArgs, ScoreArgs, SolveArgs};
use super::failure::internal;
use super::{JobState, Work, ingest, plans, score, server, solve};
use crate::plan::RunPlan;
use crate::progress::Stage;
use crate::summary::Failure;

/// Trouble, such as a store that is away: trying again may help.
pub const EXIT_TROUBLE: u8 = 1;
/// The input or the plan is at fault: trying again cannot help.
pub const EXIT_BAD_INPUT: u8 = 3;
/// Ended by SIGTERM.
pub const EXIT_TERMINATED: u8 = 143;

/// Where Kubernetes looks for a container's last words. Elsewhere there is no such file, and none is made.
pub(super) const TERMINATION_LOG: &str = "/dev/termination-log";
/// Kubernetes cuts a longer message off.
const MAX_MESSAGE_BYTES: usize = 4096;
/// How long a pod that is asked to end may take to clean up.
const CLEAN_UP: Duration = Duration::from_secs(5);

/// A Job's subcommand.
#[derive(Clone, Debug)]
pub enum Task {
    /// `scorer ingest`
    Ingest(IngestArgs),
    /// `scorer score`
    Score(ScoreArgs),
    /// `scorer solve`
    Solve(SolveArgs),
}

/// Does the task, and writes down how it ended.
pub async fn execute(task: Task) -> ExitCode {
    let state = Arc::new(JobState::default());
    let settings = match &task {
        Task::Ingest(args) => args.job.clone(),
        Task::Score(args) => args.job.clone(),
        Task::Solve(args) => args.job.clone(),
    };
    server::start(&settings.listen, Arc::clone(&state)).await;
    let done = tokio::spawn(perform(task, Arc::clone(&state)));
    let Some(ended) = unless_terminated(done, &state).await else {
        tracing::warn!("terminated");
        // Returning would wait for what is still running on other threads.
        std::process::exit(i32::from(EXIT_TERMINATED));
    };
    match ended {
        Ok(message) => {
            state.set_stage(Stage::Done);
            write_message(&settings.termination_log, &message);
            println!("{message}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            tracing::error!(reason = %failure.reason, "{failure}");
            write_message(&settings.termination_log, &failure_message(&failure));
            ExitCode::from(if failure.reason.is_permanent() { EXIT_BAD_INPUT } else { EXIT_TROUBLE })
        }
    }
}

/// The task's own last words, as JSON.
async fn perform(task: Task, state: Arc<JobState>) -> Result<String, Failure> {
    let json = |text: Result<String, serde_json::Error>| text.map_err(|error| internal(&error.to_string()));
    match task {
        Task::Ingest(IngestArgs { plan, job }) => {
            let plan = plans::ingest(&plan)?;
            json(serde_json::to_string(&ingest(&job.open_store(&state).await?, &plan).await?))
        }
        Task::Score(ScoreArgs { plan, shard, memory_limit, job }) => {
            let work = work(plans::score(&plan)?, memory_limit, &job, state).await?;
            let manifest = score(&work, shard).await?;
            if work.plan.shards == 1 {
                return json(serde_json::to_string(&solve(&work).await?));
            }
            json(serde_json::to_string(&manifest))
        }
        Task::Solve(SolveArgs { plan, memory_limit, job }) => {
            let work = work(plans::run(&plan)?, memory_limit, &job, state).await?;
            json(serde_json::to_string(&solve(&work).await?))
        }
    }
}

async fn work(
    mut plan: RunPlan,
    memory_limit: Option<u64>,
    job: &JobArgs,
    state: Arc<JobState>,
) -> Result<Work, Failure> {
    plan.memory_limit_bytes = memory_limit.unwrap_or(plan.memory_limit_bytes);
    let scratch: PathBuf = job.scratch.clone().unwrap_or_else(std::env::temp_dir);
    Ok(Work { store: job.open_store(&state).await?, plan: Arc::new(plan), scratch, state })
}

/// How the task ended; None when it was cut short by SIGTERM.
async fn unless_terminated(
    mut task: JoinHandle<Result<String, Failure>>,
    state: &JobState,
) -> Option<Result<String, Failure>> {
    let ended = tokio::select! {
        ended = &mut task => ended,
        () = terminated() => {
            state.meter.cancel();
            let _ = tokio::time::timeout(CLEAN_UP, task).await;
            return None;
        }
    };
    // The panic's own message has been printed by then; it is not repeated, as it may hold data.
    Some(ended.unwrap_or_else(|_| Err(internal("the program failed; see the pod's log"))))
}

fn terminated() -> impl Future<Output = ()> {
    let signal = signal(SignalKind::terminate());
    async move {
        match signal {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    }
}

/// A failure as JSON, shortened until it fits.
fn failure_message(failure: &Failure) -> String {
    let mut failure = failure.clone();
    loop {
        let text = serde_json::to_string(&failure).unwrap_or_default();
        if text.len() <= MAX_MESSAGE_BYTES {
            return text;
        }
        // Escapes make the text longer than the message, so the message is cut by the same share.
        let kept = failure.message.chars().count() * (MAX_MESSAGE_BYTES - 100) / text.len();
        failure.message = failure.message.chars().take(kept).chain("...".chars()).collect();
    }
}

fn write_message(path: &Path, message: &str) {
    if path == Path::new(TERMINATION_LOG) && !path.exists() {
        return;
    }
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
        .and_then(|mut file| file.write_all(message.as_bytes()));
    if let Err(error) = written {
        tracing::warn!(path = %path.display(), %error, "the termination message is not written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::FailureReason;

    #[test]
    fn a_long_message_is_cut_to_what_kubernetes_keeps() {
        for letter in ["x", "\"", "ä", "\u{1}"] {
            let failure = Failure { reason: FailureReason::MalformedJson, message: letter.repeat(10_000) };
            let text = failure_message(&failure);
            assert!(text.len() <= MAX_MESSAGE_BYTES);
            assert!(text.len() > MAX_MESSAGE_BYTES / 10);
            serde_json::from_str::<Failure>(&text).unwrap();
        }
    }
}
