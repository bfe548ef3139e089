//! The Kubernetes API is away for a while: the REST service says so, and whoever tries again gets through.
//!
//! The service runs as a program beside the cluster, so that its way to the API server can be cut without touching anyone
//! else's.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tests::cluster::{self, Namespace};
use tests::relay::Relay;
use tests::{Story, data, in_namespace};
use tokio::process::{Child, Command};

/// For how long it is away.
const ABSENCE: Duration = Duration::from_secs(10);
/// After this long, whoever tries again gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The service as a program.
struct Service {
    client: Client,
    address: String,
    health: String,
    _child: Child,
}

impl Service {
    /// Starts it with a store in a folder, and waits until it is ready.
    async fn start(namespace: &Namespace, folder: &Path, kubeconfig: &Path) -> anyhow::Result<Self> {
        let program = std::env::var_os("API_PROGRAM").context("API_PROGRAM is not set: use tests/e2e/run")?;
        let (address, health) = (free_address()?, free_address()?);
        let key = folder.join("key");
        std::fs::write(&key, [7; 32])?;
        let child = Command::new(program)
            .env("KUBECONFIG", kubeconfig)
            .env("NAMESPACE", &namespace.0)
            .env("MASTER_KEY_FILE", &key)
            .env("STORE_URL", format!("file://{}", folder.join("store").display()))
            .env("LISTEN", &address)
            .env("HEALTH_LISTEN", &health)
            .stderr(std::fs::File::create(folder.join("log"))?)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let client = Client::builder().no_proxy().build()?;
        let service = Self { client, address, health, _child: child };
        let started = service.wait("readyz", true).await;
        started.with_context(|| std::fs::read_to_string(folder.join("log")).unwrap_or_default())?;
        Ok(service)
    }

    /// Until a check says so: what it says is a little old.
    async fn wait(&self, check: &str, expected: bool) -> Story {
        let began = Instant::now();
        while self.is(check).await.ok() != Some(expected) {
            if began.elapsed() > PATIENCE {
                bail!("{check} is not {expected} after {PATIENCE:?}");
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    /// What it answers to a check.
    async fn is(&self, check: &str) -> reqwest::Result<bool> {
        let answer = self.client.get(format!("http://{}/{check}", self.health)).send().await?;
        Ok(answer.status().is_success())
    }

    async fn post(&self, path: &str, token: &str, body: Vec<u8>) -> reqwest::Result<Response> {
        let request = self.client.post(format!("http://{}/api/v1/{path}", self.address));
        let request = request.header("Content-Type", "application/json").header("Authorization", token);
        request.body(body).send().await
    }

    /// As a client does that tries again as it is told to.
    async fn post_until_it_gets_through(
        &self,
        path: &str,
        token: &str,
        body: Vec<u8>,
    ) -> anyhow::Result<(usize, Value)> {
        let began = Instant::now();
        for refusals in 0.. {
            let answer = self.post(path, token, body.clone()).await?;
            match answer.status().as_u16() {
                200 | 201 => return Ok((refusals, answer.json().await?)),
                503 if began.elapsed() < PATIENCE => tokio::time::sleep(retry_after(&answer)?).await,
                status => bail!("{path}: {status} {}", answer.text().await?),
            }
        }
        unreachable!("it counts for ever")
    }
}

pub fn free_address() -> anyhow::Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

fn retry_after(answer: &Response) -> anyhow::Result<Duration> {
    let seconds = answer.headers().get("retry-after").context("there is no Retry-After")?;
    Ok(Duration::from_secs(seconds.to_str()?.parse()?))
}

/// What kubectl uses, but for the way: over a relay.
pub async fn over_a_relay(kubeconfig: &Path) -> anyhow::Result<Relay> {
    let shown =
        cluster::run("kubectl", &["config", "view", "--minify", "--raw", "--flatten", "--output=json"], "")
            .await?;
    let mut config: Value = serde_json::from_str(&shown.text).context("kubectl config view")?;
    let cluster = &mut config["clusters"][0]["cluster"];
    let server = reqwest::Url::parse(cluster["server"].as_str().context("no server")?)?;
    let host = server.host_str().context("no host")?;
    let relay = Relay::to(format!("{host}:{}", server.port_or_known_default().context("no port")?)).await?;
    // the certificate is that of the server
    cluster["tls-server-name"] = json!(host.trim_matches(['[', ']']));
    cluster["server"] = json!(format!("{}://{}{}", server.scheme(), relay.address, server.path()));
    std::fs::write(kubeconfig, config.to_string())?;
    Ok(relay)
}

#[tokio::test]
async fn kubernetes_is_away_for_a_while() -> Story {
    in_namespace("kubernetes-away", |namespace| async move {
        let folder = tempfile::tempdir()?;
        let kubeconfig = folder.path().join("kubeconfig");
        let relay = over_a_relay(&kubeconfig).await?;
        let service = Service::start(&namespace, folder.path(), &kubeconfig).await?;
        let project = || json!({"schema": {}, "result_type": "groups"}).to_string().into_bytes();
        let (_, made) = service.post_until_it_gets_through("projects", "", project()).await?;
        let uploads = format!("projects/{}/clks", made["project_id"].as_str().context("no id")?);
        let tokens = [0, 1].map(|party| made["update_tokens"][party].as_str().unwrap_or_default().to_owned());
        let document = data::read("thousand/hospital-a.json")?;
        service.post_until_it_gets_through(&uploads, &tokens[0], document.clone()).await?;

        relay.cut();
        for (path, token, body) in [("projects", "", project()), (&uploads, &tokens[1], document.clone())] {
            let answer = service.post(path, token, body).await?;
            assert_eq!(answer.status(), 503, "{path}");
            retry_after(&answer)?;
            assert_eq!(answer.headers()["content-type"], "application/problem+json");
        }
        service.wait("dependencies", false).await?;
        for check in ["readyz", "healthz"] {
            assert!(
                service.is(check).await?,
                "{check}: it would be out of reach, or restarted, which is of no use"
            );
        }

        let back = async {
            tokio::time::sleep(ABSENCE).await;
            relay.mend();
        };
        let (created, uploaded, ()) = tokio::join!(
            service.post_until_it_gets_through("projects", "", project()),
            service.post_until_it_gets_through(&uploads, &tokens[1], document),
            back
        );
        assert!(created?.0 > 0 && uploaded?.0 > 0, "it was not away for them");
        // what was tried in vain has left nothing: of each party there is what counts
        let projects = folder.path().join("store/projects");
        let project = std::fs::read_dir(&projects)?.next().context("no project in the store")??;
        for party in ["0", "1"] {
            let stored = std::fs::read_dir(project.path().join("parties").join(party))?.count();
            assert_eq!(stored, 1, "uploads of party {party}");
        }
        Ok(())
    })
    .await
}
