//! More requests or uploads than there may be.

use std::net::SocketAddr;
use std::num::NonZeroU32;

use api::limits::addresses::Proxies;
use api::limits::places::{Places, Shares};
use api::limits::throttle::{Rates, Throttle};
use api::router::rest;
use api::server::cors;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use futures::{FutureExt, stream};
use serde_json::Value;

use crate::service::{Service, clks};

fn with_rate(burst: u32) -> Service {
    let (requests, burst) = (NonZeroU32::new(1), NonZeroU32::new(burst).unwrap());
    Service::with(|app, _| app.throttle = Throttle::new(Rates { requests, burst }))
}

fn with_uploads(uploads: Shares) -> Service {
    Service::with(|app, _| app.places = Places::new(uploads))
}

/// Asks from an address.
async fn ask(service: &Service, peer: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
    let mut request = Request::get(format!("/api/v1{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(Body::empty()).unwrap();
    let peer: SocketAddr = peer.parse().unwrap();
    request.extensions_mut().insert(ConnectInfo(peer));
    service.send(request).await.status.as_u16()
}

#[tokio::test]
async fn a_client_that_asks_too_often_is_told_to_try_again() {
    let service = with_rate(5);
    let mut refused = 0;
    for _ in 0..20 {
        let answer = service.call("GET", "/version", None, Value::Null).await;
        if answer.status != 200 {
            answer.problem(503);
            assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
            refused += 1;
        }
    }
    assert!((10..=15).contains(&refused), "{refused}");
    // others are not held up by that
    assert_eq!(ask(&service, "1.1.1.1:80", "/version", &[]).await, 200);
}

#[tokio::test]
async fn a_new_token_with_each_request_is_limited_as_without_a_token() {
    let service = with_rate(60);
    let project = service.create_of_type("groups").await;
    let path = format!("/projects/{}", project.id);
    let mut answered = 0;
    for attempt in 0..600 {
        let token = format!("{attempt:048x}");
        answered += u32::from(ask(&service, "1.1.1.1:80", &path, &[("authorization", &token)]).await == 403);
    }
    // each counts as five
    assert!((11..=14).contains(&answered), "{answered}");
    assert_eq!(ask(&service, "1.1.1.1:80", "/version", &[]).await, 503);
    assert_eq!(ask(&service, "2.1.1.1:80", "/version", &[]).await, 200);
}

#[tokio::test]
async fn holders_of_tokens_at_one_address_do_not_hold_each_other_up() {
    let service = with_rate(5);
    let project = service.create_of_type("groups").await;
    let path = format!("/projects/{}", project.id);
    let holder = [("authorization", project.result.as_str())];
    assert_eq!(ask(&service, "1.1.1.1:80", &path, &holder).await, 200);
    while ask(&service, "1.1.1.1:80", "/version", &[]).await == 200 {}
    for _ in 0..4 {
        assert_eq!(ask(&service, "1.1.1.1:80", &path, &holder).await, 200);
    }
    while ask(&service, "1.1.1.1:80", &path, &holder).await == 200 {}
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_count_by_their_own_addresses() {
    let service = Service::with(|app, _| {
        app.throttle =
            Throttle::new(Rates { requests: NonZeroU32::new(1), burst: NonZeroU32::new(2).unwrap() });
        app.proxies = Proxies::parse(&["10.0.0.0/8".into()]).unwrap();
    });
    for n in 0..10 {
        let made_up = format!("9.9.9.{n}, 1.1.1.1");
        let expected = if n < 2 { 200 } else { 503 };
        let headers = [("x-forwarded-for", made_up.as_str())];
        assert_eq!(ask(&service, "10.0.0.1:80", "/version", &headers).await, expected, "{n}");
    }
    assert_eq!(ask(&service, "10.0.0.1:80", "/version", &[("x-forwarded-for", "2.2.2.2")]).await, 200);
    // who is no proxy speaks for itself alone
    for n in 0..4 {
        let made_up = format!("3.3.3.{n}");
        let expected = if n < 2 { 200 } else { 503 };
        let headers = [("x-forwarded-for", made_up.as_str())];
        assert_eq!(ask(&service, "4.4.4.4:80", "/version", &headers).await, expected, "{n}");
    }
}

#[tokio::test]
async fn an_upload_too_many_is_told_to_try_again_and_its_token_stays_usable() {
    let service = with_uploads(Shares { all: 1, address: 1, project: 1, party: 1 });
    let project = service.create_of_type("groups").await;
    let (send, receive) = futures::channel::oneshot::channel::<()>();
    let body = clks(3, 64);
    let slow = Body::from_stream(stream::once(receive.map(move |_| Ok::<_, std::io::Error>(body))));
    let (first, ()) = tokio::join!(service.upload(&project.id, &project.update[0], slow), async {
        while service.app.places.are_free() {
            tokio::task::yield_now().await;
        }
        service.upload(&project.id, &project.update[1], clks(3, 64)).await.problem(503);
        send.send(()).unwrap();
    });
    assert_eq!(first.status, 201, "{first:?}");
    assert_eq!(service.upload(&project.id, &project.update[1], clks(3, 64)).await.status, 201);
}

#[tokio::test]
async fn pages_of_listed_origins_may_call() {
    let service = Service::new();
    let preflight = |origin: &str| {
        Request::options("/api/v1/projects")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,hash-count")
            .body(Body::empty())
            .unwrap()
    };
    // off by default
    let answer = service.send(preflight("https://a.example")).await;
    answer.problem(405);
    assert!(!answer.headers.contains_key("access-control-allow-origin"));

    let listed = cors::layer(&["https://a.example".into()]).unwrap();
    let service = Service { rest: rest(service.app.clone(), listed), ..service };
    let answer = service.send(preflight("https://a.example")).await;
    assert_eq!((answer.status.as_u16(), answer.body), (204, Value::Null));
    assert_eq!(answer.headers["access-control-allow-origin"], "https://a.example");
    for (header, names) in [
        ("access-control-allow-headers", ["range", "if-range", "if-none-match", "hash-count"]),
        ("access-control-allow-methods", ["GET", "POST", "DELETE", ""]),
    ] {
        let allowed = answer.headers[header].to_str().unwrap();
        assert!(names.iter().all(|name| allowed.contains(name)), "{allowed}");
    }
    let call = Request::get("/api/v1/version").header("origin", "https://a.example");
    let answer = service.send(call.body(Body::empty()).unwrap()).await;
    let exposed = answer.headers["access-control-expose-headers"].to_str().unwrap();
    assert!(["etag", "content-range", "warning"].iter().all(|name| exposed.contains(name)), "{exposed}");
    let other = service.send(preflight("https://b.example")).await;
    assert!(!other.headers.contains_key("access-control-allow-origin"), "{other:?}");
}
