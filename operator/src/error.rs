//! What can go wrong in a reconciliation, and how it is told on the resource.

use crds::conditions::{PendingReason, ReadyReason};
use kube::core::Status;
use scorer::store::StoreError;
use thiserror::Error;

/// Why a reconciliation has to be tried again.
#[derive(Debug, Error)]
pub enum Error {
    /// The Kubernetes API refused or did not answer.
    #[error("Kubernetes: {0}")]
    Kubernetes(#[from] kube::Error),
    /// The Kubernetes API refused something that the resource needs.
    #[error("Kubernetes does not let the operator {what}: {}", .status.message)]
    Refused {
        /// What was tried, such as `create the Job first-score`.
        what: String,
        /// The answer.
        status: Box<Status>,
    },
    /// An object of that name exists and belongs to somebody else.
    #[error("{0}")]
    NameTaken(String),
    /// An object of that name belongs to this resource and is being deleted.
    #[error("the {0} of an earlier attempt is still being deleted")]
    StillDeleting(String),
    /// The object store refused or did not answer.
    #[error("object store: {0}")]
    Store(#[from] StoreError),
    /// A document that was written earlier cannot be read.
    #[error("a stored document cannot be understood: {0}")]
    Document(#[from] serde_json::Error),
    /// The reconciliation panicked; the log has the place.
    #[error("the operator has a fault: a step of the reconciliation panicked")]
    Panicked,
}

/// What keeps a resource from going on, in the words of its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The kind.
    pub kind: TroubleKind,
    /// What is wrong, where, and what to do.
    pub message: String,
}

/// Kinds of trouble that may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TroubleKind {
    /// The object store cannot be used.
    StoreUnavailable,
    /// The object store has no space left.
    StoreFull,
    /// Kubernetes refuses something.
    KubernetesRefused,
    /// Kubernetes does not answer.
    KubernetesUnavailable,
    /// A name that is needed is somebody else's.
    NameTaken,
    /// The operator is at fault.
    OperatorError,
}

impl TroubleKind {
    /// The reason for a run.
    pub fn of_run(self) -> PendingReason {
        match self {
            Self::StoreUnavailable => PendingReason::StoreUnavailable,
            Self::StoreFull => PendingReason::StoreFull,
            Self::KubernetesRefused => PendingReason::KubernetesRefused,
            Self::KubernetesUnavailable => PendingReason::KubernetesUnavailable,
            Self::NameTaken => PendingReason::NameTaken,
            Self::OperatorError => PendingReason::OperatorError,
        }
    }

    /// The reason for a project.
    pub fn of_project(self) -> ReadyReason {
        match self {
            Self::StoreUnavailable => ReadyReason::StoreUnavailable,
            Self::StoreFull => ReadyReason::StoreFull,
            Self::KubernetesRefused => ReadyReason::KubernetesRefused,
            Self::KubernetesUnavailable => ReadyReason::KubernetesUnavailable,
            Self::NameTaken => ReadyReason::NameTaken,
            Self::OperatorError => ReadyReason::OperatorError,
        }
    }
}

impl Error {
    /// What to tell of it on the resource; none where the next attempt, a moment later, is expected to do: somebody else
    /// has just changed the object, or it is going.
    pub fn trouble(&self) -> Option<Trouble> {
        let trouble = |kind, message| Some(Trouble { kind, message });
        match self {
            Self::StillDeleting(_) => None,
            Self::Kubernetes(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => None,
            Self::Kubernetes(kube::Error::Api(status)) if is_refusal(status.code) => {
                let message = format!(
                    "Kubernetes refuses a request of the operator: {}{}",
                    status.message,
                    way_out(status)
                );
                trouble(TroubleKind::KubernetesRefused, message)
            }
            Self::Kubernetes(error) => {
                let message = format!(
                    "Kubernetes does not do what the operator asks ({error}); the operator keeps trying"
                );
                trouble(TroubleKind::KubernetesUnavailable, message)
            }
            Self::Refused { status, .. } if is_refusal(status.code) => {
                trouble(TroubleKind::KubernetesRefused, format!("{self}{}", way_out(status)))
            }
            Self::Refused { .. } => {
                trouble(TroubleKind::KubernetesUnavailable, format!("{self}; the operator keeps trying"))
            }
            Self::NameTaken(message) => trouble(TroubleKind::NameTaken, message.clone()),
            Self::Store(error) => Some(of_store(error)),
            Self::Document(_) => trouble(
                TroubleKind::OperatorError,
                format!("{self}; is the operator older than what wrote it? The operator keeps trying"),
            ),
            Self::Panicked => trouble(
                TroubleKind::OperatorError,
                format!("{self}; please report it with the operator's log. The operator keeps trying"),
            ),
        }
    }

    /// Names what Kubernetes did not let the operator do.
    pub fn refused(what: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        move |error| match error {
            kube::Error::Api(status) => Self::Refused { what: what.into(), status },
            error => Self::Kubernetes(error),
        }
    }
}

/// The same for the store.
pub fn of_store(error: &StoreError) -> Trouble {
    let message = format!("the object store cannot be used ({error}); the operator keeps trying");
    let kind = match error {
        StoreError::Full { .. } => TroubleKind::StoreFull,
        _ => TroubleKind::StoreUnavailable,
    };
    Trouble { kind, message }
}

/// Whether the API server has understood, and says no: trying the same again helps only when something else changes.
fn is_refusal(code: u16) -> bool {
    (400..500).contains(&code) && code != 429 && code != 408
}

/// What to do about a refusal. The server's own words stand before it.
fn way_out(status: &Status) -> &'static str {
    let says = |text: &str| status.message.contains(text);
    if says("exceeded quota") || says("failed quota") {
        "; raise the quota of the namespace, or wait until others have ended. The operator keeps trying"
    } else if says("is forbidden: User ") {
        "; the operator lacks a right: install the chart again, which grants it. The operator keeps trying"
    } else if status.code == 422 || status.code == 400 {
        "; create the resource anew with values that Kubernetes accepts, or change the chart's jobs values. The operator \
         keeps trying"
    } else {
        "; the operator keeps trying"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, message: &str) -> Box<Status> {
        Box::new(Status { code, message: message.into(), ..Status::default() })
    }

    #[test]
    fn each_error_is_told_with_a_way_out() {
        let refused = |code, message: &str| Error::Refused {
            what: "create the Job r-score".into(),
            status: status(code, message),
        };
        let cases = [
            (refused(403, "exceeded quota: few"), TroubleKind::KubernetesRefused, "raise the quota"),
            (
                refused(403, "jobs.batch is forbidden: User \"o\" cannot create"),
                TroubleKind::KubernetesRefused,
                "lacks a right",
            ),
            (
                refused(422, "limits: must be less than"),
                TroubleKind::KubernetesRefused,
                "create the resource anew",
            ),
            (refused(500, "etcd"), TroubleKind::KubernetesUnavailable, "create the Job r-score"),
            (refused(429, "slow down"), TroubleKind::KubernetesUnavailable, "keeps trying"),
            (
                Error::Kubernetes(kube::Error::Api(status(504, "timeout"))),
                TroubleKind::KubernetesUnavailable,
                "timeout",
            ),
            (Error::NameTaken("the Job r is X's".into()), TroubleKind::NameTaken, "X's"),
            (Error::Panicked, TroubleKind::OperatorError, "report"),
        ];
        for (error, kind, words) in cases {
            let trouble = error.trouble().unwrap();
            assert_eq!(trouble.kind, kind, "{error}");
            assert!(trouble.message.contains(words), "{}", trouble.message);
        }
    }

    #[test]
    fn what_the_next_attempt_mends_is_not_told() {
        assert_eq!(Error::Kubernetes(kube::Error::Api(status(409, "changed"))).trouble(), None);
        assert_eq!(Error::StillDeleting("Job r-score".into()).trouble(), None);
    }
}
