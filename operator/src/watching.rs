//! The watches that fill the caches, and the two queues of what is to be reconciled.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Instant;

use crds::{LinkageProject, LinkageRun, labels};
use futures::channel::mpsc::{UnboundedSender, unbounded};
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::controller::{Action, Config};
use kube::runtime::reflector::{ObjectRef, store::Writer};
use kube::runtime::{WatchStreamExt, applier, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tracing::{debug, warn};

use crate::caches::{SecretMetadata, Writers};
use crate::context::Context;
use crate::error::Error;
use crate::{project, run, webhooks};

/// Reconciliations of one kind at the same time.
const CONCURRENCY: u16 = 16;
/// Receivers of webhooks that are told something at the same time.
const WEBHOOK_CONCURRENCY: u16 = 64;
/// Seconds after which a watch is begun anew: a connection that is dead without a word is noticed soon after.
const WATCH_SECONDS: u32 = 150;
/// Projects that are listed at a time.
const PROJECTS_A_PAGE: u32 = 25;

/// Watches, and runs both controllers, until they are asked to stop: the reconciliations in progress are then finished.
pub async fn control(
    context: Arc<Context>,
    writers: Writers,
    watches: Client,
    stop: impl Future<Output = ()> + Clone + Send + Sync + 'static,
) {
    let (project_sender, project_queue) = unbounded();
    let (run_sender, run_queue) = unbounded();
    let (webhook_sender, webhook_queue) = unbounded();
    let queues = Queues {
        projects: project_sender,
        runs: run_sender,
        webhooks: webhook_sender,
        namespace: context.namespace.clone(),
    };
    let watching = watch_all(&context, writers, watches, queues);

    let config = || Config::default().concurrency(CONCURRENCY);
    let projects = applier(
        reconciler(project::reconcile),
        try_again,
        context.clone(),
        context.caches.projects.clone(),
        requests(project_queue, stop.clone()),
        config(),
    )
    .for_each(|result| async move { debug!(?result, "project") });
    let runs = applier(
        reconciler(run::reconcile),
        try_again,
        context.clone(),
        context.caches.runs.clone(),
        requests(run_queue, stop.clone()),
        config(),
    )
    .for_each(|result| async move { debug!(?result, "run") });
    // receivers may be slow: what they are told waits for nobody, and nobody for them
    let webhooks = applier(
        reconciler(webhooks::reconcile),
        try_again,
        context.clone(),
        context.caches.projects.clone(),
        requests(webhook_queue, stop),
        Config::default().concurrency(WEBHOOK_CONCURRENCY),
    )
    .for_each(|result| async move { debug!(?result, "webhook") });
    let controllers = async {
        // what is not known yet must not be taken for missing
        context.caches.wait_until_ready().await;
        futures::join!(projects, runs, webhooks)
    };
    tokio::select! {
        () = watching => {}
        _ = controllers => {}
    }
}

/// What is to be reconciled.
struct Queues {
    projects: UnboundedSender<ObjectRef<LinkageProject>>,
    runs: UnboundedSender<ObjectRef<LinkageRun>>,
    /// Projects whose webhooks may have to be told something.
    webhooks: UnboundedSender<ObjectRef<LinkageProject>>,
    namespace: String,
}

impl Queues {
    // A queue that nobody reads any more belongs to a controller that is stopping.
    fn project(&self, name: &str) {
        let _ = self.projects.unbounded_send(ObjectRef::new(name).within(&self.namespace));
    }

    fn run(&self, name: &str) {
        let _ = self.runs.unbounded_send(ObjectRef::new(name).within(&self.namespace));
    }

    fn webhook(&self, project: &str) {
        let _ = self.webhooks.unbounded_send(ObjectRef::new(project).within(&self.namespace));
    }

    /// The run, or else the project, that an object is labelled with.
    fn labelled(&self, object: &impl ResourceExt) {
        match (object.labels().get(labels::RUN), object.labels().get(labels::PROJECT)) {
            (Some(run), _) => self.run(run),
            (None, Some(project)) => self.project(project),
            (None, None) => {}
        }
    }
}

async fn watch_all(context: &Context, writers: Writers, watches: Client, queues: Queues) {
    let namespace = &context.namespace;
    let ours = || watching().labels(&format!("{}={}", labels::MANAGED_BY, labels::OPERATOR));
    let runs = &context.caches.runs;
    let mut seen = HashMap::new();

    let watch_projects = follow(
        watcher(Api::<LinkageProject>::namespaced(watches.clone(), namespace), few_at_a_time()),
        writers.projects,
        LinkageProject::forget_texts,
        |project| {
            queues.project(&project.name_any());
            if project.spec.webhook.is_some() {
                queues.webhook(&project.name_any());
            }
            for run in run::of_project(project, &runs.state()) {
                queues.run(&run);
            }
        },
    );
    let watch_runs = follow(
        watcher(Api::<LinkageRun>::namespaced(watches.clone(), namespace), watching()),
        writers.runs,
        LinkageRun::forget_texts,
        |run| {
            // what this operator has just written itself is no news
            if changed_by_others(&mut seen, run) {
                queues.run(&run.name_any());
            }
            if has_ended(run) {
                queues.webhook(&run.spec.project_ref.name);
            }
            if has_ended(run) || run.metadata.deletion_timestamp.is_some() {
                for other in run::concerned(run, &runs.state()) {
                    queues.run(&other);
                }
            }
        },
    );
    let watch_jobs = follow(
        watcher(Api::<Job>::namespaced(watches.clone(), namespace), ours()),
        writers.jobs,
        keep_all,
        |job| queues.labelled(job),
    );
    let watch_pods = follow(
        watcher(Api::<Pod>::namespaced(watches.clone(), namespace), ours()),
        writers.pods,
        keep_all,
        |pod| queues.labelled(pod),
    );
    let watch_secrets = follow(
        watcher(Api::<SecretMetadata>::namespaced(watches, namespace), ours()),
        writers.secrets,
        keep_all,
        |secret| queues.labelled(secret),
    );
    futures::join!(watch_projects, watch_runs, watch_jobs, watch_pods, watch_secrets);
}

fn watching() -> watcher::Config {
    watcher::Config::default().timeout(WATCH_SECONDS)
}

/// Projects made with kubectl may be as large as Kubernetes allows it. A page of them is in memory as a whole.
fn few_at_a_time() -> watcher::Config {
    watching().page_size(PROJECTS_A_PAGE)
}

fn keep_all<K>(_: &mut K) {}

/// Fills a cache with what is needed of each object, and tells of every one that has come, changed or gone.
async fn follow<K>(
    events: impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send,
    writer: Writer<K>,
    forget: impl Fn(&mut K) + Send,
    mut tell: impl FnMut(&K),
) where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let kind = K::kind(&());
    let mut objects = std::pin::pin!(
        events
            .default_backoff()
            // who set which field is the largest part of many objects, and of no use here
            .modify(|object| {
                object.meta_mut().managed_fields = None;
                forget(object);
            })
            .reflect(writer)
            .touched_objects()
    );
    while let Some(object) = objects.next().await {
        match object {
            Ok(object) => tell(&object),
            Err(error) => {
                metrics::counter!("linkage_operator_watch_errors_total", "kind" => kind.clone()).increment(1);
                warn!(%kind, %error, "a watch has failed; it will be begun anew");
            }
        }
    }
}

fn has_ended(run: &LinkageRun) -> bool {
    run.status.as_ref().is_some_and(|status| status.completion_time.is_some())
}

/// Whether anything of a run has changed but its status, which nobody else writes.
fn changed_by_others(seen: &mut HashMap<String, u64>, run: &LinkageRun) -> bool {
    let metadata = &run.metadata;
    let mut hasher = DefaultHasher::new();
    metadata.uid.hash(&mut hasher);
    metadata.generation.hash(&mut hasher);
    metadata.deletion_timestamp.as_ref().map(|time| time.0).hash(&mut hasher);
    metadata.finalizers.hash(&mut hasher);
    metadata.labels.hash(&mut hasher);
    metadata.annotations.hash(&mut hasher);
    run.status.is_some().hash(&mut hasher);
    let name = run.name_any();
    if metadata.deletion_timestamp.is_some() && run.finalizers().is_empty() {
        seen.remove(&name); // it goes
        return true;
    }
    let hash = hasher.finish();
    seen.insert(name, hash) != Some(hash)
}

fn requests<K>(
    queue: impl Stream<Item = ObjectRef<K>>,
    stop: impl Future<Output = ()>,
) -> impl Stream<Item = Result<ObjectRef<K>, Infallible>>
where
    K: Resource<DynamicType = ()>,
{
    queue.map(Ok).take_until(stop)
}

/// Times the reconciliations of a kind.
fn reconciler<K, F>(
    reconcile: impl Fn(Arc<K>, Arc<Context>) -> F,
) -> impl Fn(Arc<K>, Arc<Context>) -> BoxFuture<'static, Result<Action, Error>>
where
    K: Resource<DynamicType = ()>,
    F: Future<Output = Result<Action, Error>> + Send + 'static,
{
    move |object, context| {
        let started = Instant::now();
        let work = reconcile(object, context);
        async move {
            let outcome = work.await;
            metrics::histogram!("linkage_operator_reconcile_seconds", "kind" => K::kind(&()).into_owned())
                .record(started.elapsed());
            outcome
        }
        .boxed()
    }
}

/// Runs a step as a task of its own: one that panics takes nothing else down.
///
/// # Errors
/// Those of the step, and [`Error::Panicked`].
pub async fn isolated<T: Send + 'static>(
    step: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    tokio::spawn(step).await.unwrap_or(Err(Error::Panicked))
}

/// The pause before the next attempt: short at first, then growing.
fn try_again<K>(object: Arc<K>, error: &Error, context: Arc<Context>) -> Action
where
    K: Resource<DynamicType = ()>,
{
    metrics::counter!("linkage_operator_reconcile_errors_total").increment(1);
    let name = format!("{} {}", K::kind(&()), object.name_any());
    let pause = context.retries.failed(&name);
    match error.trouble() {
        Some(_) => warn!(name, %error, ?pause, "reconciliation will be tried again"),
        None => debug!(name, %error, ?pause, "reconciliation will be tried again"),
    }
    Action::requeue(pause)
}
