//! Many clients at once, among them slow, broken and hostile ones: each gets a clear answer, memory stays bounded, tokens
//! stay usable, and nothing is left in the store.

use std::time::Duration;

use anyhow::{Context, bail};
use futures::future::join_all;
use serde_json::json;
use tests::rest::{Body, Rest};
use tests::{Installation, Story, data};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Little memory, so that a pod that takes more is killed; and an upload's limit that a test can exceed.
const TIGHT: [&str; 4] = [
    "--set",
    "api.resources.limits.memory=160Mi",
    "--set",
    "api.limits.uploads=10,api.limits.uploadBytes=200000000,api.limits.requestBurst=200",
];

/// Connections to the service by a way of their own: `kubectl port-forward` ends when the service resets one of them, and
/// whoever else uses it with it.
struct Way(Rest);

impl Way {
    async fn open(here: &Installation) -> anyhow::Result<Self> {
        Ok(Self(here.rest().await?))
    }

    async fn connect(&self) -> anyhow::Result<TcpStream> {
        let address = self.0.address().await;
        Ok(TcpStream::connect(address.trim_start_matches("http://")).await?)
    }
}

fn head(project: &str, token: &str, length: usize) -> String {
    format!(
        "POST /api/v1/projects/{project}/clks HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
}

/// Everything that the service says, until it closes the connection or is silent.
async fn said(mut stream: TcpStream) -> String {
    let mut said = Vec::new();
    let _closed_or_silent =
        tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut said)).await;
    String::from_utf8_lossy(&said).into_owned()
}

/// Uploads that no client would send, and what each is answered.
async fn odd_uploads(rest: &Rest, project: &str, token: &str) -> Story {
    let clks = format!("projects/{project}/clks");
    let record = "AAAAAAAAAAAAAAAAAAAAAA==";
    let documents = [
        ("deep", "[".repeat(5_000_000).into_bytes(), 400),
        ("deep within", format!("{{\"clks\": {}", "[".repeat(5_000_000)).into_bytes(), 400),
        ("a key twice", format!(r#"{{"clks": ["{record}"], "clks": ["{record}"]}}"#).into_bytes(), 400),
        ("no UTF-8", [&br#"{"clks": [""#[..], &[0xff; 20], br#""]}"#].concat(), 400),
        ("a string without end", [&br#"{"clks": [""#[..], &[b'A'; 5_000_000]].concat(), 400),
        ("cut off", format!(r#"{{"clks": ["{record}", "#).into_bytes(), 400),
        ("nothing", Vec::new(), 400),
    ];
    for (what, document, status) in documents {
        let answer = rest.post(&clks, token, Body::document(document)).await?;
        answer.expect(status).with_context(|| what.to_owned())?;
    }
    // 400 kB that unpack to 400 MB
    let bomb = Body::document(vec![b' '; 400_000_000]).gzipped().await?;
    rest.post(&clks, token, bomb).await?.expect(413)?;
    Ok(())
}

/// One record of very many blocks, as a party might send by mistake: taken in without being held in memory.
async fn many_blocks(rest: &Rest) -> Story {
    let request = json!({"schema": {}, "result_type": "groups", "uses_blocking": true});
    let (project, tokens, result_token) = rest.create_project(request).await?;
    let mut document = r#"{"clknblocks": [["AAAAAAAAAAA=""#.to_owned();
    for block in 0..10_000_000 {
        document += &format!(",{block}");
    }
    document += "]]}";
    let body = Body::document(document.into_bytes());
    rest.post(&format!("projects/{project}/clks"), &tokens[0], body).await?.expect(201)?;
    rest.delete(&format!("projects/{project}"), &result_token).await?.expect(204)?;
    Ok(())
}

#[tokio::test]
async fn a_crowd_of_odd_clients_does_no_harm() -> Story {
    Installation::tell_with("crowd", &TIGHT, |here| async move {
        let rest = here.rest().await?;
        let request = json!({"schema": {}, "result_type": "groups"});
        let (project, tokens, result_token) = rest.create_project(request).await?;

        // who sends a header and never its end; these stay open all the while
        let way_of_slow = Way::open(&here).await?;
        let mut slow = Vec::new();
        for _ in 0..50 {
            let mut stream = way_of_slow.connect().await?;
            stream.write_all(b"POST /api/v1/projects HTTP/1.1\r\nhost: x\r\nx-slow:").await?;
            slow.push(stream);
        }
        // who goes away in the middle of an upload
        let way = Way::open(&here).await?;
        for _ in 0..30 {
            let mut stream = way.connect().await?;
            stream.write_all(head(&project, &tokens[0], 50_000_000).as_bytes()).await?;
            stream.write_all(br#"{"clks": ["AAAAAAAAAAA="#).await?;
        }
        // who sends more headers than there may be
        let way = Way::open(&here).await?;
        let mut stream = way.connect().await?;
        let flood = format!("GET /api/v1/version HTTP/1.1\r\nhost: x\r\n{}\r\n", "x-a: b\r\n".repeat(50_000));
        let _refused_before_its_end = stream.write_all(flood.as_bytes()).await;
        let answer = said(stream).await;
        if !(answer.is_empty() || answer.starts_with("HTTP/1.1 431")) {
            bail!("a flood of headers was answered: {answer}");
        }
        // whose body is longer than announced: what is too much is no request
        let way = Way::open(&here).await?;
        let body = r#"{"clks": ["AAAAAAAAAAA="]} and more"#;
        let mut answer = "HTTP/1.1 503".to_owned();
        for _ in 0..60 {
            // until it is known that those who went away have gone, there is no place for another upload
            if !answer.starts_with("HTTP/1.1 503") {
                break;
            }
            let mut stream = way.connect().await?;
            stream.write_all((head(&project, "0".repeat(48).as_str(), 20) + body).as_bytes()).await?;
            answer = said(stream).await;
        }
        if !answer.starts_with("HTTP/1.1 403") || answer.contains("HTTP/1.1 2") {
            bail!("a body longer than announced was answered: {answer}");
        }

        odd_uploads(&rest, &project, &tokens[0]).await?;
        many_blocks(&rest).await?;

        // a thousand at once; those above the rate are told to come again
        let client = reqwest::Client::builder().no_proxy().build()?;
        let address = rest.address().await;
        let ask = |n: usize| client.get(format!("{address}/api/v1/version?{n}")).send();
        let answers = join_all((0..1000).map(ask)).await;
        let with = |status: u16| {
            answers.iter().flatten().filter(|answer| answer.status().as_u16() == status).count()
        };
        assert_eq!(with(200) + with(503), 1000, "{:?}", answers.iter().find(|answer| answer.is_err()));
        assert!(with(200) >= 50 && with(503) > 0, "{} were answered 200", with(200));

        // of uploads with one token at once, one wins; those of the same data after it are the same contribution; above the
        // number that there may be, clients come again
        let body = Body::document(data::read("thousand/hospital-a.json")?);
        let clks = format!("projects/{project}/clks");
        let uploads = join_all((0..12).map(|_| rest.post(&clks, &tokens[0], body.clone()))).await;
        let statuses: Vec<u16> =
            uploads.into_iter().map(|answer| Ok(answer?.status)).collect::<anyhow::Result<_>>()?;
        assert!(statuses.contains(&201), "{statuses:?}");
        assert!(statuses.iter().all(|status| matches!(status, 201 | 403 | 503)), "{statuses:?}");

        let objects = here.objects_as("api").await?;
        let (kept, unfinished) = (objects.keys("projects/").await?, objects.unfinished("projects/").await?);
        assert_eq!((kept.len(), unfinished.len()), (1, 0), "{kept:?} {unfinished:?}");
        drop(slow);
        let body = Body::document(data::read("thousand/hospital-b.json")?);
        rest.post(&clks, &tokens[1], body).await?.expect(201)?;
        let run = rest.create_run(&project, &result_token, 0.8).await?;
        rest.wait_completed(&project, &run, &result_token).await?;

        let path = "jsonpath={.items[*].status.containerStatuses[0].restartCount}";
        let restarts = ["get", "pods", "--selector", "app.kubernetes.io/component=api", "--output", path];
        assert_eq!(
            here.namespace.kubectl(&restarts).await?.trim(),
            "0",
            "the service was killed: out of memory?"
        );
        Ok(())
    })
    .await
}
