use proptest::prelude::*;

use super::*;

/// What the model predicts at threshold .8, of matches spread evenly over .7 to 1 and others that halve every .01.
fn predicted(records: f64, overlap: f64) -> (Bins, Vec<f64>, Neighbours) {
    let bins = Bins::of_threshold(0.8);
    let matched = |edge: f64| overlap * ((1.0 - edge) / 0.3).min(1.0);
    let others = |edge: f64| 0.1 * 0.5f64.powf((edge - 0.75) / 0.01);
    let at = |edge: f64| records * (matched(edge) + others(edge));
    let ends = bins.edges()[1..].iter().copied().map(at).chain([0.0]);
    let counts = bins.edges().iter().copied().map(at).zip(ends).map(|(from, to)| from - to).collect();
    let by_edge = |of: &dyn Fn(f64, f64) -> f64| {
        bins.edges().iter().map(|&edge| records * of(matched(edge), others(edge))).collect()
    };
    let neighbours = Neighbours {
        records: records as u64,
        weight: records,
        none: by_edge(&|matched, others| (1.0 - matched) * (-others).exp()),
        one: by_edge(&|matched, others| (-others).exp() * (matched + (1.0 - matched) * others)),
    };
    (bins, counts, neighbours)
}

#[test]
fn where_the_model_holds_the_estimates_are_right() {
    let (bins, counts, neighbours) = predicted(1e6, 0.5);
    let advice = advise(&bins, &counts, &neighbours, false);
    assert_eq!(advice.reason, None);
    let at =
        |threshold: f64| *advice.estimates.iter().find(|estimate| estimate.threshold == threshold).unwrap();
    for (threshold, precision, recall) in [(0.75, 0.8065, 0.9615), (0.8, 0.9907, 0.7692), (0.9, 1.0, 0.3846)]
    {
        let estimate = at(threshold);
        assert!((estimate.precision - precision).abs() < 0.01, "{estimate:?}");
        // of the matches from the lowest usable edge on, .74: an eighth is below and not seen
        assert!((estimate.recall - recall).abs() < 0.01, "{estimate:?}");
    }
    assert_eq!(advice.estimates[0].threshold, 0.74);
    let suggested = advice.suggestion.unwrap();
    assert!((0.76..0.79).contains(&suggested.threshold), "{suggested:?}");
    assert!(suggested.reason.contains("below this run's threshold"), "{suggested:?}");
}

#[test]
fn pairs_within_one_party_are_seen_twice() {
    let (bins, counts, neighbours) = predicted(1e6, 0.5);
    let half: Vec<f64> = counts.iter().map(|count| count / 2.0).collect();
    let (between, within) =
        (advise(&bins, &counts, &neighbours, false), advise(&bins, &half, &neighbours, true));
    for (one, other) in between.estimates.iter().zip(&within.estimates) {
        assert!((one.precision - other.precision).abs() < 1e-3 && (one.recall - other.recall).abs() < 1e-3);
    }
}

#[test]
fn where_the_method_does_not_apply_it_says_why() {
    let bins = Bins::of_threshold(0.8);
    let edges = bins.edges().len();
    let reason = |none: f64, one: f64, records: u64| {
        let weight = records as f64;
        let neighbours =
            Neighbours { records, weight, none: vec![none * weight; edges], one: vec![one * weight; edges] };
        let advice = advise(&bins, &vec![10.0; edges], &neighbours, false);
        assert!(advice.estimates.is_empty() && advice.suggestion.is_none());
        advice.reason.unwrap()
    };
    assert!(reason(0.0, 0.0, 0).contains("no neighbours"));
    assert!(reason(1.0, 0.0, 1000).contains("hardly any"));
    assert!(reason(0.0, 0.0, 1000).contains("nearly every record"));
    assert!(reason(0.6, 0.1, 1000).contains("several times"));
    assert!(reason(0.0, 1.0, 10).contains("hardly any"));
}

proptest! {
    #[test]
    fn whatever_is_counted_the_estimates_make_sense(
        threshold in 0.01..=1.0f64,
        counted in prop::collection::vec((0.0..1e9f64, 0.0..=1.0f64, 0.0..=1.0f64), 101),
        records in 0..10_000u64,
        within: bool,
    ) {
        let bins = Bins::of_threshold(threshold);
        let counted = &counted[..bins.edges().len()];
        let counts: Vec<f64> = counted.iter().map(|&(count, ..)| count).collect();
        let neighbours = Neighbours {
            records,
            weight: 10.0 * records as f64,
            none: counted.iter().map(|&(_, none, _)| none * 10.0 * records as f64).collect(),
            one: counted.iter().map(|&(_, none, one)| (1.0 - none) * one * 10.0 * records as f64).collect(),
        };
        let advice = advise(&bins, &counts, &neighbours, within);
        prop_assert_eq!(advice.estimates.is_empty(), advice.reason.is_some());
        prop_assert_eq!(advice.suggestion.is_some(), advice.reason.is_none());
        for Estimate { pairs, precision, recall, .. } in &advice.estimates {
            prop_assert!(*pairs >= 0.0 && (0.0..=1.0).contains(precision) && (0.0..=1.0).contains(recall));
        }
        prop_assert!(advice.estimates.is_sorted_by(|a, b| a.threshold < b.threshold && a.recall >= b.recall));
    }

    #[test]
    fn a_falling_series_is_as_near_as_can_be(values in prop::collection::vec((0.0..1.0f64, 0.1..10.0f64), 0..12)) {
        let mut copy = values.clone();
        let falling = falling(&mut copy);
        prop_assert!(falling.len() == values.len() && falling.is_sorted_by(|a, b| a >= b));
        // no pool can be shifted to be nearer, nor is what falls already changed
        let sum = |of: &dyn Fn(usize) -> f64| (0..values.len()).map(|at| of(at) * values[at].1).sum::<f64>();
        prop_assert!((sum(&|at| values[at].0) - sum(&|at| falling[at])).abs() < 1e-9);
        prop_assert!(sum(&|at| falling[at] * (values[at].0 - falling[at])).abs() < 1e-9);
    }
}
