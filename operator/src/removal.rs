//! Removes what a project or a run has made: Jobs, their pods, and objects in the store.

use std::time::Duration;

use crds::{LinkageProject, labels};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;
use tracing::info;

use crate::context::{Context, Error, unless_gone};

/// How soon to look again for what is still ending.
const SOON: Duration = Duration::from_secs(1);

/// Deletes Jobs, and their pods with them.
pub async fn delete_jobs(context: &Context, names: &[String]) -> Result<(), Error> {
    for name in names {
        unless_gone(context.api::<Job>().delete(name, &DeleteParams::background()).await)?;
    }
    Ok(())
}

/// Removes all that carries a label, then the objects below a prefix, then the finalizer. Pods come first: one that
/// still runs could write more objects. To be called until the resource is gone.
pub async fn purge<K>(context: &Context, resource: &K, selector: &str, prefix: &str) -> Result<Action, Error>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned,
{
    let labelled = ListParams::default().labels(selector);
    let jobs: Vec<String> =
        context.api::<Job>().list(&labelled).await?.iter().map(ResourceExt::name_any).collect();
    delete_jobs(context, &jobs).await?;
    let pods = context.api::<Pod>().list(&labelled).await?;
    if !pods.items.is_empty() {
        return Ok(Action::requeue(SOON));
    }
    let objects = context.store.delete_prefix(prefix).await?;
    info!(name = resource.name_any(), objects, prefix, "purged");
    let finalizers: Vec<&String> =
        resource.finalizers().iter().filter(|name| *name != crds::FINALIZER).collect();
    let patch =
        json!({"metadata": {"resourceVersion": resource.resource_version(), "finalizers": finalizers}});
    let patch = Patch::Merge(patch);
    unless_gone(context.api::<K>().patch(&resource.name_any(), &PatchParams::default(), &patch).await)?;
    Ok(Action::await_change())
}

/// Keeps a resource until [`purge`] has been done, and makes it go when its project goes. Gives it as it then is.
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
        && !resource.owner_references().iter().any(|known| known.uid == owner.uid)
    {
        metadata["labels"] = json!({labels::PROJECT: owner.name});
        metadata["ownerReferences"] = json!([owner]);
    }
    if metadata == json!({}) {
        return Ok(resource);
    }
    metadata["resourceVersion"] = json!(resource.resource_version());
    let patch = Patch::Merge(json!({ "metadata": metadata }));
    Ok(context.api::<K>().patch(&resource.name_any(), &PatchParams::default(), &patch).await?)
}
