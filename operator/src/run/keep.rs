//! A run that is being deleted while others need its pairs.

use std::time::Duration;

use crds::conditions::PendingReason;
use crds::{LinkageRun, LinkageRunStatus};
use kube::api::ListParams;
use kube::runtime::controller::Action as Requeue;
use kube::{Resource, ResourceExt};
use tracing::info;

use super::{from_run, pinned_work, write_status};
use crate::context::Context;
use crate::error::Error;

/// How soon to look again whether they are still needed, without an event.
const POLL: Duration = Duration::from_secs(5);

/// Keeps the pairs, and nothing else, of a run that is being deleted as long as other runs need them. None when no run
/// does.
pub async fn pairs(run: &LinkageRun, context: &Context) -> Result<Option<Requeue>, Error> {
    let (Some(uid), Some(pinned)) = (run.uid(), pinned_work(run)) else { return Ok(None) };
    let known: Vec<LinkageRun> = context.caches.runs.state().iter().map(|run| (**run).clone()).collect();
    let mut needed_by = from_run::needed_by(&uid, &known);
    if needed_by.is_empty() {
        // the watch may be behind, and what is purged now is gone: Kubernetes itself has to say so
        let runs = context.api::<LinkageRun>().list(&ListParams::default()).await?.items;
        if !runs.iter().any(|other| other.meta().uid.as_ref() == Some(&uid)) {
            return Ok(None);
        }
        needed_by = from_run::needed_by(&uid, &runs);
    }
    if needed_by.is_empty() {
        return Ok(None);
    }
    let output = pinned.plan.get("output").and_then(serde_json::Value::as_str).unwrap_or_default();
    context.store.delete_prefix(&format!("{output}result/")).await?;
    let before = run.status.clone().unwrap_or_default();
    let status = LinkageRunStatus {
        reason: Some(PendingReason::Deleting.to_string()),
        message: Some(format!(
            "the run is being deleted; its pairs stay until they have been taken over by: {}",
            needed_by.join(", ")
        )),
        results: Vec::new(),
        ..before.clone()
    };
    if status != before {
        info!(run = run.name_any(), needed_by = needed_by.join(", "), "the pairs are kept");
        write_status(run, &status, context).await?;
    }
    Ok(Some(Requeue::requeue(POLL)))
}
