//! `…/status?wait=60`: the service with its watches, before a Kubernetes API in memory.

use std::sync::Arc;

use api::kubernetes::cluster::{Clients, Cluster};
use api::limits::waiting::{MostWaiting, Waiting};
use axum::body::Body;
use axum::http::Request;
use fake_kubernetes::{FakeKubernetes, Verb};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::kubernetes::NAMESPACE;
use crate::service::{Answer, Created, Service};

struct Watching {
    service: Arc<Service>,
    kubernetes: FakeKubernetes,
    project: Created,
    run: String,
}

impl Watching {
    async fn new() -> Self {
        let kubernetes = FakeKubernetes::new(NAMESPACE);
        let clients = Clients { requests: kubernetes.client(), watches: kubernetes.client() };
        let service = Service::with(|app, _| {
            app.cluster = Cluster::watching(clients, NAMESPACE);
            app.waiting = Waiting::new(MostWaiting { in_all: 4, of_client: 2 });
        });
        let project = service.create_of_type("groups").await;
        let run = service.create_run(&project).await;
        Self { service: Arc::new(service), kubernetes, project, run }
    }

    fn path(&self, query: &str) -> String {
        format!("/projects/{}/runs/{}/status{query}", self.project.id, self.run)
    }

    async fn get(&self, query: &str, known: Option<&str>) -> Answer {
        ask(self.service.clone(), self.path(query), self.project.result.clone(), known.map(str::to_owned))
            .await
    }

    /// Asks in the background, and gives the answer to come once the request waits.
    async fn waits(&self, token: &str, known: Option<&str>) -> JoinHandle<Answer> {
        let before = self.service.app.waiting.count();
        let path = self.path("?wait=60");
        let asked = tokio::spawn(ask(self.service.clone(), path, token.to_owned(), known.map(str::to_owned)));
        while self.service.app.waiting.count() == before {
            assert!(!asked.is_finished(), "it does not wait");
            tokio::task::yield_now().await;
        }
        asked
    }

    fn reaches(&self, stage: &str) {
        self.kubernetes.change("linkageruns", &self.run, |run| run["status"] = json!({ "stage": stage }));
    }
}

async fn ask(service: Arc<Service>, path: String, token: String, known: Option<String>) -> Answer {
    let mut request = Request::get(format!("/api/v1{path}")).header("authorization", token);
    if let Some(known) = known {
        request = request.header("if-none-match", known);
    }
    service.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_status_is_answered_when_it_changes_and_kubernetes_is_not_asked_meanwhile() {
    let here = Watching::new().await;
    let first = here.waits(&here.project.result, None).await;
    here.reaches("Queued");
    let first = first.await.unwrap();
    assert_eq!((first.status.as_u16(), &first.body["state"]), (200, &json!("queued")));

    // the watch knows the run by now
    let asked = here.kubernetes.requests().len();
    let second = here.waits(&here.project.result, first.headers["etag"].to_str().ok()).await;
    here.reaches("Scoring");
    let second = second.await.unwrap();
    assert_eq!((second.status.as_u16(), &second.body["state"]), (200, &json!("running")));
    let requests = &here.kubernetes.requests()[asked..];
    // the first look is that of every status, and may be at Kubernetes itself after a write of this replica
    let runs =
        requests.iter().filter(|request| request.plural == "linkageruns" && request.verb != Verb::Watch);
    assert!(runs.count() <= 1, "{requests:?}");
}

#[tokio::test]
async fn without_wait_nothing_is_new() {
    let here = Watching::new().await;
    let answer = here.get("", Some("*")).await;
    assert_eq!((answer.status.as_u16(), &answer.body["state"]), (200, &json!("created")));
    assert!(!answer.headers.contains_key("etag"));
}

#[tokio::test]
async fn what_the_client_knows_decides_what_is_news() {
    let here = Watching::new().await;
    let now = here.get("?wait=0", None).await;
    assert_eq!(now.status, 200);
    let tag = now.headers["etag"].to_str().unwrap().to_owned();
    let same = here.get("?wait=0", Some(&tag)).await;
    assert_eq!(
        (same.status.as_u16(), &same.body, same.headers["etag"].to_str().unwrap()),
        (304, &Value::Null, &*tag)
    );
    // it changed before the question came: the answer comes at once
    here.reaches("Queued");
    let changed = here.get("?wait=60", Some(&tag)).await;
    assert_eq!((changed.status.as_u16(), &changed.body["state"]), (200, &json!("queued")));
}

#[tokio::test]
async fn what_changes_nothing_for_the_client_does_not_wake_it() {
    let here = Watching::new().await;
    let asked = here.waits(&here.project.update[0], None).await;
    // a party is told of no comparisons, and of no other party
    here.kubernetes.change("linkageprojects", &here.project.id, |project| {
        project["status"] =
            json!({"parties": [{"name": "party-2", "state": "Waiting", "message": "line 5"}]});
    });
    here.kubernetes.change("linkageruns", &here.run, |run| {
        run["status"] = json!({"stage": "WaitingForParties", "message": "x"})
    });
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert!(!asked.is_finished());
    here.reaches("Queued");
    assert_eq!(asked.await.unwrap().body["state"], "queued");
}

#[tokio::test]
async fn a_run_that_has_ended_is_answered_at_once() {
    let here = Watching::new().await;
    for (stage, state) in [("Complete", "completed"), ("Failed", "error")] {
        here.reaches(stage);
        let tag = here.get("?wait=60", None).await.headers["etag"].to_str().unwrap().to_owned();
        assert_eq!(here.get("?wait=60", None).await.body["state"], state);
        assert_eq!(here.get("?wait=60", Some(&tag)).await.status, 304);
    }
}

#[tokio::test]
async fn a_stop_of_the_service_ends_all_waiting_with_the_status_of_now() {
    let here = Watching::new().await;
    let asked = here.waits(&here.project.result, None).await;
    here.service.app.stopping.cancel();
    assert_eq!(asked.await.unwrap().body["state"], "created");
    assert_eq!(here.get("?wait=60", None).await.status, 200, "nothing waits any more");
}

#[tokio::test]
async fn a_run_that_is_deleted_and_a_token_that_is_rotated_meanwhile_are_refused() {
    let here = Watching::new().await;
    let asked = here.waits(&here.project.update[1], None).await;
    here.kubernetes.change("linkageprojects", &here.project.id, |project| {
        project["spec"]["tokenGeneration"] = json!(2);
    });
    asked.await.unwrap().problem(403);

    let here = Watching::new().await;
    let asked = here.waits(&here.project.result, None).await;
    here.kubernetes.delete("linkageruns", &here.run);
    asked.await.unwrap().problem(403);
}

#[tokio::test]
async fn those_who_wait_are_bounded_by_token_and_in_all() {
    let here = Watching::new().await;
    let [first, second] =
        [here.waits(&here.project.result, None).await, here.waits(&here.project.result, None).await];
    let refused = here.get("?wait=60", None).await;
    refused.problem(503);
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(here.get("", None).await.status, 200, "who does not wait is answered");
    let [third, fourth] =
        [here.waits(&here.project.update[0], None).await, here.waits(&here.project.update[1], None).await];
    ask(here.service.clone(), here.path("?wait=60"), here.project.update[0].clone(), None).await.problem(503);
    here.reaches("Queued");
    for asked in [first, second, third, fourth] {
        assert_eq!(asked.await.unwrap().status, 200);
    }
    assert_eq!(here.service.app.waiting.count(), 0);
}

#[tokio::test]
async fn a_time_that_cannot_be_is_refused_and_a_request_that_is_dropped_leaves_its_place() {
    let here = Watching::new().await;
    for wait in ["61", "-1", "x", "", "1.5", "5&wait=6"] {
        here.get(&format!("?wait={wait}"), None).await.problem(400);
    }
    let asked = here.waits(&here.project.result, None).await;
    asked.abort();
    let _ = asked.await;
    assert_eq!(here.service.app.waiting.count(), 0);
}
