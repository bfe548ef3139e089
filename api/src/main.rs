//! The REST service's program: reads the settings, connects, serves, stops.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use api::access::audit_log;
use api::access::auth::Judge;
use api::access::creation::{Creation, Creators, Users};
use api::access::grants::Grants;
use api::access::identity::Identities;
use api::kubernetes::cluster::{self, Cluster};
use api::limits::addresses::Proxies;
use api::limits::memory;
use api::server::health::{self, Health};
use api::server::serve::Listener;
use api::server::surroundings;
use api::server::tls::Certificate;
use api::server::traces::Traces;
use api::server::{cors, serve};
use api::settings::Settings;
use api::{App, router};
use clap::Parser;
use crds::folders::Installation;
use crds::tokens::MasterKey;
use crds::webhook::AllowedUrls;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::MissedTickBehavior;

/// How often the metrics' memory is tidied up.
const UPKEEP: Duration = Duration::from_secs(5);
/// How often the files of the TLS certificate are read.
const RENEWAL: Duration = Duration::from_secs(10);
/// Connections for checks and metrics.
const MAX_CHECKS: usize = 100;
/// For how long uploads whose connections are gone may remove what they stored, at the end.
const CLEANUP: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().peekable();
    if arguments.nth(1).is_some_and(|first| first == "verify-audit") {
        return verify_audit(arguments);
    }
    let settings = Settings::parse();
    let traces = Traces::open()?;
    scorer::telemetry::init_beside("info", traces.as_ref().map(Traces::layer));
    let app = Arc::new(open(&settings).await?);
    audit_log::open(app.judge.key().clone(), Box::new(std::io::stderr()));
    let metrics = PrometheusBuilder::new()
        .set_buckets(&[0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0, 600.0])?
        .install_recorder()
        .context("the metrics cannot be set up")?;
    let health = Health::new(app.clone(), metrics);
    let (rest, checks) = (bind(settings.listen).await?, bind(settings.health_listen).await?);
    let certificate = Certificate::open(&settings.tls)?;
    let tls = certificate.as_ref().map(Certificate::acceptor).transpose()?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        listen = %rest.local_addr()?, health_listen = %checks.local_addr()?,
        namespace = settings.namespace, store = ?app.store, tls = tls.is_some(),
        "serving"
    );

    // checks and metrics are answered until the very end
    tokio::spawn(serve::serve(
        Listener::new(checks, MAX_CHECKS),
        health::router(health.clone()),
        std::future::pending(),
        Duration::ZERO,
    ));
    tokio::spawn(keep_up(health.clone()));
    health.set_starting(true);
    tokio::spawn(look_around(app.clone(), health.clone()));
    if let Some(certificate) = certificate {
        tokio::spawn(renew(certificate));
    }
    let grace = Duration::from_secs(settings.shutdown_grace_seconds);
    let delay = Duration::from_secs(settings.shutdown_delay_seconds);
    let rest = Listener::new(rest, settings.max_connections as usize).with_tls(tls);
    let router = router::rest(app.clone(), cors::layer(&settings.cors_origins)?);
    serve::serve(rest, router, stop(health, delay)?, grace).await;
    finish_uploads(&app).await;
    audit_log::end();
    tracing::info!("stopped");
    if let Some(traces) = traces {
        tokio::task::spawn_blocking(move || traces.shut_down()).await?;
    }
    Ok(())
}

async fn open(settings: &Settings) -> anyhow::Result<App> {
    let file = &settings.master_key_file;
    let key =
        std::fs::read(file).with_context(|| format!("cannot read the master key {}", file.display()))?;
    let key = MasterKey::new(&key).with_context(|| format!("{} holds no master key", file.display()))?;
    let clients = cluster::connect().await.context("found no way to reach Kubernetes")?;
    let store = settings.store.open().await.context("cannot open the object store")?;
    let store = store.with_parts_at_once(memory::PARTS_AT_ONCE);
    let grants = Grants::open(&settings.grants, &settings.store, &store).await?;
    let namespace = &settings.namespace;
    let identities =
        settings.kubernetes_readers.then(|| Identities::new(clients.requests.clone(), namespace));
    let creation = match settings.creation.project_creators {
        Creators::Anyone => Creation::Anyone,
        Creators::Tokens => {
            let file = settings.creation.creation_tokens_file.clone();
            let file = file.context("--creation-tokens-file (CREATION_TOKENS_FILE) is missing")?;
            Creation::Tokens { file, key: key.clone() }
        }
        Creators::Users => {
            let identities = Identities::new(clients.requests.clone(), namespace);
            Creation::Users(Box::new(Users::new(identities, &settings.creation.creation_audience)))
        }
    };
    let cluster = Cluster::watching(clients, namespace);
    let installation = Installation::of(&key, namespace);
    let app = App::new(cluster, store, Judge::new(key), installation, settings.limits());
    let proxies = Proxies::parse(&settings.trusted_proxies).context("--trusted-proxies (TRUSTED_PROXIES)")?;
    let webhook_urls = AllowedUrls::new(settings.webhook_urls.iter().map(String::as_str))
        .map_err(|why| anyhow::anyhow!("--webhook-urls: {why}"))?;
    let lists_all_projects = settings.list_all_projects;
    let lifetimes = settings.lifetimes();
    Ok(App { grants, identities, creation, lists_all_projects, proxies, lifetimes, webhook_urls, ..app })
}

/// Checks a file with audit lines, and says what is wrong.
fn verify_audit(mut arguments: impl Iterator<Item = std::ffi::OsString>) -> anyhow::Result<()> {
    let (Some(file), None) = (arguments.next(), arguments.next()) else {
        anyhow::bail!("verify-audit takes one argument: the file");
    };
    let opened = std::fs::File::open(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let verdict = audit_log::verify(std::io::BufReader::new(opened))?;
    for line in verdict.faults.iter().chain(&verdict.notes) {
        println!("{line}");
    }
    println!("{} audit lines, {} faults", verdict.lines, verdict.faults.len());
    if verdict.faults.is_empty() { Ok(()) } else { anyhow::bail!("the audit log is not whole") }
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

/// Finds out, again and again, whether the store and Kubernetes answer.
async fn look_around(app: Arc<App>, health: Arc<Health>) {
    app.surroundings.wait_at_start(&app).await;
    health.set_starting(false);
    let mut ticks = tokio::time::interval(surroundings::PAUSE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        app.surroundings.look(&app).await;
    }
}

/// Takes up the certificate when it has been renewed.
async fn renew(certificate: Arc<Certificate>) {
    let mut ticks = tokio::time::interval(RENEWAL);
    loop {
        ticks.tick().await;
        match certificate.reload() {
            Ok(true) => tracing::info!("the TLS certificate was renewed"),
            Ok(false) => {}
            Err(error) => tracing::warn!("the TLS certificate stays as it was: {error:#}"),
        }
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
