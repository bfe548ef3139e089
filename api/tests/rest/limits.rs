//! More requests or uploads than there may be.

use std::num::NonZeroU32;

use api::limits::throttle::{Rates, Throttle};
use api::router::rest;
use api::server::cors;
use axum::body::Body;
use axum::http::Request;
use futures::{FutureExt, stream};
use serde_json::Value;

use crate::service::{Service, clks};

fn with_rates(requests: Option<u32>, burst: u32, uploads: usize) -> Service {
    let (requests, burst) = (requests.and_then(NonZeroU32::new), NonZeroU32::new(burst).unwrap());
    Service::with(|app, _| app.throttle = Throttle::new(Rates { requests, burst, uploads }))
}

#[tokio::test]
async fn a_client_that_asks_too_often_is_told_to_try_again() {
    let service = with_rates(Some(1), 5, 1);
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
    assert_eq!(service.call("GET", "/version", Some("token"), Value::Null).await.status, 200);
}

#[tokio::test]
async fn an_upload_too_many_is_told_to_try_again_and_its_token_stays_usable() {
    let service = with_rates(None, 1, 1);
    let project = service.create_of_type("groups").await;
    let (send, receive) = futures::channel::oneshot::channel::<()>();
    let body = clks(3, 64);
    let slow = Body::from_stream(stream::once(receive.map(move |_| Ok::<_, std::io::Error>(body))));
    let (first, ()) = tokio::join!(service.upload(&project.id, &project.update[0], slow), async {
        while service.app.uploads.is_empty() {
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
    let other = service.send(preflight("https://b.example")).await;
    assert!(!other.headers.contains_key("access-control-allow-origin"), "{other:?}");
}
