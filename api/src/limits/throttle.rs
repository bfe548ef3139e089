//! How many requests a client may send in a second, and how many uploads may be in progress. Whoever wants more is
//! told to try again later.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::App;
use crate::error::Error;

/// Counts requests by client, and uploads.
pub struct Throttle {
    requests: Option<DefaultKeyedRateLimiter<u64>>,
    /// Hashes tokens, which are not kept; by a key that nobody knows.
    hasher: RandomState,
    uploads: Arc<Semaphore>,
}

/// What a throttle allows.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Requests a second of one client. None: as many as come.
    pub requests: Option<NonZeroU32>,
    /// Requests that a client may send at once before that counts.
    pub burst: NonZeroU32,
    /// Uploads in progress.
    pub uploads: usize,
}

impl Throttle {
    /// Nothing is counted yet.
    pub fn new(rates: Rates) -> Self {
        let quota = |requests| Quota::per_second(requests).allow_burst(rates.burst);
        Self {
            requests: rates.requests.map(|requests| RateLimiter::keyed(quota(requests))),
            hasher: RandomState::new(),
            uploads: Arc::new(Semaphore::new(rates.uploads)),
        }
    }

    /// Counts a request of the client that holds this token, or has this address.
    ///
    /// # Errors
    /// [`Error::TooManyRequests`] when it has sent too many of late.
    pub fn request(&self, token: Option<&[u8]>, address: Option<IpAddr>) -> Result<(), Error> {
        let Some(requests) = &self.requests else { return Ok(()) };
        let client = self.hasher.hash_one((token, address.filter(|_| token.is_none())));
        requests.check_key(&client).map_err(|_| Error::TooManyRequests)
    }

    /// Forgets the clients that could send as many again; to be called every few seconds.
    pub fn tidy(&self) {
        if let Some(requests) = &self.requests {
            requests.retain_recent();
            requests.shrink_to_fit();
        }
    }

    /// A place for an upload, until it is dropped.
    ///
    /// # Errors
    /// [`Error::TooManyUploads`] when all are taken.
    pub fn upload(&self) -> Result<OwnedSemaphorePermit, Error> {
        self.uploads.clone().try_acquire_owned().map_err(|_| Error::TooManyUploads)
    }
}

/// Lets a request through unless its client has sent too many.
pub async fn requests(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let token = request.headers().get(AUTHORIZATION).map(|token| token.as_bytes());
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    match app.throttle.request(token, peer) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttle(burst: u32) -> Throttle {
        Throttle::new(Rates {
            requests: NonZeroU32::new(1),
            burst: NonZeroU32::new(burst).unwrap(),
            uploads: 2,
        })
    }

    #[test]
    fn each_client_has_a_rate_of_its_own() {
        let (throttle, here) = (throttle(3), IpAddr::from([127, 0, 0, 1]));
        let clients =
            [(Some(&b"one"[..]), None), (Some(&b"other"[..]), None), (None, Some(here)), (None, None)];
        for (token, address) in clients {
            for _ in 0..3 {
                assert!(throttle.request(token, address).is_ok());
            }
            assert!(matches!(throttle.request(token, address), Err(Error::TooManyRequests)));
        }
        // the same token from another address is the same client
        assert!(throttle.request(Some(b"one"), Some(here)).is_err());
    }

    #[test]
    fn without_a_rate_all_come_through() {
        let throttle = Throttle::new(Rates { requests: None, burst: NonZeroU32::MIN, uploads: 0 });
        assert!((0..1_000).all(|_| throttle.request(None, None).is_ok()));
    }

    #[test]
    fn an_upload_gives_its_place_back() {
        let throttle = throttle(1);
        let (first, second) = (throttle.upload().unwrap(), throttle.upload().unwrap());
        assert!(matches!(throttle.upload(), Err(Error::TooManyUploads)));
        drop(first);
        let third = throttle.upload().unwrap();
        assert!(throttle.upload().is_err());
        drop((second, third));
    }
}
