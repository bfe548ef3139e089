//! The bundled store is full: who uploads is told before the data is sent, runs wait, and all goes on when there is room.

use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tests::rest::{Body, Rest};
use tests::{Installation, Story, data};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Small files, so that the store has little room, and gives back soon what was deleted.
const SMALL: [&str; 2] = [
    "--set-json",
    r#"store.bundled.extraArgs=["-master.volumeSizeLimitMB=24","-master.vacuumIntervalSeconds=5"]"#,
];
/// Records of 128 bytes of one upload that helps to fill the store: 24 MB.
const RECORDS: usize = 187_500;
/// Of these, two parties have so many equal records that their pairs do not fit what is left.
const EQUAL: usize = 2000;
const LIMIT: Duration = Duration::from_secs(180);

#[tokio::test]
async fn a_full_store_is_told_before_anything_is_sent_and_when_there_is_room_all_goes_on() -> Story {
    Installation::tell_with("store-full", &SMALL, |here| async move {
        let rest = here.rest().await?;
        let (project, tokens, result_token) = create(&rest).await?;
        for token in &tokens {
            upload(&rest, &project, token, EQUAL).await?;
        }
        let (open, open_tokens, _) = create(&rest).await?;
        let fillers = fill(&rest).await?;

        let answer = unread(&rest, &open, &open_tokens[0]).await?;
        assert!(answer.starts_with("HTTP/1.1 507") && answer.contains("no space left"), "{answer}");

        let run = rest.create_run(&project, &result_token, 0.9).await?;
        let told = |run: &Value| {
            let message = run["status"]["message"].as_str().unwrap_or_default();
            message.contains("the object store has no space left")
        };
        here.namespace.wait_for(&format!("lrun/{run}"), "told of the full store", LIMIT, told).await?;

        for (filler, token) in fillers {
            rest.delete(&format!("projects/{filler}"), &token).await?.expect(204)?;
        }
        rest.wait_completed(&project, &run, &result_token).await?;
        // it is told once, however long it lasts
        let events = here.namespace.get("events").await?.unwrap_or_default();
        let events = events["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        let waits = |event: &&Value| event["message"].as_str().is_some_and(|note| note.contains("pod waits"));
        let told = events.iter().filter(waits).count();
        assert!((1..4).contains(&told), "{told} Events");
        upload(&rest, &open, &open_tokens[0], EQUAL).await
    })
    .await
}

async fn create(rest: &Rest) -> anyhow::Result<(String, Vec<String>, String)> {
    let (project, tokens, result_token) =
        rest.create_project(json!({"schema": {}, "result_type": "groups"})).await?;
    Ok((project, tokens, result_token))
}

/// Records of which the first ones are all equal. It is tried again while the store is full.
async fn upload(rest: &Rest, project: &str, token: &str, records: usize) -> Story {
    let equal = data::random_encodings(1, 7).repeat(records);
    let path = format!("projects/{project}/binaryclks");
    let began = tokio::time::Instant::now();
    loop {
        let answer = rest.post(&path, token, Body::binary(equal.clone(), records)).await?;
        if answer.status != 507 || began.elapsed() > LIMIT {
            return answer.expect(201).map(drop);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Uploads until the store is full. Gives the projects and their tokens.
async fn fill(rest: &Rest) -> anyhow::Result<Vec<(String, String)>> {
    let mut projects = Vec::new();
    for _ in 0..20 {
        let (project, tokens, result_token) = create(rest).await?;
        projects.push((project.clone(), result_token));
        let body = Body::binary(data::random_encodings(RECORDS, 1), RECORDS);
        let answer = rest.post(&format!("projects/{project}/binaryclks"), &tokens[0], body).await?;
        if answer.status == 507 {
            let said = answer.body.to_string();
            anyhow::ensure!(said.contains("no space left"), "it does not say why: {said}");
            return Ok(projects);
        }
        answer.expect(201)?;
    }
    bail!("the store takes all")
}

/// What is answered to an upload of which nothing but the head is sent.
async fn unread(rest: &Rest, project: &str, token: &str) -> anyhow::Result<String> {
    let address = rest.address().await;
    let mut stream = TcpStream::connect(address.trim_start_matches("http://")).await?;
    let head = format!(
        "POST /api/v1/projects/{project}/clks HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\n\
         content-type: application/json\r\ncontent-length: 50000000\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    let mut answer = vec![0; 4096];
    let mut length = 0;
    let said = async {
        loop {
            let more = stream.read(&mut answer[length..]).await?;
            length += more;
            if more == 0 || answer[..length].ends_with(b"}") {
                return anyhow::Ok(());
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), said).await.context("no answer")??;
    Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
}
