//! What the tus protocol says of headers.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_ENCODING};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use k8s_openapi::jiff::Timestamp;
use k8s_openapi::jiff::fmt::rfc2822::DateTimePrinter;

use crate::App;
use crate::error::Error;

/// The version of the protocol.
pub const VERSION: HeaderValue = HeaderValue::from_static("1.0.0");
/// The media type of what is sent.
pub const MEDIA_TYPE: &str = "application/offset+octet-stream";

/// Which version is spoken.
pub const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
/// Which versions are understood.
pub const TUS_VERSION: HeaderName = HeaderName::from_static("tus-version");
/// Which of the protocol's extensions there are.
pub const TUS_EXTENSION: HeaderName = HeaderName::from_static("tus-extension");
/// Most bytes of an upload.
pub const TUS_MAX_SIZE: HeaderName = HeaderName::from_static("tus-max-size");
/// How many bytes an upload has.
pub const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
/// That this is told later.
pub const UPLOAD_DEFER_LENGTH: HeaderName = HeaderName::from_static("upload-defer-length");
/// How many of its bytes are there.
pub const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
/// When it expires.
pub const UPLOAD_EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
/// What it is.
pub const METADATA: HeaderName = HeaderName::from_static("upload-metadata");
/// The method that is meant, where only POST comes through.
const METHOD_OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");

const EXTENSIONS: HeaderValue =
    HeaderValue::from_static("creation,creation-with-upload,expiration,termination");

/// Refuses other versions of the protocol.
///
/// # Errors
/// [`Error::ProtocolVersion`].
pub fn expect_version(headers: &HeaderMap) -> Result<(), Error> {
    if headers.get(TUS_RESUMABLE) == Some(&VERSION) { Ok(()) } else { Err(Error::ProtocolVersion) }
}

/// Names the version in every answer.
pub async fn speak(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert(TUS_RESUMABLE, VERSION);
    response
}

/// What there is of the protocol.
pub async fn options(State(app): State<Arc<App>>) -> Response {
    let known = [(TUS_VERSION, VERSION), (TUS_EXTENSION, EXTENSIONS)];
    let size = [(TUS_MAX_SIZE, HeaderValue::from(app.limits.max_upload_bytes))];
    (StatusCode::NO_CONTENT, known, size).into_response()
}

/// Reads the method that is meant, where something in between lets only POST through.
pub fn override_method(request: &mut Request) {
    let named = request.headers().get(METHOD_OVERRIDE).map(HeaderValue::as_bytes);
    let meant = match named {
        Some(b"PATCH") => Method::PATCH,
        Some(b"DELETE") => Method::DELETE,
        Some(b"HEAD") => Method::HEAD,
        _ => return,
    };
    // of no other endpoint has this ever been said
    if request.method() == Method::POST && request.uri().path().contains("/uploads/") {
        *request.method_mut() = meant;
    }
}

/// A number in a header.
///
/// # Errors
/// [`Error::Invalid`] when there is none.
pub fn number(headers: &HeaderMap, name: HeaderName) -> Result<u64, Error> {
    let text = headers.get(&name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits);
    number.ok_or_else(|| Error::Invalid(format!("the header {name} must be a whole number")))
}

/// Refuses a body that is packed: an offset in it would mean nothing.
///
/// # Errors
/// [`Error::Invalid`].
pub fn expect_plain(headers: &HeaderMap) -> Result<(), Error> {
    match headers.get(CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => {
            Err(Error::Invalid("a resumable upload must come without Content-Encoding".into()))
        }
        _ => Ok(()),
    }
}

/// What is told of an upload in headers.
#[derive(Clone, Debug)]
pub struct Standing {
    /// How many of its bytes are there.
    pub offset: u64,
    /// When it expires; none when it is complete.
    pub expires: Option<SystemTime>,
}

impl Standing {
    /// As headers.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::from_iter([
            (UPLOAD_OFFSET, HeaderValue::from(self.offset)),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ]);
        headers.extend(self.expires.and_then(http_date).map(|date| (UPLOAD_EXPIRES, date)));
        headers
    }
}

fn http_date(time: SystemTime) -> Option<HeaderValue> {
    let time = Timestamp::try_from(time).ok()?;
    let text = DateTimePrinter::new().timestamp_to_rfc9110_string(&time).ok()?;
    HeaderValue::try_from(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn times_are_written_as_http_does() {
        assert_eq!(http_date(UNIX_EPOCH).unwrap(), "Thu, 01 Jan 1970 00:00:00 GMT");
    }

    #[test]
    fn only_digits_are_a_number() {
        let read = |text: &'static str| {
            number(&HeaderMap::from_iter([(UPLOAD_OFFSET, text.parse().unwrap())]), UPLOAD_OFFSET)
        };
        assert_eq!(read("0").unwrap() + read("12").unwrap(), 12);
        for wrong in ["", "-1", "+1", "1.0", "0x1", "1, 2", "99999999999999999999999"] {
            assert!(matches!(read(wrong), Err(Error::Invalid(_))), "{wrong}");
        }
        assert!(number(&HeaderMap::new(), UPLOAD_OFFSET).is_err());
    }
}
