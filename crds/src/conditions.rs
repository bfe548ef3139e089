//! Condition types and reasons, and how a condition is set.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

/// Project: every party has contributed data that can be linked.
pub const READY: &str = "Ready";
/// Run: `spec.suspend` is set and no pod runs.
pub const SUSPENDED: &str = "Suspended";
/// Run: the result is there.
pub const COMPLETE: &str = "Complete";
/// Run: it will never complete; the reason is one of [`FailedReason`].
pub const FAILED: &str = "Failed";

/// Reasons of a project's [`READY`] condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadyReason {
    /// Some party has not contributed yet.
    WaitingForParties,
    /// The data of some party could not be used; it may contribute again.
    PartyRejected,
    /// `spec.paillierPublicKey` cannot be used; create a new project.
    InvalidPublicKey,
    /// All parties have contributed.
    AllPartiesContributed,
    /// The object store cannot be reached; the operator keeps trying.
    StoreUnavailable,
    /// The project is being deleted, with all its data.
    Deleting,
}

/// Why a run is not complete, and not failed either: reasons of [`COMPLETE`] = False.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PendingReason {
    /// There is no project of that name (yet).
    ProjectNotFound,
    /// Some party has not contributed yet.
    WaitingForParties,
    /// The data of some party could not be used; it may contribute again.
    PartyRejected,
    /// There is no run of the name that `spec.fromRun` gives (yet).
    RunNotFound,
    /// The run that `spec.fromRun` names is not complete yet.
    WaitingForRun,
    /// The pods have not started yet.
    Queued,
    /// Records are being compared.
    Scoring,
    /// Pairs are being solved and the result written.
    Solving,
    /// `spec.suspend` is set.
    Suspended,
    /// The object store cannot be reached; the operator keeps trying.
    StoreUnavailable,
    /// The run is being deleted, with all its objects.
    Deleting,
    /// The run has failed; see the Failed condition.
    Failed,
}

/// The closed list of reasons for which a run fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailedReason {
    /// A party's stored data is not what was contributed.
    InvalidInput,
    /// `spec.activeDeadlineSeconds` has passed.
    DeadlineExceeded,
    /// The pods ran out of memory.
    OutOfMemory,
    /// Pods failed again and again.
    BackoffLimitExceeded,
    /// A Job was deleted by somebody else, again and again, or cannot be created.
    JobFailed,
}

macro_rules! display_as_debug {
    ($($reason:ty),+) => {$(
        impl std::fmt::Display for $reason {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(self, f)
            }
        }
    )+};
}
display_as_debug!(ReadyReason, PendingReason, FailedReason);

/// What a condition should say; [`set`] adds the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Type of the condition, such as [`READY`].
    pub type_: &'static str,
    /// True or False.
    pub status: bool,
    /// CamelCase reason.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
}

/// Sets a condition, keeping its transition time unless its status changed, and the order of the list.
pub fn set(conditions: &mut Vec<Condition>, verdict: Verdict, generation: Option<i64>, now: Timestamp) {
    let status = if verdict.status { "True" } else { "False" };
    let existing = conditions.iter_mut().find(|condition| condition.type_ == verdict.type_);
    let last_transition_time = match &existing {
        Some(condition) if condition.status == status => condition.last_transition_time.clone(),
        _ => Time(now),
    };
    let condition = Condition {
        type_: verdict.type_.into(),
        status: status.into(),
        reason: verdict.reason,
        message: verdict.message,
        observed_generation: generation,
        last_transition_time,
    };
    match existing {
        Some(slot) => *slot = condition,
        None => conditions.push(condition),
    }
}

/// Whether a condition is there and True.
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    conditions.iter().any(|condition| condition.type_ == type_ && condition.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(status: bool, message: &str) -> Verdict {
        Verdict { type_: READY, status, reason: "Reason".into(), message: message.into() }
    }

    #[test]
    fn the_transition_time_moves_only_when_the_status_changes() {
        let [first, second, third] = [10, 20, 30].map(|s| Timestamp::from_second(s).unwrap());
        let mut conditions = Vec::new();
        set(&mut conditions, verdict(false, "a"), Some(1), first);
        set(&mut conditions, verdict(false, "b"), Some(1), second);
        assert_eq!(conditions[0].message, "b");
        assert_eq!(conditions[0].last_transition_time.0, first);
        set(&mut conditions, verdict(true, "c"), Some(1), third);
        assert_eq!(conditions[0].last_transition_time.0, third);
        assert_eq!(conditions.len(), 1);
        assert!(is_true(&conditions, READY));
    }
}
