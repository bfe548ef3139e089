//! Tells a project's webhook what has happened: that a party has contributed, that a run has ended.
//!
//! What is to be sent follows from the resources alone ([`due`]), and what the receiver has taken is written into their
//! status. So neither a restart nor a lost answer loses an event; at worst it is sent twice, under the same id. One
//! event of a project is sent at a time, and projects do not wait for each other.

mod addresses;
mod due;
mod record;
mod send;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crds::LinkageProject;
use crds::conditions::NoticeReason;
use crds::tokens::{Role, TokenScope};
use crds::webhook::AllowedUrls;
use k8s_openapi::jiff::Timestamp;
use kube::runtime::controller::Action as Requeue;
use kube::{Resource, ResourceExt};

use self::due::Event;
use self::record::{Outcome, record};
use crate::context::Context;
use crate::error::Error;
use crate::events::Notice;
use crate::retries::Retries;
use crate::watching::isolated;
use crate::{freshness, times};

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// An event that the receiver has not taken for so long, and so often, is given up.
const GIVE_UP_AFTER_SECONDS: i64 = 24 * 3600;
/// See [`GIVE_UP_AFTER_SECONDS`]: a clock that jumps gives nothing up.
const GIVE_UP_AFTER_ATTEMPTS: u32 = 12;

/// What sending needs, and what is remembered between attempts.
pub struct Webhooks {
    allowed: AllowedUrls,
    sender: send::Sender,
    retries: Retries,
    /// How often each event was sent in vain.
    attempts: Mutex<HashMap<String, u32>>,
}

impl Webhooks {
    /// Sends to allowed addresses; to those of private networks only if that is allowed as well.
    ///
    /// # Errors
    /// Fails when an HTTP client cannot be made.
    pub fn new(allowed: AllowedUrls, private_addresses: bool) -> reqwest::Result<Self> {
        Ok(Self {
            allowed,
            sender: send::Sender::new(private_addresses)?,
            retries: Retries::up_to(LONGEST_PAUSE),
            attempts: Mutex::default(),
        })
    }

    fn failed(&self, event: &Event) -> u32 {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = attempts.entry(event.id.clone()).or_default();
        *count = count.saturating_add(1);
        *count
    }

    fn settled(&self, event: &Event) {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner).remove(&event.id);
    }
}

/// Sends the next event of a project, if there is one.
///
/// # Errors
/// What went wrong with Kubernetes, for the pause before the next attempt.
pub async fn reconcile(project: Arc<LinkageProject>, context: Arc<Context>) -> Result<Requeue, Error> {
    isolated(step(project, context)).await
}

async fn step(project: Arc<LinkageProject>, context: Arc<Context>) -> Result<Requeue, Error> {
    let Some(webhook) = &project.spec.webhook else { return Ok(Requeue::await_change()) };
    if project.metadata.deletion_timestamp.is_some() {
        return Ok(Requeue::await_change());
    }
    if context.freshness.is_behind(&*project) {
        return Ok(Requeue::requeue(freshness::SOON));
    }
    let webhooks = &context.webhooks;
    let Some(event) = due::events(&project, &context.caches.runs.state()).into_iter().next() else {
        webhooks.retries.succeeded(&project.name_any());
        return Ok(Requeue::await_change());
    };
    let run = event.news.run().and_then(|run| context.run(run));
    if run.is_some_and(|run| context.freshness.is_behind(&*run)) {
        return Ok(Requeue::requeue(freshness::SOON));
    }
    let url = match webhooks.allowed.check(&webhook.url) {
        Ok(url) => url,
        Err(why) => {
            let message = format!("the webhook gets no events: {why}");
            tell(&project, &event, NoticeReason::WebhookNotAllowed, message, &context).await?;
            return Ok(Requeue::await_change());
        }
    };
    let key = context.master_key.webhook_key(TokenScope::of(&project, Role::Result));
    match webhooks.sender.send(url, &key, &event).await {
        Ok(()) => {
            webhooks.settled(&event);
            webhooks.retries.succeeded(&project.name_any());
            metrics::counter!("linkage_operator_webhooks_total", "outcome" => "delivered").increment(1);
            record(&project, &event, Outcome::Delivered, &context).await?;
            Ok(Requeue::requeue(Duration::ZERO))
        }
        Err(why) => {
            metrics::counter!("linkage_operator_webhooks_total", "outcome" => "failed").increment(1);
            failed(&project, &event, &why, &context).await
        }
    }
}

async fn failed(
    project: &LinkageProject,
    event: &Event,
    why: &str,
    context: &Context,
) -> Result<Requeue, Error> {
    let webhooks = &context.webhooks;
    let is_old = times::left(event.time, GIVE_UP_AFTER_SECONDS, Timestamp::now()).is_zero();
    if webhooks.failed(event) >= GIVE_UP_AFTER_ATTEMPTS && is_old {
        webhooks.settled(event);
        webhooks.retries.succeeded(&project.name_any());
        let note =
            format!("the webhook does not take the event {} for a day, and gets it no more: {why}", event.id);
        record(project, event, Outcome::GivenUp(note.clone()), context).await?;
        publish(project, NoticeReason::WebhookGivenUp, note, context).await;
        return Ok(Requeue::requeue(Duration::ZERO));
    }
    let message = format!("the webhook does not take an event, which is sent again: {why}");
    tell(project, event, NoticeReason::WebhookFailed, message, context).await?;
    Ok(Requeue::requeue(webhooks.retries.failed(&project.name_any())))
}

/// Tells on the resource why its event is not delivered, once for each reason.
async fn tell(
    project: &LinkageProject,
    event: &Event,
    reason: NoticeReason,
    message: String,
    context: &Context,
) -> Result<(), Error> {
    if record(project, event, Outcome::Failed(message.clone()), context).await? {
        publish(project, reason, message, context).await;
    }
    Ok(())
}

async fn publish(project: &LinkageProject, reason: NoticeReason, note: String, context: &Context) {
    let notice = Notice { is_trouble: true, reason: reason.to_string(), note };
    context.events.publish(&project.object_ref(&()), notice).await;
}
