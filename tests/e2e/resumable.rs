//! Resumable uploads by the programs that people have: PyPI's tuspy and npm's tus-js-client, unchanged.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tests::client::Folder;
use tests::relay::Relay;
use tests::rest::Rest;
use tests::{Installation, Story, data};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

/// Bytes that a client sends at a time.
const CHUNK: usize = 20_000;

/// The programs.
#[derive(Clone, Copy, Debug)]
enum Program {
    Tuspy,
    TusJsClient,
}

#[tokio::test]
async fn uploads_go_on_by_any_client_after_any_break() -> Story {
    Installation::tell_with("resumable", &["--set", "api.replicas=2"], |here| async move {
        let rest = here.rest().await?;
        let folder = Folder::new("resumable")?;
        for party in ["hospital-a", "hospital-b"] {
            folder.write(
                format!("{party}.json"),
                std::str::from_utf8(&data::read(&format!("thousand/{party}.json"))?)?,
            )?;
        }
        let request = json!({"schema": {}, "result_type": "groups"});
        let (project, tokens, result_token) = rest.create_project(request).await?;
        let party = |index: usize| Party { project: project.clone(), token: tokens[index].clone() };
        what_is_refused_is_told(&rest, &folder, &party(0)).await?;
        one_client_begins_and_another_goes_on(&here, &rest, &folder, &party(0)).await?;
        // the way before led to a pod that is gone
        let rest = here.rest().await?;
        a_connection_that_breaks_costs_nothing(&rest, &folder, &party(1)).await?;

        let run = rest.create_run(&project, &result_token, 0.8).await?;
        rest.wait_completed(&project, &run, &result_token).await?;
        let result = rest.result(&project, &run, &result_token).await?;
        let expected = data::expected("thousand", "0.8")?["groups"].clone();
        assert_eq!(json!(result["groups"].as_array().unwrap().len()), expected);
        Ok(())
    })
    .await
}

/// Who uploads.
struct Party {
    project: String,
    token: String,
}

impl Party {
    fn order(&self, address: &str, file: &str) -> Value {
        json!({"endpoint": format!("{address}/api/v1/projects/{}/uploads", self.project), "token": self.token,
            "file": file, "chunk": CHUNK, "metadata": {"form": "json", "filename": "hospital ä.json"}})
    }

    /// What became of an upload.
    async fn ended(&self, rest: &Rest, url: &Value) -> anyhow::Result<Value> {
        let id = url.as_str().and_then(|url| url.rsplit('/').next()).context("no address of an upload")?;
        rest.get(&format!("projects/{}/uploads/{id}", self.project), &self.token).await?.expect(200)
    }
}

async fn what_is_refused_is_told(rest: &Rest, folder: &Folder, party: &Party) -> Story {
    folder.write("broken.json", r#"{"clks": ["AAAAAAAAAAA=", "no encoding"]}"#)?;
    for program in [Program::Tuspy, Program::TusJsClient] {
        let mut order = party.order(&rest.address().await, &folder.path("broken.json"));
        // tuspy tries again whatever is wrong, and goes on from where the upload stands: a refused one is gone
        order["retries"] = json!(0);
        let told = upload(program, &order).await?;
        assert_eq!(told["status"], 400, "{told}");
        assert!(told["problem"].as_str().is_some_and(|text| text.contains("record 1")), "{told}");
        let ended = party.ended(rest, &told["url"]).await?;
        assert_eq!(ended["state"], "refused", "{ended}");
    }
    Ok(())
}

/// And all replicas are replaced in between.
async fn one_client_begins_and_another_goes_on(
    here: &Installation,
    rest: &Rest,
    folder: &Folder,
    party: &Party,
) -> Story {
    let file = folder.path("hospital-a.json");
    let mut order = party.order(&rest.address().await, &file);
    order["stop_at"] = json!(2 * CHUNK);
    let begun = upload(Program::Tuspy, &order).await?;
    assert_eq!(begun["offset"], 2 * CHUNK, "{begun}");
    let before = here.namespace.names("pods", "app.kubernetes.io/component=api").await?;
    here.namespace.kubectl(&["rollout", "restart", "deployment/linkage-operator-api"]).await?;
    here.namespace
        .kubectl(&["rollout", "status", "deployment/linkage-operator-api", "--timeout=180s"])
        .await?;
    for pod in before {
        here.namespace.kubectl(&["wait", &pod, "--for=delete", "--timeout=120s"]).await?;
    }
    // the way led to a pod that is gone
    let rest = &here.rest().await?;

    let id = begun["url"].as_str().and_then(|url| url.rsplit('/').next()).context("no address")?.to_owned();
    let mut order = party.order(&rest.address().await, &file);
    order["url"] = json!(format!("{}/{id}", order["endpoint"].as_str().unwrap_or_default()));
    let told = upload(Program::TusJsClient, &order).await?;
    assert_eq!(told["problem"], Value::Null, "{told}");
    let ended = party.ended(rest, &told["url"]).await?;
    assert_eq!(ended["state"], "taken_in", "{ended}");
    assert_eq!(ended["receipt_token"].as_str().map(str::len), Some(48));
    Ok(())
}

async fn a_connection_that_breaks_costs_nothing(rest: &Rest, folder: &Folder, party: &Party) -> Story {
    let address = rest.address().await;
    let relay = Relay::to(address.trim_start_matches("http://").to_owned()).await?;
    let order = party.order(&format!("http://{}", relay.address), &folder.path("hospital-b.json"));
    let (mut program, mut said) = start(Program::TusJsClient, &order).await?;
    // when the first bytes are there, the network goes, and comes back
    let first = tokio::time::timeout(Duration::from_secs(60), said.next_line()).await??;
    assert!(first.is_some_and(|line| line.starts_with("accepted ")));
    relay.cut();
    tokio::spawn(async move { while let Ok(Some(_)) = said.next_line().await {} });
    tokio::time::sleep(Duration::from_secs(2)).await;
    relay.mend();
    let told = finished(&mut program).await?;
    assert_eq!(told["problem"], Value::Null, "{told}");
    let ended = party.ended(rest, &told["url"]).await?;
    assert_eq!(ended["state"], "taken_in", "{ended}");
    Ok(())
}

/// Runs a client to its end; gives what it tells.
async fn upload(program: Program, order: &Value) -> anyhow::Result<Value> {
    let (mut program, mut said) = start(program, order).await?;
    tokio::spawn(async move { while let Ok(Some(_)) = said.next_line().await {} });
    finished(&mut program).await
}

type Said = tokio::io::Lines<BufReader<tokio::process::ChildStderr>>;

async fn start(program: Program, order: &Value) -> anyhow::Result<(Child, Said)> {
    let clients = std::env::var("TUS_CLIENTS").context("run the tests by tests/e2e/run")?;
    let script = |name: &str| format!("{}/e2e/tus/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut command = match program {
        Program::Tuspy => {
            let mut command = Command::new(format!("{clients}/python/bin/python"));
            command.arg(script("upload.py"));
            command
        }
        Program::TusJsClient => {
            let mut command = Command::new("node");
            command.arg(script("upload.cjs")).env("NODE_PATH", format!("{clients}/node_modules"));
            command
        }
    };
    command.env("NO_PROXY", "*").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn().with_context(|| format!("{program:?}"))?;
    let mut input = child.stdin.take().context("no input")?;
    input.write_all(order.to_string().as_bytes()).await?;
    drop(input);
    let said = BufReader::new(child.stderr.take().context("no output")?).lines();
    Ok((child, said))
}

async fn finished(program: &mut Child) -> anyhow::Result<Value> {
    let mut output = String::new();
    let reading = async {
        program.stdout.take().context("no output")?.read_to_string(&mut output).await?;
        Ok::<_, anyhow::Error>(program.wait().await?)
    };
    let status = tokio::time::timeout(Duration::from_secs(180), reading).await??;
    if !status.success() {
        bail!("the client failed: {status}");
    }
    serde_json::from_str(&output).with_context(|| output.clone())
}
