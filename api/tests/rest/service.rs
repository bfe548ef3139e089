//! The service before its surroundings, and how the tests call it.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use api::access::auth::Judge;
use api::kubernetes::cluster::Cluster;
use api::limits::places::Shares;
use api::limits::quotas::Quotas;
use api::limits::throttle::Rates;
use api::limits::waiting::MostWaiting;
use api::router::{Rest, rest};
use api::{App, Limits};
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use crds::folders::Installation;
use crds::tokens::{MasterKey, Role};
use scorer::store::Store;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use crate::kubernetes::{Kubernetes, NAMESPACE};

pub struct Service {
    pub kubernetes: Kubernetes,
    pub app: Arc<App>,
    pub store: TempDir,
    pub rest: Rest,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

/// A project that was created over REST.
pub struct Created {
    pub id: String,
    pub update: Vec<String>,
    pub result: String,
}

impl Service {
    pub fn new() -> Self {
        Self::with(|_, _| {})
    }

    /// One that is set up otherwise.
    pub fn with(change: impl FnOnce(&mut App, &Kubernetes)) -> Self {
        let kubernetes = Kubernetes::default();
        let store = tempfile::tempdir().unwrap();
        let mut app = App::new(
            Cluster::new(kubernetes.client(), NAMESPACE),
            Store::in_directory(store.path()).unwrap(),
            Judge::new(master_key()),
            Installation::of(&master_key(), NAMESPACE),
            Limits {
                min_encoding_bytes: 8,
                max_encoding_bytes: 1024,
                max_upload_bytes: 1 << 20,
                read_timeout: Duration::from_secs(5),
                rates: Rates { requests: None, burst: NonZeroU32::MIN },
                uploads: Shares { all: 16, address: 16, project: 16, party: 16 },
                quotas: Quotas::default(),
                waiting: MostWaiting { in_all: 100, of_client: 10 },
                upload_expiry: Duration::from_secs(3600),
            },
        );
        change(&mut app, &kubernetes);
        let app = Arc::new(app);
        Self { rest: rest(app.clone(), None), kubernetes, app, store }
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        Self::send_to(&self.rest, request).await
    }

    /// Another replica of the same service.
    pub fn replica(&self) -> Rest {
        let store = Store::in_directory(self.store.path()).unwrap();
        let cluster = Cluster::new(self.kubernetes.client(), NAMESPACE);
        let installation = self.app.installation.clone();
        let app = App::new(cluster, store, Judge::new(master_key()), installation, self.app.limits);
        rest(Arc::new(app), None)
    }

    pub async fn send_to(rest: &Rest, request: Request<Body>) -> Answer {
        let response = rest.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 1 << 24).await.unwrap();
        let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// Calls a path below `/api/v1`.
    pub async fn call(&self, method: &str, path: &str, token: Option<&str>, body: Value) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("/api/v1{path}"));
        if let Some(token) = token {
            request = request.header("authorization", token);
        }
        let body = if body.is_null() {
            Body::empty()
        } else {
            request = request.header("content-type", "application/json");
            Body::from(body.to_string())
        };
        self.send(request.body(body).unwrap()).await
    }

    pub async fn get(&self, path: &str, token: &str) -> Answer {
        self.call("GET", path, Some(token), Value::Null).await
    }

    pub async fn upload(&self, project: &str, token: &str, body: impl Into<Body>) -> Answer {
        let request = Request::post(format!("/api/v1/projects/{project}/clks"))
            .header("authorization", token)
            .header("content-type", "application/json");
        self.send(request.body(body.into()).unwrap()).await
    }

    pub async fn upload_binary(
        &self,
        project: &str,
        token: &str,
        [count, size]: [&str; 2],
        body: impl Into<Body>,
    ) -> Answer {
        let request = Request::post(format!("/api/v1/projects/{project}/binaryclks"))
            .header("authorization", token)
            .header("content-type", "application/octet-stream")
            .header("Hash-Count", count)
            .header("Hash-Size", size);
        self.send(request.body(body.into()).unwrap()).await
    }

    pub async fn create(&self, body: Value) -> Created {
        let answer = self.call("POST", "/projects", None, body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Created {
            id: text(&answer.body["project_id"]),
            update: answer.body["update_tokens"].as_array().unwrap().iter().map(text).collect(),
            result: text(&answer.body["result_token"]),
        }
    }

    pub async fn create_of_type(&self, result_type: &str) -> Created {
        self.create(json!({"schema": {}, "result_type": result_type})).await
    }

    pub async fn create_run(&self, project: &Created) -> String {
        let path = format!("/projects/{}/runs", project.id);
        let answer = self.call("POST", &path, Some(&project.result), json!({"threshold": 0.8})).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.body["run_id"].as_str().unwrap().to_owned()
    }

    /// A project and a run of it; and the path of what there is of the run: `result`, for instance.
    pub async fn project_with_run(&self, result_type: &str, what: &str) -> (Created, String, String) {
        let project = self.create_of_type(result_type).await;
        let run = self.create_run(&project).await;
        let path = format!("/projects/{}/runs/{run}/{what}", project.id);
        (project, run, path)
    }

    /// Asserts that a run that waits, and one that has failed, tells so at this path to the holder of any of the project's
    /// tokens, and that others see the same whatever its state.
    pub async fn tells_the_state_to_holders_of_tokens(&self, project: &Created, run: &str, path: &str) {
        self.call("GET", path, None, Value::Null).await.problem(400);
        for (stage, status) in [("Scoring", 404), ("Failed", 500)] {
            self.kubernetes
                .change("linkageruns", run, |resource| resource["status"] = json!({ "stage": stage }));
            for token in [&project.result, &project.update[0]] {
                self.get(path, token).await.problem(status);
            }
            let refused = self.get(path, "wrong").await;
            refused.problem(403);
            assert_eq!(refused.body, self.get("/projects/none/runs/none/result", "wrong").await.body);
        }
    }

    /// A token of a project, as the operator would compute it.
    pub fn token(&self, project: &str, role: Role<'_>) -> String {
        let project = serde_json::from_value(self.kubernetes.project(project)).unwrap();
        self.app.judge.token(&project, role)
    }

    /// The project's folder in the store, as the operator would purge it.
    pub fn folder(&self, project: &str) -> String {
        let project = self.kubernetes.project(project);
        Installation::of(&master_key(), NAMESPACE).project(project["metadata"]["uid"].as_str().unwrap())
    }

    pub fn party(&self, project: &str, party: usize) -> Value {
        self.kubernetes.project(project)["status"]["parties"][party].clone()
    }

    /// The files of all objects in the store.
    pub fn objects(&self) -> Vec<String> {
        let mut found = Vec::new();
        collect_files(self.store.path(), &mut found);
        found
    }
}

fn master_key() -> MasterKey {
    MasterKey::new(&[7; 32]).unwrap()
}

fn collect_files(directory: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_files(&path, found);
        } else {
            found.push(path.display().to_string());
        }
    }
}

impl Answer {
    /// Asserts that it is a problem of this status, and gives its detail.
    #[track_caller]
    pub fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.body["status"], status);
        let kinds = api::problem::ProblemKind::ALL;
        let kind = kinds.iter().find(|kind| self.body["type"] == kind.uri());
        assert_eq!(kind.unwrap_or_else(|| panic!("{self:?}")).status(), status);
        assert!(self.body["title"].is_string());
        self.body["detail"].as_str().unwrap().to_owned()
    }
}

/// A JSON upload of some encodings of some bytes.
pub fn clks(records: usize, bytes: usize) -> String {
    let clks: Vec<_> = (0..records)
        .map(|n| base64_simd::STANDARD.encode_to_string(vec![(n % 255) as u8 + 1; bytes]))
        .collect();
    json!({ "clks": clks }).to_string()
}
