//! A project that is being deleted.

use std::collections::BTreeSet;

use crds::folders::PROJECTS;
use crds::{LinkageProject, LinkageRun};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, Preconditions};
use kube::runtime::controller::Action as Requeue;

use super::{decide, folder, write_status};
use crate::caches::is_owned;
use crate::context::{Context, unless_gone};
use crate::error::Error;
use crate::removal::{self, Purge};

/// Brings the deletion a step further: the runs go first, then what the project itself has made. What it waits for is in
/// the project's status.
pub async fn step(project: &LinkageProject, context: &Context) -> Result<Requeue, Error> {
    let uid = project.uid().unwrap_or_default();
    let api = context.api::<LinkageRun>();
    let mut runs = api.list(&ListParams::default()).await?.items;
    runs.retain(|run| is_owned(run, &uid));
    for run in runs.iter().filter(|run| run.metadata.deletion_timestamp.is_none()) {
        let this_very_one = Preconditions { uid: run.uid(), resource_version: None };
        let parameters = DeleteParams::background().preconditions(this_very_one);
        unless_gone(api.delete(&run.name_any(), &parameters).await)?;
    }
    if !runs.is_empty() {
        return wait(project, &format!("it waits for its runs to go: {}", names(&runs)), context).await;
    }
    match removal::purge(context, project, &folders(project, context)).await? {
        Purge::Waiting(message) => wait(project, &message, context).await,
        Purge::Done(kept_versions) => {
            let told = match kept_versions {
                Some(note) => tell(project, &note, context).await?,
                None => None,
            };
            removal::release(context, told.as_ref().unwrap_or(project)).await?;
            context.retries.succeeded(&super::trouble_of(project));
            Ok(Requeue::await_change())
        }
    }
}

async fn wait(project: &LinkageProject, message: &str, context: &Context) -> Result<Requeue, Error> {
    tell(project, message, context).await?;
    Ok(Requeue::requeue(removal::SOON))
}

/// Says so in the project's status. Gives the project as it then is; none when it said so before, or is gone.
async fn tell(
    project: &LinkageProject,
    message: &str,
    context: &Context,
) -> Result<Option<LinkageProject>, Error> {
    let message = format!("the project is being deleted; {message}");
    let status = decide::deleting(project, message, Timestamp::now());
    if project.status.as_ref() == Some(&status) {
        return Ok(None);
    }
    write_status(project, &status, context).await
}

fn names(runs: &[LinkageRun]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<String> = runs.iter().take(SHOWN).map(ResourceExt::name_any).collect();
    let more = if runs.len() > SHOWN { format!(" and {} more", runs.len() - SHOWN) } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

/// Where the project's objects are: by its uid, and where its parties' data was put.
fn folders(project: &LinkageProject, context: &Context) -> Vec<String> {
    let uid = project.uid().unwrap_or_default();
    let parties = project.status.iter().flat_map(|status| &status.parties);
    let earlier = parties.filter_map(|party| party.encodings.as_deref());
    let earlier = earlier.map(|key| key.split_inclusive('/').take(2).collect::<String>());
    let of = |earlier: Option<&str>| removal::folders_of(&uid, PROJECTS, folder(project, context), earlier);
    let folders: BTreeSet<String> =
        of(None).into_iter().chain(earlier.flat_map(|earlier| of(Some(&earlier)))).collect();
    folders.into_iter().collect()
}
