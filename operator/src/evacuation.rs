//! The whole namespace is deleted: Kubernetes ends the operator's pod first, and the finalizers of projects and runs would
//! then keep the namespace for ever. So the operator, when it is asked to end, looks whether that is so, and if it is,
//! removes all projects and runs before it ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crds::{LinkageProject, LinkageRun};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, ListParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tracing::{info, warn};

use crate::context::Context;

/// Less than the grace that the chart gives the operator's pod, so that what could not be done is still logged.
const LONGEST: Duration = Duration::from_secs(100);
const PAUSE: Duration = Duration::from_millis(500);

/// Whether the namespace, and with it a store that is in it, is going.
#[derive(Default)]
pub struct NamespaceIsGoing(AtomicBool);

impl NamespaceIsGoing {
    /// Whether it is.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// To be called when the operator is asked to end, while it still reconciles: returns when it may.
pub async fn before_the_end(context: &Context) {
    let namespaces: Api<Namespace> = Api::all(context.client.clone());
    match namespaces.get_opt(&context.namespace).await {
        Ok(Some(namespace)) if namespace.metadata.deletion_timestamp.is_some() => {}
        Ok(_) => return,
        Err(error) => {
            info!(%error, "cannot tell whether the namespace is being deleted; taken for not");
            return;
        }
    }
    info!(
        namespace = context.namespace,
        "the namespace is being deleted: removing all projects and runs first"
    );
    context.namespace_is_going.0.store(true, Ordering::Relaxed);
    match tokio::time::timeout(LONGEST, remove_all(context)).await {
        Ok(()) => info!("all projects and runs are gone"),
        Err(_) => warn!(
            "projects or runs are left, whose data could not be removed in time; they keep the namespace. README.md of the \
             chart tells how to go on (\"A deletion that does not end\")"
        ),
    }
}

async fn remove_all(context: &Context) {
    loop {
        let projects = delete_all::<LinkageProject>(context).await;
        let runs = delete_all::<LinkageRun>(context).await;
        match (projects, runs) {
            (Ok(0), Ok(0)) => return,
            (Err(error), _) | (_, Err(error)) => {
                info!(%error, "projects and runs could not be deleted; trying again")
            }
            _ => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Deletes all resources of a kind. Tells how many are left.
async fn delete_all<K>(context: &Context) -> kube::Result<usize>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned,
{
    let api = context.api::<K>();
    let resources = api.list_metadata(&ListParams::default()).await?.items;
    for resource in resources.iter().filter(|resource| resource.metadata.deletion_timestamp.is_none()) {
        crate::context::unless_gone(api.delete(&resource.name_any(), &DeleteParams::background()).await)?;
    }
    Ok(resources.len())
}
