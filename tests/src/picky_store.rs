//! A store that refuses to delete many objects at once unless a checksum comes along, as older S3 services do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Most bytes of a request's body; operators send small ones.
const MOST: usize = 1 << 26;
const REFUSAL: &str =
    "<Error><Code>MissingContentMD5</Code><Message>Content-MD5 is missing</Message></Error>";

/// It stands before another store, and passes all else on to that.
pub struct PickyStore {
    /// `HOST:PORT`.
    pub address: String,
    refused: Arc<AtomicUsize>,
}

#[derive(Clone)]
struct Way {
    client: reqwest::Client,
    store: String,
    refused: Arc<AtomicUsize>,
}

impl PickyStore {
    /// Stands before the store at `HOST:PORT`, for as long as the program runs.
    pub async fn before(store: String) -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let client = reqwest::Client::builder().no_proxy().build()?;
        let refused = Arc::<AtomicUsize>::default();
        let way = Way { client, store, refused: Arc::clone(&refused) };
        tokio::spawn(
            async move { axum::serve(listener, Router::new().fallback(pass).with_state(way)).await },
        );
        Ok(Self { address, refused })
    }

    /// How many requests it has refused.
    pub fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }
}

async fn pass(State(way): State<Way>, request: Request) -> Response {
    let deletes_many = request.method() == Method::POST
        && request
            .uri()
            .query()
            .is_some_and(|query| query.split('&').any(|part| part.trim_end_matches('=') == "delete"));
    if deletes_many && !request.headers().contains_key("content-md5") {
        way.refused.fetch_add(1, Ordering::Relaxed);
        return (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, "application/xml")], REFUSAL)
            .into_response();
    }
    way.send(request)
        .await
        .unwrap_or_else(|error| (StatusCode::BAD_GATEWAY, error.to_string()).into_response())
}

impl Way {
    async fn send(&self, request: Request) -> anyhow::Result<Response> {
        let (head, body) = request.into_parts();
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        // the host stays as it was signed
        let there =
            self.client.request(head.method, format!("http://{}{path}", self.store)).headers(head.headers);
        let answer = there.body(to_bytes(body, MOST).await?).send().await?;
        let mut passed = Response::builder().status(answer.status());
        let of_the_connection =
            |name: &HeaderName| [header::TRANSFER_ENCODING, header::CONNECTION].contains(name);
        for (name, value) in answer.headers().iter().filter(|(name, _)| !of_the_connection(name)) {
            passed = passed.header(name, value);
        }
        Ok(passed.body(Body::from(answer.bytes().await?))?)
    }
}
