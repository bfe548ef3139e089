//! The operator: reconciles LinkageProjects and LinkageRuns of one namespace.
//!
//! Knows the resources, Jobs, and of the store listing, deleting, and the summaries that Jobs leave. It never reads an
//! encoding.

mod context;
mod health;
mod jobs;
mod pods;
mod project;
mod quantity;
mod removal;
mod run;
mod settings;
mod sweep;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use crds::tokens::MasterKey;
use crds::{LinkageProject, LinkageRun, labels};
use futures::{FutureExt, StreamExt};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::runtime::controller::{Config, Controller};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{debug, info, warn};

use crate::context::{Context, try_again};
use crate::settings::{Args, JobSettings};

/// Reconciliations of one kind at the same time.
const CONCURRENCY: u16 = 16;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    scorer::telemetry::init();
    let metrics = PrometheusBuilder::new().install_recorder().context("metrics cannot be set up")?;
    let ready = Arc::new(AtomicBool::new(false));
    let stop = stop_signal()?.shared();
    let health = health::serve(args.listen, ready.clone(), metrics);
    let work = async {
        let context = tokio::select! {
            context = connect(&args) => Arc::new(context?),
            () = stop.clone() => return Ok(()),
        };
        info!(namespace = args.namespace, "operator is ready");
        ready.store(true, Ordering::Relaxed);
        tokio::select! {
            () = control(context.clone(), stop.clone()) => {}
            () = sweep::keep_sweeping(&context, args.sweep) => {}
        }
        info!("operator has stopped");
        anyhow::Ok(())
    };
    tokio::select! {
        result = health => result.with_context(|| format!("cannot serve on {}", args.listen)),
        result = work => result,
    }
}

/// Ends when the process is asked to: the reconciliations in progress are then finished, and no others begun.
fn stop_signal() -> std::io::Result<impl Future<Output = ()> + Send + Sync> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (asked, wait) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
        let _ = asked.send(true);
    });
    Ok(async move {
        let mut wait = wait;
        let _ = wait.wait_for(|asked| *asked).await;
    })
}

/// Reads the settings and waits for Kubernetes and the store, which may still be starting.
async fn connect(args: &Args) -> anyhow::Result<Context> {
    let key = std::fs::read(&args.master_key_file)
        .with_context(|| format!("cannot read the master key {}", args.master_key_file.display()))?;
    let master_key = MasterKey::new(&key).with_context(|| args.master_key_file.display().to_string())?;
    let jobs = JobSettings::read(&args.job_settings)?;
    let mut config = kube::Config::infer().await.context("no way to reach Kubernetes is configured")?;
    // the queue tries again, and says so; a call that tries for minutes by itself would hold up all others
    config.default_retry = false;
    let client = kube::Client::try_from(config)?;
    let store = args.store.open().await?;
    while let Err(error) = store.check().await {
        warn!(%error, "the object store is not ready; trying again");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let reporter =
        Reporter { controller: context::FIELD_MANAGER.into(), instance: std::env::var("POD_NAME").ok() };
    Ok(Context {
        recorder: Recorder::new(client.clone(), reporter),
        client,
        namespace: args.namespace.clone(),
        store,
        jobs,
        master_key,
        http: reqwest::Client::builder().no_proxy().build()?,
    })
}

/// Runs both controllers until they are asked to stop.
async fn control(context: Arc<Context>, stop: impl Future<Output = ()> + Clone + Send + Sync + 'static) {
    let ours = || watcher::Config::default().labels(&format!("{}={}", labels::MANAGED_BY, labels::OPERATOR));
    let all = watcher::Config::default;
    let config = || Config::default().concurrency(CONCURRENCY);

    let projects = Controller::new(context.api::<LinkageProject>(), all())
        .owns(context.api::<Job>(), ours())
        .with_config(config())
        .graceful_shutdown_on(stop.clone())
        .run(timed(project::reconcile), try_again, context.clone())
        .for_each(|result| async move { debug!(?result, "project") });

    let runs = Controller::new(context.api::<LinkageRun>(), all());
    let known_runs = runs.store();
    let namespace = context.namespace.clone();
    let reference = move |name: String| ObjectRef::new(&name).within(&namespace);
    let of_pod = reference.clone();
    let (of_run, known_users) = (reference.clone(), runs.store());
    let runs = runs
        .owns(context.api::<Job>(), ours())
        .watches(context.api::<Pod>(), ours(), move |pod| pod.labels().get(labels::RUN).cloned().map(&of_pod))
        .watches(context.api::<LinkageRun>(), all(), move |run| {
            run::concerned(&run, &known_users.state()).into_iter().map(&of_run).collect::<Vec<_>>()
        })
        .watches(context.api::<LinkageProject>(), all(), move |project| {
            run::of_project(&project, &known_runs.state()).into_iter().map(&reference).collect::<Vec<_>>()
        })
        .with_config(config())
        .graceful_shutdown_on(stop)
        .run(timed(run::reconcile), try_again, context)
        .for_each(|result| async move { debug!(?result, "run") });

    futures::join!(projects, runs);
}

/// Counts and times the reconciliations of a kind.
fn timed<K, F>(
    reconcile: impl Fn(Arc<K>, Arc<Context>) -> F,
) -> impl Fn(Arc<K>, Arc<Context>) -> futures::future::BoxFuture<'static, F::Output>
where
    K: kube::Resource<DynamicType = ()>,
    F: Future + Send + 'static,
{
    move |object, context| {
        let started = std::time::Instant::now();
        let work = reconcile(object, context);
        async move {
            let output = work.await;
            metrics::histogram!("linkage_operator_reconcile_seconds", "kind" => K::kind(&()).into_owned())
                .record(started.elapsed());
            output
        }
        .boxed()
    }
}
