//! Who sends the request that is being answered: from where, with which token, and whether that token has opened anything.
//!
//! It belongs to the task that answers; a task that is started for a request takes it along by [`with`].

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

tokio::task_local! {
    static CALLER: Arc<Caller>;
}

/// Who sends a request.
#[derive(Default)]
pub struct Caller {
    /// The client's address, an IPv6 one as its network.
    pub address: Option<IpAddr>,
    /// The request's id.
    pub request_id: Option<HeaderValue>,
    token: Option<HeaderValue>,
    verified: AtomicBool,
    refused: AtomicBool,
}

impl Caller {
    /// The sender of a request with these headers.
    pub fn new(address: Option<IpAddr>, headers: &HeaderMap, request_id: Option<HeaderValue>) -> Self {
        let token = headers.get(AUTHORIZATION).cloned();
        Self { address, request_id, token, verified: AtomicBool::new(false), refused: AtomicBool::new(false) }
    }

    /// What the `Authorization` header says, if there is one. It must get into no log.
    pub fn token(&self) -> Option<&[u8]> {
        self.token.as_ref().map(HeaderValue::as_bytes)
    }

    /// Whether the token was found to open nothing, although the answer does not say so.
    pub fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// Whether the token has opened something.
    pub fn is_verified(&self) -> bool {
        self.verified.load(Ordering::Relaxed)
    }
}

/// Answers a request of a caller.
pub async fn with<T>(caller: Arc<Caller>, answer: impl Future<Output = T>) -> T {
    CALLER.scope(caller, answer).await
}

/// The same work, of the caller whose request is being answered now: for work that goes on as a task of its own.
pub fn along<F: Future + Send + 'static>(work: F) -> Pin<Box<dyn Future<Output = F::Output> + Send>> {
    match current() {
        Some(caller) => Box::pin(with(caller, work)),
        None => Box::pin(work),
    }
}

/// Whose request is being answered; nobody's, outside of requests.
pub fn current() -> Option<Arc<Caller>> {
    CALLER.try_with(Arc::clone).ok()
}

/// The token of the request that is being answered opens nothing, although the answer is not a refusal.
pub fn refused() {
    let _ = CALLER.try_with(|caller| caller.refused.store(true, Ordering::Relaxed));
}

/// The token of the request that is being answered has opened something.
pub fn verified() {
    // outside of requests nobody counts
    let _ = CALLER.try_with(|caller| caller.verified.store(true, Ordering::Relaxed));
}
