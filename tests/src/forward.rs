//! `kubectl port-forward`: the way into any cluster, for whoever may use kubectl there.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::cluster::Namespace;

/// A local port that leads to a Service, for as long as this lives and its pod does.
pub struct Forward {
    /// `http://127.0.0.1:PORT`.
    pub address: String,
    _child: Child,
}

impl Forward {
    /// Opens a way to a port of a Service.
    ///
    /// # Errors
    /// After half a minute in which no pod behind the Service was ready.
    pub async fn open(namespace: &Namespace, service: &str, port: u16) -> anyhow::Result<Self> {
        for _ in 0..60 {
            if let Ok(forward) = Self::try_open(namespace, service, port).await {
                return Ok(forward);
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        bail!("no way to {service}:{port} in {}", namespace.0)
    }

    async fn try_open(namespace: &Namespace, service: &str, port: u16) -> anyhow::Result<Self> {
        let mut child = Command::new("kubectl")
            .args([
                "--namespace",
                &namespace.0,
                "port-forward",
                &format!("service/{service}"),
                &format!(":{port}"),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        // «Forwarding from 127.0.0.1:41234 -> 8080»
        let line = lines.next_line().await?.context("port-forward has ended")?;
        let address = line.split_whitespace().nth(2).context("no address")?;
        let address = format!("http://{address}");
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { address, _child: child })
    }
}
