//! `scorer solve`: merges the pairs of all shards, solves, and stores the result.

use std::time::Instant;

use super::failure::{corrupt, internal};
use super::outputs::{self, Output, ScoresOutputs};
use super::scored_pairs::ScoredPairs;
use super::{Work, encrypted, histogram, memory, read_done, seed, shard_pairs, take_over, write_json};
use crate::paillier::PublicKey;
use crate::pairs::{self, Pair};
use crate::plan::{FORMAT_VERSION, ResultType};
use crate::progress::Stage;
use crate::result::{self, Permutations, Seed};
use crate::solve::{
    GreedyOptions, GreedySolver, Groups, OptimalOptions, ScoresWithin, Solver, Solving, solve_optimally,
};
use crate::summary::{Failure, ResultObject, RunSummary, ShardManifest};

/// After so many pairs it is looked how many scores are kept, which cannot be told beforehand.
const MEMORY_CHECK_PAIRS: u64 = 1 << 16;

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
    let Solved { groups, solving, mut results } = write_result(work, &manifests, seed).await?;
    results.extend(outputs::stored_pairs(work, &manifests));
    let summary = RunSummary {
        version: FORMAT_VERSION,
        work: work.plan.work.clone(),
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

/// The summary of this very work. What came of other work is of no use, and is replaced.
async fn solved_before(work: &Work) -> Result<Option<RunSummary>, Failure> {
    let is_of_this_work =
        |summary: &RunSummary| summary.version == FORMAT_VERSION && summary.work == work.plan.work;
    let summary = read_done(&work.store, &work.summary_key(), is_of_this_work).await?;
    if summary.is_some() {
        tracing::info!(run = work.plan.run, "the run is complete already");
        work.store.delete(&work.seed_key()).await?;
    }
    Ok(summary)
}

async fn manifest(work: &Work, shard: u32) -> Result<ShardManifest, Failure> {
    let found = shard_pairs::manifest(work, &work.plan.output, &work.plan.work, shard).await?;
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
    let outputs = outputs::open(work).await?;
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
    memory::check_solving(&work.plan, pairs.number())?;
    let parties: Vec<String> = work.plan.inputs.iter().map(|input| input.party.clone()).collect();
    let (mut scores_outputs, outputs) = ScoresOutputs::of(outputs, &parties)?;
    if work.plan.result_type == ResultType::SimilarityScores {
        scores_outputs.all_pairs(pairs.open()?)?;
        return Ok(Solved { groups: None, solving: None, results: scores_outputs.finish()? });
    }
    let (groups, scores, solving) = match work.plan.solver.unwrap_or_default() {
        Solver::Greedy(options) => {
            let (groups, scores) = form_groups(work, options, pairs, &mut scores_outputs)?;
            (groups, scores, None)
        }
        Solver::Optimal(options) => {
            let (groups, scores, solving) = form_groups_optimally(work, options, pairs, &mut scores_outputs)?;
            (groups, scores, Some(solving))
        }
    };
    let mut results = match seed {
        None => outputs::write_all(outputs, |out, object| {
            result::write_groups_as(out, object.format, &groups, &scores, &parties)
        })?,
        Some(seed) => write_permutations(work, &groups, &seed, outputs)?,
    };
    results.extend(scores_outputs.finish()?);
    Ok(Solved { groups: Some(groups.len()), solving, results })
}

fn write_permutations(
    work: &Work,
    groups: &Groups,
    seed: &Seed,
    outputs: Vec<Output>,
) -> Result<Vec<ResultObject>, Failure> {
    let permutations = Permutations::new(groups, seed)?;
    if let Some(key) = &work.plan.mask_key {
        let key = PublicKey::of_modulus(key).map_err(|error| internal(&error.to_string()))?;
        return encrypted::write(work, &permutations, &key, seed, outputs);
    }
    outputs::write_all(outputs, |out, object| match encrypted::permutation_of(object) {
        Some(party) => permutations.write_permutation_as(party, out, object.format),
        None => permutations.write_mask_as(out, object.format),
    })
}

/// Forms groups greedily of the pairs, which are written as they are beside the groups where that is asked for.
fn form_groups(
    work: &Work,
    options: GreedyOptions,
    pairs: &ScoredPairs,
    scores_outputs: &mut ScoresOutputs<'_>,
) -> Result<(Groups, ScoresWithin), Failure> {
    let mut solver = GreedySolver::with_options(&work.records(), options)?;
    if memory::keeps_scores(&work.plan) {
        solver = solver.keep_scores();
    }
    let mut merge = pairs.open()?;
    let mut checked_at = 0;
    while let Some(run) = merge.next_run()? {
        solver.add_all(run)?;
        scores_outputs.pairs(run)?;
        if solver.pairs() - checked_at >= MEMORY_CHECK_PAIRS {
            checked_at = solver.pairs();
            memory::check_scores_kept(&work.plan, solver.scores_kept())?;
        }
    }
    Ok(solver.finish_with_scores())
}

/// Matches records optimally. Then the pairs are read once more, if they are to be written or the scores within the groups
/// are asked for.
fn form_groups_optimally(
    work: &Work,
    options: OptimalOptions,
    pairs: &ScoredPairs,
    scores_outputs: &mut ScoresOutputs<'_>,
) -> Result<(Groups, ScoresWithin, Solving), Failure> {
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
    let mut scores = ScoresWithin::default();
    if memory::keeps_scores(&work.plan) {
        let write = |pair: Result<Pair, pairs::Error>| -> Result<Pair, Failure> {
            let pair = pair?;
            scores_outputs.pairs(&[pair])?;
            Ok(pair)
        };
        scores = groups.scores_within(pairs.open()?.map(write))?;
    } else if work.plan.with_similarity_scores {
        scores_outputs.all_pairs(pairs.open()?)?;
    }
    Ok((groups, scores, solving))
}
