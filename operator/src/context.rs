//! What every reconciliation needs: clients, caches, settings.

use crds::LinkageProject;
use crds::LinkageRun;
use crds::folders::Installation;
use crds::tokens::MasterKey;
use kube::{Api, Client};
use scorer::store::Store;
use std::sync::Arc;

use crate::caches::{Caches, named};
use crate::evacuation::NamespaceIsGoing;
use crate::events::Events;
use crate::freshness::Freshness;
use crate::job_credentials::JobCredentials;
use crate::job_events::JobEvents;
use crate::lost_pods::LostPods;
use crate::project::CheckedSecrets;
use crate::retries::Retries;
use crate::settings::JobSettings;
use crate::status_writes::StatusWrites;
use crate::webhooks::Webhooks;
use crate::work_time::WorkTime;

/// The field manager of everything that the operator applies.
pub const FIELD_MANAGER: &str = "linkage-operator";

/// What every reconciliation needs.
pub struct Context {
    /// Kubernetes.
    pub client: Client,
    /// What Kubernetes has told.
    pub caches: Caches,
    /// The namespace that is served.
    pub namespace: String,
    /// The object store.
    pub store: Store,
    /// Whether the store is in the same namespace, and goes with it.
    pub store_in_namespace: bool,
    /// Which folders in the store are this installation's.
    pub installation: Installation,
    /// How Jobs are made.
    pub jobs: JobSettings,
    /// From which tokens are derived.
    pub master_key: MasterKey,
    /// Publishes Events.
    pub events: Events,
    /// Asks pods for their progress.
    pub http: reqwest::Client,
    /// When to try again after errors.
    pub retries: Retries,
    /// For how long runs have been at work.
    pub work_time: WorkTime,
    /// Which Secrets hold the right tokens.
    pub checked_secrets: CheckedSecrets,
    /// Where the credentials of Jobs come from.
    pub job_credentials: JobCredentials,
    /// Why Jobs have no pods.
    pub job_events: JobEvents,
    /// Pods whose nodes do not answer.
    pub lost_pods: LostPods,
    /// When progress may be written.
    pub status_writes: StatusWrites,
    /// Whether the namespace is being deleted.
    pub namespace_is_going: NamespaceIsGoing,
    /// Tells the projects' webhooks what has happened.
    pub webhooks: Webhooks,
    /// Whether the caches know of what was written.
    pub freshness: Freshness,
}

impl Context {
    /// The objects of a kind in the namespace that is served.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// A project, as the watch told it last.
    pub fn project(&self, name: &str) -> Option<Arc<LinkageProject>> {
        named(&self.caches.projects, &self.namespace, name)
    }

    /// A run, as the watch told it last.
    pub fn run(&self, name: &str) -> Option<Arc<LinkageRun>> {
        named(&self.caches.runs, &self.namespace, name)
    }
}

/// Takes "it is not there" for an answer: the object may have gone meanwhile.
pub fn unless_gone<T>(result: kube::Result<T>) -> kube::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(kube::Error::Api(response)) if response.code == 404 => Ok(None),
        Err(error) => Err(error),
    }
}
