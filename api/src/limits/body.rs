//! Request bodies: bounded in size, and in the time that they may stand still.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use scorer::ingest::Form;
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
        expect_json(request.headers(), request.body().is_end_stream())?;
        let (parts, body) = request.into_parts();
        let mut body = LimitedBody::new(&parts.headers, body, MAX_DOCUMENT, app.limits.read_timeout);
        let mut body = unpacked(&parts.headers, &mut body)?;
        let mut document = BytesMut::new();
        let mut room = app.documents.room();
        while let Some(chunk) = body.next().await {
            let chunk = chunk?;
            room.grow(document.len() + chunk.len())?;
            document.extend_from_slice(&chunk);
        }
        parse(&document).map(Self)
    }
}

fn parse<T: DeserializeOwned>(document: &[u8]) -> Result<T, Error> {
    if let Some(form) = Form::of_document(document) {
        return Err(Error::Invalid(form_refusal(form)));
    }
    let document = without_mark(document);
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

/// A JSON document without the byte order mark that some programs begin it with.
pub fn without_mark(document: &[u8]) -> &[u8] {
    document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document)
}

/// Why a body of this form is refused, with the way out that HTTP has.
pub fn form_refusal(form: Form) -> String {
    match form {
        Form::Gzip => format!("{form}, or send it with Content-Encoding: gzip"),
        form => form.to_string(),
    }
}

/// The media type of JSON.
pub const JSON: &str = "application/json";
/// The media type of raw bytes.
pub const BINARY: &str = "application/octet-stream";

/// Refuses a body that is not JSON by its type. One that is empty and has no type is refused as empty.
///
/// # Errors
/// [`Error::UnsupportedMediaType`], or [`Error::Invalid`].
pub fn expect_json(headers: &HeaderMap, is_empty: bool) -> Result<(), Error> {
    if is_empty && !headers.contains_key(CONTENT_TYPE) {
        return Err(Error::Invalid("the body is empty; send a JSON object, as application/json".into()));
    }
    expect_media_type(headers, JSON)
}

/// Refuses a body of another media type; its parameters, such as a charset, do not count.
///
/// # Errors
/// [`Error::UnsupportedMediaType`].
pub fn expect_media_type(headers: &HeaderMap, expected: &'static str) -> Result<(), Error> {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(expected) { Ok(()) } else { Err(Error::UnsupportedMediaType(expected)) }
}

/// Bytes that must come while a body is waited for, each time that the time for it is over: so a few bytes now and then do not
/// hold a place for ever.
const LEAST_BYTES: u64 = 64 << 10;

/// A body as a stream that ends with an error when it is too large or comes too slowly.
pub struct LimitedBody {
    chunks: BodyDataStream,
    is_empty: bool,
    announced: Option<u64>,
    limit: u64,
    received: u64,
    read_timeout: Duration,
    /// Since when the body is being waited for, if it is.
    waiting: Option<Instant>,
    /// For how long it was waited for since `advanced` was zero. The time that we take ourselves does not count.
    waited: Duration,
    /// What has come in that time.
    advanced: u64,
    deadline: Pin<Box<Sleep>>,
}

impl LimitedBody {
    /// The body of a request, of at most `limit` bytes, of which [`LEAST_BYTES`] come, or the end, for each `read_timeout` that it
    /// is waited for.
    pub fn new(headers: &HeaderMap, body: Body, limit: u64, read_timeout: Duration) -> Self {
        Self {
            is_empty: body.is_end_stream(),
            chunks: body.into_data_stream(),
            announced: headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok()),
            limit,
            received: 0,
            read_timeout,
            waiting: None,
            waited: Duration::ZERO,
            advanced: 0,
            deadline: Box::pin(tokio::time::sleep(read_timeout)),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.is_empty
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
            if this.waiting.is_none() {
                let now = Instant::now();
                this.waiting = Some(now);
                this.deadline.as_mut().reset(now + this.read_timeout.saturating_sub(this.waited));
            }
            ready!(this.deadline.as_mut().poll(context));
            let too_slow = Error::TooSlow { bytes: LEAST_BYTES, seconds: this.read_timeout.as_secs() };
            return Poll::Ready(Some(Err(too_slow)));
        };
        this.waited += this.waiting.take().map_or(Duration::ZERO, |since| since.elapsed());
        Poll::Ready(match chunk {
            None => None,
            Some(Err(error)) => {
                tracing::debug!(%error, "the body broke off");
                Some(Err(Error::Aborted))
            }
            Some(Ok(chunk)) => {
                this.received += chunk.len() as u64;
                this.advanced += chunk.len() as u64;
                if this.advanced >= LEAST_BYTES {
                    (this.advanced, this.waited) = (0, Duration::ZERO);
                }
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

    /// Chunks of so many bytes, one after each pause.
    fn dripping(bytes: usize, pause: Duration, chunks: usize) -> Body {
        let chunk = move |_| async move {
            tokio::time::sleep(pause).await;
            Ok::<_, std::io::Error>(vec![b'x'; bytes])
        };
        Body::from_stream(futures::stream::iter(0..chunks).then(chunk))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_must_advance_by_a_least_rate() {
        let within = Duration::from_secs(100);
        let outcome = async |bytes: usize, pause: u64, chunks: usize| {
            let body = dripping(bytes, Duration::from_secs(pause), chunks);
            let mut body = LimitedBody::new(&HeaderMap::new(), body, 1 << 40, within);
            while let Some(chunk) = body.next().await {
                chunk?;
            }
            Ok::<_, Error>(body.received())
        };
        // a byte now and then is not enough, but little may come slowly
        assert!(matches!(outcome(1, 60, 1_000).await, Err(Error::TooSlow { .. })));
        assert_eq!(outcome(1, 30, 3).await.unwrap(), 3);
        assert!(matches!(outcome(1 << 20, 101, 2).await, Err(Error::TooSlow { .. })));
        // 64 KiB in 99 s, for hours
        assert_eq!(outcome(32 << 10, 49, 1_000).await.unwrap(), 1_000 * (32 << 10));
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_that_the_service_takes_itself_does_not_count() {
        let body = dripping(1, Duration::from_secs(1), 20);
        let mut body = LimitedBody::new(&HeaderMap::new(), body, 1 << 20, Duration::from_secs(25));
        while let Some(chunk) = body.next().await {
            chunk.unwrap();
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        assert_eq!(body.received(), 20);
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
    fn a_byte_order_mark_is_passed_over_and_other_forms_are_refused_by_name() {
        let marked = "\u{feff} {\"a\": 1}".as_bytes();
        assert_eq!(parse::<std::collections::BTreeMap<String, u8>>(marked).unwrap()["a"], 1);
        let wide: Vec<u8> = "{\"a\": 1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03";
        for (document, said) in [(&wide[..], "UTF-16"), (gzip, "Content-Encoding: gzip")] {
            let refused = parse::<serde_json::Value>(document).unwrap_err().to_string();
            assert!(refused.contains(said), "{refused}");
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
