//! What to do next for a project: a pure function from what is known to actions and a new status.

use std::time::Duration;

use crds::conditions::{READY, ReadyReason, Verdict, set};
use crds::contribution::{self, Outcome, PartyData, Refusal};
use crds::{LinkageProjectSpec, LinkageProjectStatus, Party, PartyState, PartyStatus};
use k8s_openapi::jiff::SignedDuration;

use super::key;
use super::view::{IngestState, ProjectView, SourceState};

/// How often the store is asked for source objects that are not there yet, or could not be used.
const POLL: Duration = Duration::from_secs(10);
/// How often anything else is looked at again, should an event have been missed.
const RESYNC: Duration = Duration::from_secs(300);

/// What to do, and the status to write afterwards.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Parties whose source objects are to be read, with the version of the objects.
    pub ingest: Vec<(String, String)>,
    /// Parties whose ingested data is not theirs to contribute: it is to be deleted.
    pub discard: Vec<String>,
    /// Whether the project's time is over.
    pub delete: bool,
    /// The status to write.
    pub status: LinkageProjectStatus,
    /// When to look again, without an event.
    pub look_again: Duration,
}

/// Decides what to do next for a project that is not being deleted.
pub fn decide(view: &ProjectView, tokens_secret: Option<String>) -> Decision {
    let spec = &view.project.spec;
    let mut status = view.project.status.clone().unwrap_or_default();
    contribution::list_all_parties(spec, &mut status);
    status.tokens_secret = tokens_secret;
    let (mut ingest, mut discard) = (Vec::new(), Vec::new());
    for party in &spec.parties {
        match next_step(view, party, &status) {
            Step::Nothing => {}
            Step::Note(reason, message) => note(&mut status, &party.name, reason, message),
            Step::Ingest(version) => {
                begin(&mut status, &party.name, &version);
                ingest.push((party.name.clone(), version));
            }
            Step::Claim(data) => {
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
    let waits =
        !contribution::is_complete(spec, &status) && spec.parties.iter().any(|party| party.source.is_some());
    let look_again = if waits || view.store_error.is_some() { POLL } else { RESYNC };
    Decision {
        ingest,
        discard,
        delete: left == Some(Duration::ZERO),
        status,
        look_again: left.map_or(look_again, |left| look_again.min(left)),
    }
}

enum Step {
    Nothing,
    Note(&'static str, String),
    Ingest(String),
    Claim(PartyData),
    Refuse(Refusal),
}

/// What to do for one party: only a party with source objects that has not contributed needs anything.
fn next_step(view: &ProjectView, party: &Party, status: &LinkageProjectStatus) -> Step {
    let Some(entry) = status.parties.iter().find(|entry| entry.name == party.name) else {
        return Step::Nothing;
    };
    if party.source.is_none() || entry.state == PartyState::Contributed {
        return Step::Nothing;
    }
    let version = match view.sources.get(&party.name) {
        None => return Step::Nothing,
        Some(SourceState::Absent(key)) => {
            let message = format!(
                "the source object {key} is not in the store; put it there, and it is read within {} s",
                POLL.as_secs()
            );
            return Step::Note("SourceNotFound", message);
        }
        Some(SourceState::Present(version)) => version,
    };
    let was_judged = entry.state == PartyState::Rejected && entry.source_version.as_ref() == Some(version);
    match view.ingests.get(&party.name) {
        _ if was_judged => Step::Nothing,
        None => Step::Ingest(version.clone()),
        Some(IngestState::Active) => Step::Nothing,
        Some(IngestState::Done(data)) => Step::Claim(PartyData {
            records: data.records,
            encoding_bytes: data.encoding_bytes,
            encodings: data.encodings.clone(),
            blocks: data.blocks.clone(),
            blake3: data.blake3.clone(),
        }),
        Some(IngestState::Failed(failure)) => Step::Refuse(Refusal {
            reason: format!("{:?}", failure.reason),
            message: format!("{}; put a corrected object in its place, or upload over REST", failure.message),
        }),
    }
}

/// Records what a party waits for. What was said of data that was refused stays.
fn note(status: &mut LinkageProjectStatus, party: &str, reason: &str, message: String) {
    if let Some(entry) = entry(status, party).filter(|entry| entry.state != PartyState::Rejected) {
        entry.state = PartyState::Waiting;
        entry.reason = Some(reason.into());
        entry.message = Some(message);
    }
}

fn begin(status: &mut LinkageProjectStatus, party: &str, version: &str) {
    if let Some(entry) = entry(status, party) {
        *entry = PartyStatus {
            name: entry.name.clone(),
            state: PartyState::Ingesting,
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
            format!("all parties have contributed, {records} records in all"),
        )
    } else if let Some(party) = status.parties.iter().find(|party| party.state == PartyState::Rejected) {
        let why = party.message.as_deref().unwrap_or("its data cannot be used");
        (false, ReadyReason::PartyRejected, format!("party {}: {why}", party.name))
    } else if let Some(why) = &view.store_error {
        let message = format!("the object store cannot be read ({why}); the operator keeps trying");
        (false, ReadyReason::StoreUnavailable, message)
    } else {
        (false, ReadyReason::WaitingForParties, format!("waiting for {}", waiting_for(status)))
    };
    Verdict { type_: READY, status: is_ready, reason: reason.to_string(), message }
}

fn waiting_for(status: &LinkageProjectStatus) -> String {
    let open = status.parties.iter().filter(|party| party.state != PartyState::Contributed);
    let parties: Vec<String> = open
        .map(|party| match (&party.state, &party.message) {
            (PartyState::Ingesting, _) => format!("{} (its source is being read)", party.name),
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
    let left = SignedDuration::from_secs(seconds) - view.now.duration_since(created.0);
    Some(Duration::try_from(left).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
