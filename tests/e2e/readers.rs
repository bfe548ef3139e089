//! Reading by a Kubernetes identity, and what the log tells of who did what.

use std::time::{Duration, Instant};

use anyhow::bail;
use serde_json::json;
use tests::rest::{Body, Rest};
use tests::{Installation, Story, data};

/// Beyond the namespace, so it does not go with it.
const BINDING: &str = "e2e-readers:linkage-operator-api-readers";

/// Waits until what RBAC says has come to be known everywhere.
async fn becomes(rest: &Rest, path: &str, token: &str, status: u16) -> Story {
    let began = Instant::now();
    loop {
        let answer = rest.get(path, token).await?;
        if answer.status == status {
            return Ok(());
        }
        if began.elapsed() > Duration::from_secs(30) {
            bail!("{path}: expected {status}, still {answer:?}");
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

fn role(name: &str, rule: &str) -> String {
    format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {{name: {name}}}\nrules: [{rule}]\n---\n\
         apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {{name: {name}}}\n\
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: {name}}}\n\
         subjects: [{{kind: ServiceAccount, name: ann, namespace: e2e-readers}}]\n"
    )
}

#[tokio::test]
async fn users_of_the_cluster_read_what_rbac_lets_them_read() -> Story {
    Installation::tell_with("readers", &["--set", "api.kubernetesReaders=true"], |here| async move {
        let rest = here.rest().await?;
        let request = json!({"schema": {}, "result_type": "groups"});
        let (project, tokens, result_token) = rest.create_project(request).await?;
        for (token, party) in tokens.iter().zip(["hospital-a", "hospital-b"]) {
            let body = Body::document(data::read(&format!("thousand/{party}.json"))?);
            rest.post(&format!("projects/{project}/clks"), token, body).await?.expect(201)?;
        }
        let run = rest.create_run(&project, &result_token, 0.8).await?;
        rest.wait_completed(&project, &run, &result_token).await?;
        let base = format!("projects/{project}");
        let (runs, status, result) = (
            format!("{base}/runs"),
            format!("{base}/runs/{run}/status"),
            format!("{base}/runs/{run}/result"),
        );

        here.namespace.kubectl(&["create", "serviceaccount", "ann"]).await?;
        let token = here.namespace.kubectl(&["create", "token", "ann"]).await?.trim().to_owned();
        let ann = format!("Bearer {token}");
        for path in [&base, &runs, &status, &result] {
            rest.get(path, &ann).await?.expect(403)?;
            rest.get(path, "Bearer nonsense").await?.expect(403)?;
        }
        let reading =
            "{apiGroups: [pprl.dev], resources: [linkageprojects, linkageruns], verbs: [get, list]}";
        assert!(here.namespace.apply(&role("linkage-reader", reading)).await?.succeeded);
        for path in [&base, &runs, &status] {
            becomes(&rest, path, &ann, 200).await?;
        }
        rest.get(&result, &ann).await?.expect(403)?;
        let results = "{apiGroups: [pprl.dev], resources: [linkageruns/result], verbs: [get]}";
        assert!(here.namespace.apply(&role("result-reader", results)).await?.succeeded);
        becomes(&rest, &result, &ann, 200).await?;
        assert_eq!(
            rest.result(&project, &run, &ann).await?,
            rest.result(&project, &run, &result_token).await?
        );

        // and change nothing
        rest.delete(&base, &ann).await?.expect(403)?;
        rest.post(&runs, &ann, Body::json(&json!({"threshold": 0.9}))).await?.expect(403)?;
        rest.delete(&base, &result_token).await?.expect(204)?;
        rest.get(&base, &result_token).await?.expect(403)?;

        let log = ["logs", "--selector", "app.kubernetes.io/component=api", "--tail=-1"];
        let log = here.namespace.kubectl(&log).await?;
        let lines: Vec<&str> = log.lines().filter(|line| line.starts_with("{\"audit\":")).collect();
        for (actor, action, times) in [
            ("anyone", "CreateProject", 1),
            ("holder of the update token of party-1", "Contribute", 1),
            ("holder of the update token of party-2", "Contribute", 1),
            ("holder of the result token", "CreateRun", 1),
            // once when it became possible, and once for the comparison
            ("user system:serviceaccount:e2e-readers:ann", "ReadResult", 2),
            ("holder of the result token", "ReadResult", 1),
            ("holder of the result token", "DeleteProject", 1),
        ] {
            let told =
                |line: &&&str| line.contains(actor) && line.contains(action) && line.contains(&project);
            assert_eq!(lines.iter().filter(told).count(), times, "{actor} {action}: {lines:#?}");
        }
        for secret in tokens.iter().chain([&result_token, &token]) {
            assert!(!log.contains(secret.as_str()), "a token is in the log");
        }
        here.namespace.kubectl(&["delete", "clusterrolebinding", BINDING]).await.map(drop)
    })
    .await
}
