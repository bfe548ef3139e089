//! All bounds are reached at once, and the service keeps within the memory that they come to. Alone in its process, as it looks
//! at the process's peak.

#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "a test that panics has failed, and the modules are shared"
)]

#[path = "rest/kubernetes.rs"]
mod kubernetes;
#[path = "rest/service.rs"]
mod service;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use api::Limits;
use api::limits::memory::{self, DOCUMENTS_BYTES, PARTS_AT_ONCE, WAITING_BYTES, WAITING_RECORDS};
use api::limits::places::{Places, Shares};
use api::server::serve::{Listener, MAX_BUFFER_BYTES, serve};
use axum::body::Body;
use axum::http::{Request, Response};
use scorer::store::{FIRST_PART_BYTES, Store, StoreArgs};
use serde_json::json;
use service::Service;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

const UPLOADS: usize = 64;
const CONNECTIONS: usize = 300;
const PATIENCE: Duration = Duration::from_secs(240);

/// A store that takes no part to its end. Counts those that are on their way.
async fn stuck_store() -> (Store, Arc<AtomicUsize>) {
    let parts = Arc::new(AtomicUsize::new(0));
    let counted = parts.clone();
    let answer = async move |request: Request<Body>| {
        if request.method() == "PUT" {
            counted.fetch_add(1, Ordering::Relaxed);
            return std::future::pending().await;
        }
        let begun = "<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><UploadId>u</UploadId>\
                     </InitiateMultipartUploadResult>";
        Response::new(Body::from(begun))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
    let args = StoreArgs {
        store_url: "s3://b".into(),
        store_endpoint: Some(endpoint),
        store_region: "us-east-1".into(),
        store_create_bucket: false,
        store_credentials_file: None,
    };
    (args.open().await.unwrap(), parts)
}

/// Sends a head and then the same piece again and again, until the service takes no more.
fn send(address: SocketAddr, head: String, pieces: impl Iterator<Item = Vec<u8>> + Send + 'static) {
    tokio::spawn(async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // the service may answer and close at any time
        let _ = stream.write_all(head.as_bytes()).await;
        for piece in pieces {
            if stream.write_all(&piece).await.is_err() {
                break;
            }
        }
        std::future::pending::<()>().await;
    });
}

fn head(path: &str, token: &str, length: u64) -> String {
    format!(
        "POST /api/v1/projects{path} HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("{what} does not come about"));
}

/// The most memory that this process has had, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

/// Runs the test in a process of its own, which has keys for the store; true in there.
fn in_child_with_keys(test: &str) -> bool {
    const KEYS: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    if std::env::var_os("IN_CHILD").is_some() {
        return true;
    }
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", test, "--nocapture"]).env("IN_CHILD", "yes").envs(KEYS.map(|key| (key, "key")));
    assert!(child.status().unwrap().success());
    false
}

#[test]
fn all_bounds_at_once_take_no_more_memory_than_their_sum() {
    if in_child_with_keys("all_bounds_at_once_take_no_more_memory_than_their_sum") {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(reach_all_bounds());
        runtime.shutdown_background();
    }
}

async fn reach_all_bounds() {
    let (store, parts) = stuck_store().await;
    let service = Service::with(|app, _| {
        app.store = store.with_parts_at_once(PARTS_AT_ONCE);
        app.limits.max_upload_bytes = 1 << 40;
        app.limits.read_timeout = Duration::from_secs(600);
        app.places = Places::new(Shares { all: UPLOADS, address: UPLOADS, project: UPLOADS, party: UPLOADS });
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let rest = service.rest.clone();
    tokio::spawn(serve(Listener::new(listener, CONNECTIONS), rest, std::future::pending(), Duration::ZERO));

    let encoding = base64_simd::STANDARD.encode_to_string([1; 1000]);
    let mut places = 0;
    for upload in 0.. {
        let with_blocks = upload % 4 == 1;
        let taken = if with_blocks { 2 } else { 1 };
        if places + taken > UPLOADS {
            break;
        }
        places += taken;
        let schema = json!({"schema": {}, "result_type": "groups", "uses_blocking": with_blocks});
        let project = service.create(schema).await;
        let encoding = encoding.clone();
        let head = head(&format!("/{}/clks", project.id), &project.update[0], 1 << 39);
        match upload % 4 {
            // records in no order: all of them wait for the first one
            0 => {
                let records = (1..1_000_000u32)
                    .rev()
                    .map(move |record| format!(",\"{record}\":\"{encoding}\"").into_bytes());
                let start = b"{\"encodings\":{\"2000000\":\"AAAAAAAAAAA=\"".to_vec();
                send(address, head, std::iter::once(start).chain(records));
            }
            // long block ids fill as many parts as the encodings
            1 => {
                let block = "b".repeat(900);
                let record = format!(",[\"{encoding}\",\"{block}\"]").into_bytes();
                let start = format!("{{\"clknblocks\":[[\"{encoding}\"]").into_bytes();
                send(address, head, std::iter::once(start).chain(std::iter::repeat(record)));
            }
            _ => {
                let record = format!(",\"{encoding}\"").into_bytes();
                let start = format!("{{\"clks\":[\"{encoding}\"").into_bytes();
                send(address, head, std::iter::once(start).chain(std::iter::repeat(record)));
            }
        }
    }
    // documents that come but to their last byte, and heads that do not end, on all other connections
    for other in UPLOADS..CONNECTIONS {
        if other % 2 == 0 {
            let document = vec![b' '; (1 << 20) - 1];
            send(address, head("", "none", 1 << 20), std::iter::once(document));
        } else {
            let endless = format!("GET / HTTP/1.1\r\nx: {}", "x".repeat(MAX_BUFFER_BYTES - 2_000));
            send(address, endless, std::iter::empty());
        }
    }
    until("that all parts are on their way", || parts.load(Ordering::Relaxed) >= PARTS_AT_ONCE).await;
    until("that records wait", || WAITING_RECORDS.held() > WAITING_BYTES / 2).await;
    until("that documents wait", || service.app.documents.held() > DOCUMENTS_BYTES / 2).await;

    assert_eq!(parts.load(Ordering::Relaxed), PARTS_AT_ONCE);
    let uploads = Shares { all: UPLOADS, ..service.app.limits.uploads };
    let limits = Limits { uploads, ..service.app.limits };
    let (peak, most) = (peak(), memory::most(&limits, CONNECTIONS));
    println!("peak {} MiB, bound {} MiB", peak >> 20, most >> 20);
    // it was really driven
    assert!(
        peak > PARTS_AT_ONCE * FIRST_PART_BYTES + WAITING_BYTES / 2 + DOCUMENTS_BYTES / 2,
        "{} MiB",
        peak >> 20
    );
    assert!(peak <= most, "{} MiB are more than {} MiB", peak >> 20, most >> 20);
}
