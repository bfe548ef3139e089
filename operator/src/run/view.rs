//! All that is known of a run when the next step is decided.

use std::time::Duration;

use crds::{LinkageProject, LinkageRun};
use k8s_openapi::jiff::Timestamp;
use scorer::summary::RunSummary;

use crate::jobs::JobState;
use crate::pods::PodView;

/// All that is known of a run when the next step is decided.
#[derive(Clone, Debug)]
pub struct RunView {
    /// The run itself.
    pub run: LinkageRun,
    /// Its project, if there is one.
    pub project: Option<LinkageProject>,
    /// The scoring Job, if it is there and belongs to this very run.
    pub score: Option<JobState>,
    /// Shards that the scoring Job has finished.
    pub finished_shards: u32,
    /// Shards whose manifests are in the store. None when there was no reason to look.
    pub stored_shards: Option<u32>,
    /// Whether there are Jobs of this run that do other work than what is pinned: an earlier version of the operator has
    /// made them.
    pub has_other_jobs: bool,
    /// The solve Job likewise.
    pub solve: Option<JobState>,
    /// The pods of both.
    pub pods: Vec<PodView>,
    /// Why a Job has no pods, if it has none for some time and Kubernetes says why.
    pub no_pods: Option<String>,
    /// The run's summary in the store.
    pub summary: Summary,
    /// The run that `spec.fromRun` names, if it does and there is one.
    pub earlier: Option<LinkageRun>,
    /// For how long pods of the run have been at work.
    pub at_work: Duration,
    /// The time.
    pub now: Timestamp,
}

/// The run's summary in the store.
#[derive(Clone, Debug, PartialEq)]
pub enum Summary {
    /// There was no reason to look.
    NotRead,
    /// It is not there.
    Absent,
    /// It is there: the run is complete.
    Present(RunSummary),
    /// The store did not answer.
    Unavailable(String),
}
