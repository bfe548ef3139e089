//! `scorer solve`: merges the pairs of all shards, solves, and stores the result.

use std::time::Instant;

use super::failure::{corrupt, internal};
use super::outputs::{self, Output, ScoresOutputs};
use super::shard_pairs::{self, ShardPairs, StoredPairs};
use super::{Work, encrypted, histogram, memory, read_json, seed, take_over, write_json};
use crate::paillier::PublicKey;
use crate::pairs::Merge;
use crate::plan::{FORMAT_VERSION, ResultType};
use crate::progress::Stage;
use crate::result::{self, Permutations, Seed};
use crate::solve::{GreedySolver, Groups, ScoresWithin};
use crate::store::BlockingReader;
use crate::summary::{Failure, ResultObject, RunSummary, ShardManifest};

type Shards = Merge<ShardPairs<BlockingReader>>;

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
    let (groups, results) = write_result(work, &manifests, seed).await?;
    let summary = RunSummary {
        version: FORMAT_VERSION,
        records: work.records(),
        comparisons: manifests.iter().map(|manifest| manifest.comparisons).sum(),
        pairs: manifests.iter().map(|manifest| manifest.pairs).sum(),
        groups,
        scoring_seconds: manifests.iter().map(|manifest| manifest.seconds).sum(),
        solving_seconds: start.elapsed().as_secs_f64(),
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

/// Writes the objects of the result, the main one first; tells how many groups there are, where there are any.
async fn write_result(
    work: &Work,
    manifests: &[ShardManifest],
    seed: Option<Seed>,
) -> Result<(Option<u64>, Vec<ResultObject>), Failure> {
    let outputs = outputs::open(work).await?;
    let mut shards = Vec::new();
    for manifest in manifests {
        let found = StoredPairs::find(work, &work.plan.output, manifest).await?;
        let missing = || corrupt(&work.pairs_key(manifest.shard), "it is not there any more");
        shards.push(found.ok_or_else(missing)?);
    }
    let pairs = manifests.iter().map(|manifest| manifest.pairs).sum();
    let solving = {
        let work = work.clone();
        tokio::task::spawn_blocking(move || -> Result<_, Failure> {
            let shards = shards.into_iter().map(StoredPairs::open).collect::<Result<_, _>>()?;
            finish_result(&work, pairs, Merge::new(shards)?, seed, outputs)
        })
    };
    solving.await.map_err(|error| internal(&error.to_string()))?
}

fn finish_result(
    work: &Work,
    number: u64,
    pairs: Shards,
    seed: Option<Seed>,
    outputs: Vec<Output>,
) -> Result<(Option<u64>, Vec<ResultObject>), Failure> {
    memory::check_solving(&work.plan, number)?;
    let parties: Vec<String> = work.plan.inputs.iter().map(|input| input.party.clone()).collect();
    let (mut scores_outputs, outputs) = ScoresOutputs::of(outputs, &parties)?;
    if work.plan.result_type == ResultType::SimilarityScores {
        for pair in pairs {
            scores_outputs.pair(&pair?)?;
        }
        return Ok((None, scores_outputs.finish()?));
    }
    let (groups, scores) = form_groups(work, pairs, &mut scores_outputs)?;
    let mut objects = match seed {
        None => outputs::write_all(outputs, |out, object| {
            result::write_groups_as(out, object.format, &groups, &scores, &parties)
        })?,
        Some(seed) => write_permutations(work, &groups, &seed, outputs)?,
    };
    objects.extend(scores_outputs.finish()?);
    Ok((Some(groups.len()), objects))
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

/// Solves the pairs, which are written as they are beside the groups where that is asked for.
fn form_groups(
    work: &Work,
    pairs: Shards,
    scores_outputs: &mut ScoresOutputs<'_>,
) -> Result<(Groups, ScoresWithin), Failure> {
    let mut solver = GreedySolver::new(&work.records())?;
    if memory::keeps_scores(&work.plan) {
        solver = solver.keep_scores();
    }
    for pair in pairs {
        let pair = pair?;
        solver.add(&pair)?;
        scores_outputs.pair(&pair)?;
        if solver.pairs() % MEMORY_CHECK_PAIRS == 0 {
            memory::check_scores_kept(&work.plan, solver.scores_kept())?;
        }
    }
    Ok(solver.finish_with_scores())
}
