//! Downloading results: the state is told to holders of tokens alone, and each token opens what is its own.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use crds::tokens::Role;
use futures::StreamExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::service::Service;

/// Completes a run with these result objects.
fn complete(service: &Service, run: &str, objects: &[(&str, Value)]) {
    let results = objects.iter().map(|(name, content)| {
        let key = format!("runs/{run}/result/{name}.json");
        let path = service.store.path().join(&key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content.to_string()).unwrap();
        let blake3 = blake3::hash(content.to_string().as_bytes()).to_hex().to_string();
        json!({"name": name, "key": key, "bytes": content.to_string().len(), "blake3": blake3})
    });
    let results: Vec<_> = results.collect();
    service.kubernetes.change("linkageruns", run, |resource| {
        resource["status"] = json!({"stage": "Complete", "results": results});
    });
}

#[tokio::test]
async fn the_state_is_told_to_holders_of_tokens_alone() {
    let service = Service::new();
    let (project, run, path) = service.project_with_run("groups", "result").await;
    service.tells_the_state_to_holders_of_tokens(&project, &run, &path).await;
    complete(&service, &run, &[("groups", json!({"groups": []}))]);
    for token in ["wrong", &project.update[0], &service.token(&project.id, Role::Receipt("party-1"))] {
        service.get(&path, token).await.problem(403);
    }
}

#[tokio::test]
async fn groups_and_scores_are_for_the_result_token() {
    let service = Service::new();
    for name in ["groups", "similarity_scores"] {
        let (project, run, path) = service.project_with_run(name, "result").await;
        let content = json!({ name: [[[0, 1], [1, 5]]] });
        complete(&service, &run, &[(name, content.clone())]);
        let answer = service.get(&path, &project.result).await;
        assert_eq!((answer.status.as_u16(), &answer.body), (200, &content));
        assert_eq!(answer.headers["content-type"], "application/json");
        assert_eq!(answer.headers["content-length"], content.to_string().len().to_string());
    }
}

#[tokio::test]
async fn each_party_gets_its_own_permutation_and_the_analyst_the_mask() {
    let service = Service::new();
    let (project, run, path) = service.project_with_run("permutations", "result").await;
    let mut receipts = Vec::new();
    for token in &project.update {
        let answer = service.upload(&project.id, token, crate::service::clks(2, 64)).await;
        receipts.push(answer.body["receipt_token"].as_str().unwrap().to_owned());
    }
    let objects = [
        ("mask", json!({"mask": [0, 1]})),
        ("permutation-0", json!({"permutation": [1, 0], "rows": 2})),
        ("permutation-1", json!({"permutation": [0, 1], "rows": 2})),
    ];
    complete(&service, &run, &objects);
    for (token, object) in [&project.result, &receipts[0], &receipts[1]].into_iter().zip(&objects) {
        assert_eq!(service.get(&path, token).await.body, object.1);
        assert_eq!(service.get(&format!("/projects/{}", project.id), token).await.status, 200);
        assert_eq!(
            service.get(&format!("/projects/{}/runs/{run}/status", project.id), token).await.status,
            200
        );
    }
    for path in [path.clone(), format!("/projects/{}", project.id)] {
        service.get(&path, &project.update[0]).await.problem(403);
    }
    let project_path = format!("/projects/{}", project.id);
    service.call("DELETE", &project_path, Some(&receipts[0]), Value::Null).await.problem(403);
}

#[tokio::test]
async fn a_party_keeps_its_permutation_when_the_parties_are_reordered() {
    let service = Service::new();
    let (project, run, path) = service.project_with_run("permutations", "result").await;
    let receipts = ["party-1", "party-2"].map(|party| service.token(&project.id, Role::Receipt(party)));
    let objects = ["permutation-0", "permutation-1"].map(|name| (name, json!({"permutation": [name]})));
    complete(&service, &run, &objects);
    service.kubernetes.change("linkageruns", &run, |run| {
        let inputs = json!([{"party": "party-1"}, {"party": "party-2"}]);
        run["status"]["pinned"] = json!({"digest": "d", "plan": {"inputs": inputs}});
    });
    let opened = async |receipt: &str| service.get(&path, receipt).await.body;
    for _ in 0..2 {
        for (receipt, (_, content)) in receipts.iter().zip(&objects) {
            assert_eq!(opened(receipt).await, *content);
        }
        service.kubernetes.change("linkageprojects", &project.id, |project| {
            project["spec"]["parties"].as_array_mut().unwrap().reverse();
        });
    }
    service.kubernetes.change("linkageruns", &run, |run| {
        run["status"]["pinned"]["plan"]["inputs"] = json!([{"party": "party-2"}, {"party": "another"}]);
    });
    let told = service.get(&path, &receipts[0]).await.problem(403);
    assert!(told.contains("no data of this party"), "{told}");
    assert_eq!(opened(&receipts[1]).await, objects[0].1);
}

#[tokio::test]
async fn a_result_that_is_gone_is_an_internal_error() {
    let service = Service::new();
    let (project, run, path) = service.project_with_run("groups", "result").await;
    complete(&service, &run, &[("groups", json!({"groups": []}))]);
    std::fs::remove_dir_all(service.store.path().join("runs")).unwrap();
    let detail = service.get(&path, &project.result).await.problem(500);
    assert!(!detail.contains("runs/"), "{detail}");
}

/// GET with more headers; the body as it is.
pub async fn get_bytes(
    service: &Service,
    path: &str,
    token: &str,
    more: &[(&str, &str)],
) -> (u16, HeaderMap, Vec<u8>) {
    let mut request = Request::get(format!("/api/v1{path}")).header("authorization", token);
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    let response = service.rest.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    (parts.status.as_u16(), parts.headers, to_bytes(body, 1 << 24).await.unwrap().to_vec())
}

#[tokio::test]
async fn a_download_that_broke_off_goes_on() {
    let service = Service::new();
    let (project, run, path) = service.project_with_run("groups", "result").await;
    let groups: Vec<Value> = (0..1000).map(|record| json!([[0, record], [1, record]])).collect();
    let content = json!({ "groups": groups });
    complete(&service, &run, &[("groups", content.clone())]);
    let content = content.to_string().into_bytes();
    let get = async |more: &[(&str, &str)]| get_bytes(&service, &path, &project.result, more).await;

    let (status, headers, whole) = get(&[]).await;
    assert_eq!((status, &headers["accept-ranges"], &whole), (200, &"bytes".parse().unwrap(), &content));
    let etag = headers["etag"].to_str().unwrap();
    // as `curl --continue-at -` and browsers ask
    let (status, headers, rest) = get(&[("range", "bytes=700-"), ("if-range", etag)]).await;
    assert_eq!((status, [&whole[..700], &rest].concat()), (206, content.clone()));
    assert_eq!(headers["content-range"], format!("bytes 700-{}/{}", content.len() - 1, content.len()));
    assert_eq!(headers["content-length"], rest.len().to_string());
    assert_eq!(
        (&headers["etag"], &headers["vary"]),
        (&etag.parse().unwrap(), &"Accept, Authorization".parse().unwrap())
    );
    // what another run has made of it would not fit
    let (status, _, whole) = get(&[("range", "bytes=700-"), ("if-range", "\"another\"")]).await;
    assert_eq!((status, whole), (200, content.clone()));

    let (status, _, body) = get(&[("if-none-match", etag)]).await;
    assert_eq!((status, body.len()), (304, 0));
    let (status, headers, _) = get(&[("range", "bytes=1000000-")]).await;
    assert_eq!(
        (status, &headers["content-range"]),
        (416, &format!("bytes */{}", content.len()).parse().unwrap())
    );
    assert_eq!(headers["content-type"], "application/problem+json");

    let head = service.call("HEAD", &path, Some(&project.result), Value::Null).await;
    assert_eq!((head.status.as_u16(), &head.body), (200, &Value::Null));
    assert_eq!(head.headers["content-length"], content.len().to_string());
    // who may not read it does not learn either whether it has changed
    for more in [("range", "bytes=0-1"), ("if-none-match", etag)] {
        assert_eq!(get_bytes(&service, &path, "wrong", &[more]).await.0, 403);
    }
}

#[tokio::test]
async fn a_result_of_another_size_than_was_written_is_not_handed_out() {
    let service = Service::new();
    let (project, run, path) = service.project_with_run("groups", "result").await;
    complete(&service, &run, &[("groups", json!({"groups": [[[0, 1], [1, 5]]]}))]);
    let object = service.store.path().join(format!("runs/{run}/result/groups.json"));
    std::fs::write(object, r#"{"groups": []}"#).unwrap();
    service.get(&path, &project.result).await.problem(500);
}

/// The bytes that came, and whether the body ended as it should.
async fn received(service: &Service, path: &str, token: &str, range: Option<&str>) -> (Vec<u8>, bool) {
    let request = Request::get(format!("/api/v1{path}")).header("authorization", token);
    let request = range.into_iter().fold(request, |request, range| request.header("range", range));
    let response = service.rest.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert!(response.status().is_success(), "{}", response.status());
    let (mut bytes, mut chunks) = (Vec::new(), response.into_body().into_data_stream());
    while let Some(chunk) = chunks.next().await {
        match chunk {
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            Err(_) => return (bytes, false),
        }
    }
    (bytes, true)
}

#[tokio::test]
async fn a_result_that_is_not_what_was_written_is_broken_off_and_never_ends() {
    let service = Service::new();
    let (project, run, path) = service.project_with_run("groups", "result").await;
    let groups: Vec<Value> = (0..50_000).map(|record| json!([[0, record], [1, record]])).collect();
    let content = json!({ "groups": groups });
    complete(&service, &run, &[("groups", content.clone())]);
    let whole = format!("bytes=0-{}", content.to_string().len() - 1);
    let all = received(&service, &path, &project.result, None).await;
    assert_eq!(all, (content.to_string().into_bytes(), true));
    assert_eq!(received(&service, &path, &project.result, Some(&whole)).await, all);

    let object = service.store.path().join(format!("runs/{run}/result/groups.json"));
    for at in [0, content.to_string().len() / 2, content.to_string().len() - 1] {
        let mut changed = content.to_string().into_bytes();
        changed[at] ^= 1;
        std::fs::write(&object, &changed).unwrap();
        for range in [None, Some(whole.as_str())] {
            let (bytes, ended) = received(&service, &path, &project.result, range).await;
            assert!(!ended && bytes.len() < changed.len(), "{at}: {} bytes came", bytes.len());
        }
        // of a part no hash is known
        assert_eq!(
            received(&service, &path, &project.result, Some("bytes=0-9")).await,
            (changed[..10].to_vec(), true)
        );
    }
}
