//! All that is known of a run when the next step is decided.

use crds::{LinkageProject, LinkageRun};
use k8s_openapi::jiff::Timestamp;
use scorer::summary::RunSummary;

use crate::pods::{JobState, PodView};

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
    /// The solve Job likewise.
    pub solve: Option<JobState>,
    /// The pods of both.
    pub pods: Vec<PodView>,
    /// The run's summary in the store.
    pub summary: Summary,
    /// The run that `spec.fromRun` names, if it does and there is one.
    pub earlier: Option<LinkageRun>,
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
