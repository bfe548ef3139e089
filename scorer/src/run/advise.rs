//! `scorer advise`: what to expect of thresholds, from the scores of a run.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use scorer::advice::{Advice, Estimate, Scores, svg};
use scorer::store::Store;
use scorer::summary::RunSummary;

/// No file of scores is nearly as large.
const MAX_BYTES: u64 = 64 << 20;

/// Tells what to expect of thresholds: pairs, precision and recall, as estimated from the scores of a run
///
/// SCORES is what `scorer run --scores FILE` has written, what the REST service answers at .../runs/RUN/histogram, or the
/// object result/scores.json of a run in the store; or a folder with a scores.json. Nothing is linked anew: a threshold is
/// suggested, and the next run is yours to start.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct AdviseArgs {
    /// A file of scores, or a folder with scores.json
    pub scores: PathBuf,

    /// Draw the histogram and the estimates as an SVG picture
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  scorer run hospitals.yaml --scores scores.json
  scorer advise scores.json --plot scores.svg";

/// Prints the advice, and draws it.
///
/// # Errors
/// When the file cannot be read or is none of scores, or the picture cannot be written.
pub fn advise(args: &AdviseArgs) -> Result<()> {
    let file = if args.scores.is_dir() { args.scores.join("scores.json") } else { args.scores.clone() };
    let scores = read(&file)?;
    let histograms = scores.summary(String::new());
    println!("threshold    {} of the run; scores from {} are counted", scores.threshold, scores.floor);
    if histograms.exact_from > histograms.floor {
        println!(
            "sampled      below {}, {:.1} % of the records of a party",
            histograms.exact_from,
            histograms.sampled_share * 100.0
        );
    }
    print(scores.threshold, &scores.advice);
    if let Some(plot) = &args.plot {
        fs::write(plot, svg(&scores)).with_context(|| format!("{} cannot be written", plot.display()))?;
        println!("picture      {}", plot.display());
    }
    Ok(())
}

fn read(file: &Path) -> Result<Scores> {
    let name = file.display();
    let mut text = String::new();
    let opened = fs::File::open(file).with_context(|| format!("{name} cannot be read"))?;
    opened.take(MAX_BYTES + 1).read_to_string(&mut text).with_context(|| format!("{name} cannot be read"))?;
    if text.len() as u64 > MAX_BYTES {
        bail!("{name} is too large to be the scores of a run");
    }
    let scores: Scores = serde_json::from_str(&text).with_context(|| {
        format!("{name} does not hold the scores of a run, as `scorer run --scores` writes them")
    })?;
    let sound = (scores.floor > 0.0 && scores.floor <= 1.0)
        && (scores.bin_width > 0.0 && scores.bin_width <= 1.0)
        && scores.histograms.iter().flat_map(|histogram| &histogram.counts).all(|&count| count >= 0.0);
    if !sound {
        bail!("{name}: floor and bin_width must be above 0 and at most 1, and no count below 0");
    }
    Ok(scores)
}

/// Copies the scores of a run out of the store.
pub(super) async fn save(store: &Store, summary: &RunSummary, file: &Path) -> Result<()> {
    let scores = summary.scores.as_ref().context("the run has not looked at its scores")?;
    let partial = file.with_extension("json.partial");
    store.download_to(&scores.key, &partial).await?;
    fs::rename(&partial, file).with_context(|| format!("{} cannot be written", file.display()))
}

/// Says on standard output what to expect of a few thresholds.
pub(super) fn print(threshold: f64, advice: &Advice) {
    if let Some(reason) = &advice.reason {
        println!("advice       none: {reason}");
        return;
    }
    println!("estimated    threshold       pairs  precision  recall   (of pairs, before groups are formed)");
    let suggested = advice.suggestion.as_ref().map(|suggestion| suggestion.threshold);
    for estimate in advice.few(threshold) {
        let Estimate { threshold: at, pairs, precision, recall } = estimate;
        let mark = match () {
            () if suggested == Some(*at) => "  suggested",
            () if *at == threshold => "  this run's",
            () => "",
        };
        println!("             {at:>9.4} {pairs:>11.0} {precision:>10.4} {recall:>7.4}{mark}");
    }
    if let Some(suggestion) = &advice.suggestion {
        println!("suggested    {}: {}", suggestion.threshold, suggestion.reason);
    }
}
