//! `scorer score`: compares the records of one shard, and stores the pairs at or above the threshold, sorted.

use std::time::Instant;

use super::failure::internal;
use super::histogram::{self, Counting, ShardScores};
use super::inputs::{self, Inputs};
use super::{Work, memory, pair_output, shard_pairs, write_json};
use crate::advice::Bins;
use crate::engine::{EncodingSource, Linkage, Outcome, Shard, Threshold};
use crate::pairs::PairSorter;
use crate::plan::FORMAT_VERSION;
use crate::progress::Stage;
use crate::store::Written;
use crate::summary::{Failure, ShardManifest};

/// Scores one shard, unless that is done already.
///
/// # Errors
/// When the data is not what the plan says, does not fit the memory, or the store does not answer.
pub async fn score(work: &Work, shard: u32) -> Result<ShardManifest, Failure> {
    let key = work.manifest_key(shard);
    if let Some(manifest) = shard_pairs::done_before(work, shard).await? {
        tracing::info!(run = work.plan.run, shard, "the shard has been scored before");
        return Ok(manifest);
    }
    let start = Instant::now();
    work.state.set_stage(Stage::Loading);
    let inputs = inputs::load(work).await?;
    tracing::info!(run = work.plan.run, shard, seconds = start.elapsed().as_secs_f64(), "loaded");

    work.state.set_stage(Stage::Scoring);
    let scoring = {
        let work = work.clone();
        tokio::task::spawn_blocking(move || compare(&work, shard, &inputs))
    };
    let (outcome, scores, written) = scoring.await.map_err(|error| internal(&error.to_string()))??;
    let manifest = ShardManifest {
        version: FORMAT_VERSION,
        work: work.plan.work.clone(),
        shard,
        shards: work.plan.shards,
        comparisons: outcome.comparisons,
        pairs: outcome.pairs,
        bytes: written.bytes,
        blake3: written.blake3,
        seconds: start.elapsed().as_secs_f64(),
    };
    if let Some(scores) = &scores {
        histogram::write(work, shard, scores).await?;
    }
    write_json(&work.store, &key, &manifest).await?;
    tracing::info!(
        run = work.plan.run,
        shard,
        comparisons = manifest.comparisons,
        pairs = manifest.pairs,
        seconds = manifest.seconds,
        "scored"
    );
    Ok(manifest)
}

fn compare(
    work: &Work,
    shard: u32,
    inputs: &Inputs,
) -> Result<(Outcome, Option<ShardScores>, Written), Failure> {
    let plan = &work.plan;
    let shares = memory::divide(plan.memory_limit_bytes, inputs.blocks_bytes)?;
    let sources: Vec<&dyn EncodingSource> =
        inputs.encodings.iter().map(|source| source as &dyn EncodingSource).collect();
    let threshold = Threshold::new(plan.threshold)?;
    let mut linkage = match sources[..] {
        [alone] => Linkage::within(alone, threshold)?,
        _ => Linkage::new(&sources, threshold)?,
    };
    if let Some(blocks) = &inputs.blocks {
        linkage = linkage.blocks(blocks)?;
    }
    let linkage = linkage.shard(Shard::new(shard, plan.shards)?).memory(shares.encodings);
    work.state.add_total(linkage.comparisons()?);

    let mut sorter = PairSorter::new(shares.pairs, &work.scratch);
    let bins = Bins::of_threshold(plan.threshold);
    let mut counting = Counting::new(&mut sorter, &bins, sources.len());
    let outcome = linkage.run(&work.state.meter, &mut counting)?;
    let exact = counting.finish();
    let scores = exact.map(|exact| histogram::of_shard(work, shard, inputs, &bins, exact, shares.encodings));
    let scores = scores.transpose()?;
    let written = pair_output::store(work, shard, sorter)?;
    Ok((outcome, scores, written))
}
