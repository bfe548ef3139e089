//! A run that is being deleted.

use crds::LinkageRun;
use crds::folders::RUNS;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::controller::Action as Requeue;

use super::{decide, keep, write_status};
use crate::context::Context;
use crate::error::Error;
use crate::removal::{self, Purge};

/// Brings the deletion a step further. What it waits for is in the run's status.
pub async fn step(run: &LinkageRun, context: &Context) -> Result<Requeue, Error> {
    if let Some(requeue) = keep::pairs(run, context).await? {
        return Ok(requeue);
    }
    match removal::purge(context, run, &folders(run, context)).await? {
        Purge::Waiting(message) => {
            tell(run, &message, context).await?;
            Ok(Requeue::requeue(removal::SOON))
        }
        Purge::Done(kept_versions) => {
            let told = match kept_versions {
                Some(note) => tell(run, &note, context).await?,
                None => None,
            };
            removal::release(context, told.as_ref().unwrap_or(run)).await?;
            let uid = run.uid().unwrap_or_default();
            context.work_time.forget(&uid);
            context.status_writes.forget(&uid);
            Ok(Requeue::await_change())
        }
    }
}

/// Says so in the run's status. Gives the run as it then is; none when it said so before, or is gone.
async fn tell(run: &LinkageRun, message: &str, context: &Context) -> Result<Option<LinkageRun>, Error> {
    let message = format!("the run is being deleted; {message}");
    let status = decide::deleting(run, message, Timestamp::now());
    if run.status.as_ref() == Some(&status) {
        return Ok(None);
    }
    write_status(run, &status, context).await
}

/// Where the run's objects are: by its uid, and where it was told to put them when it started.
fn folders(run: &LinkageRun, context: &Context) -> Vec<String> {
    let uid = run.uid().unwrap_or_default();
    let pinned = super::pinned_work(run).and_then(|work| work.plan.get("output")?.as_str());
    removal::folders_of(&uid, RUNS, context.installation.run(&uid), pinned)
}
