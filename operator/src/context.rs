//! What every reconciliation needs: clients, settings, and how errors are told.

use std::sync::Arc;
use std::time::Duration;

use crds::tokens::MasterKey;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::controller::Action;
use kube::runtime::events::{Event, EventType, Recorder};
use kube::{Api, Client};
use scorer::store::{Store, StoreError};
use thiserror::Error;
use tracing::{info, warn};

use crate::settings::JobSettings;

/// The field manager of everything that the operator applies.
pub const FIELD_MANAGER: &str = "linkage-operator";

/// What every reconciliation needs.
pub struct Context {
    /// Kubernetes.
    pub client: Client,
    /// The namespace that is served.
    pub namespace: String,
    /// The object store.
    pub store: Store,
    /// How Jobs are made.
    pub jobs: JobSettings,
    /// From which tokens are derived.
    pub master_key: MasterKey,
    /// Publishes Events.
    pub recorder: Recorder,
    /// Asks pods for their progress.
    pub http: reqwest::Client,
}

impl Context {
    /// The objects of a kind in the namespace that is served.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Publishes an Event. One that cannot be published is logged: it must not keep a run from going on.
    pub async fn publish(&self, about: &ObjectReference, is_trouble: bool, reason: String, note: String) {
        info!(name = about.name, reason, note, "event");
        let event = Event {
            type_: if is_trouble { EventType::Warning } else { EventType::Normal },
            reason,
            // Kubernetes allows 1 kB
            note: Some(note.chars().take(250).collect()),
            action: "Reconcile".into(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, about).await {
            warn!(%error, "an Event could not be published");
        }
    }
}

/// Why a reconciliation has to be tried again.
#[derive(Debug, Error)]
pub enum Error {
    /// The Kubernetes API refused or did not answer.
    #[error("Kubernetes: {0}")]
    Kubernetes(#[from] kube::Error),
    /// The object store refused or did not answer.
    #[error("object store: {0}")]
    Store(#[from] StoreError),
    /// A plan or summary cannot be written or read.
    #[error("a stored document cannot be understood: {0}")]
    Document(#[from] serde_json::Error),
}

/// Tries again after an error: at once when somebody else changed the object meanwhile, else after a pause.
pub fn try_again<K: kube::ResourceExt>(object: Arc<K>, error: &Error, _: Arc<Context>) -> Action {
    metrics::counter!("linkage_operator_reconcile_errors_total").increment(1);
    if let Error::Kubernetes(kube::Error::Api(response)) = error
        && response.code == 409
    {
        return Action::requeue(Duration::from_millis(100));
    }
    warn!(name = object.name_any(), %error, "reconciliation will be tried again");
    Action::requeue(Duration::from_secs(5))
}

/// Takes "it is not there" for an answer: the object may have gone meanwhile.
pub fn unless_gone<T>(result: kube::Result<T>) -> kube::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(kube::Error::Api(response)) if response.code == 404 => Ok(None),
        Err(error) => Err(error),
    }
}
