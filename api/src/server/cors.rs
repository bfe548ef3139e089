//! Cross-origin requests: pages of other origins may call the service where the administrator has listed them.

use std::time::Duration;

use anyhow::Context;
use axum::extract::Request;
use axum::http::header::{
    ACCEPT, ACCEPT_RANGES, AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LENGTH,
    CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE, LINK, LOCATION, RANGE, RETRY_AFTER, WARNING,
};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::Response;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::server::telemetry::REQUEST_ID;

/// For how long a browser need not ask again.
const MAX_AGE: Duration = Duration::from_secs(600);

/// Lets pages of these origins in; none: nothing is changed about any answer.
///
/// # Errors
/// Fails when one of them is no origin.
pub fn layer(origins: &[String]) -> anyhow::Result<Option<CorsLayer>> {
    let origins: Vec<_> =
        origins.iter().map(|origin| origin.trim()).filter(|origin| !origin.is_empty()).collect();
    if origins.is_empty() {
        return Ok(None);
    }
    let allowed = if origins.contains(&"*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.into_iter().map(origin).collect::<anyhow::Result<Vec<_>>>()?)
    };
    let headers = [
        "hash-count",
        "hash-size",
        "return-object-store-address",
        "tus-resumable",
        "upload-length",
        "upload-metadata",
        "upload-offset",
        "x-http-method-override",
    ]
    .map(HeaderName::from_static);
    let tus_answers = [
        "upload-offset",
        "upload-length",
        "upload-expires",
        "upload-metadata",
        "tus-resumable",
        "tus-version",
    ]
    .map(HeaderName::from_static);
    let layer = CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers(
            [
                ACCEPT,
                AUTHORIZATION,
                CONTENT_TYPE,
                CONTENT_ENCODING,
                IF_NONE_MATCH,
                IF_RANGE,
                RANGE,
                REQUEST_ID,
            ]
            .into_iter()
            .chain(headers)
            .collect::<Vec<_>>(),
        )
        .expose_headers(
            [
                ACCEPT_RANGES,
                CONTENT_DISPOSITION,
                CONTENT_LENGTH,
                CONTENT_RANGE,
                ETAG,
                LINK,
                LOCATION,
                REQUEST_ID,
                RETRY_AFTER,
                WARNING,
            ]
            .into_iter()
            .chain(tus_answers)
            .collect::<Vec<_>>(),
        )
        .max_age(MAX_AGE);
    Ok(Some(layer))
}

/// An answer to a browser that asks whether it may has no content, as by the original's proxy.
pub async fn without_content(request: Request, next: Next) -> Response {
    let asks = request.method() == Method::OPTIONS;
    let mut response = next.run(request).await;
    if asks && response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::NO_CONTENT;
    }
    response
}

fn origin(origin: &str) -> anyhow::Result<HeaderValue> {
    let uri: Option<Uri> = origin.parse().ok();
    let is_origin = uri.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri
                .authority()
                .is_some_and(|host| origin.ends_with(host.as_str()) && !host.as_str().contains(['@', '*']))
    });
    let value = HeaderValue::from_str(origin).ok().filter(|_| is_origin);
    value.with_context(|| format!("{origin:?} is no origin: it must look like https://research.example.org"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(origins: &[&str]) -> anyhow::Result<Option<CorsLayer>> {
        layer(&origins.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn only_origins_are_taken() {
        assert!(of(&[]).unwrap().is_none() && of(&[""]).unwrap().is_none());
        assert!(of(&["https://a.example", "http://localhost:8080"]).unwrap().is_some());
        for wrong in [
            "a.example",
            "https://",
            "https://a.example/",
            "https://*.example",
            "null",
            "https://a b",
            "ftp://a",
        ] {
            assert!(of(&[wrong]).is_err(), "{wrong}");
        }
    }
}
