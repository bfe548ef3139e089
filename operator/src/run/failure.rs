//! Why a run has failed, from what its pods said.

use crds::conditions::FailedReason;
use scorer::summary::{Failure, FailureReason};

use crate::pods::{PodFailure, PodPhase, PodView};

/// The reason for a failed Job, and a sentence for people. What a pod said of bad input counts most, because that is
/// what ended the Job; then memory; then whatever the last pod said.
pub fn explain(pods: &[PodView], job_message: &str) -> (FailedReason, String) {
    let failures: Vec<&PodFailure> = pods
        .iter()
        .filter_map(|pod| match &pod.phase {
            PodPhase::Failed(failure) => Some(failure),
            _ => None,
        })
        .collect();
    let permanent = failures.iter().rev().find_map(|failure| match failure {
        PodFailure::Told(failure) if failure.reason.is_permanent() => Some(failure),
        _ => None,
    });
    if let Some(Failure { reason, message }) = permanent {
        let reason = match reason {
            FailureReason::OutOfMemory => FailedReason::OutOfMemory,
            _ => FailedReason::InvalidInput,
        };
        return (reason, message.clone());
    }
    if failures.contains(&&PodFailure::OutOfMemory) {
        let message = "a pod used more memory than its limit and was ended; raise spec.resources.limits.memory, or \
                       spec.shards, in a new run";
        return (FailedReason::OutOfMemory, message.into());
    }
    let last = match failures.last() {
        Some(PodFailure::Told(failure)) => failure.message.clone(),
        Some(PodFailure::Exit { code: Some(code), reason }) => {
            format!("a pod ended with code {code} ({reason})")
        }
        Some(PodFailure::Exit { code: None, reason }) => format!("a pod was ended: {reason}"),
        _ => "no pod is left that could tell why".into(),
    };
    let times = failures.len();
    (
        FailedReason::BackoffLimitExceeded,
        format!("pods failed {times} times, the last: {last} (Job: {job_message})"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(failure: PodFailure) -> PodView {
        PodView { phase: PodPhase::Failed(failure), ..PodView::default() }
    }

    fn told(reason: FailureReason, message: &str) -> PodView {
        failed(PodFailure::Told(Failure { reason, message: message.into() }))
    }

    #[test]
    fn bad_input_counts_more_than_trouble() {
        let pods = [
            told(FailureReason::StoreUnavailable, "store away"),
            told(FailureReason::CorruptObject, "wrong checksum"),
            failed(PodFailure::OutOfMemory),
        ];
        assert_eq!(explain(&pods, "x"), (FailedReason::InvalidInput, "wrong checksum".into()));
    }

    #[test]
    fn memory_is_named() {
        let pods = [failed(PodFailure::OutOfMemory), told(FailureReason::StoreUnavailable, "store away")];
        assert_eq!(explain(&pods, "x").0, FailedReason::OutOfMemory);
    }

    #[test]
    fn trouble_tells_the_last_word() {
        let (reason, message) =
            explain(&[told(FailureReason::StoreUnavailable, "store away")], "BackoffLimitExceeded");
        assert_eq!(reason, FailedReason::BackoffLimitExceeded);
        assert!(message.contains("store away"), "{message}");
        assert!(explain(&[], "gone").1.contains("gone"));
    }
}
