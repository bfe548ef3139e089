//! The histogram and the estimates as a picture. SVG by hand: a few bars and lines, and text in the reader's own font.

use std::fmt::Write;

use super::{Estimate, Scores};

/// Of the area with the bars.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 64.0;
const TOP: f64 = 64.0;
const STYLE: &str = "text{font:12px sans-serif;fill:#333}.exact{fill:#4878a8}.sampled{fill:#a9c4de}\
                     .precision,.recall{fill:none;stroke-width:2}.precision{stroke:#b5442e}.recall{stroke:#2b7a3d}\
                     .axis{stroke:#999;stroke-width:1}.threshold{stroke:#333;stroke-dasharray:4 3}";

/// Bars for pairs by score, on a logarithmic scale; lines for estimated precision and recall; the run's threshold.
pub fn svg(scores: &Scores) -> String {
    let summary = scores.summary(String::new());
    let end = summary.floor + summary.bin_width * summary.counts.len() as f64;
    let x = |score: f64| LEFT + WIDTH * ((score - summary.floor) / (end - summary.floor)).clamp(0.0, 1.0);
    let most = summary.counts.iter().copied().fold(1.0, f64::max);
    let decades = most.log10().ceil().max(1.0);
    let share = |count: f64| ((1.0 + count).log10() / (1.0 + 10f64.powf(decades)).log10()).clamp(0.0, 1.0);

    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" role=\"img\">\n\
         <title>Pairs of records by similarity score</title>\n<style>{STYLE}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
        LEFT + WIDTH + 64.0,
        TOP + HEIGHT + 56.0
    );
    for (bin, &count) in summary.counts.iter().enumerate() {
        let from = summary.floor + summary.bin_width * bin as f64;
        let class = if from + 1e-9 >= summary.exact_from { "exact" } else { "sampled" };
        let height = HEIGHT * share(count);
        let (left, right) = (x(from), x(from + summary.bin_width));
        line(
            &mut out,
            format_args!(
                "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\">\
             <title>{count} pairs from {from:.2}</title></rect>",
                TOP + HEIGHT - height,
                (right - left - 1.0).max(0.5)
            ),
        );
    }
    axes(&mut out, decades, &share, &x, (summary.floor, end));
    for (class, of) in [("precision", (|e| e.precision) as fn(&Estimate) -> f64), ("recall", |e| e.recall)] {
        let points = scores.advice.estimates.iter().map(|estimate| {
            format!("{:.1},{:.1}", x(estimate.threshold), TOP + HEIGHT * (1.0 - of(estimate)))
        });
        let points: Vec<String> = points.collect();
        line(&mut out, format_args!("<polyline class=\"{class}\" points=\"{}\"/>", points.join(" ")));
    }
    marks(&mut out, scores, &x);
    out.push_str("</svg>\n");
    out
}

fn axes(
    out: &mut String,
    decades: f64,
    share: &dyn Fn(f64) -> f64,
    x: &dyn Fn(f64) -> f64,
    (floor, end): (f64, f64),
) {
    let bottom = TOP + HEIGHT;
    line(
        out,
        format_args!(
            "<path class=\"axis\" fill=\"none\" d=\"M{LEFT} {TOP}V{bottom}H{}V{TOP}\"/>",
            LEFT + WIDTH
        ),
    );
    for decade in 0..=decades as u32 {
        let count = 10f64.powi(decade as i32);
        let y = bottom - HEIGHT * share(count) + 4.0;
        line(
            out,
            format_args!("<text x=\"{}\" y=\"{y:.1}\" text-anchor=\"end\">{count:.0}</text>", LEFT - 6.0),
        );
    }
    for tenth in 0..=4 {
        let y = bottom - HEIGHT * f64::from(tenth) / 4.0 + 4.0;
        line(out, format_args!("<text x=\"{}\" y=\"{y:.1}\">{} %</text>", LEFT + WIDTH + 6.0, tenth * 25));
    }
    for step in
        (0..=20).map(|step| f64::from(step) * 0.05).filter(|&at| at >= floor - 1e-9 && at <= end + 1e-9)
    {
        line(
            out,
            format_args!(
                "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{step:.2}</text>",
                x(step),
                bottom + 18.0
            ),
        );
    }
    line(
        out,
        format_args!(
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">similarity score (pale: estimated from a sample)</text>",
            LEFT + WIDTH / 2.0,
            bottom + 40.0
        ),
    );
}

/// The legend, the run's threshold and the suggested one.
fn marks(out: &mut String, scores: &Scores, x: &dyn Fn(f64) -> f64) {
    let mut mark = |score: f64, label: &str, y: f64| {
        let x = x(score);
        line(out, format_args!("<path class=\"threshold\" d=\"M{x:.1} {y}V{}\"/>", TOP + HEIGHT));
        line(out, format_args!("<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>", y - 4.0));
    };
    mark(scores.threshold, "threshold", TOP - 6.0);
    if let Some(suggestion) = &scores.advice.suggestion {
        mark(suggestion.threshold, "suggested", TOP - 22.0);
    }
    line(out, format_args!("<text x=\"{LEFT}\" y=\"16\">pairs (bars), estimated</text>"));
    for (class, at) in [("precision", 160.0), ("recall", 256.0)] {
        let left = LEFT + at;
        line(out, format_args!("<path class=\"{class}\" d=\"M{left} 12h20\"/>"));
        line(out, format_args!("<text x=\"{}\" y=\"16\">{class}</text>", left + 24.0));
    }
}

fn line(out: &mut String, what: std::fmt::Arguments<'_>) {
    // writing to a string does not fail
    let _ = writeln!(out, "{what}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::{Advice, Bins, Histogram, advise};

    #[test]
    fn a_picture_has_a_bar_for_each_bin_whatever_the_counts() {
        for threshold in [0.01, 0.8, 1.0] {
            let bins = Bins::of_threshold(threshold);
            for count in [0.0, 1.0, 1e15] {
                let counts = vec![count; bins.edges().len()];
                let advice: Advice = advise(&bins, &counts, &Default::default(), false);
                let histogram =
                    Histogram { datasets: [0, 1], counts, exact_from: threshold, sampled_share: 0.1 };
                let floor = bins.floor();
                let scores =
                    Scores { threshold, floor, bin_width: 0.01, histograms: vec![histogram], advice };
                let svg = svg(&scores);
                let bars = svg.matches("class=\"exact\"").count() + svg.matches("class=\"sampled\"").count();
                assert_eq!(bars, bins.edges().len());
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            }
        }
    }
}
