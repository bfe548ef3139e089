//! Reconciles a `LinkageProject`: read what is there, decide, write once.

mod decide;
mod ingest;
pub mod key;
mod tokens;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use crds::conditions::READY;
use crds::{FINALIZER, LinkageProject, LinkageProjectStatus, LinkageRun, PartyState, labels};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::runtime::controller::Action as Requeue;
use kube::{Resource, ResourceExt};
use tracing::info;

use self::decide::{Decision, decide};
use self::view::{ProjectView, SourceState};
use crate::context::{Context, Error, unless_gone};
use crate::jobs;
use crate::removal;

/// Brings one project a step further.
pub async fn reconcile(project: Arc<LinkageProject>, context: Arc<Context>) -> Result<Requeue, Error> {
    let name = project.name_any();
    if project.metadata.deletion_timestamp.is_some() {
        return remove(&project, &context).await;
    }
    // the cache may be behind what this operator itself has written
    let Some(project) = context.api::<LinkageProject>().get_opt(&name).await? else {
        return Ok(Requeue::await_change());
    };
    let project = removal::hold(&context, project, None).await?;
    let tokens_secret = tokens::apply(&project, &context).await?;
    let view = read(project, &context).await?;
    let decision = decide(&view, tokens_secret);
    write(&view, decision, &context).await
}

/// The runs go first, then what the project itself has made.
async fn remove(project: &LinkageProject, context: &Context) -> Result<Requeue, Error> {
    if !project.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
        return Ok(Requeue::await_change());
    }
    let uid = project.uid().unwrap_or_default();
    let mut runs = context.api::<LinkageRun>().list(&ListParams::default()).await?.items;
    runs.retain(|run| run.owner_references().iter().any(|owner| owner.uid == uid));
    for run in &runs {
        if run.metadata.deletion_timestamp.is_none() {
            unless_gone(context.api::<LinkageRun>().delete(&run.name_any(), &DeleteParams::default()).await)?;
        }
    }
    if !runs.is_empty() {
        return Ok(Requeue::requeue(std::time::Duration::from_secs(1)));
    }
    let selector = format!("{}={}", labels::PROJECT, project.name_any());
    removal::purge(context, project, &selector, &prefix(project)).await
}

/// Prefix of all objects of a project, but those of its runs. The uid is never used again, unlike the name.
fn prefix(project: &LinkageProject) -> String {
    format!("projects/{}/", project.uid().unwrap_or_default())
}

async fn read(project: LinkageProject, context: &Context) -> Result<ProjectView, Error> {
    let status = project.status.clone().unwrap_or_default();
    let has_contributed = |name: &str| {
        status.parties.iter().any(|party| party.name == name && party.state == PartyState::Contributed)
    };
    let (mut sources, mut ingests, mut store_error) = (BTreeMap::new(), BTreeMap::new(), None);
    for party in project.spec.parties.iter().filter(|party| !has_contributed(&party.name)) {
        let Some(source) = &party.source else { continue };
        match ingest::source_state(source, context).await {
            Ok(state) => {
                if let SourceState::Present(version) = &state
                    && let Some(ingest) = ingest::state(&project, &party.name, version, context).await?
                {
                    ingests.insert(party.name.clone(), ingest);
                }
                sources.insert(party.name.clone(), state);
            }
            Err(error) => store_error = Some(error.to_string()),
        }
    }
    Ok(ProjectView { project, sources, ingests, store_error, now: Timestamp::now() })
}

async fn write(view: &ProjectView, decision: Decision, context: &Context) -> Result<Requeue, Error> {
    let project = &view.project;
    if decision.delete {
        info!(project = project.name_any(), "deleting the project, as spec.retention says");
        unless_gone(
            context.api::<LinkageProject>().delete(&project.name_any(), &DeleteParams::default()).await,
        )?;
        return Ok(Requeue::await_change());
    }
    for (party, version) in &decision.ingest {
        let job = jobs::build(ingest::job(project, party, version, context.jobs.limits)?, &context.jobs);
        context.api::<Job>().create(&PostParams::default(), &job).await?;
        info!(project = project.name_any(), party, job = job.name_any(), "created Job");
    }
    let before = project.status.clone().unwrap_or_default();
    if decision.status != before {
        let changed = LinkageProject { status: Some(decision.status.clone()), ..project.clone() };
        let api = context.api::<LinkageProject>();
        unless_gone(api.replace_status(&project.name_any(), &PostParams::default(), &changed).await)?;
        publish(project, &before, &decision.status, context).await;
    }
    // only now that nobody can come to depend on it
    for party in &decision.discard {
        if let Some(SourceState::Present(version)) = view.sources.get(party) {
            context.store.delete_prefix(&ingest::prefix(project, party, version)).await?;
        }
    }
    Ok(Requeue::requeue(decision.look_again))
}

/// Tells of every new reason, of the project and of each party, once.
async fn publish(
    project: &LinkageProject,
    before: &LinkageProjectStatus,
    after: &LinkageProjectStatus,
    context: &Context,
) {
    let about = project.object_ref(&());
    for party in &after.parties {
        let known = before.parties.iter().find(|known| known.name == party.name);
        if let (Some(reason), Some(message)) = (&party.reason, &party.message)
            && known.is_none_or(|known| known.reason != party.reason || known.message != party.message)
        {
            context.publish(&about, true, reason.clone(), format!("party {}: {message}", party.name)).await;
        }
    }
    let reason_of = |status: &LinkageProjectStatus| {
        status
            .conditions
            .iter()
            .find(|condition| condition.type_ == READY)
            .map(|condition| condition.reason.clone())
    };
    if reason_of(before) != reason_of(after)
        && let Some(ready) = after.conditions.iter().find(|condition| condition.type_ == READY)
    {
        let is_trouble = ["PartyRejected", "StoreUnavailable"].contains(&ready.reason.as_str());
        context.publish(&about, is_trouble, ready.reason.clone(), ready.message.clone()).await;
    }
}
