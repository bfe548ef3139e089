//! `…/status?wait=60`: answers when something changes, from what the watch tells, so that nobody has to ask again and
//! again.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, Query};
use axum::http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use crds::{LinkageProject, LinkageRun};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep_until};
use utoipa::IntoParams;

use crate::App;
use crate::access::auth::ReadRight;
use crate::access::who::Participant;
use crate::endpoints::run_status::{self, RunState};
use crate::error::Error;
use crate::limits::body::JSON;

/// The longest time that a request may wait.
const LONGEST: u64 = 60;

/// How long to wait for news.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Wait {
    /// For how many seconds to wait until the status is another than it is now, or than the one whose `ETag` the header
    /// `If-None-Match` names; from 0 to 60. Without it the answer comes at once. A run that has ended is answered at once,
    /// too.
    #[param(value_type = Option<u8>, minimum = 0, maximum = 60)]
    wait: Option<String>,
}

/// Of a request that may wait.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct KnownStatus {
    /// With `wait`: the `ETag` of the status that the client has. If there is another by now it is answered at once; if
    /// there is none for the whole time, the answer is 304.
    #[param(rename = "If-None-Match", required = false)]
    pub if_none_match: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Wait {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let Query(wait) = Query::<Self>::try_from_uri(&parts.uri)
            .map_err(|_| Error::Invalid("the query cannot be read; give wait once at most".into()))?;
        Ok(wait)
    }
}

impl Wait {
    /// How long to wait; none if the answer is to come as it always did.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is not a number of seconds that is allowed.
    pub fn time(&self) -> Result<Option<Duration>, Error> {
        let Some(text) = &self.wait else { return Ok(None) };
        let is_number = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
        let seconds = text.parse().ok().filter(|seconds| is_number && *seconds <= LONGEST);
        let refusal =
            || Error::Invalid(format!("wait must be a whole number of seconds from 0 to {LONGEST}"));
        seconds.map(|seconds| Some(Duration::from_secs(seconds))).ok_or_else(refusal)
    }
}

/// A status as it is answered.
struct Told {
    body: String,
    tag: String,
    is_final: bool,
}

impl Told {
    fn new(project: &LinkageProject, run: &LinkageRun, right: &ReadRight) -> Result<Self, Error> {
        let status = run_status::describe(project, run, right);
        let body = serde_json::to_string(&status).map_err(|error| Error::Internal(error.to_string()))?;
        let tag = format!("\"{}\"", hex::encode(&Sha256::digest(body.as_bytes())[..16]));
        let is_final = matches!(run_status::state(run), RunState::Completed | RunState::Error);
        Ok(Self { body, tag, is_final })
    }

    fn answer(self, status: StatusCode) -> Response {
        let mut response = if status == StatusCode::NOT_MODIFIED {
            status.into_response()
        } else {
            (status, [(CONTENT_TYPE, JSON)], self.body).into_response()
        };
        if let Ok(tag) = HeaderValue::try_from(self.tag) {
            response.headers_mut().insert(ETAG, tag);
        }
        response
    }
}

/// The status of a run, as soon as it is another than the client knows.
///
/// # Errors
/// [`Error::Forbidden`] when the run goes, or the token is rotated, meanwhile; [`Error::TooManyWaiting`].
pub async fn status_when_changed(
    app: &App,
    who: &Participant,
    mut project: Arc<LinkageProject>,
    mut run: Arc<LinkageRun>,
    wait: Duration,
    headers: &HeaderMap,
) -> Result<Response, Error> {
    let deadline = Instant::now() + wait;
    // before the first look, so that nothing is missed between
    let news = app.cluster.news(&project, &run);
    let mut told = Told::new(&project, &run, &who.right)?;
    let condition = headers.get(IF_NONE_MATCH).map(|known| known.to_str().unwrap_or_default().to_owned());
    let known = condition.clone().unwrap_or_else(|| told.tag.clone());
    let is_news = |told: &Told| told.is_final || !names(&known, &told.tag);
    if let (Some(mut news), false, false) = (news, is_news(&told), wait.is_zero()) {
        let _place = app.waiting.enter(client(&project, who))?;
        loop {
            let latest = app.cluster.newer_project(&project).await?.ok_or(Error::Forbidden)?;
            if latest.metadata.resource_version != project.metadata.resource_version {
                who.judge_again(app, &latest)?;
            }
            project = latest;
            run = app.cluster.newer_run(&project, &run).await?.ok_or(Error::Forbidden)?;
            told = Told::new(&project, &run, &who.right)?;
            if is_news(&told) {
                break;
            }
            tokio::select! {
                () = news.next() => {}
                () = sleep_until(deadline) => break,
                () = app.stopping.cancelled() => break,
            }
        }
    }
    let is_known = condition.is_some_and(|known| names(&known, &told.tag));
    Ok(told.answer(if is_known { StatusCode::NOT_MODIFIED } else { StatusCode::OK }))
}

/// Whether a list of tags, as `If-None-Match` has it, has this one.
fn names(tags: &str, tag: &str) -> bool {
    let mut tags = tags.split(',').map(|known| known.trim());
    tags.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

/// Who waits, for counting: holders of one token are one client.
fn client(project: &LinkageProject, who: &Participant) -> String {
    let uid = project.metadata.uid.as_deref().unwrap_or_default();
    match &who.right {
        ReadRight::Result => format!("{uid} result"),
        ReadRight::Receipt(party) => format!("{uid} party {party}"),
        ReadRight::User(identity) => format!("user {}", identity.name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_seconds_up_to_a_minute_are_waited() {
        let time = |text: &str| Wait { wait: Some(text.into()) }.time();
        assert_eq!(Wait { wait: None }.time().unwrap(), None);
        assert_eq!(time("0").unwrap(), Some(Duration::ZERO));
        assert_eq!(time("60").unwrap(), Some(Duration::from_secs(60)));
        for text in ["61", "-1", "+1", "1.5", "", "x", "1e1", "99999999999999999999999"] {
            assert!(matches!(time(text), Err(Error::Invalid(_))), "{text}");
        }
    }

    #[test]
    fn a_known_status_is_found_in_a_list_of_tags() {
        for tags in ["\"a\"", "\"b\", \"a\"", "W/\"a\"", "*"] {
            assert!(names(tags, "\"a\""), "{tags}");
        }
        for tags in ["", "a", "\"b\"", "\"aa\""] {
            assert!(!names(tags, "\"a\""), "{tags}");
        }
    }
}
