//! Which events are to be sent: a pure function of the resources.

use std::sync::Arc;

use crds::{LinkageProject, LinkageRun, PartyState, RunStage};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::caches::is_owned;

/// Something that the receiver has not been told yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The same whenever and by whomever it is sent: receivers know by it what they have taken already.
    pub id: String,
    /// When it happened.
    pub time: Timestamp,
    /// What happened.
    pub news: News,
}

/// What happened: ids and states alone, as the receiver may be anybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", content = "data")]
pub enum News {
    /// A party has contributed.
    #[serde(rename = "party.contributed")]
    Contributed {
        /// The project's name.
        project_id: String,
        /// The party's.
        party: String,
        /// The party's state.
        state: &'static str,
    },
    /// A run is complete.
    #[serde(rename = "run.completed")]
    Completed {
        /// The project's name.
        project_id: String,
        /// The run's.
        run_id: String,
        /// Its state.
        state: &'static str,
    },
    /// A run has failed.
    #[serde(rename = "run.failed")]
    Failed {
        /// The project's name.
        project_id: String,
        /// The run's.
        run_id: String,
        /// Its state.
        state: &'static str,
    },
}

impl News {
    /// The run that it is about, if it is about one.
    pub fn run(&self) -> Option<&str> {
        match self {
            Self::Contributed { .. } => None,
            Self::Completed { run_id, .. } | Self::Failed { run_id, .. } => Some(run_id),
        }
    }
}

/// What the receiver has not been told, the oldest first. `runs` may hold those of other projects, too.
pub fn events(project: &LinkageProject, runs: &[Arc<LinkageRun>]) -> Vec<Event> {
    let uid = project.uid().unwrap_or_default();
    let ours = runs.iter().filter(|run| {
        run.spec.project_ref.name == project.name_any()
            && is_owned(&***run, &uid)
            && run.metadata.deletion_timestamp.is_none()
    });
    let mut due: Vec<Event> =
        contributions(project).into_iter().chain(ours.filter_map(|run| end_of(project, run))).collect();
    due.sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
    due
}

/// The ids of all that a project's own status tells, sent or not.
pub fn known_ids(project: &LinkageProject) -> Vec<String> {
    all_contributions(project).map(|event| event.id).collect()
}

fn contributions(project: &LinkageProject) -> Vec<Event> {
    let settled = project.status.as_ref().and_then(|status| status.webhook.clone()).unwrap_or_default();
    all_contributions(project).filter(|event| !settled.is_settled(&event.id)).collect()
}

fn all_contributions(project: &LinkageProject) -> impl Iterator<Item = Event> {
    let parties = project.status.iter().flat_map(|status| &status.parties);
    parties.filter(|party| party.state == PartyState::Contributed).map(|party| {
        // each contribution has a folder of its own in the store
        let place = party.encodings.as_deref().unwrap_or_default();
        Event {
            id: id(&[&project.uid().unwrap_or_default(), "contributed", &party.name, place]),
            time: party.contributed_at.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0),
            news: News::Contributed {
                project_id: project.name_any(),
                party: party.name.clone(),
                state: "contributed",
            },
        }
    })
}

/// The end of a run, unless the receiver knows of it.
fn end_of(project: &LinkageProject, run: &LinkageRun) -> Option<Event> {
    let status = run.status.as_ref()?;
    let (project_id, run_id) = (project.name_any(), run.name_any());
    let news = match status.stage? {
        RunStage::Complete => News::Completed { project_id, run_id, state: "completed" },
        RunStage::Failed => News::Failed { project_id, run_id, state: "error" },
        _ => return None,
    };
    let id = id(&[&run.uid().unwrap_or_default(), "ended"]);
    let is_settled = status.webhook.as_ref().is_some_and(|webhook| webhook.is_settled(&id));
    let time = status.completion_time.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    (!is_settled).then_some(Event { id, time, news })
}

fn id(parts: &[&str]) -> String {
    hex::encode(&Sha256::digest(parts.join("\n"))[..16])
}
