use std::fmt;

use super::index::Lookup;
use super::leaves::{BOX_SEGMENTS, FINER_SEGMENTS, MAX_SLACK, MOST_SEGMENTS};
use super::projections::Projections;
use super::sample::{Left, Sample, SampledPair};
use super::segments::{Effort, Segments};
use crate::Error;
use crate::kernel::{COORDINATES, Kernel};
use crate::linkage::Linkage;
use crate::threshold::Cutoffs;

/// Sampled pairs from which a division is learnt.
const PAIRS: usize = 4000;
/// Of those such that a first division does not tell apart, if it leaves so many. With more, others are told apart worse.
const NEAR_PAIRS: usize = 2000;
/// From which that first division is learnt.
const FEW_PAIRS: usize = 1000;
/// What takes less time than this, in nanoseconds, is done sooner than anything is learnt.
const LEAST_TIME: f64 = 1.3e9;
/// Pruning has to be expected to be this much faster, as an estimate may be wrong.
const LEAST_GAIN: f64 = 1.2;
/// The share of the records with more slack than the bounds can take, above which they are not worth it.
const MOST_UNBOUNDED: f64 = 0.01;
/// If a first division leaves a share of candidates above this, more segments are worth their time, and below that fewer
/// are enough.
const VERY_MANY_CANDIDATES: f64 = 0.016;
const MANY_CANDIDATES: f64 = 0.0005;
const FEW_CANDIDATES: f64 = 0.000002;
/// The fewest segments are enough if they leave no greater share of the pairs.
const MOST_LEFT_BY_FEWEST: f64 = 0.0005;
/// Looking up has to be expected to be this much faster, as it takes memory, and an estimate may be wrong; before anything
/// is learnt, at best.
const LEAST_GAIN_OF_LOOKING_UP: f64 = 1.3;
const LEAST_GAIN_AT_BEST: f64 = 1.5;
/// Finer segments are worth it if comparing the candidates would take longer than so much of the time for finding them.
const MOST_COMPARING: f64 = 0.1;
/// Directions are not looked for in longer encodings: it would take too long.
const MOST_PROJECTED_WIDTH: usize = 32;

/// The environment variable that decides instead of the estimate: `dense`, `pruned`, `indexed` or `projected`.
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
        /// Estimated share of the pairs that still remain after a comparison of finer segment counts, if that is made.
        finer: Option<f64>,
    },
    /// Only pairs that agree in some part of the bits are looked up.
    Indexed {
        /// Parts of the encodings.
        parts: usize,
        /// Records that are gone through for each pair of all, in each part.
        records: f64,
        /// Estimated share of the pairs that are looked up, once for each part in which they agree.
        looked_up: f64,
        /// Estimated share of the pairs that remain of those by their segment counts.
        candidates: f64,
    },
    /// Pairs are left out whose projections are too far apart.
    Projected {
        /// Estimated share of the pairs that remain.
        candidates: f64,
    },
}

impl Plan {
    /// One word for metrics and logs: `dense`, `pruned`, `indexed` or `projected`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dense | Self::NotWorthPruning { .. } => "dense",
            Self::Pruned { .. } => "pruned",
            Self::Indexed { .. } => "indexed",
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
            Self::Pruned { segments, candidates, finer } => {
                let (candidates, finer) = (candidates * 100.0, finer.map(|finer| finer * 100.0));
                write!(
                    f,
                    "pruned: {segments} segment counts are expected to leave {candidates:.4} % of the pairs"
                )?;
                match finer {
                    Some(finer) => write!(f, ", and {FINER_SEGMENTS} finer ones {finer:.4} %, to compare"),
                    None => write!(f, " to compare"),
                }
            }
            Self::Indexed { parts, looked_up, candidates, .. } => write!(
                f,
                "indexed: pairs that agree in one of {parts} parts are expected to be {:.4} % of all, of which segment \
                 counts leave {:.4} % to compare",
                looked_up * 100.0,
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
pub(crate) enum Pruning {
    Leaves(LeafPruning),
    Index(Lookup),
}

/// What has been learnt for leaving out pairs of leaves, and single ones.
#[derive(Clone, Debug)]
pub(crate) struct LeafPruning {
    /// By which records are put into leaves.
    pub(super) boxes: Segments,
    pub(super) bounding: Bounding,
}

/// By what single pairs are left out.
#[derive(Clone, Debug)]
pub(super) enum Bounding {
    /// By segments, and those pairs that they leave by a finer division, if there is one.
    Counts(Segments, Option<Segments>),
    Projections(Projections),
}

/// What is asked for by the environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forced {
    Dense,
    Pruned,
    Indexed,
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
        Some("indexed") => Ok(Some(Forced::Indexed)),
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
    /// For comparing the finer segment counts of a pair that remains; None where comparing the pair is as fast.
    finer: Option<f64>,
    /// For comparing a pair that remains.
    candidate: f64,
    /// For the projections of a pair, where matrices are multiplied.
    projected: Option<f64>,
    /// For the segment counts of a pair that is looked up.
    looked_up: f64,
    /// For each part of a record, to look its pairs up.
    part: f64,
}

impl Costs {
    fn of(kernel: Kernel) -> Self {
        let avx512 = Self {
            word: 0.054,
            segment: 0.0054,
            finer: None,
            candidate: 2.7,
            projected: None,
            looked_up: 0.8,
            part: 18.0,
        };
        let avx2 = Self {
            word: 0.078,
            segment: 0.0065,
            finer: Some(2.0),
            candidate: 6.0,
            projected: None,
            looked_up: 0.8,
            part: 18.0,
        };
        match kernel.name() {
            "amx" => Self { word: 0.031, projected: Some(0.1), ..avx512 },
            "avx512-tables" => Self { word: 0.049, ..avx512 },
            "avx512" => avx512,
            "avx2-tables" => Self { word: 0.06, ..avx2 },
            // NEON has not been measured; it does the same steps
            "avx512bw" | "avx2" | "neon" => avx2,
            "popcnt" => Self { word: 0.25, segment: 0.03, ..avx2 },
            _ => Self { word: 0.66, segment: 0.03, candidate: 12.0, ..avx2 },
        }
    }

    fn of_plan(&self, plan: Plan, width: usize) -> f64 {
        match plan {
            Plan::Dense | Plan::NotWorthPruning { .. } => self.word * width as f64,
            Plan::Pruned { segments, candidates, finer } => {
                // what the boxes of leaves leave out is not counted on
                let bounds = self.segment * (segments + BOX_SEGMENTS / 2) as f64;
                let finer_bounds = finer.and(self.finer).unwrap_or_default() * candidates;
                bounds + finer_bounds + self.candidate * finer.unwrap_or(candidates)
            }
            Plan::Indexed { parts, records, looked_up, candidates } => {
                let parts = self.part * parts as f64 * records;
                parts + self.looked_up * looked_up + self.candidate * candidates
            }
            Plan::Projected { candidates } => {
                self.projected.unwrap_or_default() + self.candidate * candidates
            }
        }
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
    let time = linkage.comparisons()? as f64 * costs.of_plan(Plan::Dense, width);
    if forced == Some(Forced::Dense) || (forced.is_none() && time < LEAST_TIME) {
        return Ok((Plan::Dense, None));
    }
    let sample = Sample::read(linkage, cutoffs)?;
    if sample.is_empty() {
        return Ok((Plan::Dense, None));
    }
    if forced.is_none() && sample.share_with_more(MAX_SLACK) > MOST_UNBOUNDED {
        return Ok((Plan::NotWorthPruning { candidates: 1.0 }, None));
    }
    let is_worth_it = |plan, gain| {
        forced.is_some() || costs.of_plan(plan, width) * gain <= costs.of_plan(Plan::Dense, width)
    };
    let random = sample.random_pairs(PAIRS);
    if forced == Some(Forced::Indexed) {
        let (plan, lookup) = Lookup::learn(linkage, &sample, &random, cutoffs);
        return Ok((plan, Some(Pruning::Index(lookup))));
    }
    // Random-like encodings are told from others at once. With more effort fewer candidates are left.
    let segments = Segments::learn(MOST_SEGMENTS, &random[..FEW_PAIRS], width, cutoffs, Effort::LITTLE);
    let left = sample.left_by::<{ MOST_SEGMENTS / 8 }>(1, &segments);
    let candidates = left.share();
    let finer = costs.finer.map(|_| 0.0); // at best
    let is_worth_pruning = is_worth_it(Plan::Pruned { segments: MOST_SEGMENTS, candidates, finer }, 1.0);
    if forced.is_none() {
        let otherwise = if is_worth_pruning {
            let plan = Plan::Pruned { segments: segments_for(candidates), candidates, finer };
            costs.of_plan(plan, width) * share_of_near_leaves(&sample, &random, width, cutoffs)
        } else {
            costs.of_plan(Plan::Dense, width)
        };
        let is_faster = |plan, gain| costs.of_plan(plan, width) * gain <= otherwise;
        if is_faster(Lookup::at_best(linkage, &sample, &random[..FEW_PAIRS]), LEAST_GAIN_AT_BEST) {
            let (plan, lookup) = Lookup::learn(linkage, &sample, &random, cutoffs);
            if is_faster(plan, LEAST_GAIN_OF_LOOKING_UP) {
                return Ok((plan, Some(Pruning::Index(lookup))));
            }
        }
    }
    if !is_worth_pruning {
        return Ok((Plan::NotWorthPruning { candidates }, None));
    }
    let pairs: Vec<_> = left.some(NEAR_PAIRS).chain(&random).take(PAIRS).copied().collect();
    let by_projections = match forced {
        Some(forced) => forced == Forced::Projected,
        None => costs.projected.is_some() && candidates >= FEW_CANDIDATES,
    };
    let by_projections = by_projections && width <= MOST_PROJECTED_WIDTH;
    let learning = Learning { sample: &sample, pairs: &pairs, candidates, width, cutoffs };
    let (boxes, (plan, bounding)) = rayon::join(
        || Segments::learn(BOX_SEGMENTS, &random, width, cutoffs, Effort::FULL),
        || if by_projections { learning.projections() } else { learning.segments(&costs) },
    );
    if !is_worth_it(plan, LEAST_GAIN) {
        return Ok((Plan::NotWorthPruning { candidates }, None));
    }
    Ok((plan, Some(Pruning::Leaves(LeafPruning { boxes, bounding }))))
}

/// About what share of the pairs is left by leaves, which leave out the others as wholes.
///
/// Records of near leaves need not be near: the share was found to be about the square root of that of the pairs of records
/// that the same segments leave, for names at thresholds from .93 to .97, 200,000 and a million of them.
fn share_of_near_leaves(
    sample: &Sample<'_>,
    random: &[SampledPair<'_>],
    width: usize,
    cutoffs: &Cutoffs,
) -> f64 {
    let boxes = Segments::learn(BOX_SEGMENTS, &random[..FEW_PAIRS], width, cutoffs, Effort::LITTLE);
    sample.left_by::<1>(4, &boxes).share().sqrt()
}

/// How many segments are enough if a first division leaves such a share of candidates.
fn segments_for(candidates: f64) -> usize {
    match candidates {
        VERY_MANY_CANDIDATES.. => MOST_SEGMENTS,
        MANY_CANDIDATES.. => 32,
        FEW_CANDIDATES.. => 24,
        _ => 12,
    }
}

/// From what single pairs are learnt to be told apart.
struct Learning<'a> {
    sample: &'a Sample<'a>,
    pairs: &'a [SampledPair<'a>],
    /// The share of the pairs that a first division leaves.
    candidates: f64,
    /// Words of an encoding.
    width: usize,
    cutoffs: &'a Cutoffs,
}

impl Learning<'_> {
    fn projections(&self) -> (Plan, Bounding) {
        let projections = Projections::learn(&self.sample.words(), self.width, self.cutoffs);
        let candidates = self.sample.left_by_projections(&projections).share();
        (Plan::Projected { candidates }, Bounding::Projections(projections))
    }

    /// As few segments as are enough, and finer ones where comparing the pairs that are left would take long.
    fn segments(&self, costs: &Costs) -> (Plan, Bounding) {
        let (segments, left) = match segments_for(self.candidates) {
            MOST_SEGMENTS => self.counts::<{ MOST_SEGMENTS / 8 }>(MOST_SEGMENTS),
            32 => self.counts::<4>(32),
            24 => self.counts::<3>(24),
            fewest => Some(self.counts::<2>(fewest))
                .filter(|(_, left)| left.share() <= MOST_LEFT_BY_FEWEST)
                .unwrap_or_else(|| self.counts::<2>(16)),
        };
        let (segments_time, candidates) = (costs.segment * segments.segments as f64, left.share());
        let takes_long = costs.candidate * candidates > MOST_COMPARING * segments_time;
        let finer = (costs.finer.is_some() && takes_long).then(|| self.learn(FINER_SEGMENTS));
        let left = finer.as_ref().map(|finer| self.sample.left_after::<{ FINER_SEGMENTS / 8 }>(&left, finer));
        let plan = Plan::Pruned { segments: segments.segments, candidates, finer: left };
        (plan, Bounding::Counts(segments, finer))
    }

    /// By so many segments, whose counts are in so many words.
    fn counts<const WORDS: usize>(&self, segments: usize) -> (Segments, Left<'_>) {
        let segments = self.learn(segments);
        let left = self.sample.left_by::<WORDS>(4, &segments);
        (segments, left)
    }

    fn learn(&self, segments: usize) -> Segments {
        Segments::learn(segments, self.pairs, self.width, self.cutoffs, Effort::FULL)
    }
}
