//! The webhook of a project: asked for when the project is created, and told to the holder of its result token.

use std::sync::Arc;

use axum::Json as JsonAnswer;
use axum::extract::State;
use crds::{LinkageProject, Webhook, WebhookStatus};
use serde::Serialize;
use utoipa::ToSchema;

use crate::App;
use crate::access::allowed::{Allowed, Project, ProjectPath};
use crate::access::who::Owner;
use crate::content::text::time;
use crate::document::problems::{ServiceProblems, TokenProblems};
use crate::error::{Error, Problem};

/// Characters that an address may have, as the resource allows it.
const MAX_URL: usize = 2048;

/// A project's webhook.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookDescription {
    /// Where news are sent.
    #[schema(max_length = 2048, format = "uri")]
    url: String,
    /// By which they are signed.
    #[schema(pattern = "^whsec_[A-Za-z0-9+/]{43}=$")]
    secret: String,
    /// When the receiver has last taken news of a party: ISO 8601, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    last_delivery: Option<String>,
    /// Why the last attempt to send news of a party has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    message: Option<String>,
}

/// Tells of a project's webhook, and by which secret what it sends is verified.
#[utoipa::path(get, path = "/projects/{project_id}/webhook", tag = "projects", operation_id = "describe_webhook",
    params(ProjectPath), security(("result_token" = [])),
    responses(TokenProblems, ServiceProblems,
        (status = 200, description = "The webhook", body = WebhookDescription),
        (status = 404, body = Problem, content_type = "application/problem+json",
            description = "The project has no webhook")))]
pub async fn describe(
    State(app): State<Arc<App>>,
    Allowed { project, .. }: Allowed<Owner, Project>,
) -> Result<JsonAnswer<WebhookDescription>, Error> {
    let webhook = project.spec.webhook.as_ref().ok_or(Error::NoWebhook)?;
    let nothing = WebhookStatus::default();
    let status = project.status.as_ref().and_then(|status| status.webhook.as_ref()).unwrap_or(&nothing);
    Ok(JsonAnswer(WebhookDescription {
        url: webhook.url.clone(),
        secret: app.judge.webhook_secret(&project),
        last_delivery: status.last_delivery_time.as_ref().map(time),
        message: status.message.clone(),
    }))
}

/// The webhook that a new project asks for.
///
/// # Errors
/// [`Error::Invalid`] when the administrator does not allow it, or it is no address.
pub fn wanted(app: &App, url: Option<&str>) -> Result<Option<Webhook>, Error> {
    let Some(url) = url else { return Ok(None) };
    if url.len() > MAX_URL {
        return Err(Error::Invalid(format!("webhook_url has more than {MAX_URL} characters")));
    }
    let refused = |why| Error::Invalid(format!("webhook_url cannot be used: {why}"));
    let url = app.webhook_urls.check(url).map_err(refused)?;
    Ok(Some(Webhook { url: url.into() }))
}

/// The secret of a project that was just created, if it has a webhook.
pub fn secret(app: &App, project: &LinkageProject) -> Option<String> {
    project.spec.webhook.as_ref().map(|_| app.judge.webhook_secret(project))
}
