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

/// Declares a closed list of reasons. Each has its text on the wire beside its name, so that renaming it in Rust does
/// not change the API.
macro_rules! reasons {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $wire:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The reason as the API has it, in CamelCase.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $wire),+ }
            }

            /// The reason with this text.
            pub fn of(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|reason| reason.as_str() == text)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

reasons! {
    /// Reasons of a project's [`READY`] condition.
    ReadyReason {
        /// Some party has not contributed yet.
        WaitingForParties = "WaitingForParties",
        /// The data of some party could not be used; it may contribute again.
        PartyRejected = "PartyRejected",
        /// `spec.paillierPublicKey` cannot be used; create a new project.
        InvalidPublicKey = "InvalidPublicKey",
        /// All parties have contributed.
        AllPartiesContributed = "AllPartiesContributed",
        /// The object store cannot be reached; the operator keeps trying.
        StoreUnavailable = "StoreUnavailable",
        /// The object store has no space left; the operator keeps trying.
        StoreFull = "StoreFull",
        /// Kubernetes refuses something that the project needs; the operator keeps trying.
        KubernetesRefused = "KubernetesRefused",
        /// Kubernetes does not answer; the operator keeps trying.
        KubernetesUnavailable = "KubernetesUnavailable",
        /// An object whose name the project needs belongs to somebody else; it is left alone.
        NameTaken = "NameTaken",
        /// The operator itself is at fault; it keeps trying.
        OperatorError = "OperatorError",
        /// The project is being deleted, with all its data.
        Deleting = "Deleting",
    }
}

reasons! {
    /// Why a run is not complete, and not failed either: reasons of [`COMPLETE`] = False.
    PendingReason {
        /// There is no project of that name (yet).
        ProjectNotFound = "ProjectNotFound",
        /// Some party has not contributed yet.
        WaitingForParties = "WaitingForParties",
        /// The data of some party could not be used; it may contribute again.
        PartyRejected = "PartyRejected",
        /// There is no run of the name that `spec.fromRun` gives (yet).
        RunNotFound = "RunNotFound",
        /// The run that `spec.fromRun` names is not complete yet.
        WaitingForRun = "WaitingForRun",
        /// The pods have not started yet.
        Queued = "Queued",
        /// Records are being compared.
        Scoring = "Scoring",
        /// Pairs are being solved and the result written.
        Solving = "Solving",
        /// `spec.suspend` is set.
        Suspended = "Suspended",
        /// The object store cannot be reached; the operator keeps trying.
        StoreUnavailable = "StoreUnavailable",
        /// The object store has no space left; the pods keep trying.
        StoreFull = "StoreFull",
        /// Kubernetes refuses something that the run needs; the operator keeps trying.
        KubernetesRefused = "KubernetesRefused",
        /// Kubernetes does not answer; the operator keeps trying.
        KubernetesUnavailable = "KubernetesUnavailable",
        /// An object whose name the run needs belongs to somebody else; it is left alone.
        NameTaken = "NameTaken",
        /// The operator itself is at fault; it keeps trying.
        OperatorError = "OperatorError",
        /// The run is being deleted, with all its objects.
        Deleting = "Deleting",
        /// The run has failed; see the Failed condition.
        Failed = "Failed",
    }
}

reasons! {
    /// The closed list of reasons for which a run fails.
    FailedReason {
        /// A party's stored data is not what was contributed.
        InvalidInput = "InvalidInput",
        /// The run has worked for `spec.activeDeadlineSeconds`.
        DeadlineExceeded = "DeadlineExceeded",
        /// The pods ran out of memory.
        OutOfMemory = "OutOfMemory",
        /// The pods filled their scratch space.
        ScratchFull = "ScratchFull",
        /// Pods failed again and again.
        BackoffLimitExceeded = "BackoffLimitExceeded",
        /// A Job has completed, but what it has written is gone.
        JobFailed = "JobFailed",
    }
}

reasons! {
    /// What is told of a party's data, beside the reasons for which reading it fails.
    PartyReason {
        /// A source object is not in the store (yet).
        SourceNotFound = "SourceNotFound",
        /// The project may not name this source object.
        SourceNotAllowed = "SourceNotAllowed",
        /// The encodings have another size than they should.
        EncodingSizeMismatch = "EncodingSizeMismatch",
        /// The pod that reads the source has not started.
        WaitingForPod = "WaitingForPod",
    }
}

reasons! {
    /// What is told in Events alone.
    NoticeReason {
        /// The bucket keeps versions of what was deleted.
        VersionsKept = "VersionsKept",
        /// The project's webhook cannot be used: its address is not allowed, or leads to a private network.
        WebhookNotAllowed = "WebhookNotAllowed",
        /// The receiver of the project's webhook does not take an event; it is sent again.
        WebhookFailed = "WebhookFailed",
        /// The receiver has not taken an event for a day; it is not sent any more.
        WebhookGivenUp = "WebhookGivenUp",
    }
}

/// The reason of [`COMPLETE`] = True.
pub const COMPLETED: &str = "Complete";

impl ReadyReason {
    /// Whether somebody should look.
    pub fn is_trouble(self) -> bool {
        !matches!(self, Self::WaitingForParties | Self::AllPartiesContributed | Self::Deleting)
    }
}

impl PendingReason {
    /// Whether somebody should look.
    pub fn is_trouble(self) -> bool {
        match self {
            Self::PartyRejected
            | Self::StoreUnavailable
            | Self::StoreFull
            | Self::KubernetesRefused
            | Self::KubernetesUnavailable
            | Self::NameTaken
            | Self::OperatorError
            | Self::Failed => true,
            Self::ProjectNotFound
            | Self::WaitingForParties
            | Self::RunNotFound
            | Self::WaitingForRun
            | Self::Queued
            | Self::Scoring
            | Self::Solving
            | Self::Suspended
            | Self::Deleting => false,
        }
    }
}

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

    /// Clients match on these texts: changing one is a change of the API.
    #[test]
    fn the_reasons_on_the_wire_are_these() {
        let texts = |all: &[&str]| all.join(" ");
        let ready: Vec<_> = ReadyReason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(
            texts(&ready),
            "WaitingForParties PartyRejected InvalidPublicKey AllPartiesContributed StoreUnavailable StoreFull \
             KubernetesRefused KubernetesUnavailable NameTaken OperatorError Deleting"
        );
        let pending: Vec<_> = PendingReason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(
            texts(&pending),
            "ProjectNotFound WaitingForParties PartyRejected RunNotFound WaitingForRun Queued Scoring Solving \
             Suspended StoreUnavailable StoreFull KubernetesRefused KubernetesUnavailable NameTaken OperatorError \
             Deleting Failed"
        );
        let failed: Vec<_> = FailedReason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(
            texts(&failed),
            "InvalidInput DeadlineExceeded OutOfMemory ScratchFull BackoffLimitExceeded JobFailed"
        );
        let party: Vec<_> = PartyReason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(texts(&party), "SourceNotFound SourceNotAllowed EncodingSizeMismatch WaitingForPod");
        let notice: Vec<_> = NoticeReason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(texts(&notice), "VersionsKept WebhookNotAllowed WebhookFailed WebhookGivenUp");
        assert_eq!(PendingReason::of("StoreFull"), Some(PendingReason::StoreFull));
        assert_eq!(PendingReason::of("Storefull"), None);
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
