//! Writes down what became of an event: on the run that it is about, else on the project.

use crds::{LinkageProject, LinkageRun, WebhookStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::PostParams;

use super::due::{self, Event};
use crate::context::{Context, unless_gone};
use crate::error::Error;

/// How often it is tried when others write at the same time.
const ATTEMPTS: u32 = 5;

/// What became of an event.
pub enum Outcome {
    /// The receiver has taken it.
    Delivered,
    /// It has not: why.
    Failed(String),
    /// It never will be: why.
    GivenUp(String),
}

/// Writes it down; false if that was known already, or the resource is gone.
///
/// # Errors
/// Fails when Kubernetes refuses or does not answer. A delivery that is not recorded is made again.
pub async fn record(
    project: &LinkageProject,
    event: &Event,
    outcome: Outcome,
    context: &Context,
) -> Result<bool, Error> {
    let mut conflict = None;
    for _ in 0..ATTEMPTS {
        let written = match event.news.run() {
            Some(run) => on_run(run, project, event, &outcome, context).await,
            None => on_project(project, event, &outcome, context).await,
        };
        match written {
            Err(kube::Error::Api(status)) if status.code == 409 => conflict = Some(kube::Error::Api(status)),
            written => return Ok(written?),
        }
    }
    conflict.map_or(Ok(false), |error| Err(error.into()))
}

async fn on_project(
    project: &LinkageProject,
    event: &Event,
    outcome: &Outcome,
    context: &Context,
) -> kube::Result<bool> {
    let (api, name) = (context.api::<LinkageProject>(), project.name_any());
    let found = api.get_opt(&name).await?.filter(|found| found.uid() == project.uid());
    let Some(mut latest) = found else { return Ok(false) };
    let known = due::known_ids(&latest);
    let status = latest.status.get_or_insert_default();
    let before = status.webhook.clone();
    let mut webhook = noted(before.clone().unwrap_or_default(), event, outcome);
    // what was withdrawn or replaced is never asked for again
    webhook.delivered.retain(|id| known.contains(id));
    webhook.given_up.retain(|id| known.contains(id));
    if before.as_ref() == Some(&webhook) {
        return Ok(false);
    }
    status.webhook = Some(webhook);
    let written = unless_gone(api.replace_status(&name, &PostParams::default(), &latest).await)?;
    written.iter().for_each(|written| context.freshness.wrote(written));
    Ok(written.is_some())
}

async fn on_run(
    name: &str,
    project: &LinkageProject,
    event: &Event,
    outcome: &Outcome,
    context: &Context,
) -> kube::Result<bool> {
    let api = context.api::<LinkageRun>();
    let uid = project.uid().unwrap_or_default();
    let found = api.get_opt(name).await?.filter(|found| crate::caches::is_owned(found, &uid));
    let Some(mut latest) = found else { return Ok(false) };
    let Some(status) = &mut latest.status else { return Ok(false) };
    let before = status.webhook.clone();
    let webhook = noted(before.clone().unwrap_or_default(), event, outcome);
    if before.as_ref() == Some(&webhook) {
        return Ok(false);
    }
    status.webhook = Some(webhook);
    let written = unless_gone(api.replace_status(name, &PostParams::default(), &latest).await)?;
    written.iter().for_each(|written| context.freshness.wrote(written));
    Ok(written.is_some())
}

fn noted(mut webhook: WebhookStatus, event: &Event, outcome: &Outcome) -> WebhookStatus {
    match outcome {
        Outcome::Failed(why) => webhook.message = Some(why.clone()),
        Outcome::Delivered if webhook.is_settled(&event.id) => {}
        Outcome::Delivered => {
            webhook.delivered.push(event.id.clone());
            webhook.last_delivery_time = Some(Time(Timestamp::now()));
            webhook.message = None;
        }
        Outcome::GivenUp(_) if webhook.is_settled(&event.id) => {}
        Outcome::GivenUp(why) => {
            webhook.given_up.push(event.id.clone());
            webhook.message = Some(why.clone());
        }
    }
    webhook
}
