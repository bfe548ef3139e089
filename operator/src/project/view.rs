//! All that is known of a project when the next step is decided.

use std::collections::BTreeMap;

use crds::LinkageProject;
use k8s_openapi::jiff::Timestamp;
use scorer::summary::{Contribution, Failure};

/// All that is known of a project when the next step is decided.
#[derive(Clone, Debug)]
pub struct ProjectView {
    /// The project itself.
    pub project: LinkageProject,
    /// The source objects of parties that have not contributed, by party.
    pub sources: BTreeMap<String, SourceState>,
    /// The ingest Jobs of parties, by party: the one for the source's present version.
    pub ingests: BTreeMap<String, IngestState>,
    /// Why the store could not be asked, if so.
    pub store_error: Option<String>,
    /// The time.
    pub now: Timestamp,
}

/// A party's source objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// This object is not in the store.
    Absent(String),
    /// All are there; the text changes whenever one of them does.
    Present(String),
}

/// A party's ingest Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IngestState {
    /// It runs or will run.
    Active,
    /// The data is in the store, in its stored form.
    Done(Contribution),
    /// The data cannot be used, or the Job could not do its work.
    Failed(Failure),
}
