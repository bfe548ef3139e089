use std::fmt;

use super::counting::Counting;
use super::leaves::{BOX_SEGMENTS, MAX_SLACK, MOST_SEGMENTS};
use super::projections::Projections;
use super::segments::{Effort, Segments};
use crate::kernel::{COORDINATES, Kernel};
use crate::linkage::Linkage;
use crate::threshold::Cutoffs;
use crate::{EncodingSource, Error};

/// Records, of all data sets together, from which the segments are learnt and the costs estimated.
const SAMPLE: usize = 3000;
/// What takes less time than this, in nanoseconds, is done sooner than anything is learnt.
const LEAST_TIME: f64 = 1.3e9;
/// Pruning has to be expected to be this much faster, as an estimate may be wrong.
const LEAST_GAIN: f64 = 1.2;
/// The share of the records with more slack than the bounds can take, above which they are not worth it.
const MOST_UNBOUNDED: f64 = 0.01;
/// Of a share of candidates above this more segments are worth their time, and below that fewer are enough.
const VERY_MANY_CANDIDATES: f64 = 0.06;
const MANY_CANDIDATES: f64 = 0.005;
const FEW_CANDIDATES: f64 = 0.00005;
/// Directions are not looked for in longer encodings: it would take too long.
const MOST_PROJECTED_WIDTH: usize = 32;

/// The environment variable that decides instead of the estimate: `dense`, `pruned` or `projected`.
const VARIABLE: &str = "LINKAGE_PLAN";

/// How the pairs are found. Decides about the time alone: all plans find the same.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Plan {
    /// Every pair is compared.
    #[default]
    Dense,
    /// Every pair is compared, as leaving some out would not pay; of an estimated share of the pairs that many would
    /// have remained.
    NotWorthPruning {
        /// Share of the pairs that would have remained, or 1 where the bounds cannot tell.
        candidates: f64,
    },
    /// Pairs are left out whose segment counts differ too much.
    Pruned {
        /// Segments of the encodings.
        segments: usize,
        /// Estimated share of the pairs that remain.
        candidates: f64,
    },
    /// Pairs are left out whose projections are too far apart.
    Projected {
        /// Estimated share of the pairs that remain.
        candidates: f64,
    },
}

impl Plan {
    /// One word for metrics and logs: `dense`, `pruned` or `projected`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dense | Self::NotWorthPruning { .. } => "dense",
            Self::Pruned { .. } => "pruned",
            Self::Projected { .. } => "projected",
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dense => write!(f, "dense: every pair is compared"),
            Self::NotWorthPruning { candidates } => write!(
                f,
                "dense: every pair is compared, as leaving some out would leave {:.3} % of them to compare",
                candidates * 100.0
            ),
            Self::Pruned { segments, candidates } => write!(
                f,
                "pruned: {segments} segment counts are expected to leave {:.4} % of the pairs to compare",
                candidates * 100.0
            ),
            Self::Projected { candidates } => write!(
                f,
                "projected: {COORDINATES} projections are expected to leave {:.4} % of the pairs to compare",
                candidates * 100.0
            ),
        }
    }
}

/// What has been learnt for leaving pairs out.
#[derive(Clone, Debug)]
pub(crate) struct Pruning {
    /// By which records are put into leaves.
    pub(super) boxes: Segments,
    pub(super) bounding: Bounding,
}

/// By what single pairs are left out.
#[derive(Clone, Debug)]
pub(super) enum Bounding {
    Counts(Segments),
    Projections(Projections),
}

impl Bounding {
    fn plan(&self, candidates: f64) -> Plan {
        match self {
            Self::Counts(segments) => Plan::Pruned { segments: segments.segments, candidates },
            Self::Projections(_) => Plan::Projected { candidates },
        }
    }
}

/// What is asked for by the environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forced {
    Dense,
    Pruned,
    Projected,
}

/// The plan that the environment asks for; None to decide by the estimate.
///
/// # Errors
/// The variable names none.
pub(crate) fn forced() -> Result<Option<Forced>, Error> {
    match std::env::var(VARIABLE).ok().as_deref() {
        None | Some("" | "auto") => Ok(None),
        Some("dense") => Ok(Some(Forced::Dense)),
        Some("pruned") => Ok(Some(Forced::Pruned)),
        Some("projected") => Ok(Some(Forced::Projected)),
        Some(other) => Err(Error::Plan(other.to_owned())),
    }
}

/// Nanoseconds for a pair, as measured on one core of a Zen 4; only their ratios matter.
struct Costs {
    /// For each word of the encodings, comparing all pairs.
    word: f64,
    /// For each segment.
    segment: f64,
    /// For comparing a pair that remains.
    candidate: f64,
    /// For the projections of a pair, where matrices are multiplied.
    projected: Option<f64>,
}

impl Costs {
    fn of(kernel: Kernel) -> Self {
        match kernel.name() {
            "amx" => Self { word: 0.031, segment: 0.0054, candidate: 2.7, projected: Some(0.1) },
            "avx512" => Self { word: 0.054, segment: 0.0054, candidate: 2.7, projected: None },
            // NEON has not been measured; it does the same steps
            "avx512bw" | "avx2" | "neon" => {
                Self { word: 0.078, segment: 0.0065, candidate: 6.0, projected: None }
            }
            "popcnt" => Self { word: 0.25, segment: 0.03, candidate: 6.0, projected: None },
            _ => Self { word: 0.66, segment: 0.03, candidate: 12.0, projected: None },
        }
    }

    fn dense(&self, width: usize) -> f64 {
        self.word * width as f64
    }

    fn pruned(&self, bounding: &Bounding, candidates: f64) -> f64 {
        // what the boxes of leaves leave out is not counted on
        let bounds = match bounding {
            Bounding::Counts(segments) => self.segment * (segments.segments + BOX_SEGMENTS / 2) as f64,
            Bounding::Projections(_) => self.projected.unwrap_or_default(),
        };
        bounds + self.candidate * candidates
    }
}

/// The cheapest plan for the data, the threshold and the processor.
///
/// # Errors
/// When records cannot be read.
pub(crate) fn choose(
    linkage: &Linkage<'_>,
    kernel: Kernel,
    cutoffs: &Cutoffs,
    forced: Option<Forced>,
) -> Result<(Plan, Option<Pruning>), Error> {
    let width = linkage.encoding_bytes() / 8;
    let costs = Costs::of(kernel);
    let time = linkage.comparisons()? as f64 * costs.dense(width);
    if forced == Some(Forced::Dense) || (forced.is_none() && time < LEAST_TIME) {
        return Ok((Plan::Dense, None));
    }
    let samples = sample(linkage)?;
    let all = samples.concat();
    if all.is_empty() {
        return Ok((Plan::Dense, None));
    }
    let unbounded = all.chunks_exact(width).filter(|words| slack(words, cutoffs) > MAX_SLACK).count();
    if forced.is_none() && unbounded as f64 > MOST_UNBOUNDED * (all.len() / width) as f64 {
        return Ok((Plan::NotWorthPruning { candidates: 1.0 }, None));
    }
    let is_worth_it = |bounding: &Bounding, candidates, gain| {
        forced.is_some() || costs.pruned(bounding, candidates) * gain <= costs.dense(width)
    };
    let by_projections = match forced {
        Some(forced) => forced == Forced::Projected,
        None => costs.projected.is_some(),
    };
    let by_projections = by_projections && width <= MOST_PROJECTED_WIDTH;
    // Random-like encodings are told from others at once. With more effort fewer candidates are left.
    let (segments, candidates) = learn::<MOST_SEGMENTS, 6>(&samples, &all, width, cutoffs, Effort::LITTLE);
    if !is_worth_it(&Bounding::Counts(segments), candidates, 1.0) {
        return Ok((Plan::NotWorthPruning { candidates }, None));
    }
    let (boxes, (bounding, candidates)) = rayon::join(
        || Segments::learn::<BOX_SEGMENTS>(&all, width, cutoffs, Effort::FULL),
        || best_bounding(&samples, &all, width, cutoffs, by_projections, forced.is_some()),
    );
    if !is_worth_it(&bounding, candidates, LEAST_GAIN) {
        return Ok((Plan::NotWorthPruning { candidates }, None));
    }
    Ok((bounding.plan(candidates), Some(Pruning { boxes, bounding })))
}

/// As few segments as are enough, or projections where they take less time; and the share of the pairs that they leave.
fn best_bounding(
    samples: &[Vec<u64>],
    all: &[u64],
    width: usize,
    cutoffs: &Cutoffs,
    by_projections: bool,
    forced: bool,
) -> (Bounding, f64) {
    let (segments, candidates) = learn::<24, 3>(samples, all, width, cutoffs, Effort::FULL);
    if by_projections && (forced || candidates >= FEW_CANDIDATES) {
        let projections = Projections::learn(all, width, cutoffs);
        let candidates = projected_candidates(samples, width, &projections, cutoffs);
        return (Bounding::Projections(projections), candidates);
    }
    let (segments, candidates) = if candidates > VERY_MANY_CANDIDATES {
        learn::<MOST_SEGMENTS, 6>(samples, all, width, cutoffs, Effort::FULL)
    } else if candidates > MANY_CANDIDATES {
        learn::<32, 4>(samples, all, width, cutoffs, Effort::FULL)
    } else if candidates < FEW_CANDIDATES {
        learn::<16, 2>(samples, all, width, cutoffs, Effort::FULL)
    } else {
        (segments, candidates)
    };
    (Bounding::Counts(segments), candidates)
}

fn learn<const SEGMENTS: usize, const WORDS: usize>(
    samples: &[Vec<u64>],
    all: &[u64],
    width: usize,
    cutoffs: &Cutoffs,
    effort: Effort,
) -> (Segments, f64) {
    let segments = Segments::learn::<SEGMENTS>(all, width, cutoffs, effort);
    let candidates = candidates::<WORDS>(samples, width, &segments, cutoffs);
    (segments, candidates)
}

/// Records of each data set, evenly spread; of a single one in two halves, to be compared with each other.
fn sample(linkage: &Linkage<'_>) -> Result<Vec<Vec<u64>>, Error> {
    let share = SAMPLE / linkage.sources.len().max(1);
    let read = |(dataset, source): (usize, &&dyn EncodingSource)| {
        let records = source.records();
        let sampled = (share as u32).clamp(1, records.max(1)).min(records);
        let place = |i: u32| (u64::from(i) * u64::from(records) / u64::from(sampled)) as u32;
        let places: Vec<u32> = (0..sampled).map(place).collect();
        let mut words = Vec::new();
        source.gather(&places, &mut words).map_err(|source| Error::Read { dataset, source })?;
        Ok(words)
    };
    let samples: Vec<Vec<u64>> =
        linkage.sources.iter().enumerate().map(read).collect::<Result<_, Error>>()?;
    match &samples[..] {
        [alone] => Ok(halves(alone, linkage.encoding_bytes() / 8).into()),
        _ => Ok(samples),
    }
}

/// Every other record in either half.
fn halves(words: &[u64], width: usize) -> [Vec<u64>; 2] {
    [0, 1].map(|first| words.chunks_exact(width).skip(first).step_by(2).flatten().copied().collect())
}

/// The share of the sampled pairs that the segment counts leave.
fn candidates<const WORDS: usize>(
    samples: &[Vec<u64>],
    width: usize,
    segments: &Segments,
    cutoffs: &Cutoffs,
) -> f64 {
    let counting = Counting::<WORDS>::new(segments);
    let counted: Vec<Vec<_>> = samples
        .iter()
        .map(|words| {
            words.chunks_exact(width).map(|words| (counting.count(words), slack(words, cutoffs))).collect()
        })
        .collect();
    share_left(&counted, 1, |(a, slack_a), (b, slack_b)| {
        let counts = a.as_flattened().iter().zip(b.as_flattened());
        let distance: u32 = counts.map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
        distance <= slack_a + slack_b
    })
}

/// The share of some sampled pairs that projections leave.
fn projected_candidates(
    samples: &[Vec<u64>],
    width: usize,
    projections: &Projections,
    cutoffs: &Cutoffs,
) -> f64 {
    let project = |words: &[u64]| projections.project(words, slack(words, cutoffs));
    let projected: Vec<Vec<_>> =
        samples.iter().map(|words| words.chunks_exact(width).map(project).collect()).collect();
    // a product takes longer than the differences of a few counts
    share_left(&projected, 4, |a, b| a.reach(b))
}

/// The share of the pairs of different data sets that are left, of every so many records with all of the others.
fn share_left<T>(datasets: &[Vec<T>], every: usize, is_left: impl Fn(&T, &T) -> bool) -> f64 {
    let (mut pairs, mut left) = (0u64, 0u64);
    for (dataset, rows) in datasets.iter().enumerate() {
        for columns in &datasets[dataset + 1..] {
            for row in rows.iter().step_by(every) {
                pairs += columns.len() as u64;
                left += columns.iter().filter(|column| is_left(row, column)).count() as u64;
            }
        }
    }
    left as f64 / pairs.max(1) as f64
}

fn slack(words: &[u64], cutoffs: &Cutoffs) -> u32 {
    cutoffs.slack(words.iter().map(|word| word.count_ones()).sum())
}
