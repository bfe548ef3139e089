//! How many requests a client may send in a second. Whoever sends more is told to try again later.
//!
//! A client is an address, until a token of its requests has been verified: then the holder of that token. So whoever makes
//! tokens up counts as one client, and those who share an address do not hold each other up.

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{Method, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::App;
use crate::access::audit;
use crate::access::caller::{self, Caller};
use crate::error::{Error, Refused, TokenRefused};
use crate::limits::addresses::network;
use crate::limits::verified::Verified;
use crate::server::telemetry::RequestId;

/// As how many requests one counts whose token is refused, beside itself.
const REFUSED: u32 = 4;

/// Counts requests by client.
pub struct Throttle {
    requests: Option<DefaultKeyedRateLimiter<u64>>,
    /// Hashes tokens and addresses, which are not kept; by a key that nobody knows.
    hasher: RandomState,
    verified: Verified,
}

/// What a throttle allows.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Requests a second of one client. None: as many as come.
    pub requests: Option<NonZeroU32>,
    /// Requests that a client may send at once before that counts.
    pub burst: NonZeroU32,
}

impl Throttle {
    /// Nothing is counted yet.
    pub fn new(rates: Rates) -> Self {
        let quota = |requests| Quota::per_second(requests).allow_burst(rates.burst);
        Self {
            requests: rates.requests.map(|requests| RateLimiter::keyed(quota(requests))),
            hasher: RandomState::new(),
            verified: Verified::default(),
        }
    }

    /// Counts a request.
    ///
    /// # Errors
    /// [`Error::TooManyRequests`] when its client has sent too many of late.
    pub fn request(&self, caller: &Caller) -> Result<(), Error> {
        let Some(requests) = &self.requests else { return Ok(()) };
        let token = self.token(caller).filter(|token| self.verified.knows(*token));
        let client = token.unwrap_or_else(|| self.address(caller));
        requests.check_key(&client).map_err(|_| Error::TooManyRequests)
    }

    /// Notes whether the request's token has opened anything. One that was refused counts for its address as several.
    pub fn answered(&self, caller: &Caller, refused: bool) {
        let (Some(requests), Some(token)) = (&self.requests, self.token(caller)) else { return };
        if refused {
            self.verified.forget(token);
            let address = self.address(caller);
            // one by one: together they would not count where there is no room for all of them
            let _ = (0..REFUSED).try_for_each(|_| requests.check_key(&address));
        } else if caller.is_verified() && !self.verified.knows(token) {
            self.verified.remember(token);
        }
    }

    /// Forgets the clients that could send as many again; to be called every few seconds.
    pub fn tidy(&self) {
        if let Some(requests) = &self.requests {
            requests.retain_recent();
            requests.shrink_to_fit();
        }
    }

    fn token(&self, caller: &Caller) -> Option<u64> {
        caller.token().map(|token| self.hasher.hash_one(token))
    }

    fn address(&self, caller: &Caller) -> u64 {
        self.hasher.hash_one(caller.address)
    }
}

/// Lets a request through unless its client has sent too many.
pub async fn requests(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let address = peer.map(|peer| network(app.proxies.client(peer, request.headers())));
    let id = request.extensions().get::<RequestId>().map(|RequestId(id)| id.clone());
    let caller = Arc::new(Caller::new(address, request.headers(), id));
    if let Err(error) = app.throttle.request(&caller) {
        return error.into_response();
    }
    let asked = Asked::of(&request);
    let response = caller::with(caller.clone(), next.run(request)).await;
    if response.extensions().get::<TokenRefused>().is_some()
        || response.extensions().get::<Refused>().is_some()
    {
        let status = response.status().as_u16();
        caller::with(caller.clone(), async { audit::refuse(&asked.name(), asked.uri.path(), status) }).await;
    }
    let refused = caller.is_refused() || response.extensions().get::<TokenRefused>().is_some();
    app.throttle.answered(&caller, refused);
    response
}

/// What a request asks for; it costs nothing to keep.
struct Asked {
    method: Method,
    route: Option<MatchedPath>,
    uri: Uri,
}

impl Asked {
    fn of(request: &Request) -> Self {
        let route = request.extensions().get::<MatchedPath>().cloned();
        Self { method: request.method().clone(), route, uri: request.uri().clone() }
    }

    fn name(&self) -> String {
        format!("{} {}", self.method, self.route.as_ref().map_or("none", MatchedPath::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderMap;
    use axum::http::header::AUTHORIZATION;

    fn throttle(burst: u32) -> Throttle {
        Throttle::new(Rates { requests: NonZeroU32::new(1), burst: NonZeroU32::new(burst).unwrap() })
    }

    fn caller(token: Option<&str>, address: [u8; 4]) -> Caller {
        let headers = token.map(|token| (AUTHORIZATION, token.parse().unwrap())).into_iter().collect();
        Caller::new(Some(address.into()), &headers, None)
    }

    async fn verified(caller: Caller) -> Arc<Caller> {
        let caller = Arc::new(caller);
        caller::with(caller.clone(), async { caller::verified() }).await;
        caller
    }

    #[test]
    fn tokens_that_were_not_verified_count_for_their_address() {
        let throttle = throttle(3);
        for token in ["one", "two", "three"] {
            assert!(throttle.request(&caller(Some(token), [1; 4])).is_ok());
        }
        for token in [Some("four"), Some("one"), None] {
            assert!(matches!(throttle.request(&caller(token, [1; 4])), Err(Error::TooManyRequests)));
        }
        assert!(throttle.request(&caller(Some("one"), [2; 4])).is_ok());
    }

    #[tokio::test]
    async fn the_holder_of_a_verified_token_is_a_client_of_its_own() {
        let throttle = throttle(3);
        let holder = verified(caller(Some("token"), [1; 4])).await;
        throttle.answered(&holder, false);
        while throttle.request(&caller(None, [1; 4])).is_ok() {}
        for _ in 0..3 {
            assert!(throttle.request(&holder).is_ok());
        }
        // the same token from another address is the same client
        assert!(throttle.request(&caller(Some("token"), [2; 4])).is_err());
        // once it is refused, it counts for its address again
        throttle.answered(&holder, true);
        assert!(throttle.request(&caller(Some("token"), [3; 4])).is_ok());
    }

    #[test]
    fn a_refused_token_counts_as_several_requests() {
        let throttle = throttle(20);
        let guesser = caller(Some("guess"), [1; 4]);
        let mut answered = 0;
        while throttle.request(&guesser).is_ok() {
            throttle.answered(&guesser, true);
            answered += 1;
        }
        assert!((4..=5).contains(&answered), "{answered}");
    }

    #[test]
    fn without_a_rate_all_come_through() {
        let throttle = Throttle::new(Rates { requests: None, burst: NonZeroU32::MIN });
        let nobody = Caller::new(None, &HeaderMap::new(), None);
        assert!((0..1_000).all(|_| throttle.request(&nobody).is_ok()));
    }
}
