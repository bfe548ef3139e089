//! Projects and runs in the Kubernetes API: the only state there is.

use std::sync::Arc;
use std::time::Duration;

use crds::{LinkageProject, LinkageRun};
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions};
use kube::core::PartialObjectMeta;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::Value;
use tokio::sync::watch;

use crate::error::Error;
use crate::kubernetes::watched::Watched;

/// The field manager and the reporter of events.
const NAME: &str = "linkage-api";
/// How many resources are asked for at a time.
const PAGE: u32 = 500;
/// The same of whole projects, which may be large.
const FEW: u32 = 25;
/// Longest name of a project or run.
const MAX_NAME: usize = 50;
/// Longest note of an event, in bytes, as Kubernetes allows it.
const MAX_NOTE: usize = 1024;
/// No answer within this time counts as none.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// How long an answer is held up for an event about it.
const EVENT_TIMEOUT: Duration = Duration::from_secs(2);

/// The projects and runs of one namespace.
pub struct Cluster {
    projects: Api<LinkageProject>,
    runs: Api<LinkageRun>,
    recorder: Recorder,
    watched: Option<WatchedBoth>,
}

struct WatchedBoth {
    projects: Arc<Watched<LinkageProject>>,
    runs: Arc<Watched<LinkageRun>>,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A project.
    Project,
    /// A run.
    Run,
}

/// News of a project and of one of its runs.
pub struct NewsOfRun {
    project: watch::Receiver<()>,
    run: watch::Receiver<()>,
}

impl NewsOfRun {
    /// Waits for the next news of either.
    pub async fn next(&mut self) {
        // who tells the news is forgotten only when nobody waits
        tokio::select! {
            _ = self.project.changed() => {}
            _ = self.run.changed() => {}
        }
    }
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

/// What became of a change of the version that was read.
#[derive(Clone, Debug)]
pub enum Changed {
    /// The project is now like this.
    To(Box<LinkageProject>),
    /// Somebody else wrote in between: read again.
    Conflict,
    /// The project is gone.
    Gone,
}

/// The ways to Kubernetes.
pub struct Clients {
    /// For requests, each of which is answered soon or not at all.
    pub requests: Client,
    /// For watches, over which nothing may come for long.
    pub watches: Client,
}

/// Connects with the pod's service account, or with the local kubeconfig.
///
/// # Errors
/// Fails when there is neither.
pub async fn connect() -> Result<Clients, kube::Error> {
    let mut config = kube::Config::infer().await.map_err(kube::Error::InferConfig)?;
    config.connect_timeout = Some(Duration::from_secs(5));
    // clients retry a 503: better tell them soon than hold them
    config.default_retry = false;
    let watches = Client::try_from(config.clone())?;
    config.read_timeout = Some(REQUEST_TIMEOUT);
    config.write_timeout = Some(REQUEST_TIMEOUT);
    Ok(Clients { requests: Client::try_from(config)?, watches })
}

impl Cluster {
    /// The resources of a namespace; Kubernetes is asked for each.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self {
            projects: Api::namespaced(client.clone(), namespace),
            runs: Api::namespaced(client.clone(), namespace),
            recorder: Recorder::new(client, Reporter { controller: NAME.into(), instance: None }),
            watched: None,
        }
    }

    /// The same, but that what a watch tells is read without asking.
    pub fn watching(clients: Clients, namespace: &str) -> Self {
        let watches = clients.watches;
        let watched = WatchedBoth {
            projects: Watched::start(
                Api::namespaced(watches.clone(), namespace),
                namespace,
                LinkageProject::forget_texts,
            ),
            runs: Watched::start(Api::namespaced(watches, namespace), namespace, LinkageRun::forget_texts),
        };
        Self { watched: Some(watched), ..Self::new(clients.requests, namespace) }
    }

    /// A project without its texts (see [`LinkageProject::forget_texts`]), as it was a moment ago; none if there is none of that name, or it is being deleted.
    pub async fn project(&self, name: &str) -> Result<Option<Arc<LinkageProject>>, Error> {
        match self.watched.as_ref().and_then(|watched| watched.projects.get(name)) {
            Some(project) => Ok(Some(project).filter(|project| !is_deleted(project.as_ref()))),
            None => self.latest_project(name).await,
        }
    }

    /// A project, as it is now: for whoever is going to change something.
    pub async fn latest_project(&self, name: &str) -> Result<Option<Arc<LinkageProject>>, Error> {
        Ok(get(&self.projects, name).await?.map(Arc::new))
    }

    /// A project's run without its texts, as it was a moment ago; none if there is none of that name, it is another project's, or is
    /// being deleted.
    pub async fn run(&self, project: &LinkageProject, name: &str) -> Result<Option<Arc<LinkageRun>>, Error> {
        let run = match self.watched.as_ref().and_then(|watched| watched.runs.get(name)) {
            Some(run) => Some(run).filter(|run| !is_deleted(run.as_ref())),
            None => get(&self.runs, name).await?.map(Arc::new),
        };
        Ok(run.filter(|run| is_of(run, project)))
    }

    /// The same as it is now, with its texts.
    pub async fn latest_run(
        &self,
        project: &LinkageProject,
        name: &str,
    ) -> Result<Option<Arc<LinkageRun>>, Error> {
        Ok(get(&self.runs, name).await?.map(Arc::new).filter(|run| is_of(run, project)))
    }

    /// Folds over the metadata of all projects and runs, those that are being deleted included, as they were a moment ago.
    pub async fn fold_metadata<A>(
        &self,
        mut state: A,
        mut each: impl FnMut(&mut A, Kind, &ObjectMeta),
    ) -> Result<A, Error> {
        match self.watched.as_ref().and_then(|watched| watched.projects.known()) {
            Some(projects) => {
                projects.iter().for_each(|project| each(&mut state, Kind::Project, &project.metadata))
            }
            None => {
                let projects = metadata(&self.projects).await?;
                projects.iter().for_each(|project| each(&mut state, Kind::Project, project));
            }
        }
        match self.watched.as_ref().and_then(|watched| watched.runs.known()) {
            Some(runs) => runs.iter().for_each(|run| each(&mut state, Kind::Run, &run.metadata)),
            None => {
                metadata(&self.runs).await?.iter().for_each(|run| each(&mut state, Kind::Run, run));
            }
        }
        Ok(state)
    }

    /// Tells when a watch has news of a project or its run, from now on. None when nothing is watched.
    pub fn news(&self, project: &LinkageProject, run: &LinkageRun) -> Option<NewsOfRun> {
        let watched = self.watched.as_ref()?;
        Some(NewsOfRun {
            project: watched.projects.news_of(&project.name_any()),
            run: watched.runs.news_of(&run.name_any()),
        })
    }

    /// A project that was read already, as a watch has told it since; none if it is gone. Kubernetes is asked only when the
    /// watch does not know it.
    pub async fn newer_project(
        &self,
        seen: &Arc<LinkageProject>,
    ) -> Result<Option<Arc<LinkageProject>>, Error> {
        let told = self.watched.as_ref().and_then(|watched| watched.projects.told(&seen.name_any()));
        match newer(told, seen) {
            Some(newer) => Ok(newer),
            None => {
                Ok(self.latest_project(&seen.name_any()).await?.filter(|latest| latest.uid() == seen.uid()))
            }
        }
    }

    /// The same of a project's run.
    pub async fn newer_run(
        &self,
        project: &LinkageProject,
        seen: &Arc<LinkageRun>,
    ) -> Result<Option<Arc<LinkageRun>>, Error> {
        let told = self.watched.as_ref().and_then(|watched| watched.runs.told(&seen.name_any()));
        let run = match newer(told, seen) {
            Some(newer) => newer,
            None => get(&self.runs, &seen.name_any()).await?.map(Arc::new),
        };
        Ok(run.filter(|run| run.uid() == seen.uid() && is_of(run, project)))
    }

    /// A project's runs, oldest first.
    pub async fn runs_of(&self, project: &LinkageProject) -> Result<Vec<Arc<LinkageRun>>, Error> {
        // not by label: runs made with kubectl need not have one
        let keep = |runs: &mut Vec<_>, run: Arc<LinkageRun>| {
            if is_of(&run, project) && !is_deleted(run.as_ref()) {
                runs.push(run);
            }
        };
        let mut runs = self.fold_runs(Vec::new(), keep).await?;
        runs.sort_by_cached_key(|run| (run.creation_timestamp(), run.name_any()));
        Ok(runs)
    }

    /// Folds over all runs. Where Kubernetes is asked, only one page of them is held at a time.
    pub async fn fold_runs<A>(
        &self,
        mut state: A,
        mut each: impl FnMut(&mut A, Arc<LinkageRun>),
    ) -> Result<A, Error> {
        if let Some(runs) = self.watched.as_ref().and_then(|watched| watched.runs.all()) {
            runs.into_iter().for_each(|run| each(&mut state, run));
            return Ok(state);
        }
        let mut page = ListParams::default().limit(PAGE);
        loop {
            let runs = self.runs.list(&page).await?;
            let next = runs.metadata.continue_.filter(|token| !token.is_empty());
            runs.items.into_iter().for_each(|run| each(&mut state, Arc::new(run)));
            match next {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(state),
            }
        }
    }

    /// The ids and times of the projects that `keep` keeps, oldest first, as they were a moment ago.
    pub async fn projects_where(
        &self,
        keep: impl Fn(&LinkageProject) -> bool + Send + 'static,
    ) -> Result<Vec<ObjectMeta>, Error> {
        let all = match self.watched.as_ref().and_then(|watched| watched.projects.known()) {
            Some(projects) => projects,
            None => self.latest_full().await?,
        };
        // it may take some milliseconds, in which others want to be answered
        let kept = tokio::task::spawn_blocking(move || {
            let kept = all.iter().filter(|project| !is_deleted(project.as_ref()) && keep(project));
            let mut kept: Vec<_> = kept.map(|project| project.metadata.clone()).collect();
            kept.sort_by_cached_key(|project| (project.creation_timestamp.clone(), project.name.clone()));
            kept
        });
        kept.await.map_err(|error| Error::Internal(error.to_string()))
    }

    async fn latest_full(&self) -> Result<Vec<Arc<LinkageProject>>, Error> {
        let mut page = ListParams::default().limit(FEW);
        let mut found = Vec::new();
        loop {
            let projects = self.projects.list(&page).await?;
            let next = projects.metadata.continue_.filter(|token| !token.is_empty());
            found.extend(projects.items.into_iter().map(|mut project| {
                project.forget_texts();
                Arc::new(project)
            }));
            match next {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(found),
            }
        }
    }

    /// The metadata of all projects that are not being deleted, oldest first.
    pub async fn projects(&self) -> Result<Vec<ObjectMeta>, Error> {
        let mut found: Vec<_> = match self.watched.as_ref().and_then(|watched| watched.projects.all()) {
            Some(projects) => {
                let kept = projects.iter().filter(|project| !is_deleted(project.as_ref()));
                kept.map(|project| project.metadata.clone()).collect()
            }
            None => metadata(&self.projects)
                .await?
                .into_iter()
                .filter(|project| project.deletion_timestamp.is_none())
                .collect(),
        };
        found.sort_by_cached_key(|project: &ObjectMeta| {
            (project.creation_timestamp.clone(), project.name.clone())
        });
        Ok(found)
    }

    /// Creates a project.
    pub async fn create_project(&self, project: &LinkageProject) -> Result<LinkageProject, Error> {
        let created = self.projects.create(&post(), project).await?;
        self.wrote_project(&created);
        Ok(created)
    }

    /// Creates a run.
    pub async fn create_run(&self, run: &LinkageRun) -> Result<LinkageRun, Error> {
        let created = self.runs.create(&post(), run).await?;
        self.wrote_run(&created);
        Ok(created)
    }

    /// Starts deleting a project, its runs and data; false if it is gone already.
    pub async fn delete_project(&self, project: &LinkageProject) -> Result<bool, Error> {
        let deleted = delete(&self.projects, project).await;
        self.wrote_project(project);
        deleted
    }

    /// Starts deleting a run with its result; false if it is gone already.
    pub async fn delete_run(&self, run: &LinkageRun) -> Result<bool, Error> {
        let deleted = delete(&self.runs, run).await;
        self.wrote_run(run);
        deleted
    }

    /// Changes a project by a merge patch, which names the version that was read.
    pub async fn change_project(&self, project: &LinkageProject, patch: &Value) -> Result<Changed, Error> {
        let changed =
            self.projects.patch(&project.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await;
        self.wrote_project(project);
        match changed {
            Ok(changed) => Ok(Changed::To(Box::new(changed))),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(Changed::Conflict),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(Changed::Gone),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes a project's status, if it is still the version that was read.
    pub async fn replace_status(&self, project: &LinkageProject) -> Result<Written, Error> {
        let written = self.projects.replace_status(&project.name_any(), &post(), project).await;
        self.wrote_project(project);
        match written {
            Ok(_) => Ok(Written::Yes),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(Written::Conflict),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(Written::Gone),
            Err(error) => Err(error.into()),
        }
    }

    fn wrote_project(&self, project: &LinkageProject) {
        if let Some(watched) = &self.watched {
            watched.projects.wrote(&project.name_any());
        }
    }

    fn wrote_run(&self, run: &LinkageRun) {
        if let Some(watched) = &self.watched {
            watched.runs.wrote(&run.name_any());
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

/// The metadata of all resources of a kind.
async fn metadata<K>(api: &Api<K>) -> Result<Vec<ObjectMeta>, Error>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned + ResourceExt,
{
    let mut page = ListParams::default().limit(PAGE);
    let mut found = Vec::new();
    loop {
        let listed = api.list_metadata(&page).await?;
        let next = listed.metadata.continue_.filter(|token| !token.is_empty());
        found.extend(listed.items.into_iter().map(|item: PartialObjectMeta<K>| item.metadata));
        match next {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(found),
        }
    }
}

/// Whether a name can be one of a project or run: anything else must not become part of a request's path.
pub fn is_name(name: &str) -> bool {
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

/// What a watch has told, if it is newer than what was seen; none within if it is being deleted. Nothing at all if it does
/// not know this very resource.
fn newer<K: ResourceExt>(told: Option<Arc<K>>, seen: &Arc<K>) -> Option<Option<Arc<K>>> {
    let told = told.filter(|told| told.uid() == seen.uid())?;
    // versions of one kind grow; those that are no numbers are taken for newer
    let version = |resource: &K| resource.resource_version().and_then(|version| version.parse::<u64>().ok());
    let is_older = version(&told).zip(version(seen)).is_some_and(|(told, seen)| told < seen);
    if is_older {
        return Some(Some(seen.clone()));
    }
    Some(Some(told).filter(|told| !is_deleted(told.as_ref())))
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
        let run = |project: &str, owners: Value| -> LinkageRun {
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
