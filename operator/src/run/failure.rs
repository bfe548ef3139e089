//! What a failed Job means for its run, from what its pods said.

use crds::conditions::FailedReason;
use scorer::summary::{Failure, FailureReason};

use crate::error::{Trouble, TroubleKind};
use crate::pods::{PodFailure, PodPhase, PodView};

/// What a failed Job means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The run has failed.
    Final(FailedReason, String),
    /// What was in the way passes: the Job is made anew.
    Passing(Trouble),
}

/// The reason for a failed Job, and a sentence for people. What a pod said of bad input counts most, because that is
/// what ended the Job; then memory and scratch space; then whatever the last pod said.
pub fn explain(pods: &[PodView], job_message: &str) -> Meaning {
    let failures = failures(pods);
    let told = |wanted: fn(&FailureReason) -> bool| {
        failures.iter().rev().find_map(|failure| match failure {
            PodFailure::Told(failure) if wanted(&failure.reason) => Some(failure),
            _ => None,
        })
    };
    if let Some(Failure { reason, message }) = told(|reason| reason.is_permanent()) {
        let reason = match reason {
            FailureReason::OutOfMemory => FailedReason::OutOfMemory,
            _ => FailedReason::InvalidInput,
        };
        return Meaning::Final(reason, message.clone());
    }
    if failures.contains(&&PodFailure::OutOfMemory) {
        let message = "a pod used more memory than its limit and was ended; raise spec.resources.limits.memory, or \
                       spec.shards, in a new run";
        return Meaning::Final(FailedReason::OutOfMemory, message.into());
    }
    if let Some(PodFailure::ScratchFull(message)) =
        failures.iter().rev().find(|failure| matches!(failure, PodFailure::ScratchFull(_)))
    {
        return scratch_full(message);
    }
    if let Some(PodFailure::Told(Failure { reason, message })) = failures.last()
        && let Some(kind) = passing(*reason)
    {
        let message = format!("{message}; the operator keeps trying, and finished shards are kept");
        return Meaning::Passing(Trouble { kind, message });
    }
    let last = match failures.last() {
        Some(failure) => failure.to_string(),
        None => "no pod is left that could tell why".into(),
    };
    let times = failures.len();
    Meaning::Final(
        FailedReason::BackoffLimitExceeded,
        format!("pods failed {times} times, the last one so: {last} (Job: {job_message})"),
    )
}

/// Pods that fill their scratch space are evicted. Their Job would make others for more than ten minutes, all in vain.
pub fn of_running_job(pods: &[PodView]) -> Option<Meaning> {
    const SECOND_TIME: usize = 2;
    let full: Vec<&str> = failures(pods)
        .into_iter()
        .filter_map(|failure| match failure {
            PodFailure::ScratchFull(message) => Some(message.as_str()),
            _ => None,
        })
        .collect();
    (full.len() >= SECOND_TIME).then(|| scratch_full(full[0]))
}

/// The failures of pods that are there, in the order of the list.
pub fn failures(pods: &[PodView]) -> Vec<&PodFailure> {
    let failure = |pod: &'_ PodView| matches!(&pod.phase, PodPhase::Failed(_));
    let found = pods.iter().filter(|pod| failure(pod));
    found
        .filter_map(|pod| if let PodPhase::Failed(failure) = &pod.phase { Some(failure) } else { None })
        .collect()
}

fn scratch_full(message: &str) -> Meaning {
    let message = format!(
        "a pod filled its scratch space and was evicted ({message}); raise the chart's jobs.scratchSize, or spec.shards in a \
         new run"
    );
    Meaning::Final(FailedReason::ScratchFull, message)
}

/// Trouble that passes, or that an administrator can mend.
fn passing(reason: FailureReason) -> Option<TroubleKind> {
    match reason {
        FailureReason::StoreUnavailable => Some(TroubleKind::StoreUnavailable),
        FailureReason::StoreFull => Some(TroubleKind::StoreFull),
        _ => None,
    }
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

    fn reason(meaning: Meaning) -> FailedReason {
        match meaning {
            Meaning::Final(reason, _) => reason,
            Meaning::Passing(trouble) => panic!("{trouble:?}"),
        }
    }

    #[test]
    fn bad_input_counts_more_than_trouble() {
        let pods = [
            told(FailureReason::StoreUnavailable, "store away"),
            told(FailureReason::CorruptObject, "wrong checksum"),
            failed(PodFailure::OutOfMemory),
        ];
        assert_eq!(explain(&pods, "x"), Meaning::Final(FailedReason::InvalidInput, "wrong checksum".into()));
    }

    #[test]
    fn memory_and_scratch_space_are_named() {
        let pods = [failed(PodFailure::OutOfMemory), told(FailureReason::StoreUnavailable, "store away")];
        assert_eq!(reason(explain(&pods, "x")), FailedReason::OutOfMemory);
        let pods = [failed(PodFailure::ScratchFull("exceeds 10Gi".into()))];
        assert_eq!(reason(explain(&pods, "x")), FailedReason::ScratchFull);
    }

    #[test]
    fn pods_that_are_evicted_again_and_again_for_scratch_space_end_the_run() {
        let full = || failed(PodFailure::ScratchFull("exceeds 10Gi".into()));
        assert_eq!(of_running_job(&[full()]), None);
        let Some(Meaning::Final(FailedReason::ScratchFull, message)) = of_running_job(&[full(), full()])
        else {
            panic!("not final")
        };
        assert!(message.contains("jobs.scratchSize"), "{message}");
    }

    #[test]
    fn a_store_that_was_away_for_too_long_is_no_failure_of_the_run() {
        for (reason, kind) in [
            (FailureReason::StoreUnavailable, TroubleKind::StoreUnavailable),
            (FailureReason::StoreFull, TroubleKind::StoreFull),
        ] {
            let Meaning::Passing(trouble) = explain(&[told(reason, "store away")], "BackoffLimitExceeded")
            else {
                panic!("final")
            };
            assert_eq!(trouble.kind, kind);
            assert!(trouble.message.contains("store away"), "{}", trouble.message);
        }
    }

    #[test]
    fn anything_else_tells_the_last_word() {
        let crashed = failed(PodFailure::Exit { code: Some(101), reason: "Error".into() });
        let Meaning::Final(reason, message) = explain(&[crashed], "BackoffLimitExceeded") else {
            panic!("passing")
        };
        assert_eq!(reason, FailedReason::BackoffLimitExceeded);
        assert!(message.contains("code 101"), "{message}");
        let Meaning::Final(_, message) = explain(&[], "gone") else { panic!("passing") };
        assert!(message.contains("gone"), "{message}");
    }
}
