//! Takes in an upload that is complete: its pieces are read from the store in order, and checked and claimed as any other data.
//!
//! Whoever does so says it in the store, again and again, so that nobody else does the same meanwhile, and that somebody else
//! does when its replica has ended. Should two be at it all the same, one claims the party's place, and the other finds that
//! the place is taken by this very upload.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use crds::Blocking;
use futures::TryStreamExt;
use scorer::ingest::{self, Announced, Expectations, IngestError};
use scorer::store::Store;
use scorer::summary::Contribution;

use super::description::Form;
use super::outcome::{self, Outcome, Verdict};
use super::pieces::Upload;
use crate::App;
use crate::access::allowed::{Allowed, Project};
use crate::access::who::Uploader;
use crate::endpoints::claims::{self, Place};
use crate::endpoints::{projects, uploads};
use crate::error::Error;

/// How often whoever is at it says so.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// After how long without that another one begins.
const SILENCE: Duration = Duration::from_secs(90);
const TEXT: &str = "text/plain";

/// Takes an upload in; gives what became of it, or nothing if somebody else is at it.
///
/// # Errors
/// Fails when something is away that is needed; the upload stays, and may be taken in later.
pub async fn take_in(
    app: &Arc<App>,
    uploader: &Allowed<Uploader, Project>,
    upload: &Upload,
    outcome_key: &str,
) -> Result<Option<Outcome>, Error> {
    let Some(sign) = Sign::take(&app.store, upload.folder()).await? else { return Ok(None) };
    let verdict = sign.keep_up(verdict(app, uploader, upload)).await;
    let verdict = match verdict {
        Ok(verdict) => verdict,
        Err(error) => {
            sign.put_down().await;
            if matches!(claims::is_gone(app, &Place::new(uploader)).await, Ok(true)) {
                // what was written after the purge would stay
                uploads::remove(app, upload.folder()).await;
                return Err(Error::Forbidden);
            }
            return Err(error);
        }
    };
    let outcome = Outcome { upload: upload.description.clone(), verdict };
    outcome::write(&app.store, outcome_key, &outcome).await?;
    uploads::remove(app, upload.folder()).await;
    Ok(Some(outcome))
}

async fn verdict(
    app: &App,
    uploader: &Allowed<Uploader, Project>,
    upload: &Upload,
) -> Result<Verdict, Error> {
    let place = Place::new(uploader);
    let prefix = uploads::fresh_prefix(app, uploader);
    app.store.put_small(&attempt_key(upload, &prefix), Bytes::new(), TEXT).await?;
    let settled = match stored(app, uploader, upload, &prefix).await {
        Ok(outcome) => uploads::settle(app, uploader, &place, &prefix, outcome).await,
        Err(error) => Err(error),
    };
    match settled {
        Ok(warning) => Ok(Verdict::TakenIn { warning }),
        Err(Error::AlreadyContributed) if is_ours(app, &place, uploader, upload).await? => {
            Ok(Verdict::TakenIn { warning: None })
        }
        Err(error) => Verdict::of(&error).ok_or(error),
    }
}

/// Stores what the pieces hold. The error is about them; that about the data is within.
async fn stored(
    app: &App,
    uploader: &Allowed<Uploader, Project>,
    upload: &Upload,
    prefix: &str,
) -> Result<Result<Contribution, IngestError>, Error> {
    let expected: Expectations = uploads::expectations(app, uploader);
    let content = upload.content().await?;
    Ok(match upload.description.form {
        Form::Json => ingest::json(content, &expected, &app.store, prefix).await,
        Form::Binary { records, encoding_bytes } => {
            let announced = Announced { records: Some(records), encoding_bytes };
            ingest::binary(content, announced, &expected, &app.store, prefix).await
        }
    })
}

/// Refuses at once raw encodings for a project that needs blocks.
///
/// # Errors
/// [`Error::BlocksMismatch`].
pub fn check_form(uploader: &Allowed<Uploader, Project>, form: Form) -> Result<(), Error> {
    match form {
        Form::Binary { .. } if uploader.project.spec.blocking == Blocking::ByBlockId => {
            Err(Error::BlocksMismatch(IngestError::BlocksMissing.to_string()))
        }
        _ => Ok(()),
    }
}

/// Where it is noted that an attempt stores to this prefix.
fn attempt_key(upload: &Upload, prefix: &str) -> String {
    format!("{}attempts/{}", upload.folder(), last_segment(prefix.trim_end_matches('/')))
}

/// Whether the party's contribution is of an attempt to take in this very upload.
async fn is_ours(
    app: &App,
    place: &Place,
    uploader: &Allowed<Uploader, Project>,
    upload: &Upload,
) -> Result<bool, Error> {
    let name = uploader.project.metadata.name.as_deref().unwrap_or_default();
    let project = app.cluster.latest_project(name).await?.ok_or(Error::Forbidden)?;
    let Some(contributed) = projects::party_status(&project, place.party()) else { return Ok(false) };
    let Some((prefix, _)) = contributed.encodings.as_deref().and_then(|key| key.rsplit_once('/')) else {
        return Ok(false);
    };
    Ok(app.store.head(&attempt_key(upload, prefix)).await?.is_some())
}

fn last_segment(key: &str) -> &str {
    key.rsplit_once('/').map_or(key, |(_, last)| last)
}

/// The sign that an upload is being taken in.
struct Sign {
    store: Store,
    key: String,
}

impl Sign {
    /// Puts the sign up, unless somebody else's is there.
    async fn take(store: &Store, folder: &str) -> Result<Option<Self>, Error> {
        let sign = Self { store: store.clone(), key: format!("{folder}taking-in") };
        if store.put_if_absent(&sign.key, Bytes::new(), TEXT).await? {
            return Ok(Some(sign));
        }
        let shown = store.head(&sign.key).await?.and_then(|sign| sign.modified);
        let silent = shown.and_then(|shown| SystemTime::now().duration_since(shown).ok());
        if silent.is_some_and(|silent| silent < SILENCE) {
            return Ok(None);
        }
        sign.put_up().await;
        Ok(Some(sign))
    }

    async fn keep_up<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(SIGN_OF_LIFE) => self.put_up().await,
            }
        }
    }

    async fn put_up(&self) {
        if let Err(error) = self.store.put_small(&self.key, Bytes::new(), TEXT).await {
            tracing::warn!(%error, "that an upload is being taken in could not be noted");
        }
    }

    async fn put_down(&self) {
        if let Err(error) = self.store.delete(&self.key).await {
            tracing::warn!(%error, "that an upload is not being taken in any more could not be noted");
        }
    }
}

/// The uploads in a folder that are not expired; those that are, are removed.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn unfinished(app: &App, folder: &str) -> Result<usize, Error> {
    let names: Vec<String> = app.store.folders(folder).try_collect().await?;
    let mut living = 0;
    for name in names {
        let of_one = format!("{folder}{name}/");
        let is_living = match Upload::open(&app.store, of_one.clone()).await? {
            Some(upload) => !upload.is_expired(&upload.progress().await?, app.limits.upload_expiry),
            None => false,
        };
        if is_living {
            living += 1;
        } else {
            uploads::remove(app, &of_one).await;
        }
    }
    Ok(living)
}
