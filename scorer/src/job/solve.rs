//! `scorer solve`: merges the pairs of all shards, solves, and stores the result.

use std::io::BufWriter;
use std::time::Instant;

use super::failure::{corrupt, from_io, internal};
use super::scored_pairs::ScoredPairs;
use super::{Work, encrypted, histogram, memory, read_json, seed, shard_pairs, take_over, write_json};
use crate::paillier::PublicKey;
use crate::plan::{FORMAT_VERSION, ResultType};
use crate::progress::Stage;
use crate::result::{self, Permutations, Seed};
use crate::solve::{GreedyOptions, GreedySolver, Groups, Solver, Solving, solve_optimally};
use crate::store::{BlockingWriter, ObjectWriter, Store, Written};
use crate::summary::{Failure, ResultObject, RunSummary, ShardManifest};

/// Results are handed to the store in pieces of this size.
pub(super) const WRITE_BYTES: usize = 1 << 20;

/// Solves a run whose shards are all scored, unless that is done already.
///
/// # Errors
/// When a shard is missing or corrupt, the groups do not fit the memory, or the store does not answer.
pub async fn solve(work: &Work) -> Result<RunSummary, Failure> {
    if let Some(summary) = solved_before(work).await? {
        return Ok(summary);
    }
    let start = Instant::now();
    work.state.set_stage(Stage::Solving);
    if let Some(earlier) = &work.plan.pairs_from {
        take_over::take_over(work, earlier).await?;
    }
    let mut manifests = Vec::new();
    for shard in 0..work.plan.shards {
        manifests.push(manifest(work, shard).await?);
    }
    let mut seed = None;
    if work.plan.result_type == ResultType::Permutations {
        seed = Some(seed::obtain(&work.store, &work.seed_key()).await?);
        // Another pod may have completed the run and deleted its seed meanwhile: then this one is of no use.
        if let Some(summary) = solved_before(work).await? {
            return Ok(summary);
        }
    }
    let Solved { groups, solving, results } = write_result(work, &manifests, seed).await?;
    let summary = RunSummary {
        version: FORMAT_VERSION,
        records: work.records(),
        comparisons: manifests.iter().map(|manifest| manifest.comparisons).sum(),
        pairs: manifests.iter().map(|manifest| manifest.pairs).sum(),
        groups,
        scoring_seconds: manifests.iter().map(|manifest| manifest.seconds).sum(),
        solving_seconds: start.elapsed().as_secs_f64(),
        solving,
        results,
        scores: histogram::finish(work).await?.map(Box::new),
    };
    write_json(&work.store, &work.summary_key(), &summary).await?;
    work.store.delete(&work.seed_key()).await?;
    tracing::info!(
        run = work.plan.run,
        pairs = summary.pairs,
        groups = summary.groups,
        seconds = summary.solving_seconds,
        "solved"
    );
    Ok(summary)
}

async fn solved_before(work: &Work) -> Result<Option<RunSummary>, Failure> {
    let summary = read_json(&work.store, &work.summary_key()).await?;
    if summary.is_some() {
        tracing::info!(run = work.plan.run, "the run is complete already");
        work.store.delete(&work.seed_key()).await?;
    }
    Ok(summary)
}

async fn manifest(work: &Work, shard: u32) -> Result<ShardManifest, Failure> {
    let found = shard_pairs::manifest(work, &work.plan.output, shard).await?;
    found.ok_or_else(|| {
        corrupt(&work.manifest_key(shard), "the shard has not been scored, or its pairs were deleted")
    })
}

/// What has come of the pairs.
struct Solved {
    /// How many groups there are, where any are formed.
    groups: Option<u64>,
    solving: Option<Solving>,
    /// The main object first.
    results: Vec<ResultObject>,
}

/// Writes the objects of the result.
async fn write_result(
    work: &Work,
    manifests: &[ShardManifest],
    seed: Option<Seed>,
) -> Result<Solved, Failure> {
    let names = match work.plan.result_type {
        ResultType::Groups => vec!["groups".to_owned()],
        ResultType::SimilarityScores => vec!["similarity_scores".to_owned()],
        ResultType::Permutations => vec!["mask".to_owned(), "permutation-0".into(), "permutation-1".into()],
    };
    let mut outputs = Vec::new();
    for name in names {
        let key = work.key(format_args!("result/{name}.json"));
        outputs.push(Output::open(&work.store, key, name).await?);
    }
    let pairs = ScoredPairs::find(work, manifests).await?;
    let solving = {
        let work = work.clone();
        tokio::task::spawn_blocking(move || finish_result(&work, &pairs, seed, outputs))
    };
    solving.await.map_err(|error| internal(&error.to_string()))?
}

fn finish_result(
    work: &Work,
    pairs: &ScoredPairs,
    seed: Option<Seed>,
    outputs: Vec<Output>,
) -> Result<Solved, Failure> {
    if work.plan.result_type == ResultType::SimilarityScores {
        let mut pairs = Some(pairs.open()?);
        let results = write_all(outputs, |out, _| {
            result::write_similarity_scores(out, pairs.take().into_iter().flatten()).map(drop)
        })?;
        return Ok(Solved { groups: None, solving: None, results });
    }
    let (groups, solving) = form_groups(work, pairs)?;
    let results = write_groups(work, &groups, seed, outputs)?;
    Ok(Solved { groups: Some(groups.len()), solving, results })
}

fn write_groups(
    work: &Work,
    groups: &Groups,
    seed: Option<Seed>,
    outputs: Vec<Output>,
) -> Result<Vec<ResultObject>, Failure> {
    match seed {
        None => write_all(outputs, |out, _| result::write_groups(out, groups)),
        Some(seed) => {
            let permutations = Permutations::new(groups, &seed)?;
            if let Some(key) = mask_key(work)? {
                return encrypted::write(work, &permutations, &key, &seed, outputs);
            }
            write_all(outputs, |out, name| match name {
                "permutation-0" => permutations.write_permutation(0, out),
                "permutation-1" => permutations.write_permutation(1, out),
                _ => permutations.write_mask(out),
            })
        }
    }
}

fn mask_key(work: &Work) -> Result<Option<PublicKey>, Failure> {
    let key = work.plan.mask_key.as_deref().map(PublicKey::of_modulus);
    key.transpose().map_err(|error| internal(&error.to_string()))
}

/// Solves the pairs as the plan says.
fn form_groups(work: &Work, pairs: &ScoredPairs) -> Result<(Groups, Option<Solving>), Failure> {
    match work.plan.solver.unwrap_or_default() {
        Solver::Greedy(options) => Ok((form_groups_greedily(work, options, pairs)?, None)),
        Solver::Optimal(options) => {
            let records = work.records();
            let memory = memory::optimal_share(work.plan.memory_limit_bytes, records.iter().sum())?;
            let read = || -> Result<_, Failure> { Ok(pairs.open()?.map(|pair| Ok(pair?))) };
            let (groups, solving) = solve_optimally(&records, options, memory, read)?;
            tracing::info!(
                run = work.plan.run,
                components = solving.components,
                largest_component_records = solving.largest_component_records,
                greedy_components = solving.greedy_components,
                greedy_records = solving.greedy_records,
                greedy_pairs = solving.greedy_pairs,
                "solved optimally, but for components that were too large"
            );
            Ok((groups, Some(solving)))
        }
    }
}

fn form_groups_greedily(work: &Work, options: GreedyOptions, pairs: &ScoredPairs) -> Result<Groups, Failure> {
    let records = work.records();
    let permutations = work.plan.result_type == ResultType::Permutations;
    let edges = if options.keeps_edges(records.len()) { pairs.number() } else { 0 };
    memory::check_solving(work.plan.memory_limit_bytes, records.iter().sum(), edges, permutations)?;
    let mut solver = GreedySolver::with_options(&records, options)?;
    for pair in pairs.open()? {
        solver.add(&pair?)?;
    }
    Ok(solver.finish())
}

/// One object of the result that is being written.
pub(super) struct Output {
    pub name: String,
    pub key: String,
    pub writer: BlockingWriter,
}

impl Output {
    async fn open(store: &Store, key: String, name: String) -> Result<Self, Failure> {
        let writer: ObjectWriter = store.writer(&key).await?;
        Ok(Self { name, key, writer: BlockingWriter::new(writer) })
    }
}

fn write_all(
    outputs: Vec<Output>,
    mut write: impl FnMut(&mut BufWriter<BlockingWriter>, &str) -> Result<(), result::Error>,
) -> Result<Vec<ResultObject>, Failure> {
    let finish = |Output { name, key, writer }: Output| {
        let mut out = BufWriter::with_capacity(WRITE_BYTES, writer);
        write(&mut out, &name)?;
        let writer = out.into_inner();
        let writer = writer.map_err(|error| from_io("the result could not be stored", error.into_error()))?;
        let Written { bytes, sha256 } = writer.finish()?;
        Ok(ResultObject { name, key, bytes, sha256 })
    };
    outputs.into_iter().map(finish).collect()
}
