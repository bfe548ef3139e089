//! `scorer run`: links local files by the same manifests and with the same code as in a cluster.
//!
//! A store in a temporary directory takes the place of the bucket; ingest, scoring and solving are those of the Jobs.

mod args;
mod data;
mod output;
mod shown;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use crds::{LinkageProject, LinkageRun, manifests};

use scorer::job::{self, JobState, Work};
use scorer::plan::{FORMAT_VERSION, PartyInput, ResultType, RunPlan};
use scorer::store::Store;
use scorer::summary::RunSummary;

pub use args::RunArgs;
use output::Destination;
use shown::ProgressDisplay;

/// Where the run's objects lie in the temporary store.
const OUTPUT: &str = "runs/local/";

/// Links the files that the manifests name, and writes the result.
///
/// # Errors
/// The first thing that is wrong with manifests, data or machine, with what to do about it.
pub async fn run(args: RunArgs) -> Result<()> {
    let state = Arc::new(JobState::default());
    tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => {
            state.meter.cancel();
            Err(anyhow!("interrupted; nothing was written"))
        }
        done = link(&args, &state) => done,
    }
}

async fn link(args: &RunArgs, state: &Arc<JobState>) -> Result<()> {
    let start = Instant::now();
    let (project, run) = read_manifests(&args.file)?;
    let name = run.metadata.name.clone().unwrap_or_default();
    let destination = Destination::new(args, &name, result_type(&project))?;
    let folder = match &args.data_dir {
        Some(parent) => tempfile::Builder::new().prefix("linkage-").tempdir_in(parent),
        None => tempfile::Builder::new().prefix("linkage-").tempdir(),
    }
    .context("no temporary folder can be made; name another place with --data-dir")?;
    let store = Store::in_directory(folder.path().join("store"))?;

    let display = ProgressDisplay::start(Arc::clone(state));
    let sources = args.file.parent().unwrap_or(Path::new("."));
    let inputs = data::take_in(&project, sources, &store).await?;
    let work = Work {
        store: store.clone(),
        plan: Arc::new(plan(&project, &run, inputs, args.memory_limit)),
        scratch: folder.path().to_owned(),
        state: Arc::clone(state),
    };
    let summary = score_and_solve(&work).await?;
    drop(display);
    let files = destination.write(&store, &summary).await?;
    output::print_summary(&project, &summary, &files, start.elapsed());
    Ok(())
}

fn read_manifests(file: &Path) -> Result<(LinkageProject, LinkageRun)> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    manifests::read(&text).with_context(|| format!("{} cannot be used", file.display()))
}

fn result_type(project: &LinkageProject) -> ResultType {
    match project.spec.result_type {
        crds::ResultType::Groups => ResultType::Groups,
        crds::ResultType::SimilarityScores => ResultType::SimilarityScores,
        crds::ResultType::Permutations => ResultType::Permutations,
    }
}

fn plan(
    project: &LinkageProject,
    run: &LinkageRun,
    inputs: Vec<PartyInput>,
    memory_limit_bytes: u64,
) -> RunPlan {
    RunPlan {
        version: FORMAT_VERSION,
        run: run.metadata.name.clone().unwrap_or_default(),
        threshold: run.spec.threshold,
        result_type: result_type(project),
        blocking: data::uses_blocking(project),
        inputs,
        output: OUTPUT.into(),
        shards: run.spec.shards.and_then(|shards| u32::try_from(shards).ok()).unwrap_or(1).max(1),
        memory_limit_bytes,
    }
}

async fn score_and_solve(work: &Work) -> Result<RunSummary> {
    for shard in 0..work.plan.shards {
        job::score(work, shard).await?;
    }
    let summary = job::solve(work).await?;
    if summary.records.len() != work.plan.inputs.len() {
        bail!("the summary is of another run");
    }
    Ok(summary)
}
