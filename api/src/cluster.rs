//! Projects and runs in the Kubernetes API: the only state there is.

use std::time::Duration;

use crds::{LinkageProject, LinkageRun};
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams, Preconditions};
use kube::core::PartialObjectMeta;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Api, Client, Resource, ResourceExt};

use crate::error::Error;

/// The field manager and the reporter of events.
const NAME: &str = "linkage-api";
/// How many resources are asked for at a time.
const PAGE: u32 = 500;
/// Longest name of a project or run.
const MAX_NAME: usize = 50;
/// Longest note of an event, in bytes, as Kubernetes allows it.
const MAX_NOTE: usize = 1024;
/// No answer within this time counts as none.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// How long an answer is held up for an event about it.
const EVENT_TIMEOUT: Duration = Duration::from_secs(2);

/// The projects and runs of one namespace.
#[derive(Clone)]
pub struct Cluster {
    projects: Api<LinkageProject>,
    runs: Api<LinkageRun>,
    recorder: Recorder,
}

/// What became of a status that was written with the `resourceVersion` it was read at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is in place.
    Yes,
    /// Somebody else wrote in between: read again.
    Conflict,
    /// The project is gone.
    Gone,
}

/// Connects with the pod's service account, or with the local kubeconfig.
///
/// # Errors
/// Fails when there is neither.
pub async fn connect() -> Result<Client, kube::Error> {
    let mut config = kube::Config::infer().await.map_err(kube::Error::InferConfig)?;
    config.connect_timeout = Some(Duration::from_secs(5));
    config.read_timeout = Some(REQUEST_TIMEOUT);
    config.write_timeout = Some(REQUEST_TIMEOUT);
    // clients retry a 503: better tell them soon than hold them
    config.default_retry = false;
    Client::try_from(config)
}

impl Cluster {
    /// The resources of a namespace.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self {
            projects: Api::namespaced(client.clone(), namespace),
            runs: Api::namespaced(client.clone(), namespace),
            recorder: Recorder::new(client, Reporter { controller: NAME.into(), instance: None }),
        }
    }

    /// A project; none if there is none of that name, or it is being deleted.
    pub async fn project(&self, name: &str) -> Result<Option<LinkageProject>, Error> {
        get(&self.projects, name).await
    }

    /// A project's run; none if there is none of that name, it is another project's, or is being deleted.
    pub async fn run(&self, project: &LinkageProject, name: &str) -> Result<Option<LinkageRun>, Error> {
        Ok(get(&self.runs, name).await?.filter(|run| is_of(run, project)))
    }

    /// A project's runs, oldest first.
    pub async fn runs_of(&self, project: &LinkageProject) -> Result<Vec<LinkageRun>, Error> {
        // not by label: runs made with kubectl need not have one
        let keep = |runs: &mut Vec<LinkageRun>, run| {
            if is_of(&run, project) && !is_deleted(&run) {
                runs.push(run);
            }
        };
        let mut runs = self.fold_runs(Vec::new(), keep).await?;
        runs.sort_by_cached_key(|run| (run.creation_timestamp(), run.name_any()));
        Ok(runs)
    }

    /// Folds over all runs, of which only one page is held at a time.
    pub async fn fold_runs<A>(
        &self,
        mut state: A,
        mut each: impl FnMut(&mut A, LinkageRun),
    ) -> Result<A, Error> {
        let mut page = ListParams::default().limit(PAGE);
        loop {
            let runs = self.runs.list(&page).await?;
            let next = runs.metadata.continue_.filter(|token| !token.is_empty());
            runs.items.into_iter().for_each(|run| each(&mut state, run));
            match next {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(state),
            }
        }
    }

    /// The metadata of all projects that are not being deleted, oldest first.
    pub async fn projects(&self) -> Result<Vec<ObjectMeta>, Error> {
        let mut page = ListParams::default().limit(PAGE);
        let mut found = Vec::new();
        loop {
            let projects = self.projects.list_metadata(&page).await?;
            let next = projects.metadata.continue_.filter(|token| !token.is_empty());
            let kept = projects.items.into_iter().filter(|project| !is_deleted(project));
            found.extend(kept.map(|project: PartialObjectMeta<LinkageProject>| project.metadata));
            match next {
                Some(token) => page = page.continue_token(&token),
                None => break,
            }
        }
        found.sort_by_cached_key(|project| (project.creation_timestamp.clone(), project.name.clone()));
        Ok(found)
    }

    /// Creates a project.
    pub async fn create_project(&self, project: &LinkageProject) -> Result<LinkageProject, Error> {
        Ok(self.projects.create(&post(), project).await?)
    }

    /// Creates a run.
    pub async fn create_run(&self, run: &LinkageRun) -> Result<LinkageRun, Error> {
        Ok(self.runs.create(&post(), run).await?)
    }

    /// Starts deleting a project, its runs and data; false if it is gone already.
    pub async fn delete_project(&self, project: &LinkageProject) -> Result<bool, Error> {
        delete(&self.projects, project).await
    }

    /// Starts deleting a run with its result; false if it is gone already.
    pub async fn delete_run(&self, run: &LinkageRun) -> Result<bool, Error> {
        delete(&self.runs, run).await
    }

    /// Writes a project's status, if it is still the version that was read.
    pub async fn replace_status(&self, project: &LinkageProject) -> Result<Written, Error> {
        match self.projects.replace_status(&project.name_any(), &post(), project).await {
            Ok(_) => Ok(Written::Yes),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(Written::Conflict),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(Written::Gone),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether Kubernetes answers.
    pub async fn check(&self) -> Result<(), Error> {
        self.projects.list_metadata(&ListParams::default().limit(1)).await?;
        Ok(())
    }

    /// Publishes a warning about a project. When that fails, the log has to do.
    pub async fn warn(&self, project: &LinkageProject, action: &str, reason: &str, message: &str) {
        let event = Event {
            type_: EventType::Warning,
            reason: reason.into(),
            note: Some(message[..message.floor_char_boundary(MAX_NOTE)].into()),
            action: action.into(),
            secondary: None,
        };
        let reference = project.object_ref(&());
        match tokio::time::timeout(EVENT_TIMEOUT, self.recorder.publish(&event, &reference)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, reason, "the event could not be published"),
            Err(_) => tracing::warn!(reason, "the event could not be published in time"),
        }
    }
}

/// Whether a name can be one of a project or run: anything else must not become part of a request's path.
fn is_name(name: &str) -> bool {
    let alphanumeric = |c: &u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let bytes = name.as_bytes();
    bytes.len() <= MAX_NAME
        && bytes.first().is_some_and(alphanumeric)
        && bytes.last().is_some_and(alphanumeric)
        && bytes.iter().all(|c| alphanumeric(c) || matches!(c, b'-' | b'.'))
}

/// Whether a run is of this very project, and not of an earlier one of the same name.
fn is_of(run: &LinkageRun, project: &LinkageProject) -> bool {
    let kind = LinkageProject::kind(&());
    run.spec.project_ref.name == project.name_any()
        && run
            .owner_references()
            .iter()
            .filter(|owner| owner.kind == kind)
            .all(|owner| project.metadata.uid.as_ref() == Some(&owner.uid))
}

fn is_deleted(resource: &impl ResourceExt) -> bool {
    resource.meta().deletion_timestamp.is_some()
}

fn post() -> PostParams {
    PostParams { field_manager: Some(NAME.into()), ..PostParams::default() }
}

async fn get<K>(api: &Api<K>, name: &str) -> Result<Option<K>, Error>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned + ResourceExt,
{
    if !is_name(name) {
        return Ok(None);
    }
    Ok(api.get_opt(name).await?.filter(|found| !is_deleted(found)))
}

async fn delete<K>(api: &Api<K>, resource: &K) -> Result<bool, Error>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned + ResourceExt,
{
    let this_very_one = Preconditions { uid: resource.uid(), resource_version: None };
    match api.delete(&resource.name_any(), &DeleteParams::background().preconditions(this_very_one)).await {
        Ok(_) => Ok(true),
        // 409: it was replaced by another of that name
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_become_part_of_a_path() {
        for name in ["a", "patients-2024.b", &"0".repeat(48)] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", ".", "..", "a/status", "a%2fb", "a?b", "A", "ä", "a\n", "-a", "a-", &"0".repeat(51)]
        {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn a_run_of_an_earlier_project_of_that_name_is_not_of_this_one() {
        let project: LinkageProject = serde_json::from_value(serde_json::json!({
            "apiVersion": "pprl.dev/v1alpha1", "kind": "LinkageProject",
            "metadata": {"name": "p", "uid": "2"},
            "spec": {"resultType": "Groups", "parties": [{"name": "a"}, {"name": "b"}]}
        }))
        .unwrap();
        let run = |project: &str, owners: serde_json::Value| -> LinkageRun {
            serde_json::from_value(serde_json::json!({
                "apiVersion": "pprl.dev/v1alpha1", "kind": "LinkageRun",
                "metadata": {"name": "r", "ownerReferences": owners},
                "spec": {"projectRef": {"name": project}, "threshold": 0.8}
            }))
            .unwrap()
        };
        let owner = |uid: &str| {
            serde_json::json!([{
                "apiVersion": "pprl.dev/v1alpha1", "kind": "LinkageProject", "name": "p", "uid": uid
            }])
        };
        assert!(is_of(&run("p", serde_json::json!([])), &project));
        assert!(is_of(&run("p", owner("2")), &project));
        assert!(!is_of(&run("p", owner("1")), &project));
        assert!(!is_of(&run("q", serde_json::json!([])), &project));
    }
}
