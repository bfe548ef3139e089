//! A party takes its data back.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use crds::LinkageProject;

use crate::App;
use crate::access::allowed::{Allowed, Project, ProjectPath};
use crate::access::audit::{self, Action};
use crate::access::who::{Uploader, Who};
use crate::document::problems::{ChangeProblems, ServiceProblems, TokenProblems};
use crate::endpoints::claims::{self, Place};
use crate::endpoints::run_status;
use crate::error::Error;

/// Withdraws what a party has contributed, and deletes it.
///
/// That can be done until a run begins: a run that waits for parties has not begun. Afterwards the party may upload again, with
/// the same token. A party that has contributed nothing has nothing to withdraw, and gets the same answer.
#[utoipa::path(delete, path = "/projects/{project_id}/clks", tag = "uploads", operation_id = "withdraw",
    params(ProjectPath), security(("update_token" = [])),
    responses(TokenProblems, ServiceProblems, ChangeProblems,
        (status = 204, description = "The party has contributed nothing now")))]
pub async fn withdraw(
    State(app): State<Arc<App>>,
    uploader: Allowed<Uploader, Project>,
) -> Result<StatusCode, Error> {
    refuse_if_begun(&app, &uploader.project).await?;
    let place = Place::new(&uploader);
    let withdrawn = claims::withdraw(&app, &place).await?;
    audit::record(uploader.who.actor(), Action::Withdraw, &uploader.project, None);
    if let Some(encodings) = withdrawn {
        remove(&app, &uploader.project, &encodings).await;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Refuses where a run has begun. The project says so itself, but for runs that were begun by an earlier version, which wrote
/// it nowhere else than on the run.
///
/// # Errors
/// [`Error::RunHasBegun`].
pub async fn refuse_if_begun(app: &App, project: &LinkageProject) -> Result<(), Error> {
    let is_held = project.status.as_ref().is_some_and(|status| status.first_run.is_some());
    if is_held || app.cluster.runs_of(project).await?.iter().any(|run| run_status::has_begun(run)) {
        return Err(Error::RunHasBegun);
    }
    Ok(())
}

/// Deletes what a party has taken back, by the key of its encodings. What cannot be deleted now is by the operator, later.
pub async fn remove(app: &App, project: &LinkageProject, encodings: &str) {
    let own = app.installation.project(project.metadata.uid.as_deref().unwrap_or_default());
    let Some((folder, _)) = encodings.rsplit_once('/').filter(|(folder, _)| folder.starts_with(&own)) else {
        return;
    };
    if let Err(error) = app.store.delete_prefix(&format!("{folder}/")).await {
        tracing::warn!(%error, folder, "data that was taken back is left in the store for now");
    }
}
