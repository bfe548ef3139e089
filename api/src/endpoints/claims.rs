//! An upload becomes a party's contribution by one write to the project's status, at the version it was read at.
//! Of two uploads at once one wins, whatever replica they came to.

use std::sync::Arc;
use std::time::Duration;

use crds::contribution::{self, Announcement, Outcome, PartyData, Refusal, Withdrawal};
use crds::{
    AnnouncedObjects, LinkageProject, LinkageProjectSpec, LinkageProjectStatus, PartyState, PartyStatus,
};
use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;

use crate::App;
use crate::access::allowed::{Allowed, Project};
use crate::access::auth::Token;
use crate::access::who::Uploader;
use crate::error::Error;
use crate::kubernetes::cluster::Written;

/// How often the status is read and written again, when others write it or Kubernetes does not answer.
const ATTEMPTS: u32 = 10;
/// For how long that goes on: each attempt may wait for its answer as well.
const PATIENCE: Duration = Duration::from_secs(20);
/// The first pause between attempts; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// For whom data was uploaded.
#[derive(Debug)]
pub struct Place {
    project: String,
    uid: String,
    party: String,
    token: Token,
}

/// What data was uploaded for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To become the contribution of a party that has none.
    Contribute,
    /// To be recognised: the party has a contribution, and the data was not kept.
    Compare,
    /// To become the contribution in place of the one that the party has.
    Replace,
}

/// What came of a claim.
#[derive(Debug)]
pub struct Claim {
    /// Why the data cannot be linked, if it cannot; or why the claim failed.
    pub verdict: Result<Option<Refusal>, Error>,
    /// Whether the stored objects are, or could be, the party's contribution now.
    pub keeps_objects: bool,
    /// The key of the encodings that were the party's contribution before.
    pub replaced: Option<String>,
}

impl Claim {
    fn failed(error: Error, keeps_objects: bool) -> Self {
        Self { verdict: Err(error), keeps_objects, replaced: None }
    }
}

impl Place {
    /// The place of an uploader. The token is judged again at every write, as it may have been rotated meanwhile.
    pub fn new(Allowed { who, project, .. }: &Allowed<Uploader, Project>) -> Self {
        Self {
            project: project.metadata.name.clone().unwrap_or_default(),
            uid: project.metadata.uid.clone().unwrap_or_default(),
            party: who.name.clone(),
            token: who.token.clone(),
        }
    }

    /// The party's name.
    pub fn party(&self) -> &str {
        &self.party
    }
}

/// Claims data as the party's contribution.
pub async fn claim(app: &App, place: &Place, data: &PartyData, purpose: Purpose) -> Claim {
    let mut replaced = None;
    let change = |spec: &LinkageProjectSpec, status: &mut LinkageProjectStatus| {
        // judged here first, so that a place that is taken costs no write
        let contributed = |entry: &&PartyStatus| entry.state == PartyState::Contributed;
        if let Some(taken) = entry(status, &place.party).filter(contributed) {
            // a write whose answer was lost may have succeeded
            return if taken.encodings.as_ref() == Some(&data.encodings) {
                Ok((Outcome::Accepted, None))
            } else if contribution::holds(status, &place.party, data) {
                Ok((Outcome::Repeated, None))
            } else if purpose == Purpose::Replace {
                replaced = replace(spec, status, &place.party, data)?;
                Ok((Outcome::Accepted, None))
            } else {
                Ok((Outcome::AlreadyContributed, None))
            };
        }
        if purpose == Purpose::Compare {
            return Err(Error::Unavailable(
                "the contribution was withdrawn while the same was uploaded".into(),
            ));
        }
        let outcome = contribution::claim(spec, status, &place.party, data, Timestamp::now());
        Ok((outcome, refusal(status, &place.party)))
    };
    match amend(app, place, change).await {
        Ok(Ok((Outcome::Accepted, _))) => Claim { verdict: Ok(None), keeps_objects: true, replaced },
        Ok(Ok((Outcome::Repeated, _))) => Claim { verdict: Ok(None), keeps_objects: false, replaced: None },
        Ok(Ok((Outcome::Rejected, why))) => Claim { verdict: Ok(why), keeps_objects: false, replaced: None },
        Ok(Ok((Outcome::AlreadyContributed, _))) => Claim::failed(Error::AlreadyContributed, false),
        Ok(Err(error)) => Claim::failed(error, false),
        Err(Failed { error, in_doubt }) => Claim::failed(error, in_doubt),
    }
}

/// Puts data in the place of what the party has contributed; gives the key of what that was. Data that cannot be linked leaves
/// it as it is.
fn replace(
    spec: &LinkageProjectSpec,
    status: &mut LinkageProjectStatus,
    party: &str,
    data: &PartyData,
) -> Result<Option<String>, Error> {
    let mut other = status.clone();
    let replaced = withdrawn(contribution::withdraw(spec, &mut other, party))?;
    match contribution::claim(spec, &mut other, party, data, Timestamp::now()) {
        Outcome::Accepted => {
            *status = other;
            Ok(replaced)
        }
        _ => {
            let why = refusal(&other, party).map(|refusal| refusal.message).unwrap_or_default();
            Err(Error::Invalid(format!("{why}. What was contributed before stays")))
        }
    }
}

fn withdrawn(withdrawal: Withdrawal) -> Result<Option<String>, Error> {
    match withdrawal {
        Withdrawal::Withdrawn(encodings) => Ok(encodings),
        Withdrawal::RunHasBegun => Err(Error::RunHasBegun),
        Withdrawal::FromSource => Err(Error::FromSource),
    }
}

/// Takes the party's contribution back; gives the key of its encodings, which nothing names any more.
///
/// # Errors
/// Fails when a run has begun with it, when it cannot be recorded, or the place is no longer there.
pub async fn withdraw(app: &App, place: &Place) -> Result<Option<String>, Error> {
    let mut found = None;
    let change = |spec: &LinkageProjectSpec, status: &mut LinkageProjectStatus| {
        let encodings = withdrawn(contribution::withdraw(spec, status, &place.party))?;
        // a write whose answer was lost may have succeeded: then there is none any more
        if encodings.is_some() {
            found = encodings;
        }
        Ok(())
    };
    match amend(app, place, change).await {
        Ok(Ok(())) => Ok(found),
        Ok(Err(error)) => Err(error),
        Err(failed) => Err(failed.error),
    }
}

/// Notes objects that the party has put into the store by itself: from then on the operator sees that they are read,
/// whatever becomes of this replica.
///
/// # Errors
/// Fails when it cannot be noted, the place is taken or no longer there, or other objects of the party are being read.
pub async fn announce(app: &App, place: &Place, objects: &AnnouncedObjects) -> Result<(), Error> {
    let change = |spec: &LinkageProjectSpec, status: &mut LinkageProjectStatus| {
        contribution::announce(spec, status, &place.party, objects.clone())
    };
    match amend(app, place, change).await {
        Ok(Announcement::Noted) => Ok(()),
        Ok(Announcement::AlreadyContributed) => Err(Error::AlreadyContributed),
        Ok(Announcement::UnderWay) => Err(Error::UploadUnderWay),
        Err(failed) => Err(failed.error),
    }
}

/// Records that data which arrived whole cannot be linked.
///
/// # Errors
/// Fails when it cannot be recorded, or the place is no longer there.
pub async fn refuse(app: &App, place: &Place, refusal: &Refusal) -> Result<(), Error> {
    let change = |spec: &LinkageProjectSpec, status: &mut LinkageProjectStatus| {
        contribution::refuse(spec, status, &place.party, refusal.clone());
    };
    amend(app, place, change).await.map_err(|failed| failed.error)
}

/// Records why an upload was broken; when that fails, the log and the answer have to do.
pub async fn note(app: &App, place: &Place, refusal: &Refusal) {
    let change = |spec: &LinkageProjectSpec, status: &mut LinkageProjectStatus| {
        contribution::note_failed_upload(spec, status, &place.party, refusal.clone());
    };
    if let Err(Failed { error, .. }) = amend(app, place, change).await {
        tracing::warn!(%error, "the broken upload could not be noted on the project");
    }
}

/// Publishes why data was not accepted.
pub async fn warn(app: &App, project: &LinkageProject, place: &Place, refusal: &Refusal) {
    tracing::info!(party = place.party, refusal.reason, refusal.message, "an upload was not accepted");
    app.cluster.warn(project, "Upload", &refusal.reason, &refusal.message).await;
}

/// Why a status could not be written.
struct Failed {
    error: Error,
    /// Whether it may have been written all the same.
    in_doubt: bool,
}

async fn amend<T>(
    app: &App,
    place: &Place,
    mut change: impl FnMut(&LinkageProjectSpec, &mut LinkageProjectStatus) -> T,
) -> Result<T, Failed> {
    let start = Instant::now();
    let mut in_doubt = false;
    let mut last = Error::Unavailable("the project's status could not be written".into());
    for attempt in 0..ATTEMPTS {
        if start.elapsed() > PATIENCE {
            break;
        }
        if attempt > 0 {
            tokio::time::sleep(pause(attempt)).await;
        }
        let mut project = match read(app, place).await {
            Ok(project) => Arc::unwrap_or_clone(project),
            Err(error @ Error::Unavailable(_)) => {
                last = error;
                continue;
            }
            Err(error) => {
                // the write before may have succeeded, and the token have been rotated since; but a project that is
                // gone names no objects any more
                let in_doubt = in_doubt && !matches!(is_gone(app, place).await, Ok(true));
                return Err(Failed { error, in_doubt });
            }
        };
        let before = project.status.take().unwrap_or_default();
        let mut status = before.clone();
        let outcome = change(&project.spec, &mut status);
        if status == before {
            return Ok(outcome);
        }
        project.status = Some(status);
        in_doubt = false;
        last = match app.cluster.replace_status(&project).await {
            Ok(Written::Yes) => return Ok(outcome),
            Ok(Written::Gone) => return Err(Failed { error: Error::Forbidden, in_doubt }),
            Ok(Written::Conflict) => Error::Unavailable("others keep writing the project's status".into()),
            Err(error @ Error::Unavailable(_)) => {
                in_doubt = true;
                error
            }
            Err(error) => return Err(Failed { error, in_doubt }),
        };
    }
    Err(Failed { error: last, in_doubt })
}

async fn read(app: &App, place: &Place) -> Result<Arc<LinkageProject>, Error> {
    let project = app.cluster.latest_project(&place.project).await?.ok_or(Error::Forbidden)?;
    let party = app.judge.uploading_party(&project, &place.token).ok_or(Error::Forbidden)?;
    let same = project.metadata.uid.as_ref() == Some(&place.uid)
        && project.spec.parties.get(party).is_some_and(|party| party.name == place.party);
    if same { Ok(project) } else { Err(Error::Forbidden) }
}

/// What to tell of an upload that failed. When its project was deleted meanwhile, its objects were purged while they were
/// written, and the store's errors come of that.
pub async fn explain(app: &App, place: &Place, error: Error) -> Error {
    let of_the_store = matches!(error, Error::Internal(_) | Error::StoreAway(_) | Error::Unavailable(_));
    if of_the_store && matches!(is_gone(app, place).await, Ok(true)) {
        tracing::info!(%error, "the project was deleted during an upload");
        return Error::Forbidden;
    }
    error
}

/// Whether the project is deleted, or being deleted.
pub async fn is_gone(app: &App, place: &Place) -> Result<bool, Error> {
    let found = app.cluster.latest_project(&place.project).await?;
    Ok(found.is_none_or(|project| project.metadata.uid.as_ref() != Some(&place.uid)))
}

fn entry<'s>(status: &'s LinkageProjectStatus, party: &str) -> Option<&'s PartyStatus> {
    status.parties.iter().find(|entry| entry.name == party)
}

fn refusal(status: &LinkageProjectStatus, party: &str) -> Option<Refusal> {
    let entry = entry(status, party)?;
    Some(Refusal { reason: entry.reason.clone()?, message: entry.message.clone().unwrap_or_default() })
}

/// A random part keeps those that collided from colliding again.
fn pause(attempt: u32) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(1 << attempt.min(16)).min(LONGEST_PAUSE);
    longest.mul_f64(0.5 + rand::random::<f64>() / 2.0)
}
