//! Why a Job has no pods: Kubernetes says so in Events on the Job, and nowhere else.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt;
use kube::api::ListParams;
use tracing::warn;

use crate::context::Context;

/// An answer is used for so long.
const FRESH: Duration = Duration::from_secs(10);
/// An answer is forgotten after so long.
const FORGET: Duration = Duration::from_secs(600);

/// The last answers, by the Job's uid.
#[derive(Default)]
pub struct JobEvents(Mutex<HashMap<String, (Instant, Option<String>)>>);

impl JobEvents {
    /// Why the Job cannot make pods, if Kubernetes has said so. It is asked every ten seconds at most. That it does not
    /// answer keeps no run from going on.
    pub async fn why_no_pods(&self, job: &Job, context: &Context) -> Option<String> {
        let uid = job.uid().unwrap_or_default();
        if let Some(known) = self.known(&uid) {
            return known;
        }
        let about = ListParams::default().fields(&format!("involvedObject.uid={uid},type=Warning"));
        let events = match context.api::<Event>().list(&about).await {
            Ok(events) => events.items,
            Err(error) => {
                warn!(job = job.name_any(), %error, "the Job's Events cannot be read");
                return None;
            }
        };
        let refusals = events.into_iter().filter(|event| event.reason.as_deref() == Some("FailedCreate"));
        let last = refusals.max_by_key(|event| {
            let times = [
                event.last_timestamp.as_ref().map(|time| time.0),
                event.event_time.as_ref().map(|time| time.0),
            ];
            times.into_iter().flatten().max()
        });
        let why = last.and_then(|event| event.message);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (at, _)| at.elapsed() < FORGET);
        known.insert(uid, (Instant::now(), why.clone()));
        why
    }

    fn known(&self, uid: &str) -> Option<Option<String>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(uid).filter(|(at, _)| at.elapsed() < FRESH).map(|(_, why)| why.clone())
    }
}
