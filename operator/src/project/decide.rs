//! What to do next for a project: a pure function from what is known to actions and a new status.

use std::time::Duration;

use crds::conditions::{PartyReason, READY, ReadyReason, Verdict, set};
use crds::contribution::{self, Outcome, PartyData, Refusal};
use crds::{LinkageProject, LinkageProjectSpec, LinkageProjectStatus, Party, PartyState, PartyStatus};
use k8s_openapi::jiff::Timestamp;
use scorer::summary::Failure;

use super::key;
use super::view::{IngestState, ProjectView, SourceState};
use crate::error::{Trouble, TroubleKind};
use crate::times;

/// How often the store is asked for source objects that are not there yet, or could not be used.
const POLL: Duration = Duration::from_secs(10);
/// How soon to look again after a Job was deleted, to make it anew.
const SOON: Duration = Duration::from_secs(1);
/// How often anything else is looked at again, should an event have been missed.
const RESYNC: Duration = Duration::from_secs(300);

/// What to do, and the status to write afterwards.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Parties whose source objects are to be read, with the version of the objects.
    pub ingest: Vec<(String, String)>,
    /// Parties whose ingest Job is made anew, with the version of the objects: the old one is to be deleted.
    pub restart: Vec<(String, String)>,
    /// Parties whose ingested data is not theirs to contribute: it is to be deleted.
    pub discard: Vec<String>,
    /// Parties whose announced objects have been taken in: they are to be deleted.
    pub tidy: Vec<String>,
    /// Whether the project's time is over.
    pub delete: bool,
    /// The status to write.
    pub status: LinkageProjectStatus,
    /// When to look again, without an event.
    pub look_again: Duration,
}

/// Decides what to do next for a project that is not being deleted.
pub fn decide(view: &ProjectView) -> Decision {
    let spec = &view.project.spec;
    let mut status = view.project.status.clone().unwrap_or_default();
    contribution::list_all_parties(spec, &mut status);
    if view.tokens_secret.is_some() {
        status.tokens_secret.clone_from(&view.tokens_secret);
    }
    let (mut ingest, mut restart, mut discard, mut tidy) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut soonest = RESYNC;
    for party in &spec.parties {
        match next_step(view, party, &status) {
            Step::Nothing => {}
            Step::Note(reason, message) => note(&mut status, &party.name, reason, message),
            Step::Ingest(version) => {
                begin(&mut status, &party.name, &version);
                ingest.push((party.name.clone(), version));
            }
            Step::Wait(failure, pause) => {
                soonest = soonest.min(pause);
                note_trouble(&mut status, &party.name, &failure, pause);
            }
            Step::Restart(failure, version) => {
                soonest = SOON;
                note_trouble(&mut status, &party.name, &failure, Duration::ZERO);
                restart.push((party.name.clone(), version));
            }
            Step::Claim(data) => {
                if is_announced(&status, &party.name) {
                    tidy.push(party.name.clone());
                }
                if contribution::claim(spec, &mut status, &party.name, &data, view.now) != Outcome::Accepted {
                    discard.push(party.name.clone());
                }
            }
            Step::Refuse(refusal) => contribution::refuse(spec, &mut status, &party.name, refusal),
        }
    }
    let verdict = verdict(view, spec, &status);
    status.observed_generation = view.project.metadata.generation;
    set(&mut status.conditions, verdict, view.project.metadata.generation, view.now);
    let left = retention_left(view);
    let reads = |party: &Party| party.source.is_some() || is_announced(&status, &party.name);
    let waits = !contribution::is_complete(spec, &status) && spec.parties.iter().any(reads);
    let look_again = if waits || view.trouble.is_some() { POLL } else { RESYNC }.min(soonest.max(SOON));
    Decision {
        ingest,
        restart,
        discard,
        tidy,
        delete: left == Some(Duration::ZERO),
        status,
        look_again: left.map_or(look_again, |left| look_again.min(left.max(SOON))),
    }
}

enum Step {
    Nothing,
    Note(PartyReason, String),
    Ingest(String),
    Wait(Failure, Duration),
    Restart(Failure, String),
    Claim(PartyData),
    Refuse(Refusal),
}

/// What to do for one party: only a party with source objects that has not contributed needs anything.
fn next_step(view: &ProjectView, party: &Party, status: &LinkageProjectStatus) -> Step {
    let Some(entry) = status.parties.iter().find(|entry| entry.name == party.name) else {
        return Step::Nothing;
    };
    let announced = entry.announced.is_some();
    if !(announced || party.source.is_some()) || entry.state == PartyState::Contributed {
        return Step::Nothing;
    }
    let version = match view.sources.get(&party.name) {
        None => return Step::Nothing,
        Some(SourceState::Absent(key)) => {
            let message = format!(
                "the source object {key} is not in the store; put it there, and it is read within {} s",
                POLL.as_secs()
            );
            let message = if announced { announced_absent(key) } else { message };
            return Step::Note(PartyReason::SourceNotFound, message);
        }
        Some(SourceState::NotAllowed(key, allowed)) => {
            let message = format!(
                "the source object {key} lies outside of what this project may name ({allowed}); put it there \
                 and create the project anew with that key, or let the administrator allow its place (the chart's \
                 jobs.sourcePrefixes)"
            );
            return Step::Note(PartyReason::SourceNotAllowed, message);
        }
        Some(SourceState::Present(version)) => version,
    };
    let was_judged = entry.state == PartyState::Rejected && entry.source_version.as_ref() == Some(version);
    match view.ingests.get(&party.name) {
        _ if was_judged => Step::Nothing,
        None => Step::Ingest(version.clone()),
        Some(IngestState::Active(None)) => Step::Nothing,
        Some(IngestState::Active(Some(why))) => {
            Step::Note(PartyReason::WaitingForPod, format!("the pod that reads the source waits: {why}"))
        }
        Some(IngestState::Done(data)) => Step::Claim(PartyData {
            records: data.records,
            encoding_bytes: data.encoding_bytes,
            encodings: data.encodings.clone(),
            blocks: data.blocks.clone(),
            blake3: data.blake3.clone(),
            blocks_blake3: data.blocks_blake3.clone(),
            records_without_block: data.records_without_block,
            warning: data.warning.clone(),
        }),
        Some(IngestState::Trouble(failure, Duration::ZERO)) => {
            Step::Restart(failure.clone(), version.clone())
        }
        Some(IngestState::Trouble(failure, pause)) => Step::Wait(failure.clone(), *pause),
        Some(IngestState::Failed(failure)) => Step::Refuse(Refusal {
            reason: failure.reason.to_string(),
            message: match announced {
                true => {
                    format!("{}; announce a corrected object, or upload the data itself", failure.message)
                }
                false => format!(
                    "{}; put a corrected object in its place, and it is read within {} s, or upload over REST",
                    failure.message,
                    POLL.as_secs()
                ),
            },
        }),
    }
}

fn is_announced(status: &LinkageProjectStatus, party: &str) -> bool {
    status.parties.iter().any(|entry| entry.name == party && entry.announced.is_some())
}

fn announced_absent(key: &str) -> String {
    format!(
        "the announced object {key} is not in the store; put it there, and it is read within {} s, or announce another one",
        POLL.as_secs()
    )
}

/// Records what a party waits for. What was said of data that was refused stays.
fn note(status: &mut LinkageProjectStatus, party: &str, reason: PartyReason, message: String) {
    if let Some(entry) = entry(status, party).filter(|entry| entry.state != PartyState::Rejected) {
        if entry.state != PartyState::Ingesting {
            entry.state = PartyState::Waiting;
        }
        entry.reason = Some(reason.to_string());
        entry.message = Some(message);
    }
}

/// Records why a party's source could not be read, which is not the fault of what it holds.
fn note_trouble(status: &mut LinkageProjectStatus, party: &str, failure: &Failure, pause: Duration) {
    if let Some(entry) = entry(status, party) {
        entry.state = PartyState::Ingesting;
        entry.reason = Some(failure.reason.to_string());
        let when = if pause.is_zero() { "now" } else { "soon" };
        entry.message = Some(format!("{}; the source is read again {when}", failure.message));
    }
}

fn begin(status: &mut LinkageProjectStatus, party: &str, version: &str) {
    if let Some(entry) = entry(status, party) {
        *entry = PartyStatus {
            name: entry.name.clone(),
            state: PartyState::Ingesting,
            announced: entry.announced.clone(),
            source_version: Some(version.into()),
            ..PartyStatus::default()
        };
    }
}

fn entry<'a>(status: &'a mut LinkageProjectStatus, party: &str) -> Option<&'a mut PartyStatus> {
    status.parties.iter_mut().find(|entry| entry.name == party)
}

fn verdict(view: &ProjectView, spec: &LinkageProjectSpec, status: &LinkageProjectStatus) -> Verdict {
    let (is_ready, reason, message) = if let Some(why) = key::refusal(spec) {
        (false, ReadyReason::InvalidPublicKey, why)
    } else if contribution::is_complete(spec, status) {
        let records = status.records.unwrap_or(0);
        (
            true,
            ReadyReason::AllPartiesContributed,
            format!("all parties have contributed, {records} records in all{}", without_block(status)),
        )
    } else if let Some((party, why)) = contribution::rejected(status) {
        (false, ReadyReason::PartyRejected, format!("party {party}: {why}"))
    } else if let Some(trouble) = &view.trouble {
        (false, trouble.kind.of_project(), trouble.message.clone())
    } else {
        (false, ReadyReason::WaitingForParties, format!("waiting for {}", waiting_for(status)))
    };
    let message = match &view.trouble {
        Some(trouble) if trouble.message != message => format!("{message}; {}", trouble.message),
        _ => message,
    };
    Verdict { type_: READY, status: is_ready, reason: reason.to_string(), message }
}

/// Which parties have records that are in no block, for the message; empty where none has.
fn without_block(status: &LinkageProjectStatus) -> String {
    let counts = status.parties.iter().filter_map(|party| Some((&party.name, party.records_without_block?)));
    let told = counts.filter(|(_, count)| *count > 0);
    told.map(|(party, count)| {
        format!("; {count} records of party {party} are in no block, and are compared with none")
    })
    .collect()
}

fn waiting_for(status: &LinkageProjectStatus) -> String {
    let open = status.parties.iter().filter(|party| party.state != PartyState::Contributed);
    let parties: Vec<String> = open
        .map(|party| match (&party.state, &party.message) {
            (PartyState::Ingesting, None) => format!("{} (its source is being read)", party.name),
            (_, Some(message)) => format!("{} ({message})", party.name),
            (_, None) => party.name.clone(),
        })
        .collect();
    parties.join(", ")
}

/// How long the project still has, if it does not live for ever.
fn retention_left(view: &ProjectView) -> Option<Duration> {
    let seconds = view.project.spec.retention.as_ref()?.seconds_after_creation;
    let created = view.project.metadata.creation_timestamp.as_ref()?;
    Some(times::left(created.0, seconds, view.now))
}

/// The status of a project that a step could not be finished for.
pub fn troubled(project: &LinkageProject, trouble: &Trouble, now: Timestamp) -> Option<LinkageProjectStatus> {
    let mut status = project.status.clone().unwrap_or_default();
    contribution::list_all_parties(&project.spec, &mut status);
    let (kind, message) = (trouble.kind, trouble.message.clone());
    let ready = status.conditions.iter().find(|condition| condition.type_ == READY);
    let is_unavailable = kind == TroubleKind::KubernetesUnavailable;
    if is_unavailable && ready.is_some_and(|ready| ready.reason == kind.of_project().as_str()) {
        return None; // every attempt says it a little differently
    }
    if ready.is_some_and(|ready| ready.status == "True") {
        return None; // what has been contributed can be linked all the same
    }
    let verdict = Verdict { type_: READY, status: false, reason: kind.of_project().to_string(), message };
    status.observed_generation = project.metadata.generation;
    set(&mut status.conditions, verdict, project.metadata.generation, now);
    Some(status)
}

/// The status of a project that is being deleted, and of what that waits for.
pub fn deleting(project: &LinkageProject, message: String, now: Timestamp) -> LinkageProjectStatus {
    let mut status = project.status.clone().unwrap_or_default();
    let verdict = Verdict { type_: READY, status: false, reason: ReadyReason::Deleting.to_string(), message };
    set(&mut status.conditions, verdict, project.metadata.generation, now);
    status
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
