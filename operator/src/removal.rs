//! Removes what a project or a run has made: Jobs, their pods, and objects in the store.

use std::collections::BTreeSet;
use std::time::Duration;

use crds::conditions::NoticeReason;
use crds::{LinkageProject, labels};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions};
use kube::core::NamespaceResourceScope;
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;
use tracing::info;

use crate::caches::{is_owned, named};
use crate::context::{Context, unless_gone};
use crate::error::Error;
use crate::events::Notice;
use crate::{lost_pods, pods};

/// How soon to look again for what is still ending.
pub const SOON: Duration = Duration::from_secs(1);

/// How far the removal is.
pub enum Purge {
    /// Something is still ending: what, in words.
    Waiting(String),
    /// All is gone but the finalizer; see [`release`]. The text says which older versions of objects stay, and why.
    Done(Option<String>),
}

/// Deletes those of the Jobs that the resource with this uid owns, and their pods with them.
pub async fn delete_jobs(context: &Context, names: &[String], owner_uid: &str) -> Result<(), Error> {
    for name in names {
        let job = named(&context.caches.jobs, &context.namespace, name);
        if let Some(job) = job.filter(|job| is_owned(&**job, owner_uid)) {
            delete_job(context, &job).await?;
        }
    }
    Ok(())
}

async fn delete_job(context: &Context, job: &Job) -> Result<(), Error> {
    if job.metadata.deletion_timestamp.is_some() {
        return Ok(());
    }
    let name = job.name_any();
    let this_very_one = Preconditions { uid: job.uid(), resource_version: None };
    let deleted =
        context.api::<Job>().delete(&name, &DeleteParams::background().preconditions(this_very_one)).await;
    match deleted {
        // another one has its name by now
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        deleted => {
            unless_gone(deleted.map(drop)).map_err(Error::refused(format!("delete the Job {name}")))?;
            Ok(())
        }
    }
}

/// Removes the Jobs of a resource, then the objects in its folders. Pods come before objects: one that still runs could write
/// more. To be called until it is done.
///
/// It asks Kubernetes itself for Jobs and pods: a Job that the caches do not know yet would write after the purge.
///
/// # Errors
/// Fails when Kubernetes or the store refuse or do not answer; some of it may be gone then.
pub async fn purge<K>(context: &Context, resource: &K, folders: &[String]) -> Result<Purge, Error>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned,
{
    let uid = resource.uid().unwrap_or_default();
    let labelled = ListParams::default().labels(&format!("{}={uid}", labels::OWNER_UID));
    for job in context.api::<Job>().list(&labelled).await?.items {
        if is_owned(&job, &uid) {
            delete_job(context, &job).await?;
        }
    }
    let pods: Vec<std::sync::Arc<Pod>> =
        context.api::<Pod>().list(&labelled).await?.items.into_iter().map(Into::into).collect();
    lost_pods::replace(context, &pods).await?;
    if !pods.is_empty() {
        return Ok(Purge::Waiting(still_ending(&pods)));
    }
    // a store in the namespace goes with it, and may have gone already: asking it would keep the namespace for long
    let store_goes = context.store_in_namespace && context.namespace_is_going.get();
    let mut kept = None;
    for folder in folders.iter().filter(|_| !store_goes) {
        let deleted = context.store.delete_prefix(folder).await?;
        info!(name = resource.name_any(), objects = deleted.objects, folder, "purged");
        if let Some(why) = deleted.kept_versions {
            let note = format!(
                "the objects below {folder} are deleted, but the bucket keeps older versions of them, which the operator \
                 cannot delete ({why}); delete those versions, or let the bucket's lifecycle rules do so"
            );
            let reason = NoticeReason::VersionsKept.to_string();
            let notice = Notice { is_trouble: true, reason, note: note.clone() };
            context.events.publish(&resource.object_ref(&()), notice).await;
            kept = Some(note);
        }
    }
    Ok(Purge::Done(kept))
}

/// Lets a resource go, all of whose data is gone.
///
/// # Errors
/// Fails when Kubernetes refuses or does not answer, or the resource has changed since it was read.
pub async fn release<K>(context: &Context, resource: &K) -> Result<(), Error>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned,
{
    let finalizers: Vec<&String> =
        resource.finalizers().iter().filter(|name| *name != crds::FINALIZER).collect();
    let patch =
        json!({"metadata": {"resourceVersion": resource.resource_version(), "finalizers": finalizers}});
    let patch = Patch::Merge(patch);
    unless_gone(context.api::<K>().patch(&resource.name_any(), &PatchParams::default(), &patch).await)?;
    Ok(())
}

fn still_ending(pods: &[std::sync::Arc<Pod>]) -> String {
    let describe = |pod: &std::sync::Arc<Pod>| match pods::view(pod, Timestamp::now()).lost_on {
        Some(node) => format!(
            "{} (its node {node} does not answer; it is deleted by force if that stays so)",
            pod.name_any()
        ),
        None => pod.name_any(),
    };
    const SHOWN: usize = 3;
    let names: Vec<String> = pods.iter().take(SHOWN).map(describe).collect();
    let more = if pods.len() > SHOWN { format!(" and {} more", pods.len() - SHOWN) } else { String::new() };
    format!("it waits for pods to end: {}{more}", names.join(", "))
}

/// The folders of the resource with this uid below a root: the one it has now; the one that it was told to use earlier, when
/// the installation had another master key; and the one that earlier versions used. One that is not of this uid is somebody
/// else's, whatever the status says.
pub fn folders_of(uid: &str, root: &str, now: String, earlier: Option<&str>) -> Vec<String> {
    let is_of = |folder: &&str| {
        let name = folder.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        folder.starts_with(root)
            && folder.ends_with('/')
            && folder.matches('/').count() == 2
            && name.ends_with(&format!("-{uid}"))
    };
    let earlier = earlier.filter(is_of).map(str::to_owned);
    let folders: BTreeSet<String> = [now, format!("{root}{uid}/")].into_iter().chain(earlier).collect();
    folders.into_iter().collect()
}

/// Keeps a resource until [`purge`] has been done, and makes it go when its project goes. Gives it as it then is.
///
/// # Errors
/// Fails when Kubernetes refuses or does not answer.
pub async fn hold<K>(context: &Context, resource: K, project: Option<&LinkageProject>) -> Result<K, Error>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned,
{
    let mut metadata = json!({});
    if !resource.finalizers().iter().any(|name| name == crds::FINALIZER) {
        let finalizers: Vec<&str> =
            resource.finalizers().iter().map(String::as_str).chain([crds::FINALIZER]).collect();
        metadata["finalizers"] = json!(finalizers);
    }
    if let Some(owner) = project.and_then(|project| project.owner_ref(&()))
        && !is_owned(&resource, &owner.uid)
    {
        let name = owner.name.clone();
        // others may own it, too
        let owners: Vec<_> = resource.owner_references().iter().cloned().chain([owner]).collect();
        metadata["labels"] = json!({labels::PROJECT: name});
        metadata["ownerReferences"] = json!(owners);
    }
    if metadata == json!({}) {
        return Ok(resource);
    }
    metadata["resourceVersion"] = json!(resource.resource_version());
    let patch = Patch::Merge(json!({ "metadata": metadata }));
    let held = context.api::<K>().patch(&resource.name_any(), &PatchParams::default(), &patch).await?;
    context.freshness.wrote(&held);
    Ok(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_of_the_resource_itself_are_purged() {
        let of = |earlier| folders_of("7", "runs/", "runs/aa-7/".into(), earlier);
        assert_eq!(of(None), ["runs/7/", "runs/aa-7/"]);
        assert_eq!(of(Some("runs/aa-7/")), ["runs/7/", "runs/aa-7/"]);
        assert_eq!(of(Some("runs/bb-7/")), ["runs/7/", "runs/aa-7/", "runs/bb-7/"]);
        for others in
            ["runs/bb-17/", "runs/", "", "/", "runs/bb-7", "runs/x/bb-7/", "projects/", "projects/bb-7/"]
        {
            assert_eq!(of(Some(others)), of(None), "{others}");
        }
    }
}
