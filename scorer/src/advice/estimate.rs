//! Precision and recall by threshold, from histograms and neighbours.

use super::document::{Advice, Estimate, METHOD, Suggestion, rounded};
use super::neighbours::{Fit, fit};
use super::{Bins, Neighbours};

/// With more neighbours by chance than this a record, they begin to hide its match: the estimated matches spread.
const MOST_OTHERS: f64 = 0.25;
/// With fewer matches among the sampled records than this, all figures would be chance.
const FEWEST_MATCHES: f64 = 30.0;

/// What to expect of the thresholds at the edges of the bins.
///
/// `counts` are the pairs of all parties by bin. `within` says that they are of a single party's data, whose pairs are
/// seen from both of their records.
pub fn advise(bins: &Bins, counts: &[f64], neighbours: &Neighbours, within: bool) -> Advice {
    let method = METHOD.to_owned();
    match estimates(bins, counts, neighbours, within) {
        Ok(estimates) => {
            let suggestion = suggest(bins, &estimates);
            Advice { estimates, suggestion, method, reason: None }
        }
        Err(reason) => Advice { estimates: Vec::new(), suggestion: None, method, reason: Some(reason) },
    }
}

fn estimates(
    bins: &Bins,
    counts: &[f64],
    neighbours: &Neighbours,
    within: bool,
) -> Result<Vec<Estimate>, String> {
    if neighbours.records == 0 || neighbours.weight <= 0.0 {
        return Err("there are no neighbours of sampled records to estimate from".into());
    }
    let fits: Vec<Fit> = (neighbours.none.iter().zip(&neighbours.one))
        .map(|(none, one)| fit(none / neighbours.weight, one / neighbours.weight, neighbours.records as f64))
        .collect();
    let lowest = lowest_usable(bins, &fits)?;
    let pairs = at_or_above(counts);
    let scale = neighbours.weight / if within { 2.0 } else { 1.0 };
    let matched = matched_and_others(neighbours, &fits, lowest);
    if matched[0].0 * (neighbours.records as f64) < FEWEST_MATCHES {
        return Err(format!(
            "among the {} sampled records there are hardly any matches: too few to estimate from",
            neighbours.records
        ));
    }
    let matches = matches(bins, &pairs[lowest..], &matched, lowest, scale);
    let all = matches[0];
    if all <= 0.0 {
        return Err("all similar records seem to be so by chance".into());
    }
    let edges = bins.edges()[lowest..].iter().zip(&pairs[lowest..]).zip(&matches);
    Ok(edges
        .filter(|&((_, &pairs), _)| pairs > 0.0)
        .map(|((&threshold, &pairs), &matches)| Estimate {
            threshold,
            pairs: rounded(pairs, 1),
            precision: rounded(matches / pairs, 4),
            recall: rounded(matches / all, 4),
        })
        .collect())
}

/// The lowest edge down to which the model can tell matches from others.
fn lowest_usable(bins: &Bins, fits: &[Fit]) -> Result<usize, String> {
    let usable = |fit: &&Fit| fit.explained && fit.others <= MOST_OTHERS;
    let number = fits.iter().rev().take_while(usable).count();
    let lowest = fits.len() - number;
    if let Some(at) = lowest.checked_sub(1).filter(|&at| at >= bins.first_exact() && !fits[at].explained) {
        return Err(format!(
            "at {} records have more similar ones than one match each and chance explain: a party seems to hold \
             some people several times, which this method cannot judge",
            bins.edges()[at]
        ));
    }
    if number == 0 {
        return Err("even at the highest scores nearly every record has several similar ones".into());
    }
    Ok(lowest)
}

/// Pairs with at least the score of each edge.
fn at_or_above(counts: &[f64]) -> Vec<f64> {
    let mut sums: Vec<f64> = counts.to_vec();
    for bin in (1..sums.len()).rev() {
        sums[bin - 1] += sums[bin];
    }
    sums
}

/// From the lowest usable edge on: the share of records whose match is a neighbour, and the mean number of others. Both
/// fall as thresholds rise; where sampling makes them rise, neighbouring edges get their weighted mean.
fn matched_and_others(neighbours: &Neighbours, fits: &[Fit], lowest: usize) -> Vec<(f64, f64)> {
    let fits = &fits[lowest..];
    let weight = |variance: f64| 1.0 / (variance + 1e-9);
    let mut others: Vec<_> = fits.iter().map(|fit| (fit.others, weight(fit.variance))).collect();
    let others = falling(&mut others);
    let none = neighbours.none[lowest..].iter().map(|none| none / neighbours.weight);
    let mut matched: Vec<_> = none
        .zip(&others)
        .zip(fits)
        .map(|((none, others), fit)| {
            let share = (1.0 - none * others.exp()).clamp(0.0, 1.0);
            (share, weight((1.0 - share).powi(2) * fit.variance))
        })
        .collect();
    falling(&mut matched).into_iter().zip(others).collect()
}

/// The nearest series that never rises, by weighted squares: values with their weights. (Pool adjacent violators.)
fn falling(values: &mut [(f64, f64)]) -> Vec<f64> {
    let mut pools: Vec<(f64, f64, usize)> = Vec::new();
    for &mut (value, weight) in values {
        pools.push((value, weight, 1));
        while let [.., before, last] = &mut pools[..]
            && before.0 < last.0
        {
            let weight = before.1 + last.1;
            *before = ((before.0 * before.1 + last.0 * last.1) / weight, weight, before.2 + last.2);
            pools.pop();
        }
    }
    pools.into_iter().flat_map(|(value, _, length)| std::iter::repeat_n(value, length)).collect()
}

/// Matches at or above each usable edge. From the threshold on they are the pairs, all of which are counted, but for the
/// others; below it the sampled share of records with a match tells how many more there are.
fn matches(bins: &Bins, pairs: &[f64], matched: &[(f64, f64)], lowest: usize, scale: f64) -> Vec<f64> {
    let anchor = bins.first_exact().saturating_sub(lowest);
    let counted = |at: usize| (pairs[at] - matched[at].1 * scale).clamp(0.0, pairs[at]);
    let mut matches: Vec<f64> = (0..pairs.len())
        .map(|at| match at < anchor {
            false => counted(at),
            true => (counted(anchor) + (matched[at].0 - matched[anchor].0) * scale).clamp(0.0, pairs[at]),
        })
        .collect();
    for at in (1..matches.len()).rev() {
        matches[at - 1] = matches[at - 1].max(matches[at]).min(pairs[at - 1]);
    }
    matches
}

/// The threshold with the highest harmonic mean of precision and recall; of several the highest threshold.
fn suggest(bins: &Bins, estimates: &[Estimate]) -> Option<Suggestion> {
    let balance = |estimate: &Estimate| {
        let sum = estimate.precision + estimate.recall;
        if sum > 0.0 { 2.0 * estimate.precision * estimate.recall / sum } else { 0.0 }
    };
    let best = estimates.iter().max_by(|a, b| balance(a).total_cmp(&balance(b)))?;
    let asked = bins.edges()[bins.first_exact()];
    let mut reason = "the best balance of estimated precision and recall (highest F1)".to_owned();
    if best.threshold < asked {
        reason += "; it is below this run's threshold, so that some of its pairs are not among this run's";
    }
    let Estimate { threshold, precision, recall, .. } = *best;
    Some(Suggestion { threshold, precision, recall, reason })
}

#[cfg(test)]
mod tests;
