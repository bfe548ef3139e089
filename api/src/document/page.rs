//! The document as a page to browse: Swagger UI, all of it inside the program.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use bytes::Bytes;
use utoipa_swagger_ui::{Config, serve};

use crate::error::Error;

const INDEX: &str = "index.html";
/// The files that the page needs. The library has others, such as those for logging in elsewhere.
const FILES: [&str; 8] = [
    INDEX,
    "index.css",
    "swagger-ui.css",
    "swagger-ui-bundle.js",
    "swagger-ui-standalone-preset.js",
    "swagger-initializer.js",
    "favicon-16x16.png",
    "favicon-32x32.png",
];

/// Tokens are typed into this page: it reaches nothing but this service, nothing else gets into it, and it into nothing
/// else. Icons are written into the style sheet as data.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (CACHE_CONTROL, HeaderValue::from_static("max-age=3600")),
];

static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    // relative, so that it is right behind a proxy that adds to the path as well
    let config = Config::new(["../openapi.json"]).validator_url("none").use_base_layout();
    Arc::new(config.default_models_expand_depth(0).display_request_duration(true))
});

/// The page, at `path` with a slash at its end.
pub fn router<S: Clone + Send + Sync + 'static>(path: &str) -> Router<S> {
    let last = path.rsplit('/').next().unwrap_or_default();
    let to_page = format!("{last}/");
    Router::new()
        .route(path, get(async move || Redirect::permanent(&to_page)))
        .route(&format!("{path}/"), get(async || file(INDEX)))
        .route(&format!("{path}/{{name}}"), get(async |Path(name): Path<String>| file(&name)))
}

fn file(name: &str) -> Result<Response, Error> {
    if !FILES.contains(&name) {
        return Err(Error::UnknownPath);
    }
    let found = serve(name, CONFIG.clone()).map_err(|error| Error::Internal(error.to_string()))?;
    let file = found.ok_or_else(|| Error::Internal(format!("Swagger UI has no file {name}")))?;
    let bytes = match file.bytes {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => bytes.into(),
    };
    let mut response = (HEADERS, [(CONTENT_TYPE, file.content_type)], bytes).into_response();
    if file.gzpipped {
        // whether or not the client says that it knows it: all that show pages do
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}
