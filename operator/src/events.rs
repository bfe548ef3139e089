//! Events on resources. Each different text is an Event of its own; the same text again is counted.
//!
//! The recorder of kube-runtime takes Events of one reason for one, and keeps the text of the first: what was wrong with
//! the data of a second party would be lost.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use sha2::{Digest, Sha256};
use tracing::{info, warn};

/// The most bytes of a note that Kubernetes takes.
const MAX_NOTE_BYTES: usize = 1024;
/// The number of Events whose counts are remembered.
const MAX_COUNTED: usize = 10_000;

/// What is told in an Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether somebody should look.
    pub is_trouble: bool,
    /// CamelCase reason.
    pub reason: String,
    /// A sentence for people.
    pub note: String,
}

/// Publishes Events.
pub struct Events {
    client: Client,
    instance: String,
    counts: Mutex<HashMap<String, i32>>,
}

impl Events {
    /// Events of this operator; `instance` is the name of its pod.
    pub fn new(client: Client, instance: String) -> Self {
        Self { client, instance, counts: Mutex::default() }
    }

    /// Publishes an Event. One that cannot be published is logged: it must not keep a run from going on.
    pub async fn publish(&self, about: &ObjectReference, notice: Notice) {
        let Notice { reason, note, .. } = &notice;
        info!(name = about.name, reason, note, "event");
        if let Err(error) = self.try_publish(about, &notice).await {
            warn!(%error, "an Event could not be published");
        }
    }

    async fn try_publish(&self, about: &ObjectReference, notice: &Notice) -> kube::Result<()> {
        let namespace = about.namespace.as_deref().unwrap_or("default");
        let api: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let name = event_name(about, notice);
        let now = MicroTime(Timestamp::now());
        match self.count(&name) {
            1 => {
                match api.create(&PostParams::default(), &self.event(&name, about, notice, now.clone())).await
                {
                    // an operator before this one has told the same
                    Err(kube::Error::Api(status)) if status.code == 409 => again(&api, &name, 2, now).await,
                    created => created.map(drop),
                }
            }
            count => match again(&api, &name, count, now.clone()).await {
                // Kubernetes removes Events after an hour
                Err(kube::Error::Api(status)) if status.code == 404 => {
                    api.create(&PostParams::default(), &self.event(&name, about, notice, now)).await.map(drop)
                }
                counted => counted,
            },
        }
    }

    /// How often the Event has come, this time included.
    fn count(&self, name: &str) -> i32 {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MAX_COUNTED {
            counts.clear();
        }
        let count = counts.entry(name.to_owned()).or_insert(0);
        *count = count.saturating_add(1);
        *count
    }

    fn event(&self, name: &str, about: &ObjectReference, notice: &Notice, now: MicroTime) -> Event {
        Event {
            metadata: ObjectMeta {
                name: Some(name.into()),
                namespace: about.namespace.clone(),
                ..ObjectMeta::default()
            },
            action: Some("Reconcile".into()),
            event_time: Some(now),
            note: Some(notice.note[..notice.note.floor_char_boundary(MAX_NOTE_BYTES)].into()),
            reason: Some(notice.reason.clone()),
            regarding: Some(about.clone()),
            reporting_controller: Some(crate::context::FIELD_MANAGER.into()),
            reporting_instance: Some(self.instance.clone()),
            type_: Some(if notice.is_trouble { "Warning" } else { "Normal" }.into()),
            ..Event::default()
        }
    }
}

async fn again(api: &Api<Event>, name: &str, count: i32, now: MicroTime) -> kube::Result<()> {
    let patch = json!({"series": {"count": count, "lastObservedTime": now}});
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.map(drop)
}

/// The same for the same resource and text.
fn event_name(about: &ObjectReference, notice: &Notice) -> String {
    let uid = about.uid.as_deref().unwrap_or_default();
    let digest = Sha256::digest(format!("{uid}\n{}\n{}", notice.reason, notice.note));
    format!("{}.{}", about.name.as_deref().unwrap_or("operator"), hex::encode(&digest[..8]))
}
