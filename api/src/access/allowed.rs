//! The one way to authorise. An endpoint's signature says who may call it, and on what:
//!
//! ```ignore
//! async fn delete(Allowed { project, on: Run(run), .. }: Allowed<Owner, Run>) -> …
//! ```
//!
//! [`Allowed`] reads the token of the `Authorization` header and the names in the path, finds the project, and lets the
//! request through only if the token is of the right kind and of that very project. No handler reads any of these by
//! itself. Who there is, is in [`super::who`]; what there is, is here and beside the endpoints that know more of it.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use crds::{LinkageProject, LinkageRun};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use super::auth::Token;
use super::identity::Reading;
use super::who::Who;
use crate::App;
use crate::document::values::Name;
use crate::error::Error;

/// Somebody (`W`) who may do what the endpoint does with what its path names (`T`).
#[derive(Clone, Debug)]
pub struct Allowed<W, T> {
    /// Who it is.
    pub who: W,
    /// The project that the path names.
    pub project: Arc<LinkageProject>,
    /// What of it the path names.
    pub on: T,
}

/// What a path can name.
pub trait Target: Sized + Send {
    /// The names in the path.
    type Path: DeserializeOwned + Send + Sync;
    /// Whether its problems are told to the holders of any of the project's tokens, also to those who may not do what the
    /// endpoint does.
    const BEFORE_RIGHT: bool = false;

    /// The project's name.
    fn project(path: &Self::Path) -> &str;

    /// What Kubernetes is asked about its own users.
    fn reading(path: &Self::Path) -> Reading<'_>;

    /// Finds it.
    fn find(
        app: &App,
        project: &LinkageProject,
        path: &Self::Path,
    ) -> impl Future<Output = Result<Self, Error>> + Send;
}

/// A project as a whole.
#[derive(Clone, Copy, Debug)]
pub struct Project;

/// All runs of a project.
#[derive(Clone, Copy, Debug)]
pub struct Runs;

/// A run of a project.
#[derive(Clone, Debug)]
pub struct Run(pub Arc<LinkageRun>);

/// The project that a path names.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct ProjectPath {
    /// The project.
    #[param(value_type = Name)]
    pub project_id: String,
}

/// The project and the run that a path names.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct RunPath {
    /// The project.
    #[param(value_type = Name)]
    pub project_id: String,
    /// The run.
    #[param(value_type = Name)]
    pub run_id: String,
}

impl<W: Who, T: Target> FromRequestParts<Arc<App>> for Allowed<W, T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Error> {
        let token = Token::of(&parts.headers)?;
        // what cannot be read is no name
        let Path(path) =
            Path::<T::Path>::from_request_parts(parts, app).await.map_err(|_| Error::Forbidden)?;
        let name = T::project(&path);
        let found = if W::CHANGES {
            app.cluster.latest_project(name).await?
        } else {
            app.cluster.project(name).await?
        };
        let project = found.ok_or(Error::Forbidden)?;
        let who = match W::judge(app, &project, token.clone(), T::reading(&path)).await {
            Err(refused) if T::BEFORE_RIGHT && app.judge.opens(&project, &token) => {
                T::find(app, &project, &path).await?;
                return Err(refused);
            }
            judged => judged?,
        };
        let on = T::find(app, &project, &path).await?;
        Ok(Self { who, project, on })
    }
}

impl Target for Project {
    type Path = ProjectPath;

    fn project(path: &ProjectPath) -> &str {
        &path.project_id
    }

    fn reading(path: &ProjectPath) -> Reading<'_> {
        Reading::Project(&path.project_id)
    }

    async fn find(_: &App, _: &LinkageProject, _: &ProjectPath) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Target for Runs {
    type Path = ProjectPath;

    fn project(path: &ProjectPath) -> &str {
        &path.project_id
    }

    fn reading(_: &ProjectPath) -> Reading<'_> {
        Reading::Runs(None)
    }

    async fn find(_: &App, _: &LinkageProject, _: &ProjectPath) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Target for Run {
    type Path = RunPath;

    fn project(path: &RunPath) -> &str {
        &path.project_id
    }

    fn reading(path: &RunPath) -> Reading<'_> {
        Reading::Runs(Some(&path.run_id))
    }

    async fn find(app: &App, project: &LinkageProject, path: &RunPath) -> Result<Self, Error> {
        app.cluster.run(project, &path.run_id).await?.map(Self).ok_or(Error::Forbidden)
    }
}
