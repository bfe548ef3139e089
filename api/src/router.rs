//! All endpoints, and what is common to them.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::IntoResponse;
use axum::routing::{get, options};
use bytes::Bytes;
use tower::Layer;
use tower::util::{MapRequest, MapRequestLayer, option_layer};
use tower_http::cors::CorsLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::document::{self, Document, page};
use crate::endpoints::{
    histogram, invitation, projects, results, resumable, runs, service, tokens, uploads, webhook, withdrawals,
};
use crate::error::Error;
use crate::limits::{body, throttle, unread};
use crate::problem;
use crate::resumable::protocol;
use crate::server::{cors, paths, telemetry};

/// Below which path the endpoints are.
const PREFIX: &str = "/api/v1";

/// The service, ready to be called.
pub type Rest = MapRequest<Router, fn(Request) -> Request>;

/// The service with all its endpoints.
pub fn rest(app: Arc<App>, cors: Option<CorsLayer>) -> Rest {
    let document = Bytes::from(document());
    let router = Router::from(endpoints())
        .route(
            &format!("{PREFIX}/openapi.json"),
            get(|| async { ([(CONTENT_TYPE, body::JSON)], document).into_response() }),
        )
        .route(problem::PATH, get(|| async { ([(CONTENT_TYPE, body::JSON)], problem::json()) }))
        .route(&format!("{PREFIX}/projects/{{project_id}}/uploads"), options(protocol::options))
        .merge(page::router(&format!("{PREFIX}/ui")))
        .merge(crate::endpoints::page::router())
        .fallback(async || Error::UnknownPath)
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        .layer(from_fn_with_state(app.clone(), throttle::requests))
        .layer(from_fn(unread::read))
        .layer(option_layer(cors))
        .layer(from_fn(cors::without_content))
        .layer(from_fn(telemetry::observe))
        .with_state(app);
    // before the router, which matches the path as it is
    MapRequestLayer::new(with_single_slashes as fn(Request) -> Request).layer(router)
}

/// The contract as a document, in JSON.
pub fn document() -> String {
    let mut document = endpoints().into_openapi();
    document::complete(&mut document);
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

fn endpoints() -> OpenApiRouter<Arc<App>> {
    let endpoints = OpenApiRouter::new()
        .routes(routes!(service::status))
        .routes(routes!(service::version))
        .routes(routes!(projects::list, projects::create))
        .routes(routes!(projects::describe, projects::delete))
        .routes(routes!(tokens::rotate))
        .routes(routes!(invitation::describe))
        .routes(routes!(webhook::describe))
        .routes(routes!(uploads::authorize_external))
        .routes(routes!(uploads::json, withdrawals::withdraw))
        .routes(routes!(uploads::binary))
        .merge(resumable_uploads())
        .routes(routes!(runs::list, runs::create))
        .routes(routes!(runs::describe, runs::delete))
        .routes(routes!(runs::status))
        .routes(routes!(results::download))
        .routes(routes!(results::download_similarity_scores))
        .routes(routes!(results::download_file))
        .routes(routes!(histogram::download));
    OpenApiRouter::with_openapi(Document::openapi()).nest(PREFIX, endpoints)
}

fn resumable_uploads() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(resumable::list, resumable::begin))
        .routes(routes!(resumable::describe, resumable::offset, resumable::go_on, resumable::end))
        .route_layer(from_fn(protocol::speak))
}

fn with_single_slashes(mut request: Request) -> Request {
    protocol::override_method(&mut request);
    *request.uri_mut() = paths::collapse_slashes(request.uri());
    request
}
