//! A client of the REST service that tries again when the way to it is gone: pods come and go.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use async_compression::tokio::bufread::GzipEncoder;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::sync::Mutex;

use crate::cluster::Namespace;
use crate::forward::Forward;

/// How long a service may be away before a story gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client of the REST service.
pub struct Rest {
    namespace: Namespace,
    service: String,
    client: reqwest::Client,
    forward: Mutex<Forward>,
}

/// An answer of the service.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body as JSON; null when there is none.
    pub body: Value,
}

impl Answer {
    /// The body, if the status is the expected one.
    pub fn expect(self, status: u16) -> anyhow::Result<Value> {
        if self.status != status {
            bail!("expected status {status}, got {}: {}", self.status, self.body);
        }
        Ok(self.body)
    }
}

/// An answer as it came.
#[derive(Debug)]
pub struct Download {
    /// HTTP status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// The body.
    pub bytes: Vec<u8>,
}

impl Download {
    /// A header's text; empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// What is sent with a request.
#[derive(Clone, Debug, Default)]
pub struct Body {
    content_type: &'static str,
    headers: Vec<(&'static str, String)>,
    bytes: Vec<u8>,
}

impl Body {
    /// A JSON document.
    pub fn json(value: &Value) -> Self {
        Self::document(value.to_string().into_bytes())
    }

    /// Bytes that are sent as JSON, whatever they are.
    pub fn document(bytes: Vec<u8>) -> Self {
        Self { content_type: "application/json", headers: Vec::new(), bytes }
    }

    /// The same, packed as `Content-Encoding: gzip` says.
    pub async fn gzipped(self) -> anyhow::Result<Self> {
        let mut packed = Vec::new();
        GzipEncoder::new(self.bytes.as_slice()).read_to_end(&mut packed).await?;
        let mut headers = self.headers;
        headers.push(("Content-Encoding", "gzip".to_owned()));
        Ok(Self { headers, bytes: packed, ..self })
    }

    /// Raw encodings of 128 bytes; the headers announce `records`.
    pub fn binary(bytes: Vec<u8>, records: usize) -> Self {
        let headers = vec![("Hash-Count", records.to_string()), ("Hash-Size", "128".to_owned())];
        Self { content_type: "application/octet-stream", headers, bytes }
    }
}

impl Rest {
    pub(crate) async fn connect(namespace: Namespace, service: &str) -> anyhow::Result<Self> {
        let forward = Forward::open(&namespace, service, 80).await?;
        let client = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { namespace, service: service.to_owned(), client, forward: Mutex::new(forward) })
    }

    /// Where another program finds the service, for as long as its pod lives.
    pub async fn address(&self) -> String {
        self.forward.lock().await.address.clone()
    }

    /// GET below /api/v1.
    pub async fn get(&self, path: &str, token: &str) -> anyhow::Result<Answer> {
        self.send(Method::GET, path, token, Body::default()).await
    }

    /// GET below /api/v1 with one more header.
    pub async fn get_with(
        &self,
        path: &str,
        token: &str,
        header: &'static str,
        value: &str,
    ) -> anyhow::Result<Answer> {
        let body = Body { headers: vec![(header, value.to_owned())], ..Body::default() };
        self.send(Method::GET, path, token, body).await
    }

    /// GET below /api/v1 with more headers; the answer need not be JSON.
    pub async fn download(
        &self,
        path: &str,
        token: &str,
        headers: &[(&'static str, &str)],
    ) -> anyhow::Result<Download> {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self.exchange(Method::GET, path, token, Body { headers, ..Body::default() }).await
    }

    /// POST below /api/v1.
    pub async fn post(&self, path: &str, token: &str, body: Body) -> anyhow::Result<Answer> {
        self.send(Method::POST, path, token, body).await
    }

    /// DELETE below /api/v1.
    pub async fn delete(&self, path: &str, token: &str) -> anyhow::Result<Answer> {
        self.send(Method::DELETE, path, token, Body::default()).await
    }

    /// Creates a project; gives its id, the update tokens by data set, and the result token.
    pub async fn create_project(&self, body: Value) -> anyhow::Result<(String, Vec<String>, String)> {
        let created = self.post("projects", "", Body::json(&body)).await?.expect(201)?;
        let text = |value: &Value| value.as_str().map(str::to_owned).context("no string");
        let tokens = created["update_tokens"].as_array().context("no update_tokens")?;
        let tokens = tokens.iter().map(text).collect::<anyhow::Result<_>>()?;
        Ok((text(&created["project_id"])?, tokens, text(&created["result_token"])?))
    }

    /// Creates a run; gives its id.
    pub async fn create_run(&self, project: &str, token: &str, threshold: f64) -> anyhow::Result<String> {
        let body = Body::json(&serde_json::json!({"threshold": threshold}));
        let created = self.post(&format!("projects/{project}/runs"), token, body).await?.expect(201)?;
        created["run_id"].as_str().map(str::to_owned).context("no run_id")
    }

    /// Waits until a run is completed; checks on the way that no answer shows an earlier state than one before.
    pub async fn wait_completed(&self, project: &str, run: &str, token: &str) -> anyhow::Result<Value> {
        let began = Instant::now();
        let mut furthest = (0, 0, 0);
        loop {
            let status =
                self.get(&format!("projects/{project}/runs/{run}/status"), token).await?.expect(200)?;
            let now = position(&status)?;
            if now < furthest {
                bail!("the run went back from {furthest:?} to {now:?}: {status}");
            }
            furthest = now;
            match status["state"].as_str() {
                Some("completed") => return Ok(status),
                Some("error") => bail!("the run is in error: {status}"),
                _ if began.elapsed() > Duration::from_secs(240) => bail!("the run does not end: {status}"),
                _ => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }

    /// A run's result.
    pub async fn result(&self, project: &str, run: &str, token: &str) -> anyhow::Result<Value> {
        self.get(&format!("projects/{project}/runs/{run}/result"), token).await?.expect(200)
    }

    /// An answer that breaks off in the middle is none: whoever sent it was killed.
    async fn receive(request: reqwest::RequestBuilder) -> reqwest::Result<Download> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Download { status, headers, bytes: response.bytes().await?.to_vec() })
    }

    async fn send(&self, method: Method, path: &str, token: &str, body: Body) -> anyhow::Result<Answer> {
        let Download { status, bytes, .. } = self.exchange(method, path, token, body).await?;
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes)? };
        Ok(Answer { status, body })
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Body,
    ) -> anyhow::Result<Download> {
        // Not since the request began: the way to a pod that was killed may stay open, and silent, for minutes.
        let mut away_since = None;
        loop {
            let address = self.forward.lock().await.address.clone();
            let mut request = self.client.request(method.clone(), format!("{address}/api/v1/{path}"));
            if !token.is_empty() {
                request = request.header("Authorization", token);
            }
            if method == Method::POST {
                request = request.header("Content-Type", body.content_type).body(body.bytes.clone());
            }
            request =
                body.headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
            match Self::receive(request).await {
                // as clients do: 503 is to be tried again
                Ok(Download { status: 503, .. }) if !is_past(&mut away_since) => {}
                Ok(download) => return Ok(download),
                Err(error) if is_past(&mut away_since) => return Err(error.into()),
                Err(_) => {
                    let mut forward = self.forward.lock().await;
                    if forward.address == address {
                        *forward = Forward::open(&self.namespace, &self.service, 80).await?;
                    }
                }
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
}

/// Whether the service has been away for longer than a story's patience; from now on, if it was there until now.
fn is_past(away_since: &mut Option<Instant>) -> bool {
    away_since.get_or_insert_with(Instant::now).elapsed() > PATIENCE
}

/// How far a run status is: state, stage, progress.
fn position(status: &Value) -> anyhow::Result<(usize, u64, u64)> {
    const STATES: [&str; 4] = ["created", "queued", "running", "completed"];
    let state = status["state"].as_str().context("no state")?;
    let state = STATES.iter().position(|known| *known == state).unwrap_or(STATES.len());
    let stage = &status["current_stage"];
    let number = stage["number"].as_u64().context("no stage number")?;
    Ok((state, number, stage["progress"]["absolute"].as_u64().unwrap_or(0)))
}
