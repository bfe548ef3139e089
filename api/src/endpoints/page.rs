//! The page for people, at `/`: a project, its runs, and their results, seen with a token in a browser; and
//! a party's upload.
//!
//! It is a client of the REST service like any other, and knows nothing that the others do not: all of it is files that
//! lie beside this crate in `page/` and are part of the program. Nothing is made of them, here or before.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::content::ranges;
use crate::error::Error;

/// Tokens are typed into this page: it reaches nothing but this service, nothing else gets into it, and it into nothing
/// else. Text never becomes markup or code.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
);
const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    // kept, but asked for each time, so that files of two versions never meet
    (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
];

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// A file of the page.
struct File {
    content_type: &'static str,
    bytes: &'static [u8],
    etag: String,
}

/// A file of `page/`.
macro_rules! file {
    ($name:literal, $content_type:expr) => {
        ($name, File::new($content_type, include_bytes!(concat!("../../page/", $name))))
    };
}

static INDEX: LazyLock<File> = LazyLock::new(|| File::new(HTML, include_bytes!("../../page/index.html")));
static FILES: LazyLock<[(&str, File); 16]> = LazyLock::new(|| {
    [
        file!("page.css", CSS),
        file!("icon.svg", SVG),
        file!("page.js", JAVASCRIPT),
        file!("chart.js", JAVASCRIPT),
        file!("check.js", JAVASCRIPT),
        file!("download.js", JAVASCRIPT),
        file!("manage.js", JAVASCRIPT),
        file!("party.js", JAVASCRIPT),
        file!("project.js", JAVASCRIPT),
        file!("remaining.js", JAVASCRIPT),
        file!("run.js", JAVASCRIPT),
        file!("scores.js", JAVASCRIPT),
        file!("service.js", JAVASCRIPT),
        file!("upload.js", JAVASCRIPT),
        file!("watch.js", JAVASCRIPT),
        file!("words.js", JAVASCRIPT),
    ]
});

/// The page at `/`, and what it needs below `/page/`.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/", get(async |headers: HeaderMap| INDEX.answer(&headers)))
        .route("/page/{name}", get(named))
}

async fn named(name: Result<Path<String>, PathRejection>, headers: HeaderMap) -> Result<Response, Error> {
    // what cannot be read is no name
    let Path(name) = name.map_err(|_| Error::UnknownPath)?;
    let found = FILES.iter().find(|(known, _)| *known == name);
    found.map(|(_, file)| file.answer(&headers)).ok_or(Error::UnknownPath)
}

impl File {
    fn new(content_type: &'static str, bytes: &'static [u8]) -> Self {
        let etag = format!("\"{}\"", hex::encode(&Sha256::digest(bytes)[..16]));
        Self { content_type, bytes, etag }
    }

    /// The file, or that the client has it already.
    fn answer(&self, request: &HeaderMap) -> Response {
        let etag = [(ETAG, self.etag.as_str())];
        if ranges::is_known(request, &self.etag) {
            return (StatusCode::NOT_MODIFIED, HEADERS, etag).into_response();
        }
        let content_type = (CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        (HEADERS, etag, [content_type], Bytes::from_static(self.bytes)).into_response()
    }
}
