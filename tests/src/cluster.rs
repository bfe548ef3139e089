//! kubectl, as a person would use it.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::Story;

/// One namespace of the cluster.
#[derive(Clone, Debug)]
pub struct Namespace(pub String);

/// What a command said.
#[derive(Debug)]
pub struct Output {
    /// Whether it succeeded.
    pub succeeded: bool,
    /// Its exit code; -1 when it was ended by a signal.
    pub code: i32,
    /// What it wrote to standard output and to standard error.
    pub text: String,
}

impl Namespace {
    /// Runs kubectl in the namespace; an exit code other than 0 is an error that tells what it said.
    pub async fn kubectl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.try_kubectl(arguments, "").await?;
        if !output.succeeded {
            bail!("kubectl {}: {}", arguments.join(" "), output.text);
        }
        Ok(output.text)
    }

    /// Runs kubectl in the namespace, with text for its standard input.
    pub async fn try_kubectl(&self, arguments: &[&str], input: &str) -> anyhow::Result<Output> {
        let mut all = vec!["--namespace", &self.0];
        all.extend(arguments);
        run("kubectl", &all, input).await
    }

    /// `kubectl apply` of a manifest's text.
    pub async fn apply(&self, manifest: &str) -> anyhow::Result<Output> {
        self.try_kubectl(&["apply", "--filename", "-"], manifest).await
    }

    /// `kubectl apply` of a file or folder below examples/.
    pub async fn apply_example(&self, path: &str) -> anyhow::Result<()> {
        let path = crate::data::example(path);
        self.kubectl(&["apply", "--filename", &path.to_string_lossy()]).await.map(drop)
    }

    /// A resource as JSON, such as `lrun/first`; none when it is not there.
    pub async fn get(&self, resource: &str) -> anyhow::Result<Option<Value>> {
        let text = self.kubectl(&["get", resource, "--ignore-not-found", "--output", "json"]).await?;
        if text.trim().is_empty() { Ok(None) } else { Ok(Some(serde_json::from_str(&text)?)) }
    }

    /// The names of all resources of a kind that carry a label.
    pub async fn names(&self, kind: &str, selector: &str) -> anyhow::Result<Vec<String>> {
        let text = self.kubectl(&["get", kind, "--selector", selector, "--output", "name"]).await?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Waits until a resource is as it should be, and gives it.
    ///
    /// # Errors
    /// After `limit`, with the resource as it is.
    pub async fn wait_for(
        &self,
        resource: &str,
        what: &str,
        limit: Duration,
        is_so: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let began = Instant::now();
        loop {
            let found = self.get(resource).await?.unwrap_or(Value::Null);
            if is_so(&found) {
                return Ok(found);
            }
            if began.elapsed() > limit {
                bail!("{resource} is not {what} after {limit:?}: {found:#}");
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    /// Waits until a run is complete. One that fails meanwhile is an error.
    pub async fn wait_complete(&self, run: &str) -> anyhow::Result<Value> {
        let run = format!("lrun/{run}");
        let ended = |run: &Value| is_true(run, "Complete") || is_true(run, "Failed");
        let found = self.wait_for(&run, "complete", Duration::from_secs(240), ended).await?;
        if !is_true(&found, "Complete") {
            bail!("{run} has failed: {:#}", found["status"]);
        }
        Ok(found)
    }

    /// Waits until a project is not ready, or a run not complete, for this reason; gives the message.
    pub async fn wait_reason(&self, resource: &str, reason: &str) -> anyhow::Result<String> {
        let is_so = |found: &Value| conditions(found).any(|condition| condition["reason"] == reason);
        let found = self.wait_for(resource, reason, Duration::from_secs(120), is_so).await?;
        let condition = conditions(&found).find(|condition| condition["reason"] == reason).context("gone")?;
        Ok(condition["message"].as_str().unwrap_or_default().to_owned())
    }

    /// Waits until a resource tells for this reason what is wrong, in its status and in an Event, in words that contain a
    /// part. Half a minute is promised.
    pub async fn wait_told(&self, resource: &str, reason: &str, part: &str) -> Story {
        let says = |it: &Value| {
            let text = it["message"].as_str().unwrap_or_default();
            it["reason"] == reason && text.contains(part)
        };
        let limit = Duration::from_secs(30);
        let what = format!("{reason}: {part}");
        self.wait_for(resource, &what, limit, |found| conditions(found).any(&says)).await?;
        let name = resource.rsplit('/').next().unwrap_or_default();
        let told = |events: &Value| {
            let about_it = |event: &&Value| event["involvedObject"]["name"] == name;
            events["items"].as_array().into_iter().flatten().filter(about_it).any(&says)
        };
        let limit = Duration::from_secs(5);
        self.wait_for("events", &format!("telling of {resource} {what}"), limit, told).await.map(drop)
    }
}

/// Whether a resource's condition is True.
pub fn is_true(resource: &Value, type_: &str) -> bool {
    conditions(resource).any(|condition| condition["type"] == type_ && condition["status"] == "True")
}

/// The entry of a party in a project's status.
pub fn party<'a>(project: &'a Value, name: &str) -> &'a Value {
    let parties = project["status"]["parties"].as_array().map(Vec::as_slice).unwrap_or_default();
    parties.iter().find(|party| party["name"] == name).unwrap_or(&Value::Null)
}

fn conditions(resource: &Value) -> impl Iterator<Item = &Value> {
    resource["status"]["conditions"].as_array().into_iter().flatten()
}

/// Runs a command to its end.
pub async fn run(program: &str, arguments: &[&str], input: &str) -> anyhow::Result<Output> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("{program} cannot be started: run the tests by tests/e2e/run"))?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    stdin.write_all(input.as_bytes()).await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        text += &String::from_utf8_lossy(&output.stderr);
    }
    Ok(Output { succeeded: output.status.success(), code: output.status.code().unwrap_or(-1), text })
}
