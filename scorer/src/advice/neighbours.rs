//! The neighbour model: true and chance neighbours told apart by how many a record has, not by a known truth.
//!
//! A neighbour of a record, at a threshold, is a record of the other party with a score at or above it. A record has at
//! most one true one, its match, if that is in the other data at all and reaches the threshold: with probability q. The
//! number of others is Poisson with mean λ, independent of that. Then
//!
//! ```text
//! P(no neighbour)  = P₀ = (1 − q)·e^−λ
//! P(one neighbour) = P₁ = q·e^−λ + (1 − q)·λ·e^−λ
//! ```
//!
//! and the fractions of sampled records with none and with one give q and λ at each threshold: what is seen of the second
//! best neighbours tells how many of the best ones are there by chance. More than one is not looked at, so that
//! a few records with very many neighbours (frequent names) hardly matter.
//!
//! T. Blakely and C. Salmond, "Probabilistic record linkage and a method to calculate the positive predictive value",
//! International Journal of Epidemiology 31:1246 (2002), have the idea, from the numbers of records with zero, one, two …
//! links. A. Dasylva, A. Goussanou, D. Ajavon and H. Abousaleh, "Revisiting the probabilistic method of record linkage",
//! arXiv:1911.01874 (2019), have the model as a Bernoulli plus a Poisson variable, and show that it is identified.

/// How many of the sampled records have no neighbour, and one, at or above each edge. Weighted: a record counts for all
/// that it was drawn for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Neighbours {
    /// Records that were looked at.
    pub records: u64,
    /// What they stand for: the records of the smaller of each two parties, all added up.
    pub weight: f64,
    /// The weight of those without a neighbour, by edge.
    pub none: Vec<f64>,
    /// The weight of those with one.
    pub one: Vec<f64>,
}

/// What the model makes of one edge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fit {
    /// Share of the records whose match is a neighbour.
    pub matched: f64,
    /// Mean number of other neighbours.
    pub others: f64,
    /// Variance of `others`, from the sampling of records alone.
    pub variance: f64,
    /// Whether some q and λ explain the fractions.
    pub explained: bool,
}

/// By how many standard errors the fractions may miss what the model can explain.
const STANDARD_ERRORS: f64 = 3.0;

/// Solves the two equations for fractions of so many records.
pub(super) fn fit(none: f64, one: f64, records: f64) -> Fit {
    let [none, one] = [none, one].map(|share| share.clamp(0.0, 1.0));
    let more = (1.0 - none - one).max(0.0);
    if none <= 0.0 {
        // everybody has one: the match is always there if there is one
        let others = if one > 0.0 { -one.ln() } else { f64::INFINITY };
        return Fit { matched: 1.0, others, variance: more / records.max(1.0), explained: true };
    }
    let most = -none.ln();
    let others = root(none, one, most);
    let matched = (1.0 - none * others.exp()).clamp(0.0, 1.0);
    // Without any match P₁ is −P₀·ln P₀, the least that the model can explain.
    let error = (one * (1.0 - one) / records.max(1.0)).sqrt();
    let explained = one + STANDARD_ERRORS * error + 1.0 / records.max(1.0) >= none * most;
    Fit { matched, others, variance: variance(none, one, records, others, matched), explained }
}

/// The λ in 0..=most at which e^−λ + P₀·λ = P₀ + P₁; the left side falls there.
fn root(none: f64, one: f64, most: f64) -> f64 {
    let excess = |others: f64| (-others).exp() + none * others - none - one;
    if excess(most) >= 0.0 {
        return most;
    }
    let (mut low, mut high) = (0.0, most);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if excess(middle) > 0.0 { low = middle } else { high = middle }
    }
    low
}

/// By the delta method: dλ = ((λ − 1)·dP₀ − dP₁) / (q·e^−λ), the fractions being multinomial.
fn variance(none: f64, one: f64, records: f64, others: f64, matched: f64) -> f64 {
    let records = records.max(1.0);
    let slope = others - 1.0;
    let more = (1.0 - none - one).max(1.0 / records); // none seen is not none there
    let spread = (slope * slope * none + one) - (slope * none - one).powi(2);
    let least = more * (1.0 - more);
    let steepness = (matched * (-others).exp()).max(1.0 / records);
    spread.max(least) / records / (steepness * steepness)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_the_model_predicts_is_found_again(matched in 0.01..0.999f64, others in 0.0..1.5f64) {
            let none = (1.0 - matched) * (-others).exp();
            let one = (-others).exp() * (matched + (1.0 - matched) * others);
            let fit = fit(none, one, 1e6);
            prop_assert!(fit.explained);
            prop_assert!((fit.matched - matched).abs() < 1e-4 && (fit.others - others).abs() < 1e-4, "{:?}", fit);
        }

        #[test]
        fn whatever_the_fractions_the_fit_is_finite_or_beyond_use(none in 0.0..=1.0f64, rest in 0.0..=1.0f64, records in 0.0..1e6f64) {
            let fit = fit(none, (1.0 - none) * rest, records);
            prop_assert!((0.0..=1.0).contains(&fit.matched) && fit.others >= 0.0 && fit.variance >= 0.0, "{:?}", fit);
        }
    }

    #[test]
    fn several_matches_a_record_are_no_chance_neighbours() {
        // a third of the people have three records of theirs in the other data: none of the model's making
        assert!(!fit(2.0 / 3.0, 0.0, 1000.0).explained);
        assert!(fit(1.0, 0.0, 1000.0).explained);
        assert!(fit(0.0, 1.0, 1000.0).explained);
    }
}
