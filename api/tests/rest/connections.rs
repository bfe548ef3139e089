//! What happens on real connections: broken off, refused in the middle, finished while the service stops.

use std::time::Duration;

use api::server::serve::{Listener, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::service::{Service, clks};

/// How long a condition is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Server {
    pub address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

pub async fn start(service: &Service) -> Server {
    start_with(service, None).await
}

pub async fn start_with(service: &Service, tls: Option<TlsAcceptor>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let listener = Listener::new(listener, 100).with_tls(tls);
    let (stop, stopped) = oneshot::channel::<()>();
    let rest = service.rest.clone();
    let stopped = async {
        let _sender_is_gone = stopped.await;
    };
    let served = tokio::spawn(async move { serve(listener, rest, stopped, PATIENCE).await });
    Server { address, stop, served }
}

fn head(project: &str, token: &str, length: usize) -> String {
    format!(
        "POST /api/v1//projects/{project}/clks HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    )
}

pub async fn read_all(stream: &mut TcpStream) -> String {
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

async fn until(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
}

#[tokio::test]
async fn an_upload_whose_connection_breaks_leaves_nothing() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let server = start(&service).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let body = clks(1000, 128);
    stream.write_all(head(&project.id, &project.update[0], body.len()).as_bytes()).await.unwrap();
    stream.write_all(&body.as_bytes()[..100_000]).await.unwrap();
    until(|| !service.app.uploads.is_empty() && !service.objects().is_empty()).await;
    drop(stream);
    until(|| service.app.uploads.is_empty()).await;
    assert_eq!(service.objects(), [""; 0]);
    assert_eq!(service.upload(&project.id, &project.update[0], body).await.status, 201);
}

#[tokio::test]
async fn a_client_that_sends_everything_first_gets_to_see_the_refusal() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let server = start(&service).await;
    let body = vec![b'x'; 30 << 20];
    for token in ["wrong", &project.update[0]] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(head(&project.id, token, body.len()).as_bytes()).await.unwrap();
        stream.write_all(&body).await.unwrap();
        let answer = read_all(&mut stream).await;
        let expected = if token == "wrong" { "HTTP/1.1 403" } else { "HTTP/1.1 413" };
        assert!(answer.starts_with(expected), "{answer}");
    }
}

/// What a client that keeps its connection sends next must not get lost.
#[tokio::test]
async fn a_refusal_leaves_the_connection_usable_or_says_that_it_is_closed() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let server = start(&service).await;
    let kept = |text: String| text.replace("connection: close\r\n", "");
    let small = format!("{}{{\"clks\": 0}}", kept(head(&project.id, "wrong", 11)));
    let packed = small.replace("content-type", "content-encoding: 0.5\r\ncontent-type");
    let elsewhere = packed.replace(&format!("/projects/{}/clks", project.id), "/projects");
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for (request, expected) in [(&small, "403"), (&packed, "403"), (&elsewhere, "415"), (&small, "403")] {
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = read_answer(&mut stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{answer}");
        assert!(!answer.contains("connection: close"), "{answer}");
    }
    // who waits for a sign, and is refused instead, has sent no body
    let waiting =
        kept(head(&project.id, "wrong", 1000)).replace("host: x", "host: x\r\nexpect: 100-continue");
    stream.write_all(waiting.as_bytes()).await.unwrap();
    let answer = read_all(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("connection: close"), "{answer}");
}

/// One answer of a connection that stays open.
async fn read_answer(stream: &mut TcpStream) -> String {
    let mut answer = String::new();
    let reading = async {
        loop {
            let mut piece = [0; 4096];
            let read = stream.read(&mut piece).await.unwrap();
            assert!(read > 0, "closed after: {answer}");
            answer += std::str::from_utf8(&piece[..read]).unwrap();
            let Some((head, body)) = answer.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() >= length.parse().unwrap() {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.unwrap();
    answer
}

#[tokio::test]
async fn a_client_that_half_closes_gets_an_answer() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let server = start(&service).await;
    let body = clks(1000, 128);
    for (sent, expected) in [(body.len() - 1000, None), (body.len(), Some("HTTP/1.1 201"))] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(head(&project.id, &project.update[0], body.len()).as_bytes()).await.unwrap();
        stream.write_all(&body.as_bytes()[..sent]).await.unwrap();
        stream.shutdown().await.unwrap();
        let answer = read_all(&mut stream).await;
        println!("{answer}");
        assert!(answer.starts_with(expected.unwrap_or("HTTP/1.1 400")), "{answer}");
        until(|| service.app.uploads.is_empty()).await;
    }
}

#[tokio::test]
async fn a_request_in_progress_is_finished_when_the_service_stops() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let server = start(&service).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let body = clks(100, 128);
    let (first, rest) = body.as_bytes().split_at(1000);
    stream.write_all(head(&project.id, &project.update[0], body.len()).as_bytes()).await.unwrap();
    stream.write_all(first).await.unwrap();
    until(|| !service.app.uploads.is_empty()).await;
    server.stop.send(()).unwrap();
    until(|| std::net::TcpStream::connect(server.address).is_err()).await;
    assert_eq!(read_all(&mut idle).await, "");
    stream.write_all(rest).await.unwrap();
    let answer = read_all(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    tokio::time::timeout(PATIENCE, server.served).await.unwrap().unwrap();
}
