//! Reading by a Kubernetes identity.

use api::access::creation::{Creation, Users};
use api::access::identity::Identities;
use serde_json::{Value, json};

use crate::kubernetes::NAMESPACE;
use crate::service::{Created, Service};

const ANN: &str = "Bearer kubernetes.token.of-ann";

fn for_users() -> Service {
    Service::with(|app, kubernetes| app.identities = Some(Identities::new(kubernetes.client(), NAMESPACE)))
}

async fn reads(service: &Service, project: &Created, run: &str) -> [u16; 5] {
    let base = format!("/projects/{}", project.id);
    let mut found = [0; 5];
    let paths = [
        "",
        "/runs",
        &format!("/runs/{run}"),
        &format!("/runs/{run}/status"),
        &format!("/runs/{run}/result"),
    ];
    for (status, path) in found.iter_mut().zip(paths) {
        *status = service.get(&format!("{base}{path}"), ANN).await.status.as_u16();
    }
    found
}

#[tokio::test]
async fn a_user_reads_what_the_cluster_lets_them_read() {
    let service = for_users();
    let project = service.create_of_type("groups").await;
    let run = service.create_run(&project).await;
    service.kubernetes.change("linkageruns", &run, |run| run["status"] = json!({"stage": "Complete"}));
    let allow = |asked: &[&str]| {
        service.kubernetes.objects().allowed = asked.iter().map(ToString::to_string).collect();
    };
    assert_eq!(reads(&service, &project, &run).await, [403; 5]);
    allow(&["get linkageprojects -"]);
    assert_eq!(reads(&service, &project, &run).await, [200, 403, 403, 403, 403]);
    allow(&["list linkageruns -"]);
    assert_eq!(reads(&service, &project, &run).await, [403, 200, 403, 403, 403]);
    allow(&["get linkageruns -"]);
    assert_eq!(reads(&service, &project, &run).await, [403, 403, 200, 200, 403]);
    allow(&["get linkageruns result"]);
    // past the question whether they may: this run says that it is complete, but has no result
    assert_eq!(reads(&service, &project, &run).await, [403, 403, 403, 403, 500]);
}

#[tokio::test]
async fn a_user_can_change_nothing() {
    let service = for_users();
    let project = service.create_of_type("groups").await;
    let run = service.create_run(&project).await;
    let everything =
        ["get linkageprojects -", "list linkageruns -", "get linkageruns -", "get linkageruns result"];
    service.kubernetes.objects().allowed = everything.iter().map(ToString::to_string).collect();
    let base = format!("/projects/{}", project.id);
    for (method, path) in [
        ("POST", format!("{base}/runs")),
        ("POST", format!("{base}/clks")),
        ("GET", format!("{base}/authorize-external-upload")),
        ("DELETE", format!("{base}/runs/{run}")),
        ("DELETE", base.clone()),
    ] {
        service.call(method, &path, Some(ANN), json!({"threshold": 0.9})).await.problem(403);
    }
}

#[tokio::test]
async fn without_the_setting_or_a_known_token_it_is_403() {
    let (off, on) = (Service::new(), for_users());
    for (service, token) in
        [(&off, ANN), (&on, "Bearer other"), (&on, "Bearer "), (&on, "Basic kubernetes.token.of-ann")]
    {
        let project = service.create_of_type("groups").await;
        service.kubernetes.objects().allowed = vec!["get linkageprojects -".into()];
        service.get(&format!("/projects/{}", project.id), token).await.problem(403);
    }
}

#[tokio::test]
async fn while_kubernetes_is_away_it_is_503() {
    let service = for_users();
    let project = service.create_of_type("groups").await;
    service.kubernetes.objects().away = true;
    service.call("GET", &format!("/projects/{}", project.id), Some(ANN), Value::Null).await.problem(503);
}

#[tokio::test]
async fn users_whom_the_cluster_lets_create_projects_do_so_where_it_is_so() {
    let service = Service::with(|app, kubernetes| {
        let identities = Identities::new(kubernetes.client(), NAMESPACE);
        app.creation = Creation::Users(Box::new(Users::new(identities, "linkage-operator")));
    });
    let create = async |token: Option<&str>| {
        service.call("POST", "/projects", token, json!({"schema": {}, "result_type": "groups"})).await
    };
    let allow = || service.kubernetes.objects().allowed = vec!["create linkageprojects -".into()];
    create(None).await.problem(400);
    create(Some("0123456789abcdef")).await.problem(403);
    create(Some("Bearer other")).await.problem(403);
    // a token that was made for something else
    allow();
    create(Some(ANN)).await.problem(403);
    let for_us = "Bearer kubernetes.token.of-ann-for-linkage-operator";
    assert_eq!(create(Some(for_us)).await.status, 201);
    // it is remembered for a moment
    service.kubernetes.objects().allowed.clear();
    assert_eq!(create(Some(for_us)).await.status, 201);
}

#[tokio::test]
async fn a_user_who_may_list_projects_sees_all_of_them() {
    let service = for_users();
    let project = service.create_of_type("groups").await;
    assert_eq!(service.get("/projects", ANN).await.body, json!([]));
    service.kubernetes.objects().allowed = vec!["list linkageprojects -".into()];
    assert_eq!(service.get("/projects", ANN).await.body[0]["project_id"], project.id);
}
