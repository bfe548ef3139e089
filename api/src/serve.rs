//! Connections: accepted, bounded in the time that their headers may take, and finished when the service stops.

use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use tokio::net::TcpListener;
use tower::{Service, ServiceExt};

/// For how long the headers of a request may take, and a connection be idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);
/// How long is waited when no connection can be accepted, as when there are too many.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Most bytes of a request's headers, its request line included.
const MAX_HEADER_BYTES: usize = 64 << 10;

/// Serves HTTP until `stop` is done, then finishes the requests in progress, for at most `grace`.
pub async fn serve<S>(listener: TcpListener, service: S, stop: impl Future<Output = ()>, grace: Duration)
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let connections = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    pause_unless_aborted(&error).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        // small answers go out at once
        let _best_effort = stream.set_nodelay(true);
        let service = service.clone().map_request(|request: hyper::Request<_>| request.map(Body::new));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_header_size(MAX_HEADER_BYTES)
            .half_close(false)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(grace, connections.shutdown()).await.is_err() {
        tracing::warn!("some requests were not finished in time");
    }
}

async fn pause_unless_aborted(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        return;
    }
    tracing::warn!(%error, "no connection can be accepted");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}
