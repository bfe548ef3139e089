//! Request bodies: bounded in size, and in the time that they may stand still.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, Sleep};

use crate::App;
use crate::content::unpack::unpacked;
use crate::error::Error;

/// Largest body of a request that is not an upload, in bytes.
pub const MAX_DOCUMENT: u64 = 1 << 20;
/// Longest text of a JSON error that is passed on, in bytes: it may quote the document.
const MAX_QUOTE: usize = 400;

/// A JSON document of at most [`MAX_DOCUMENT`] bytes.
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Error> {
        expect_media_type(request.headers(), JSON)?;
        let (parts, body) = request.into_parts();
        let mut body = LimitedBody::new(&parts.headers, body, MAX_DOCUMENT, app.limits.read_timeout);
        let mut body = unpacked(&parts.headers, &mut body)?;
        let mut document = BytesMut::new();
        while let Some(chunk) = body.next().await {
            document.extend_from_slice(&chunk?);
        }
        parse(&document).map(Self)
    }
}

fn parse<T: DeserializeOwned>(document: &[u8]) -> Result<T, Error> {
    // serde would take an array of the fields as well
    if !document.trim_ascii_start().starts_with(b"{") {
        return Err(Error::Invalid("the body must be a JSON object".into()));
    }
    serde_json::from_slice(document).map_err(|error| {
        let text = error.to_string();
        Error::Invalid(format!(
            "the body is not as expected: {}",
            &text[..text.floor_char_boundary(MAX_QUOTE)]
        ))
    })
}

/// The media type of JSON.
pub const JSON: &str = "application/json";
/// The media type of raw bytes.
pub const BINARY: &str = "application/octet-stream";

/// Refuses a body of another media type; its parameters, such as a charset, do not count.
///
/// # Errors
/// [`Error::UnsupportedMediaType`].
pub fn expect_media_type(headers: &HeaderMap, expected: &'static str) -> Result<(), Error> {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(expected) { Ok(()) } else { Err(Error::UnsupportedMediaType(expected)) }
}

/// A body as a stream that ends with an error when it is too large or stands still for too long.
pub struct LimitedBody {
    chunks: BodyDataStream,
    announced: Option<u64>,
    limit: u64,
    received: u64,
    read_timeout: Duration,
    deadline: Pin<Box<Sleep>>,
}

impl LimitedBody {
    /// The body of a request, of at most `limit` bytes, of which some come at least every `read_timeout`.
    pub fn new(headers: &HeaderMap, body: Body, limit: u64, read_timeout: Duration) -> Self {
        Self {
            chunks: body.into_data_stream(),
            announced: headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok()),
            limit,
            received: 0,
            read_timeout,
            deadline: Box::pin(tokio::time::sleep(read_timeout)),
        }
    }

    /// The most bytes that it may have.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Bytes received so far.
    pub fn received(&self) -> u64 {
        self.received
    }
}

impl Stream for LimitedBody {
    type Item = Result<Bytes, Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let too_large = Error::TooLarge { limit: this.limit };
        if this.received == 0 && this.announced.is_some_and(|announced| announced > this.limit) {
            this.announced = None;
            return Poll::Ready(Some(Err(too_large)));
        }
        let Poll::Ready(chunk) = this.chunks.poll_next_unpin(context) else {
            ready!(this.deadline.as_mut().poll(context));
            return Poll::Ready(Some(Err(Error::TooSlow { seconds: this.read_timeout.as_secs() })));
        };
        this.deadline.as_mut().reset(Instant::now() + this.read_timeout);
        Poll::Ready(match chunk {
            None => None,
            Some(Err(error)) => {
                tracing::debug!(%error, "the body broke off");
                Some(Err(Error::Aborted))
            }
            Some(Ok(chunk)) => {
                this.received += chunk.len() as u64;
                Some(if this.received > this.limit { Err(too_large) } else { Ok(chunk) })
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(limit: u64, chunks: Vec<&'static str>, announced: Option<u64>) -> LimitedBody {
        let headers = announced.map(|announced| (CONTENT_LENGTH, announced.into())).into_iter().collect();
        let chunks = futures::stream::iter(chunks.into_iter().map(Ok::<_, std::io::Error>));
        LimitedBody::new(&headers, Body::from_stream(chunks), limit, Duration::from_secs(10))
    }

    #[tokio::test]
    async fn a_body_within_the_limit_passes() {
        let chunks: Vec<_> = body(6, vec!["abc", "def"], Some(6)).map(Result::unwrap).collect().await;
        assert_eq!(chunks, ["abc", "def"]);
    }

    #[tokio::test]
    async fn a_body_above_the_limit_is_refused_announced_or_not() {
        let mut found = body(5, vec!["abc", "def"], None);
        assert!(found.next().await.unwrap().is_ok());
        assert!(matches!(found.next().await, Some(Err(Error::TooLarge { limit: 5 }))));
        let mut found = body(5, vec!["abc", "def"], Some(6));
        assert!(matches!(found.next().await, Some(Err(Error::TooLarge { limit: 5 }))));
    }

    #[tokio::test]
    async fn a_body_that_stands_still_is_given_up() {
        let nothing = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        let mut found = LimitedBody::new(&HeaderMap::new(), nothing, 5, Duration::from_millis(5));
        assert!(matches!(found.next().await, Some(Err(Error::TooSlow { .. }))));
    }

    #[test]
    fn a_document_is_an_object() {
        assert_eq!(parse::<std::collections::BTreeMap<String, u8>>(br#" {"a": 1}"#).unwrap()["a"], 1);
        let deep = [b"{\"a\":".repeat(10_000), b"1".to_vec(), b"}".repeat(10_000)].concat();
        for document in [&b""[..], b"[1]", b"null", b"{", b"{\"a\": 1} x", b"{\"\xff\": 1}", &deep] {
            assert!(matches!(parse::<serde_json::Map<_, _>>(document), Err(Error::Invalid(_))));
        }
    }

    #[test]
    fn media_types_are_compared_without_parameters() {
        let headers = |value: &'static str| HeaderMap::from_iter([(CONTENT_TYPE, value.parse().unwrap())]);
        assert!(expect_media_type(&headers("Application/JSON; charset=utf-8"), JSON).is_ok());
        for refused in ["text/json", "application/jsonx", ""] {
            assert!(expect_media_type(&headers(refused), JSON).is_err());
        }
        assert!(expect_media_type(&HeaderMap::new(), BINARY).is_err());
    }
}
