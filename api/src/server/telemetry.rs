//! What is seen of each request from outside: an id, a line in the log, metrics. Never a token.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use metrics::{counter, gauge, histogram};
use tracing::{Instrument, field};

use crate::server::traces;

/// The header that carries a request's id, in and out.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id that is taken over from a client or proxy.
const MAX_ID: usize = 64;

/// The id of a request, for whoever answers it.
#[derive(Clone, Debug)]
pub struct RequestId(pub HeaderValue);

/// Gives the request an id, logs it, and counts it.
pub async fn observe(mut request: Request, next: Next) -> Response {
    let start = Instant::now();
    let id = request.headers().get(REQUEST_ID).filter(|id| is_id(id)).cloned().unwrap_or_else(fresh_id);
    request.extensions_mut().insert(RequestId(id.clone()));
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    // at the level that is never switched off, so that lines of the audit log have it; the path, but not the query, which is no part of the contract and may hold anything
    let span = tracing::error_span!("request", id = id.to_str().unwrap_or_default(), %method, path = request.uri().path(),
        http.route = field::Empty, http.response.status_code = field::Empty,
        otel.kind = field::Empty, otel.name = field::Empty);
    let traced = traces::continue_trace(&span, request.headers());
    if traced {
        // not in the log of those who have no traces: it says all that already
        span.record("otel.kind", "server").record("otel.name", format!("{method} {route}"));
        span.record("http.route", &route);
    }

    gauge!("linkage_api_requests_in_progress").increment(1);
    let in_progress = InProgress;
    let mut response = next.run(request).instrument(span.clone()).await;
    drop(in_progress);

    // a label's values must not be the client's to choose
    let known = [Method::GET, Method::HEAD, Method::POST, Method::DELETE, Method::OPTIONS].contains(&method);
    let method = if known { method.to_string() } else { "other".into() };
    let (seconds, status) = (start.elapsed().as_secs_f64(), response.status().as_u16());
    if traced {
        span.record("http.response.status_code", status);
    }
    span.in_scope(|| tracing::info!(status, seconds, "answered"));
    histogram!("linkage_api_request_seconds", "method" => method.clone(), "route" => route.clone())
        .record(seconds);
    let labels = [("method", method), ("route", route), ("status", status.to_string())];
    counter!("linkage_api_requests_total", &labels).increment(1);
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// Counts down when it is dropped: also when the client goes away and the request is given up.
struct InProgress;

impl Drop for InProgress {
    fn drop(&mut self) {
        gauge!("linkage_api_requests_in_progress").decrement(1);
    }
}

fn is_id(id: &HeaderValue) -> bool {
    let bytes = id.as_bytes();
    (1..=MAX_ID).contains(&bytes.len())
        && bytes.iter().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.'))
        // it could be a token that was sent in the wrong header
        && bytes.len() != crds::tokens::TOKEN_LENGTH
}

fn fresh_id() -> HeaderValue {
    let id = hex::encode(rand::random::<[u8; 8]>());
    HeaderValue::from_str(&id).unwrap_or_else(|_| HeaderValue::from_static("none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_harmless_ids_are_taken_over() {
        let is = |id: &str| is_id(&HeaderValue::from_bytes(id.as_bytes()).unwrap());
        assert!(is("0af7651916cd43dd8448eb211c80319c") && is("a.b-c_d"));
        assert!(is(fresh_id().to_str().unwrap()));
        for refused in ["", "a b", "ä", "{}", &"a".repeat(65), &"0".repeat(48)] {
            assert!(!is(refused), "{refused}");
        }
    }
}
