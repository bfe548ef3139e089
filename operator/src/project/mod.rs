//! Reconciles a `LinkageProject`: read what is there, decide, write.

mod decide;
mod ingest;
pub mod key;
mod remove;
mod tokens;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use crds::conditions::{READY, ReadyReason};
use crds::{FINALIZER, LinkageProject, LinkageProjectStatus, PartyState};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, PostParams, Preconditions};
use kube::runtime::controller::Action as Requeue;
use kube::{Resource, ResourceExt};
use tracing::info;

use self::decide::{Decision, decide};
use self::view::{ProjectView, SourceState};
use crate::context::{Context, unless_gone};
use crate::error::Error;
use crate::events::Notice;
use crate::freshness;
use crate::jobs;
use crate::removal;
use crate::watching::isolated;

pub use tokens::CheckedSecrets;

/// Brings one project a step further. What keeps it from that is told on the project.
///
/// # Errors
/// What went wrong, for the pause before the next attempt.
pub async fn reconcile(project: Arc<LinkageProject>, context: Arc<Context>) -> Result<Requeue, Error> {
    let outcome = isolated(step(project.clone(), context.clone())).await;
    match &outcome {
        Ok(_) => context.retries.succeeded(&format!("LinkageProject {}", project.name_any())),
        Err(error) => tell(&project, error, &context).await,
    }
    outcome
}

async fn step(project: Arc<LinkageProject>, context: Arc<Context>) -> Result<Requeue, Error> {
    if project.metadata.deletion_timestamp.is_some() {
        if !project.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
            return Ok(Requeue::await_change());
        }
        return remove::step(&project, &context).await;
    }
    if context.freshness.is_behind(&*project) {
        return Ok(Requeue::requeue(freshness::SOON));
    }
    let project = removal::hold(&context, Arc::unwrap_or_clone(project), None).await?;
    let view = read(project, &context).await?;
    let decision = decide(&view);
    write(&view, decision, &context).await
}

/// The folder of all objects of a project, but those of its runs.
fn folder(project: &LinkageProject, context: &Context) -> String {
    context.installation.project(&project.uid().unwrap_or_default())
}

async fn read(project: LinkageProject, context: &Context) -> Result<ProjectView, Error> {
    // a Secret that cannot be written keeps no data from being taken in
    let (tokens_secret, mut trouble) = match tokens::apply(&project, context).await {
        Ok(secret) => (secret, None),
        Err(error) => match error.trouble() {
            Some(trouble) => (None, Some(trouble)),
            None => return Err(error),
        },
    };
    let status = project.status.clone().unwrap_or_default();
    let has_contributed = |name: &str| {
        status.parties.iter().any(|party| party.name == name && party.state == PartyState::Contributed)
    };
    let (mut sources, mut ingests) = (BTreeMap::new(), BTreeMap::new());
    for party in project.spec.parties.iter().filter(|party| !has_contributed(&party.name)) {
        let Some(source) = ingest::source(&project, party) else { continue };
        match ingest::source_state(&project, source, context).await {
            Ok(state) => {
                if let SourceState::Present(version) = &state
                    && let Some(ingest) = ingest::state(&project, &party.name, version, context).await?
                {
                    ingests.insert(party.name.clone(), ingest);
                }
                sources.insert(party.name.clone(), state);
            }
            Err(error) => trouble = Some(crate::error::of_store(&error)),
        }
    }
    Ok(ProjectView { project, tokens_secret, sources, ingests, trouble, now: Timestamp::now() })
}

async fn write(view: &ProjectView, decision: Decision, context: &Context) -> Result<Requeue, Error> {
    let project = &view.project;
    if decision.delete {
        info!(project = project.name_any(), "deleting the project, as spec.retention says");
        // only as it was read: its time may have been prolonged since
        let as_read = Preconditions { uid: project.uid(), resource_version: project.resource_version() };
        let parameters = DeleteParams::background().preconditions(as_read);
        unless_gone(context.api::<LinkageProject>().delete(&project.name_any(), &parameters).await)?;
        return Ok(Requeue::await_change());
    }
    for (party, version) in &decision.restart {
        let name = ingest::job_name(project, party, version);
        removal::delete_jobs(context, &[name], &project.uid().unwrap_or_default()).await?;
    }
    for (party, version) in &decision.ingest {
        jobs::create(context, ingest::job(project, party, version, context)?).await?;
    }
    let before = project.status.clone().unwrap_or_default();
    if decision.status != before && write_status(project, &decision.status, context).await?.is_some() {
        publish(project, &before, &decision.status, context).await;
        tell_trouble(view, &before, &decision.status, context).await;
    }
    // only now that nobody can come to depend on it
    for party in &decision.discard {
        if let Some(SourceState::Present(version)) = view.sources.get(party) {
            context.store.delete_prefix(&ingest::prefix(project, party, version, context)).await?;
        }
    }
    for party in &decision.tidy {
        ingest::tidy(project, party, context).await?;
    }
    match &view.trouble {
        // each attempt comes later than the one before
        Some(_) => Ok(Requeue::requeue(context.retries.failed(&trouble_of(project)))),
        None => {
            context.retries.succeeded(&trouble_of(project));
            Ok(Requeue::requeue(decision.look_again))
        }
    }
}

/// Under which name the pauses are counted of a project whose step was finished in spite of trouble.
fn trouble_of(project: &LinkageProject) -> String {
    format!("trouble of LinkageProject {}", project.name_any())
}

/// Writes down on the project that a run begins, before it does, so that no party takes back data that the run works on.
/// It is written on the very version of the project whose data the run is given. Once written, data stays, and this costs
/// nothing any more.
///
/// # Errors
/// Fails when the project has changed since it was read: its data may be other data, or withdrawn.
pub async fn hold_data(project: &LinkageProject, run: &str, context: &Context) -> Result<(), Error> {
    let status = project.status.clone().unwrap_or_default();
    if status.first_run.is_some() {
        return Ok(());
    }
    let held = LinkageProjectStatus { first_run: Some(run.to_owned()), ..status };
    // one that is gone has its runs deleted as well
    write_status(project, &held, context).await.map(drop)
}

/// Replaces the status of the very version that was read. False when the project is gone.
async fn write_status(
    project: &LinkageProject,
    status: &LinkageProjectStatus,
    context: &Context,
) -> Result<Option<LinkageProject>, Error> {
    let changed = LinkageProject { status: Some(status.clone()), ..project.clone() };
    metrics::counter!("linkage_operator_status_writes_total", "kind" => "LinkageProject").increment(1);
    let api = context.api::<LinkageProject>();
    let written = api.replace_status(&project.name_any(), &PostParams::default(), &changed).await;
    let written = unless_gone(written)?;
    if let Some(written) = &written {
        context.freshness.wrote(written);
    }
    Ok(written)
}

/// Tells of every new reason, of the project and of each party, once.
async fn publish(
    project: &LinkageProject,
    before: &LinkageProjectStatus,
    after: &LinkageProjectStatus,
    context: &Context,
) {
    let about = reference(project);
    for party in &after.parties {
        let known = before.parties.iter().find(|known| known.name == party.name);
        if let (Some(reason), Some(message)) = (&party.reason, &party.message)
            && known.is_none_or(|known| known.reason != party.reason || known.message != party.message)
        {
            let note = format!("party {}: {message}", party.name);
            context.events.publish(&about, Notice { is_trouble: true, reason: reason.clone(), note }).await;
        }
    }
    let is_new =
        |ready: &&Condition| ready_condition(before).is_none_or(|known| known.reason != ready.reason);
    if let Some(ready) = ready_condition(after).filter(is_new) {
        let is_trouble = ReadyReason::of(&ready.reason).is_none_or(ReadyReason::is_trouble);
        let notice = Notice { is_trouble, reason: ready.reason.clone(), note: ready.message.clone() };
        context.events.publish(&about, notice).await;
    }
}

/// Publishes an Event about trouble that the reason does not name because another reason counts more.
async fn tell_trouble(
    view: &ProjectView,
    before: &LinkageProjectStatus,
    after: &LinkageProjectStatus,
    context: &Context,
) {
    let Some(trouble) = &view.trouble else { return };
    let reason = trouble.kind.of_project().to_string();
    let knew = ready_condition(before).is_some_and(|ready| ready.message.contains(&trouble.message));
    let is_reason = ready_condition(after).is_some_and(|ready| ready.reason == reason);
    if !knew && !is_reason {
        let note = trouble.message.clone();
        context.events.publish(&reference(&view.project), Notice { is_trouble: true, reason, note }).await;
    }
}

fn ready_condition(status: &LinkageProjectStatus) -> Option<&Condition> {
    status.conditions.iter().find(|condition| condition.type_ == READY)
}

fn reference(project: &LinkageProject) -> ObjectReference {
    project.object_ref(&())
}

/// Tells on the project why a step could not be finished. That this cannot be written, either, must do no more harm.
async fn tell(project: &LinkageProject, error: &Error, context: &Context) {
    let Some(trouble) = error.trouble() else { return };
    let name = project.name_any();
    let latest = context.project(&name).filter(|latest| latest.uid() == project.uid());
    let project = latest.unwrap_or_else(|| project.clone().into());
    let now = Timestamp::now();
    let status = match project.metadata.deletion_timestamp {
        Some(_) => Some(decide::deleting(
            &project,
            format!("the project is being deleted; {}", trouble.message),
            now,
        )),
        None => decide::troubled(&project, &trouble, now),
    };
    let Some(status) = status.filter(|status| project.status.as_ref() != Some(status)) else { return };
    match write_status(&project, &status, context).await {
        Ok(_) => {
            let reason = ready_condition(&status).map(|ready| ready.reason.clone()).unwrap_or_default();
            let notice = Notice { is_trouble: true, reason, note: trouble.message };
            context.events.publish(&reference(&project), notice).await;
        }
        Err(error) => info!(project = name, %error, "what is wrong could not be written; it will be later"),
    }
}

#[cfg(test)]
mod tests;
