//! The operator: reconciles LinkageProjects and LinkageRuns of one namespace.
//!
//! Knows the resources, Jobs, and of the store listing, deleting, and the summaries that Jobs leave. It never reads an
//! encoding.

mod asking;
mod caches;
mod context;
mod error;
mod evacuation;
mod events;
mod freshness;
mod health;
mod held_pods;
mod job_credentials;
mod job_events;
mod jobs;
mod lost_pods;
mod pods;
mod project;
mod quantity;
mod removal;
mod retries;
mod run;
mod settings;
mod status_writes;
mod sweep;
#[cfg(test)]
mod testing;
mod times;
mod watching;
mod webhooks;
mod work_time;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use crds::folders::Installation;
use crds::tokens::MasterKey;
use crds::webhook::AllowedUrls;
use futures::FutureExt;
use kube::Client;
use metrics_exporter_prometheus::PrometheusBuilder;
use scorer::store::TokenService;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use crate::caches::{Caches, Writers};
use crate::context::Context;
use crate::events::Events;
use crate::job_credentials::JobCredentials;
use crate::settings::{Args, JobSettings};
use crate::webhooks::Webhooks;

/// A request to Kubernetes that has no answer by then has none.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// Longer than a watch lasts: one of which nothing has come for so long has lost its connection.
const WATCH_TIMEOUT: Duration = Duration::from_secs(170);
/// The pause before a store that is not ready is asked again.
const STORE_PAUSE: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    scorer::telemetry::init();
    let metrics = PrometheusBuilder::new().install_recorder().context("metrics cannot be set up")?;
    let ready = Arc::new(AtomicBool::new(false));
    let stop = stop_signal()?.shared();
    let health = health::serve(args.listen, ready.clone(), metrics);
    tokio::select! {
        result = health => result.with_context(|| format!("cannot serve on {}", args.listen)),
        result = work(&args, &ready, stop) => result,
    }
}

async fn work(
    args: &Args,
    ready: &AtomicBool,
    stop: impl Future<Output = ()> + Clone + Send + Sync + 'static,
) -> anyhow::Result<()> {
    let (caches, writers) = caches::caches();
    let clients = connect().await?;
    let context = Arc::new(context(args, caches, clients.requests).await?);
    let stop = {
        let context = context.clone();
        async move {
            stop.await;
            evacuation::before_the_end(&context).await;
        }
    };
    let stop = stop.boxed().shared();
    tokio::select! {
        () = control(&context, writers, clients.watches, stop) => {}
        () = sweep::keep_sweeping(&context, args.sweep) => {}
        () = tell_ready(&context, ready) => {}
        () = prepare_store(&context) => {}
    }
    info!("operator has stopped");
    Ok(())
}

async fn control(
    context: &Arc<Context>,
    writers: Writers,
    watches: Client,
    stop: impl Future<Output = ()> + Clone + Send + Sync + 'static,
) {
    watching::control(context.clone(), writers, watches, stop).await;
}

/// The operator is ready once its caches are filled. Never returns.
async fn tell_ready(context: &Context, ready: &AtomicBool) {
    context.caches.wait_until_ready().await;
    info!(namespace = context.namespace, "operator is ready");
    ready.store(true, Ordering::Relaxed);
    std::future::pending().await
}

/// Makes the bucket, where that is asked for, as soon as the store answers. Nothing waits for it: what needs the store
/// says so itself. Never returns.
async fn prepare_store(context: &Context) {
    while let Err(error) = context.store.check().await {
        warn!(%error, "the object store is not ready; trying again");
        tokio::time::sleep(STORE_PAUSE).await;
    }
    info!("the object store answers");
    std::future::pending().await
}

/// Ends when the process is asked to.
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

/// The ways to Kubernetes.
struct Clients {
    /// For requests, each of which is answered soon or not at all.
    requests: Client,
    /// For watches, over which nothing may come for long.
    watches: Client,
}

async fn connect() -> anyhow::Result<Clients> {
    let mut config = kube::Config::infer().await.context("no way to reach Kubernetes is configured")?;
    config.connect_timeout = Some(Duration::from_secs(5));
    // the queue tries again, and says so; a call that tries for minutes by itself would hold up all others
    config.default_retry = false;
    config.read_timeout = Some(WATCH_TIMEOUT);
    let watches = Client::try_from(config.clone())?;
    config.read_timeout = Some(REQUEST_TIMEOUT);
    config.write_timeout = Some(REQUEST_TIMEOUT);
    Ok(Clients { requests: Client::try_from(config)?, watches })
}

/// Reads the settings. Neither Kubernetes nor the store are asked yet: both may still be starting.
async fn context(args: &Args, caches: Caches, client: Client) -> anyhow::Result<Context> {
    let key = std::fs::read(&args.master_key_file)
        .with_context(|| format!("cannot read the master key {}", args.master_key_file.display()))?;
    let master_key = MasterKey::new(&key).with_context(|| args.master_key_file.display().to_string())?;
    let jobs = JobSettings::read(&args.job_settings)?;
    let store = args.store.open().await?;
    let token_service = match jobs.store.role.clone() {
        Some(role) => Some(TokenService::open(role.into(), &args.store, &store).await?),
        None => None,
    };
    let allowed = AllowedUrls::new(args.webhook_urls.iter().map(String::as_str))
        .map_err(|why| anyhow::anyhow!("--webhook-urls: {why}"))?;
    let instance = std::env::var("POD_NAME").unwrap_or_else(|_| context::FIELD_MANAGER.into());
    Ok(Context {
        events: Events::new(client.clone(), instance),
        client,
        caches,
        namespace: args.namespace.clone(),
        store,
        store_in_namespace: args.store_in_namespace,
        installation: Installation::of(&master_key, &args.namespace),
        jobs,
        master_key,
        http: reqwest::Client::builder().no_proxy().build()?,
        retries: Default::default(),
        work_time: Default::default(),
        checked_secrets: Default::default(),
        job_credentials: JobCredentials::new(token_service),
        job_events: Default::default(),
        lost_pods: Default::default(),
        status_writes: Default::default(),
        namespace_is_going: Default::default(),
        webhooks: Webhooks::new(allowed, args.webhook_private_addresses)?,
        freshness: Default::default(),
    })
}
