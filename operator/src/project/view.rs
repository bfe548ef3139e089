//! All that is known of a project when the next step is decided.

use std::collections::BTreeMap;
use std::time::Duration;

use crds::LinkageProject;
use k8s_openapi::jiff::Timestamp;
use scorer::summary::{Contribution, Failure};

use crate::error::Trouble;

/// All that is known of a project when the next step is decided.
#[derive(Clone, Debug)]
pub struct ProjectView {
    /// The project itself.
    pub project: LinkageProject,
    /// The Secret that holds its tokens, if it has one.
    pub tokens_secret: Option<String>,
    /// The source objects of parties that have not contributed, by party.
    pub sources: BTreeMap<String, SourceState>,
    /// The ingest Jobs of parties, by party: the one for the source's present version.
    pub ingests: BTreeMap<String, IngestState>,
    /// What keeps the project from going on, if anything does.
    pub trouble: Option<Trouble>,
    /// The time.
    pub now: Timestamp,
}

/// A party's source objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// This object is not in the store.
    Absent(String),
    /// The project may not name this object; the second text tells which it may.
    NotAllowed(String, String),
    /// All are there; the text changes whenever one of them does.
    Present(String),
}

/// A party's ingest Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IngestState {
    /// It runs or will run. The text says what it waits for, if that is known.
    Active(Option<String>),
    /// The data is in the store, in its stored form.
    Done(Contribution),
    /// The data cannot be used.
    Failed(Failure),
    /// The Job could not do its work, which is not the data's fault: it is made anew after this time.
    Trouble(Failure, Duration),
}
