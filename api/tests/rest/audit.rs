//! The audit log, as it is written while the service answers.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};

use api::access::audit_log;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use serde_json::{Value, json};

use crate::service::Service;

/// The log is the process's: other tests write to it as well.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn opened(service: &Service) -> Lines {
    static LINES: OnceLock<Lines> = OnceLock::new();
    let lines = LINES.get_or_init(Lines::default).clone();
    audit_log::open(service.app.judge.key().clone(), Box::new(lines.clone()));
    lines
}

#[tokio::test]
async fn what_is_done_and_what_is_refused_is_told_with_address_request_and_token_and_never_the_token_itself()
{
    // without a subscriber nothing is logged at all
    let subscriber = tracing_subscriber::fmt().with_writer(std::io::sink).finish();
    let _default = tracing::subscriber::set_default(subscriber);
    let service = Service::new();
    let lines = opened(&service);
    let project = service.create_of_type("groups").await;
    let run = service.create_run(&project).await;
    let path = format!("/api/v1/projects/{}/runs/{run}", project.id);
    let ask = async |method: &str, token: &str| {
        let request = Request::builder().method(method).uri(&path).header("authorization", token);
        let mut request = request.header("x-request-id", "request-7").body(Body::empty()).unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([1, 2, 3, 4], 5))));
        service.send(request).await.status.as_u16()
    };
    assert_eq!(ask("GET", "some-wrong-token").await, 403);
    assert_eq!(ask("DELETE", &project.update[0]).await, 403);
    assert_eq!(ask("DELETE", &project.result).await, 204);

    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(audit_log::verify(text.as_bytes()).unwrap().faults.is_empty());
    for secret in ["some-wrong-token", &project.update[0], &project.result] {
        assert!(!text.contains(secret));
    }
    let ours: Vec<Value> = text
        .lines()
        .filter(|line| line.contains(&project.id))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told: Vec<_> = ours
        .iter()
        .map(|line| json!([line["action"], line["outcome"], line["who"], line["status"]]))
        .collect();
    let route = "/api/v1/projects/{project_id}/runs/{run_id}";
    let holder = "holder of the result token";
    let expected = [
        json!(["CreateProject", "done", "anyone", null]),
        json!(["CreateRun", "done", holder, null]),
        json!([format!("GET {route}"), "refused", null, 403]),
        json!([format!("DELETE {route}"), "refused", null, 403]),
        json!(["DeleteRun", "done", holder, null]),
    ];
    assert_eq!(told, expected);
    for line in &ours[2..] {
        assert_eq!((&line["address"], &line["request"]), (&json!("1.2.3.4"), &json!("request-7")));
        assert_eq!((&line["run"], line["token"].as_str().unwrap().len()), (&json!(run), 16));
    }
    // the same token has the same name, another has another
    assert_eq!(ours[1]["token"], ours[4]["token"]);
    assert_ne!(ours[2]["token"], ours[3]["token"]);
}
