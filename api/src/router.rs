//! All endpoints, and what is common to them.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::IntoResponse;
use axum::routing::get;
use tower::Layer;
use tower::util::{MapRequest, MapRequestLayer, option_layer};
use tower_http::cors::CorsLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::Error;
use crate::{App, body, cors, paths, projects, results, runs, service, telemetry, throttle, uploads};

/// Below which path the endpoints are.
const PREFIX: &str = "/api/v1";

/// The service, ready to be called.
pub type Rest = MapRequest<Router, fn(Request) -> Request>;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "linkage-operator",
        description = "Privacy-preserving record linkage. A drop-in replacement for the Anonlink Entity Service. \
                       Authorization carries a bare token: 48 hex characters, no Bearer."
    ),
    tags((name = "projects"), (name = "uploads"), (name = "runs"), (name = "service"))
)]
struct Document;

/// The service with all its endpoints.
pub fn rest(app: Arc<App>, cors: Option<CorsLayer>) -> Rest {
    let (router, mut document) = endpoints().split_for_parts();
    document.info.version = env!("CARGO_PKG_VERSION").into();
    let document = serde_json::to_string(&document).unwrap_or_default();
    let router = router
        .route(
            &format!("{PREFIX}/openapi.json"),
            get(|| async { ([(CONTENT_TYPE, body::JSON)], document).into_response() }),
        )
        .fallback(async || Error::UnknownPath)
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        .layer(from_fn_with_state(app.clone(), throttle::requests))
        .layer(option_layer(cors))
        .layer(from_fn(cors::without_content))
        .layer(from_fn(telemetry::observe))
        .with_state(app);
    // before the router, which matches the path as it is
    MapRequestLayer::new(with_single_slashes as fn(Request) -> Request).layer(router)
}

fn endpoints() -> OpenApiRouter<Arc<App>> {
    let endpoints = OpenApiRouter::new()
        .routes(routes!(service::status))
        .routes(routes!(service::version))
        .routes(routes!(projects::list, projects::create))
        .routes(routes!(projects::describe, projects::delete))
        .routes(routes!(uploads::authorize_external))
        .routes(routes!(uploads::json))
        .routes(routes!(uploads::binary))
        .routes(routes!(runs::list, runs::create))
        .routes(routes!(runs::describe, runs::delete))
        .routes(routes!(runs::status))
        .routes(routes!(results::download));
    OpenApiRouter::with_openapi(Document::openapi()).nest(PREFIX, endpoints)
}

fn with_single_slashes(mut request: Request) -> Request {
    *request.uri_mut() = paths::collapse_slashes(request.uri());
    request
}
