//! New tokens in place of old ones, for one party or for all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json as JsonAnswer;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use crds::tokens::{self, Role};
use crds::{LinkageProject, Party, labels};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::App;
use crate::access::allowed::{Allowed, Project, ProjectPath};
use crate::access::audit::{self, Action};
use crate::access::who::{Rotator, Who};
use crate::content::text;
use crate::document::parameters::{Packed, Repeatable};
use crate::document::problems::{BodyProblems, ServiceProblems, TokenProblems};
use crate::document::values::{Name, Token};
use crate::endpoints::projects::time_tokens_expire;
use crate::error::Error;
use crate::kubernetes::cluster::Changed;
use crate::limits::body::Json;
use crate::limits::lifetimes;

/// How often the project is read and changed again, when others write it or Kubernetes does not answer.
const ATTEMPTS: u32 = 6;
/// The first pause between attempts; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The header by which a request is known again.
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// Whose tokens are to be replaced.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"party": "party-1"}), json!({"token_lifetime_seconds": 2_592_000})))]
pub struct Rotation {
    /// The party whose update and receipt tokens are replaced. Without it all tokens of the project are, the result token
    /// included.
    #[schema(min_length = 1, max_length = 63)]
    party: Option<String>,
    /// After how many seconds the new tokens open nothing any more: 60 or more, or 0 for never. By default when those before
    /// would have.
    #[serde(default, deserialize_with = "text::whole_number")]
    #[schema(minimum = 0)]
    token_lifetime_seconds: Option<i64>,
}

/// The new tokens. They are shown this once. Those of a project that was made with kubectl are in its Secret, and only there.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewTokens {
    #[schema(value_type = Name)]
    project_id: String,
    /// In place of the one that the request was made with, if all were replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Token>, nullable = false)]
    result_token: Option<String>,
    /// By the names of the parties whose tokens were replaced. A party gets its new receipt token by uploading its content
    /// again.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, Token>)]
    update_tokens: BTreeMap<String, String>,
    /// The Secret to which the operator writes the new tokens within moments.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    tokens_secret: Option<String>,
    /// From when on the new tokens open nothing any more: ISO 8601, UTC. Absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    time_tokens_expire: Option<String>,
}

/// Replaces the tokens of one party, or all tokens of a project. The old ones open nothing any more, at once.
///
/// With an `Idempotency-Key`, the same request may be sent again when its answer was lost, also with the result token that it
/// has replaced: nothing is replaced then, and the answer is the same. Without one, a lost answer to a rotation of all tokens
/// leaves the project to whoever may change it in Kubernetes.
#[utoipa::path(post, path = "/projects/{project_id}/tokens/rotate", tag = "projects", operation_id = "rotate_tokens",
    params(ProjectPath, Repeatable, Packed), security(("result_token" = [])), request_body = Rotation,
    responses(TokenProblems, BodyProblems, ServiceProblems,
        (status = 200, description = "The new tokens, which are shown this once", body = NewTokens)))]
pub async fn rotate(
    State(app): State<Arc<App>>,
    rotator: Allowed<Rotator, Project>,
    headers: HeaderMap,
    Json(wanted): Json<Rotation>,
) -> Result<Response, Error> {
    let asked_with = idempotency_key(&headers)?.unwrap_or_else(text::fresh_id);
    let mark = app.judge.rotation(&rotator.project, &asked_with);
    let project = replace(&app, &rotator, &wanted, &mark).await?;
    audit::record(rotator.who.actor(), Action::RotateTokens, &project, None);
    let answer = new_tokens(&app, &project, wanted.party.as_deref());
    Ok(([(CACHE_CONTROL, "no-store")], JsonAnswer(answer)).into_response())
}

/// What the client knows this very request by.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Error> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    // whoever guesses it, and has the old result token, gets the new one
    let is_long_enough = (16..=128).contains(&text.len());
    is_long_enough.then(|| Some(text.to_owned())).ok_or_else(|| {
        Error::Invalid(format!(
            "{IDEMPOTENCY_KEY} must have 16 to 128 characters, and be one that nobody can guess"
        ))
    })
}

/// Changes the project; gives it as it is then. One that bears the mark has been changed before.
async fn replace(
    app: &App,
    rotator: &Allowed<Rotator, Project>,
    wanted: &Rotation,
    mark: &str,
) -> Result<LinkageProject, Error> {
    let uid = &rotator.project.metadata.uid;
    let mut project = rotator.project.clone();
    let mut last = Error::Unavailable("the project could not be changed".into());
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            tokio::time::sleep(FIRST_PAUSE.saturating_mul(1 << attempt)).await;
            match app.cluster.latest_project(&rotator.project.name_any()).await {
                Ok(Some(latest)) if latest.metadata.uid == *uid => project = latest,
                Ok(_) => return Err(Error::Forbidden),
                Err(error @ Error::Unavailable(_)) => {
                    last = error;
                    continue;
                }
                Err(error) => return Err(error),
            }
        }
        if project.annotations().get(labels::ROTATION).is_some_and(|known| known == mark) {
            return Ok(Arc::unwrap_or_clone(project));
        }
        if !app.judge.is_owner(&project, &rotator.who.token) {
            return Err(Error::Forbidden);
        }
        last = match app.cluster.change_project(&project, &patch(&project, wanted, mark)?).await {
            Ok(Changed::To(changed)) => return Ok(*changed),
            Ok(Changed::Gone) => return Err(Error::Forbidden),
            Ok(Changed::Conflict) => Error::Unavailable("others keep writing the project".into()),
            Err(error @ Error::Unavailable(_)) => error,
            Err(error) => return Err(error),
        };
    }
    Err(last)
}

/// What is to be changed, of the version that was read.
fn patch(project: &LinkageProject, wanted: &Rotation, mark: &str) -> Result<Value, Error> {
    let mut spec = project.spec.clone();
    let expiry = lifetimes::expiry(wanted.token_lifetime_seconds)?;
    let is_asked = wanted.token_lifetime_seconds.is_some();
    let raised = |generation: i64| {
        generation.checked_add(1).ok_or_else(|| Error::Invalid("these tokens were replaced too often".into()))
    };
    match &wanted.party {
        Some(name) => {
            let party = spec.parties.iter_mut().find(|party| party.name == *name);
            let party =
                party.ok_or_else(|| Error::Invalid(format!("there is no party {name:?} in this project")))?;
            party.token_generation = Some(raised(party.token_generation.unwrap_or(1))?);
            if is_asked {
                party.tokens_expire_at = expiry;
            }
        }
        None => {
            spec.token_generation = raised(spec.token_generation)?;
            if is_asked {
                spec.tokens_expire_at = expiry;
                spec.parties.iter_mut().for_each(|party| party.tokens_expire_at = None);
            }
        }
    }
    let ended = replaced(&spec.parties, wanted.party.as_deref())
        .filter_map(|role| tokens::expiry(&spec, role))
        .find(|end| *end <= Timestamp::now());
    if let Some(end) = ended {
        return Err(Error::Invalid(format!(
            "the new tokens would open nothing, as those before have expired at {end}; give token_lifetime_seconds"
        )));
    }
    let mut changed = json!({"parties": spec.parties});
    if wanted.party.is_none() {
        changed["tokenGeneration"] = json!(spec.token_generation);
        // null takes it out
        changed["tokensExpireAt"] = json!(spec.tokens_expire_at);
    }
    let metadata = json!({"resourceVersion": project.metadata.resource_version, "annotations": {labels::ROTATION: mark}});
    Ok(json!({"metadata": metadata, "spec": changed}))
}

/// The roles whose tokens are replaced, but for receipts, which go with the updates.
fn replaced<'p>(parties: &'p [Party], party: Option<&'p str>) -> impl Iterator<Item = Role<'p>> {
    let owner = party.is_none().then_some(Role::Result);
    let uploaders = parties.iter().map(|party| party.name.as_str());
    let uploaders = uploaders.filter(move |name| party.is_none_or(|only| only == *name)).map(Role::Update);
    owner.into_iter().chain(uploaders)
}

fn new_tokens(app: &App, project: &LinkageProject, party: Option<&str>) -> NewTokens {
    let over_rest = project.labels().get(labels::MANAGED_BY).is_some_and(|manager| manager == labels::API);
    let token = |role| app.judge.token(project, role);
    let uploaders = replaced(&project.spec.parties, party).filter_map(Role::party).filter(|_| over_rest);
    let first = replaced(&project.spec.parties, party).next().unwrap_or(Role::Result);
    NewTokens {
        project_id: project.name_any(),
        result_token: (over_rest && party.is_none()).then(|| token(Role::Result)),
        update_tokens: uploaders.map(|name| (name.to_owned(), token(Role::Update(name)))).collect(),
        tokens_secret: (!over_rest).then(|| format!("{}-tokens", project.name_any())),
        time_tokens_expire: time_tokens_expire(project, first),
    }
}
