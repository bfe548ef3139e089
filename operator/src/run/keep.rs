//! A run that is being deleted while others need its pairs.

use std::time::Duration;

use crds::conditions::PendingReason;
use crds::{LinkageRun, LinkageRunStatus};
use kube::api::ListParams;
use kube::runtime::controller::Action as Requeue;
use kube::{Resource, ResourceExt};
use tracing::info;

use super::{from_run, order, write_status};
use crate::context::{Context, Error};

/// How soon to look again whether they are still needed, without an event.
const POLL: Duration = Duration::from_secs(2);

/// Keeps the pairs, and nothing else, of a run that is being deleted as long as other runs need them. None when no run
/// does.
pub async fn pairs(run: &LinkageRun, context: &Context) -> Result<Option<Requeue>, Error> {
    let Some(uid) = run.uid() else { return Ok(None) };
    let runs = context.api::<LinkageRun>().list(&ListParams::default()).await?.items;
    let needed_by = from_run::needed_by(&uid, &runs);
    // by uid: what was deleted meanwhile, and made again under the same name, is another run
    let Some(run) = runs.iter().find(|other| other.meta().uid.as_ref() == Some(&uid)) else {
        return Ok(None);
    };
    if needed_by.is_empty() {
        return Ok(None);
    }
    let prefix = order::prefix(run);
    context.store.delete_prefix(&format!("{prefix}result/")).await?;
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
