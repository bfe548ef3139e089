use serde::{Deserialize, Serialize};

/// By which method precision and recall are estimated.
pub const METHOD: &str = "neighbour model: the number of records of the other party at or above a threshold is one match \
     at most, plus a Poisson number of others (Blakely and Salmond 2002; Dasylva and others 2019)";

/// How many estimates are enough for a glance.
const FEW: usize = 12;

/// The scores of a run: histograms by pair of parties, and what is estimated from them. What REST answers with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// The run's threshold.
    pub threshold: f64,
    /// Where the first bin begins.
    pub floor: f64,
    /// How wide a bin is. The last one ends with 1, which it includes.
    pub bin_width: f64,
    /// For each two parties, or for the only one.
    pub histograms: Vec<Histogram>,
    /// What is expected, over all parties, and why if nothing is.
    #[serde(flatten)]
    pub advice: Advice,
}

/// How many pairs of records of two parties have which scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// The two parties, by their numbers; twice the same for a single one.
    pub datasets: [u32; 2],
    /// Pairs with a score of each bin. Below `exact_from` they are estimates.
    pub counts: Vec<f64>,
    /// From this score on all pairs are counted.
    pub exact_from: f64,
    /// Below, those of this share of the records of the smaller party are counted, and scaled up.
    pub sampled_share: f64,
}

/// What to expect of thresholds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Advice {
    /// By ascending threshold. Empty where the method does not apply.
    pub estimates: Vec<Estimate>,
    /// The threshold at which precision and recall are best balanced.
    pub suggestion: Option<Suggestion>,
    /// How this was estimated, and under which assumptions.
    pub method: String,
    /// Why there are no estimates, if there are none.
    #[serde(default)]
    pub reason: Option<String>,
}

/// What to expect of one threshold, for pairs of records as they are scored, before groups are formed of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The threshold.
    pub threshold: f64,
    /// Pairs at or above it.
    pub pairs: f64,
    /// Which share of these are matches.
    pub precision: f64,
    /// Which share of the matches is at or above it.
    pub recall: f64,
}

/// A threshold that may be worth a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suggestion {
    /// The threshold.
    pub threshold: f64,
    /// As in [`Estimate`].
    pub precision: f64,
    /// As in [`Estimate`].
    pub recall: f64,
    /// Why this one.
    pub reason: String,
}

/// The scores of a run in short, over all parties: for its status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScoresSummary {
    /// Key of the object with the [`Scores`].
    pub key: String,
    /// As in [`Scores`].
    pub floor: f64,
    /// As in [`Scores`].
    pub bin_width: f64,
    /// The score from which on all pairs of all parties are counted.
    pub exact_from: f64,
    /// The least share of the records of a party that is sampled below.
    pub sampled_share: f64,
    /// As in [`Histogram`], added up over the parties.
    pub counts: Vec<f64>,
    /// What is expected.
    pub advice: Advice,
}

impl Advice {
    /// About a dozen of the estimates, evenly spread; the one for `threshold` and the suggested one among them.
    pub fn few(&self, threshold: f64) -> impl Iterator<Item = &Estimate> {
        let step = self.estimates.len().div_ceil(FEW).max(1);
        let suggested = self.suggestion.as_ref().map(|suggestion| suggestion.threshold);
        let few = self.estimates.iter().enumerate().filter(move |(at, estimate)| {
            at % step == 0 || estimate.threshold == threshold || Some(estimate.threshold) == suggested
        });
        few.map(|(_, estimate)| estimate)
    }
}

impl Scores {
    /// Adds the histograms up.
    pub fn summary(&self, key: String) -> ScoresSummary {
        let bins = self.histograms.iter().map(|histogram| histogram.counts.len()).max().unwrap_or(0);
        let sum = |bin| self.histograms.iter().filter_map(|histogram| histogram.counts.get(bin)).sum();
        let least = |of: fn(&Histogram) -> f64| self.histograms.iter().map(of).fold(1.0, f64::min);
        let exact_from = self.histograms.iter().map(|histogram| histogram.exact_from).fold(0.0, f64::max);
        ScoresSummary {
            key,
            floor: self.floor,
            bin_width: self.bin_width,
            exact_from,
            sampled_share: least(|histogram| histogram.sampled_share),
            counts: (0..bins).map(sum).collect(),
            advice: self.advice.clone(),
        }
    }
}

/// So many decimals: what is estimated does not have more.
pub(super) fn rounded(value: f64, decimals: i32) -> f64 {
    let scale = 10f64.powi(decimals);
    (value * scale).round() / scale
}
