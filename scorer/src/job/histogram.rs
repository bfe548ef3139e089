//! How many pairs have which score: exactly from the threshold on, below it from a sample of records.
//!
//! The sample does not depend on the shards. Of each two parties, records of the smaller one are drawn, one at random from each of
//! as many equal parts of it, always the same; these are compared with all of the larger party, or with those that
//! share a block with them. Each shard takes its part of them.

mod counting;
mod sample;

use std::time::Instant;

use serde::{Deserialize, Serialize};

pub(super) use counting::Counting;
use sample::{Sampled, sample};

use super::inputs::Inputs;
use super::{Work, failure, read_json_of, write_json};
use crate::advice::{Bins, Histogram, Neighbours, Scores, ScoresSummary, advise};
use crate::engine::Error;
use crate::plan::FORMAT_VERSION;
use crate::summary::Failure;

/// More parties than this are not looked at by pairs: there is no place for so many histograms.
const MOST_PARTIES: usize = 64;
/// The counts of 2,016 pairs of parties are far from it.
const MAX_BYTES: u64 = 16 << 20;

/// What one shard has counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShardScores {
    version: u32,
    #[serde(default)]
    work: String,
    shards: u32,
    /// For each two parties in order, pairs by bin, those at or above the threshold.
    exact: Vec<Vec<u64>>,
    /// Likewise what the sampled records have.
    sampled: Vec<Sampled>,
}

/// Compares this shard's part of the sample, and puts it beside what was counted exactly. Uses so many bytes of memory for
/// encodings.
pub(super) fn of_shard(
    work: &Work,
    shard: u32,
    inputs: &Inputs,
    bins: &Bins,
    exact: Vec<Vec<u64>>,
    memory: usize,
) -> Result<ShardScores, Error> {
    let (start, shards) = (Instant::now(), work.plan.shards);
    let sampled = sample(&inputs.encodings, inputs.blocks.as_ref(), bins, (shard, shards), memory)?;
    let seconds = start.elapsed().as_secs_f64();
    tracing::info!(run = work.plan.run, shard, seconds, "compared a sample for the histogram");
    Ok(ShardScores { version: FORMAT_VERSION, work: work.plan.work.clone(), shards, exact, sampled })
}

/// Stores what a shard has counted, before its manifest.
pub(super) async fn write(work: &Work, shard: u32, scores: &ShardScores) -> Result<(), Failure> {
    write_json(&work.store, &key(work, shard), scores).await
}

fn key(work: &Work, shard: u32) -> String {
    work.key(format_args!("pairs/{shard}.scores.json"))
}

/// Stores the scores of the whole run, and gives them back in short. None where the shards have counted nothing.
pub(super) async fn finish(work: &Work) -> Result<Option<ScoresSummary>, Failure> {
    let Some(scores) = combine(work).await? else { return Ok(None) };
    let key = work.key("result/scores.json");
    write_json(&work.store, &key, &scores).await?;
    Ok(Some(scores.summary(key)))
}

/// Puts together what the shards have counted. None where they have counted nothing.
async fn combine(work: &Work) -> Result<Option<Scores>, Failure> {
    let bins = Bins::of_threshold(work.plan.threshold);
    let datasets = pairs_of_parties(work.plan.inputs.len());
    let mut total: Option<ShardScores> = None;
    for shard in 0..work.plan.shards {
        let key = key(work, shard);
        let Some(scores) = read_json_of::<ShardScores>(&work.store, &key, MAX_BYTES).await? else {
            return Ok(None);
        };
        // left by other work, of which nothing was counted anew, as the pairs were taken over
        if scores.work != work.plan.work && work.plan.pairs_from.is_some() {
            return Ok(None);
        }
        check(&scores, work, datasets.len(), bins.edges().len())
            .map_err(|why| failure::corrupt(&key, why))?;
        match &mut total {
            None => total = Some(scores),
            Some(total) => total.add(&scores),
        }
    }
    Ok(total.map(|total| total.document(work, &bins, &datasets)))
}

fn check(scores: &ShardScores, work: &Work, pairs: usize, bins: usize) -> Result<(), &'static str> {
    if scores.version != FORMAT_VERSION || scores.work != work.plan.work || scores.shards != work.plan.shards
    {
        return Err("it is of another run, or of another version");
    }
    let lengths = scores.exact.iter().map(Vec::len).chain(scores.sampled.iter().flat_map(Sampled::lengths));
    if scores.exact.len() != pairs
        || scores.sampled.len() != pairs
        || lengths.into_iter().any(|length| length != bins)
    {
        return Err("it does not have the histograms of this run");
    }
    Ok(())
}

impl ShardScores {
    fn add(&mut self, other: &Self) {
        for (counts, others) in self.exact.iter_mut().zip(&other.exact) {
            add(counts, others);
        }
        for (sampled, other) in self.sampled.iter_mut().zip(&other.sampled) {
            sampled.add(other);
        }
    }

    fn document(&self, work: &Work, bins: &Bins, datasets: &[[u32; 2]]) -> Scores {
        let records: Vec<u64> = work.plan.inputs.iter().map(|input| input.records).collect();
        let within = records.len() == 1;
        let mut neighbours = Neighbours {
            none: vec![0.0; bins.edges().len()],
            one: vec![0.0; bins.edges().len()],
            ..Neighbours::default()
        };
        let mut histograms = Vec::new();
        for ((&datasets, exact), sampled) in datasets.iter().zip(&self.exact).zip(&self.sampled) {
            let rows = datasets.map(|dataset| records[dataset as usize]).into_iter().min().unwrap_or(0);
            sampled.add_to(&mut neighbours, rows);
            histograms.push(sampled.histogram(bins, datasets, exact, rows, within));
        }
        let pooled: Vec<f64> = (0..bins.edges().len())
            .map(|bin| histograms.iter().map(|histogram: &Histogram| histogram.counts[bin]).sum())
            .collect();
        Scores {
            threshold: work.plan.threshold,
            floor: bins.floor(),
            bin_width: bins.width(),
            histograms,
            advice: advise(bins, &pooled, &neighbours, within),
        }
    }
}

/// All two parties; of a single one, that one twice.
fn pairs_of_parties(parties: usize) -> Vec<[u32; 2]> {
    if parties == 1 {
        return vec![[0, 0]];
    }
    let parties = parties as u32;
    (0..parties).flat_map(|first| (first + 1..parties).map(move |second| [first, second])).collect()
}

fn add(counts: &mut [u64], others: &[u64]) {
    for (count, other) in counts.iter_mut().zip(others) {
        *count = count.saturating_add(*other);
    }
}
