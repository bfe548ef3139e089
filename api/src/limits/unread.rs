//! What is left of a request's body once its answer is known.
//!
//! A connection can carry another request only when the body before has been read. A client that sends everything before
//! it reads gets to see a refusal only then, too. So the rest is read and forgotten, within limits; where they are
//! exceeded, the answer says that the connection will be closed, so that nobody sends another request into the void.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::{CONNECTION, EXPECT};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use futures::StreamExt;
use hyper::body::{Frame, SizeHint};

/// For how long the rest of a body is read.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest pause in it.
const PAUSE: Duration = Duration::from_secs(5);

/// Reads what the answer left of the body, or has the connection closed.
pub async fn read(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let waits = request.headers().contains_key(EXPECT);
    let left = Left::default();
    let request =
        request.map(|body| Body::new(Lent { body, is_begun: false, is_over: false, left: left.clone() }));
    let mut response = next.run(request).await;
    // a client that waits for a sign before it sends anything need not send it at all
    let is_read = match left.take() {
        None => true,
        Some((_, false)) if waits => false,
        Some((body, _)) => is_read_to_its_end(body).await,
    };
    if !is_read {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn is_read_to_its_end(body: Body) -> bool {
    let mut chunks = body.into_data_stream();
    let rest = async {
        while let Some(chunk) = tokio::time::timeout(PAUSE, chunks.next()).await.ok()? {
            chunk.ok()?;
        }
        Some(())
    };
    tokio::time::timeout(PATIENCE, rest).await.ok().flatten().is_some()
}

/// Where a body is put back, and whether any of it was asked for.
#[derive(Clone, Default)]
struct Left(Arc<Mutex<Option<(Body, bool)>>>);

impl Left {
    fn put(&self, body: Body, is_begun: bool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((body, is_begun));
    }

    fn take(&self) -> Option<(Body, bool)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A body that is put back when it is dropped before its end.
struct Lent {
    body: Body,
    is_begun: bool,
    is_over: bool,
    left: Left,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        this.is_begun = true;
        let frame = Pin::new(&mut this.body).poll_frame(context);
        this.is_over |= matches!(frame, Poll::Ready(None | Some(Err(_))));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.is_over && !self.body.is_end_stream() {
            self.left.put(std::mem::take(&mut self.body), self.is_begun);
        }
    }
}
