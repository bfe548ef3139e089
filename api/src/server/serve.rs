//! Connections: accepted, bounded in their number and in the time that their headers may take, and finished when the
//! service stops.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tower::{Service, ServiceExt};

/// For how long the headers of a request may take, and a connection be idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);
/// For how long the two sides may take to agree on TLS.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(15);
/// How long is waited when no connection can be accepted, as when there are too many.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Most bytes of a request's headers, its request line included.
const MAX_HEADER_BYTES: usize = 64 << 10;
/// Most bytes that are read ahead of a connection: with their number it bounds the memory that connections take.
pub const MAX_BUFFER_BYTES: usize = 64 << 10;

/// Where connections come from, and how they are spoken with.
pub struct Listener {
    tcp: TcpListener,
    tls: Option<TlsAcceptor>,
    places: Arc<Semaphore>,
}

impl Listener {
    /// Takes plain connections, so many at a time. Those above wait.
    pub fn new(tcp: TcpListener, max_connections: usize) -> Self {
        Self { tcp, tls: None, places: Arc::new(Semaphore::new(max_connections)) }
    }

    /// The same by TLS, if there is any.
    #[must_use]
    pub fn with_tls(self, tls: Option<TlsAcceptor>) -> Self {
        Self { tls, ..self }
    }
}

/// Serves HTTP until `stop` is done, then finishes the requests in progress, for at most `grace`.
pub async fn serve<S>(listener: Listener, service: S, stop: impl Future<Output = ()>, grace: Duration)
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let Listener { tcp, tls, places } = listener;
    let connections = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        // asked for first: who cannot be served waits in the system's queue
        let accepted = async {
            let place = places.clone().acquire_owned().await;
            (tcp.accept().await, place)
        };
        let (stream, peer, place) = tokio::select! {
            (accepted, place) = accepted => match accepted {
                Ok((stream, peer)) => (stream, peer, place),
                Err(error) => {
                    pause_unless_aborted(&error).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        let (service, tls, watcher) = (service.clone(), tls.clone(), connections.watcher());
        tokio::spawn(async move {
            if let Err(error) = connect(stream, peer, tls, service, watcher).await {
                tracing::debug!(%error, %peer, "a connection broke");
            }
            drop(place);
        });
    }
    drop(tcp);
    if tokio::time::timeout(grace, connections.shutdown()).await.is_err() {
        tracing::warn!("some requests were not finished in time");
    }
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

async fn connect<S>(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    service: S,
    watcher: Watcher,
) -> Result<(), AnyError>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    // small answers go out at once
    let _best_effort = stream.set_nodelay(true);
    match tls {
        None => answer(stream, peer, service, watcher).await,
        Some(tls) => {
            let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await??;
            answer(stream, peer, service, watcher).await
        }
    }
}

async fn answer<S, I>(stream: I, peer: SocketAddr, service: S, watcher: Watcher) -> Result<(), AnyError>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service.map_request(move |request: hyper::Request<_>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        request
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_header_size(MAX_HEADER_BYTES)
        .max_buf_size(MAX_BUFFER_BYTES)
        // who has sent a whole request and will send no more still waits for the answer
        .half_close(true)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    Ok(watcher.watch(connection).await?)
}

async fn pause_unless_aborted(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        return;
    }
    tracing::warn!(%error, "no connection can be accepted");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}
