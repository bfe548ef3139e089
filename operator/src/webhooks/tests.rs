//! Webhooks: the operator before a Kubernetes API in memory, and a receiver that the test plays.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64_simd::STANDARD;
use fake_kubernetes::{Fault, Refusal, Verb};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::testing::{World, contributed_project, settings};

/// A receiver of events.
#[derive(Clone)]
struct Receiver {
    url: String,
    got: Arc<Mutex<Vec<Delivery>>>,
    /// What it answers; 204 when there is no more.
    answers: Arc<Mutex<VecDeque<u16>>>,
}

#[derive(Clone, Debug)]
struct Delivery {
    path: String,
    headers: HeaderMap,
    body: String,
}

impl Receiver {
    async fn new() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let receiver = Self { url, got: Arc::default(), answers: Arc::default() };
        let router = Router::new().fallback(receive).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    fn answers(&self, statuses: impl IntoIterator<Item = u16>) {
        self.answers.lock().unwrap().extend(statuses);
    }

    fn got(&self) -> Vec<Delivery> {
        self.got.lock().unwrap().clone()
    }

    fn ids(&self) -> Vec<String> {
        self.got().iter().map(|delivery| delivery.header("webhook-id")).collect()
    }

    /// An operator that may send to this receiver.
    fn world(&self) -> World {
        World::with_webhooks(&self.url, true)
    }

    /// A project whose parties have contributed, with this receiver.
    fn project(&self, world: &World) -> Value {
        let mut project = contributed_project("p");
        project["spec"]["webhook"] = json!({"url": format!("{}/hook?key=s3cret", self.url)});
        for (party, time) in [(0, "2030-01-01T00:00:01Z"), (1, "2030-01-01T00:00:02Z")] {
            project["status"]["parties"][party]["contributedAt"] = json!(time);
        }
        world.kubernetes.create("linkageprojects", project)
    }
}

async fn receive(State(receiver): State<Receiver>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 10_000).await.unwrap();
    let delivery = Delivery {
        path: parts.uri.to_string(),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    receiver.got.lock().unwrap().push(delivery);
    let status = receiver.answers.lock().unwrap().pop_front().unwrap_or(204);
    let elsewhere = [("location", format!("{}/elsewhere", receiver.url))];
    (StatusCode::from_u16(status).unwrap(), elsewhere, "answer").into_response()
}

impl Delivery {
    fn header(&self, name: &str) -> String {
        self.headers[name].to_str().unwrap().to_owned()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Whether a receiver that knows the secret would take it.
    fn is_signed_with(&self, secret: &str) -> bool {
        let key = STANDARD.decode_to_vec(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        let signed =
            [self.header("webhook-id"), self.header("webhook-timestamp"), self.body.clone()].join(".");
        mac.update(signed.as_bytes());
        let signature = self.header("webhook-signature");
        let code = STANDARD.decode_to_vec(signature.strip_prefix("v1,").unwrap()).unwrap();
        mac.verify_slice(&code).is_ok()
    }
}

async fn delivered(world: &World, plural: &str, name: &str, events: usize) -> Value {
    let what = format!("{events} events of {plural}/{name} delivered");
    world
        .kubernetes
        .until(&what, |kubernetes| {
            let webhook = kubernetes.get(plural, name)?["status"]["webhook"].clone();
            (webhook["delivered"].as_array()?.len() == events).then_some(webhook)
        })
        .await
}

#[tokio::test]
async fn each_contribution_and_the_end_of_a_run_are_told_signed_by_ids_and_states_alone() {
    let receiver = Receiver::new().await;
    let world = receiver.world();
    receiver.project(&world);
    delivered(&world, "linkageprojects", "p", 2).await;
    world.run("r", json!({}));
    world.job("r-score").await;
    world.write_summary("r").await;
    world.complete("r-score");
    delivered(&world, "linkageruns", "r", 1).await;

    let got = receiver.got();
    assert_eq!(got.len(), 3, "{got:?}");
    let contributed = |party: &str, time: &str| {
        json!({"type": "party.contributed", "timestamp": time,
            "data": {"project_id": "p", "party": party, "state": "contributed"}})
    };
    assert_eq!(got[0].json(), contributed("a", "2030-01-01T00:00:01Z"));
    assert_eq!(got[1].json(), contributed("b", "2030-01-01T00:00:02Z"));
    let ended = got[2].json();
    assert_eq!(ended["type"], "run.completed");
    assert_eq!(ended["data"], json!({"project_id": "p", "run_id": "r", "state": "completed"}));

    let secret = world.kubernetes.get("secrets", "p-tokens").unwrap()["data"]["webhook-secret"].clone();
    let secret = STANDARD.decode_to_vec(secret.as_str().unwrap()).unwrap();
    for delivery in &got {
        assert_eq!(delivery.path, "/hook?key=s3cret");
        assert_eq!(delivery.header("content-type"), "application/json");
        assert!(delivery.is_signed_with(std::str::from_utf8(&secret).unwrap()), "{delivery:?}");
        assert!(!delivery.headers.contains_key("authorization"));
    }
}

#[tokio::test]
async fn a_run_that_has_failed_is_told_as_failed() {
    let receiver = Receiver::new().await;
    let world = receiver.world();
    receiver.project(&world);
    world.run("r", json!({}));
    world.job("r-score").await;
    world.give_up("r-score");
    delivered(&world, "linkageruns", "r", 1).await;
    let told = receiver.got().last().unwrap().json();
    assert_eq!(told["type"], "run.failed");
    assert_eq!(told["data"], json!({"project_id": "p", "run_id": "r", "state": "error"}));
}

#[tokio::test]
async fn what_the_receiver_does_not_take_is_sent_again_under_the_same_id_and_told_without_the_address() {
    let receiver = Receiver::new().await;
    receiver.answers([500, 302, 404]);
    let world = receiver.world();
    receiver.project(&world);
    let note = world.event("WebhookFailed", "answers 500").await;
    assert!(!note.contains("s3cret") && !note.contains("/hook"), "{note}");
    let webhook = delivered(&world, "linkageprojects", "p", 2).await;
    assert_eq!(webhook["message"], Value::Null, "{webhook}");
    let ids = receiver.ids();
    assert_eq!(ids.len(), 5, "{ids:?}");
    assert!(ids[..4].iter().all(|id| *id == ids[0]) && ids[4] != ids[0], "{ids:?}");
    assert!(
        receiver.got().iter().all(|delivery| delivery.path.starts_with("/hook")),
        "no redirect is followed"
    );
    let bodies: Vec<_> = receiver.got()[..4].iter().map(|delivery| delivery.body.clone()).collect();
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
}

#[tokio::test]
async fn a_restart_repeats_nothing_that_is_recorded_and_loses_nothing_that_is_not() {
    let receiver = Receiver::new().await;
    let world = receiver.world();
    receiver.project(&world);
    delivered(&world, "linkageprojects", "p", 2).await;
    // the receiver is away while a run ends, and the operator is killed
    receiver.answers([503; 1]);
    world.run("r", json!({}));
    world.job("r-score").await;
    world.write_summary("r").await;
    world.complete("r-score");
    world.event("WebhookFailed", "answers 503").await;
    let world = world.restarted(&settings());
    delivered(&world, "linkageruns", "r", 1).await;
    let mut ids = receiver.ids();
    ids.dedup();
    assert_eq!(ids.len(), 3, "{ids:?}");
}

#[tokio::test]
async fn a_delivery_that_could_not_be_recorded_is_made_again_under_the_same_id() {
    let receiver = Receiver::new().await;
    let world = receiver.world();
    let refusal = Refusal::quota_exceeded("linkageprojects", "p", "few", "count");
    world.kubernetes.fail(Fault::refuses(refusal).on(Verb::Update, "linkageprojects"));
    receiver.project(&world);
    world.kubernetes.until("two deliveries", |_| (receiver.ids().len() >= 2).then_some(())).await;
    world.kubernetes.heal();
    delivered(&world, "linkageprojects", "p", 2).await;
    let mut ids = receiver.ids();
    assert_eq!(ids[0], ids[1]);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 2);
}

#[tokio::test]
async fn an_address_that_the_administrator_does_not_allow_gets_nothing_and_the_project_says_so() {
    let receiver = Receiver::new().await;
    for (allowed, private, words) in [
        ("", true, "the administrator does not allow this address"),
        ("https://hooks.example.org", true, "the administrator does not allow this address"),
        (receiver.url.as_str(), false, "leads to a private address"),
    ] {
        let world = World::with_webhooks(allowed, private);
        receiver.project(&world);
        let reason = if private { "WebhookNotAllowed" } else { "WebhookFailed" };
        let note = world.event(reason, words).await;
        assert!(!note.contains("s3cret"), "{note}");
        let status = world.kubernetes.get("linkageprojects", "p").unwrap()["status"]["webhook"].clone();
        assert!(status["message"].as_str().unwrap().contains(words), "{status}");
    }
    assert_eq!(receiver.got().len(), 0);
}

#[tokio::test]
async fn a_name_that_leads_to_a_private_address_gets_nothing() {
    let receiver = Receiver::new().await;
    let named = receiver.url.replace("127.0.0.1", "localhost");
    let world = World::with_webhooks(&named, false);
    let mut project = contributed_project("p");
    project["spec"]["webhook"] = json!({ "url": named });
    world.kubernetes.create("linkageprojects", project);
    world.event("WebhookFailed", "leads to a private address").await;
    assert_eq!(receiver.got().len(), 0);
}

#[tokio::test]
async fn a_receiver_that_hangs_holds_up_neither_runs_nor_other_receivers() {
    let (slow, quick) = (tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap(), Receiver::new().await);
    let hanging = format!("http://{}", slow.local_addr().unwrap());
    let world = World::with_webhooks(&format!("{hanging},{}", quick.url), true);
    let mut project = contributed_project("slow");
    project["spec"]["webhook"] = json!({ "url": hanging });
    world.kubernetes.create("linkageprojects", project);
    let _never_answered = slow.accept().await.unwrap();
    quick.project(&world);
    delivered(&world, "linkageprojects", "p", 2).await;
    world.run("r", json!({}));
    world.job("r-score").await;
}

#[tokio::test]
async fn without_a_webhook_nothing_is_sent_or_written() {
    let world = World::new();
    world.contributed_project("p");
    world.project_says("p", "AllPartiesContributed").await;
    assert_eq!(world.kubernetes.get("linkageprojects", "p").unwrap()["status"]["webhook"], Value::Null);
    assert_eq!(world.kubernetes.get("secrets", "p-tokens").unwrap()["data"]["webhook-secret"], Value::Null);
}
