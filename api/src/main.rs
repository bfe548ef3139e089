//! The REST service's program: reads the settings, connects, serves, stops.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use api::auth::Judge;
use api::cluster::{self, Cluster};
use api::grants::Grants;
use api::health::{self, Health};
use api::settings::Settings;
use api::{App, router, serve};
use clap::Parser;
use crds::tokens::MasterKey;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How often the metrics' memory is tidied up.
const UPKEEP: Duration = Duration::from_secs(5);
/// For how long uploads whose connections are gone may remove what they stored, at the end.
const CLEANUP: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let settings = Settings::parse();
    scorer::telemetry::init();
    let app = Arc::new(open(&settings).await?);
    let metrics = PrometheusBuilder::new()
        .set_buckets(&[0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0, 600.0])?
        .install_recorder()
        .context("the metrics cannot be set up")?;
    let health = Health::new(app.clone(), metrics);
    let (rest, checks) = (bind(settings.listen).await?, bind(settings.health_listen).await?);
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        listen = %rest.local_addr()?, health_listen = %checks.local_addr()?,
        namespace = settings.namespace, store = ?app.store,
        "serving"
    );

    // checks and metrics are answered until the very end
    tokio::spawn(serve::serve(
        checks,
        health::router(health.clone()),
        std::future::pending(),
        Duration::ZERO,
    ));
    tokio::spawn(keep_up(health.clone()));
    let grace = Duration::from_secs(settings.shutdown_grace_seconds);
    let delay = Duration::from_secs(settings.shutdown_delay_seconds);
    serve::serve(rest, router::rest(app.clone()), stop(health, delay)?, grace).await;
    finish_uploads(&app).await;
    tracing::info!("stopped");
    Ok(())
}

async fn open(settings: &Settings) -> anyhow::Result<App> {
    let file = &settings.master_key_file;
    let key =
        std::fs::read(file).with_context(|| format!("cannot read the master key {}", file.display()))?;
    let key = MasterKey::new(&key).with_context(|| format!("{} holds no master key", file.display()))?;
    let client = cluster::connect().await.context("found no way to reach Kubernetes")?;
    let store = settings.store.open().await.context("cannot open the object store")?;
    let grants = Grants::open(&settings.grants, &settings.store, &store).await?;
    let cluster = Cluster::new(client, &settings.namespace);
    Ok(App { grants, ..App::new(cluster, store, Judge::new(key), settings.limits()) })
}

async fn bind(address: std::net::SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

async fn keep_up(health: Arc<Health>) {
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        ticks.tick().await;
        health.upkeep();
    }
}

/// Done at once on SIGINT; on SIGTERM after a delay, in which requests may still come that were sent here before
/// everybody knew that this pod is going.
fn stop(health: Arc<Health>, delay: Duration) -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            () = received(&mut terminate) => {
                tracing::info!("stopping");
                health.stop();
                tokio::time::sleep(delay).await;
            }
            () = received(&mut interrupt) => health.stop(),
        }
    })
}

async fn received(signal: &mut Signal) {
    signal.recv().await;
}

/// Uploads whose connections broke still have to remove what they stored.
async fn finish_uploads(app: &App) {
    app.uploads.close();
    if tokio::time::timeout(CLEANUP, app.uploads.wait()).await.is_err() {
        tracing::warn!("some uploads were not finished in time");
    }
}
