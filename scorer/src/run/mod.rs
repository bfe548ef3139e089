//! `scorer run` and `scorer deduplicate`: link local files with the same code as in a cluster.
//!
//! A store in a temporary directory takes the place of the bucket; ingest, scoring and solving are those of the Jobs.

mod advise;
mod args;
mod data;
mod output;
mod request;
mod shown;

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};

use scorer::job::{self, JobState, Work};
use scorer::plan::{FORMAT_VERSION, PartyInput, RunPlan};
use scorer::store::Store;
use scorer::summary::RunSummary;

pub use advise::{AdviseArgs, advise};
use args::PlaceArgs;
pub use args::{DeduplicateArgs, RunArgs};
use data::TakenIn;
use output::Destination;
use request::Request;
use shown::ProgressDisplay;

/// Where the run's objects lie in the temporary store.
const OUTPUT: &str = "runs/local/";

/// Links the files that the manifests name, and writes the result.
///
/// # Errors
/// The first thing that is wrong with manifests, data or machine, with what to do about it.
pub async fn run(args: RunArgs) -> Result<()> {
    link_unless_interrupted(&Request::of_manifests(&args.file)?, &args.place).await
}

/// Compares the records of one file with one another, and writes the result.
///
/// # Errors
/// The first thing that is wrong with arguments, data or machine, with what to do about it.
pub async fn deduplicate(args: DeduplicateArgs) -> Result<()> {
    link_unless_interrupted(&Request::of_arguments(&args)?, &args.place).await
}

async fn link_unless_interrupted(request: &Request, place: &PlaceArgs) -> Result<()> {
    let state = Arc::new(JobState::default());
    tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => {
            state.meter.cancel();
            Err(anyhow!("interrupted; nothing was written"))
        }
        done = link(request, place, &state) => done,
    }
}

async fn link(request: &Request, place: &PlaceArgs, state: &Arc<JobState>) -> Result<()> {
    let start = Instant::now();
    let destination = Destination::new(place, request)?;
    if let Some(file) = place.scores.as_deref().filter(|file| file.exists() && !place.force) {
        bail!("{} exists already; give another --scores, or --force to overwrite it", file.display());
    }
    let folder = match &place.data_dir {
        Some(parent) => tempfile::Builder::new().prefix("linkage-").tempdir_in(parent),
        None => tempfile::Builder::new().prefix("linkage-").tempdir(),
    }
    .context("no temporary folder can be made; name another place with --data-dir")?;
    let store = Store::in_directory(folder.path().join("store"))?;

    let display = ProgressDisplay::start(Arc::clone(state));
    let TakenIn { inputs, without_block, warnings } = data::take_in(request, &store).await?;
    let work = Work {
        store: store.clone(),
        plan: Arc::new(plan(request, &destination, inputs, place.memory_limit)),
        scratch: folder.path().to_owned(),
        state: Arc::clone(state),
    };
    let summary = score_and_solve(&work).await?;
    drop(display);
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
    let files = destination.write(&store, &summary).await?;
    if let Some(file) = &place.scores {
        advise::save(&store, &summary, file).await?;
    }
    output::print_summary(request, &summary, &without_block, &files, start.elapsed());
    if let Some(scores) = &summary.scores {
        advise::print(request.threshold, &scores.advice);
    }
    Ok(())
}

fn plan(
    request: &Request,
    destination: &Destination,
    inputs: Vec<PartyInput>,
    memory_limit_bytes: u64,
) -> RunPlan {
    RunPlan {
        version: FORMAT_VERSION,
        work: String::new(),
        run: request.name.clone(),
        threshold: request.threshold,
        result_type: request.result_type,
        formats: destination.formats.clone(),
        with_similarity_scores: request.with_similarity_scores,
        blocking: request.blocking,
        inputs,
        output: OUTPUT.into(),
        shards: request.shards,
        memory_limit_bytes,
        pairs_from: None,
        mask_key: request.mask_key.clone(),
        solver: request.solver,
    }
    .sealed()
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
