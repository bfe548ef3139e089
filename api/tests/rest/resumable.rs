//! Resumable uploads: that they go on after any break, on any replica, and end as any other upload does.

use api::limits::places::{Places, Shares};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use api::resumable::pieces::Upload;
use axum::body::Body;
use axum::http::{Method, Request};
use bytes::Bytes;
use crds::tokens::Role;
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Barrier;

use crate::connections::{read_all, start};
use crate::service::{Answer, Created, Service, clks};

/// How long a condition is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
const OFFSET_STREAM: &str = "application/offset+octet-stream";

fn metadata(pairs: &[(&str, &str)]) -> String {
    let encode = |value: &str| base64_simd::STANDARD.encode_to_string(value);
    pairs.iter().map(|(key, value)| format!("{key} {}", encode(value))).collect::<Vec<_>>().join(",")
}

fn json_form() -> String {
    metadata(&[("form", "json"), ("filename", "hospital a.json")])
}

fn request(method: &str, path: &str, token: &str, headers: &[(&str, &str)], body: Body) -> Request<Body> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", token)
        .header("tus-resumable", "1.0.0");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body).unwrap()
}

fn patch(path: &str, token: &str, offset: usize, body: impl Into<Body>) -> Request<Body> {
    let offset = offset.to_string();
    request("PATCH", path, token, &[("upload-offset", &offset), ("content-type", OFFSET_STREAM)], body.into())
}

async fn begin_with(service: &Service, project: &Created, token: &str, headers: &[(&str, &str)]) -> Answer {
    let path = format!("/api/v1/projects/{}/uploads", project.id);
    service.send(request("POST", &path, token, headers, Body::empty())).await
}

/// Begins an upload; gives its path.
async fn begin(service: &Service, project: &Created, bytes: usize, metadata: &str) -> String {
    let length = bytes.to_string();
    let headers = [("upload-length", &*length), ("upload-metadata", metadata)];
    let begun = begin_with(service, project, &project.update[0], &headers).await;
    assert_eq!(begun.status, 201, "{begun:?}");
    assert!(begun.headers["upload-expires"].to_str().unwrap().ends_with("GMT"), "{begun:?}");
    let location = begun.headers["location"].to_str().unwrap();
    format!("/api/v1/projects/{}/{location}", project.id)
}

async fn head(service: &Service, path: &str, token: &str) -> Answer {
    service.send(request("HEAD", path, token, &[], Body::empty())).await
}

async fn offset(service: &Service, path: &str, token: &str) -> usize {
    let answer = head(service, path, token).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.headers["upload-offset"].to_str().unwrap().parse().unwrap()
}

async fn state(service: &Service, path: &str, token: &str) -> Value {
    let answer = service.send(request("GET", path, token, &[], Body::empty())).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

/// Waits until an upload is in a state.
async fn wait_for(service: &Service, path: &str, token: &str, expected: &str) -> Value {
    let waiting = async {
        loop {
            let found = state(service, path, token).await;
            if found["state"] == expected {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap()
}

/// The keys in the store that are of resumable uploads.
fn left(service: &Service) -> Vec<String> {
    service.objects().into_iter().filter(|file| file.contains("/resumable/")).collect()
}

#[tokio::test]
async fn an_upload_that_comes_piece_by_piece_to_several_replicas_counts_as_any_other() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let (token, body) = (&project.update[0], clks(500, 128));
    let path = begin(&service, &project, body.len(), &json_form()).await;
    for (from, to) in [(0, 1), (1, 1), (1, 40_000), (40_000, body.len())] {
        assert_eq!(offset(&service, &path, token).await, from);
        let sent = Body::from(body[from..to].to_owned());
        // each time one that has never heard of it
        let answer = Service::send_to(&service.replica(), patch(&path, token, from, sent)).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.headers["tus-resumable"]),
            (204, &"1.0.0".parse().unwrap())
        );
        assert_eq!(answer.headers["upload-offset"], to.to_string());
        assert_eq!(answer.headers.contains_key("upload-expires"), to < body.len());
    }
    let ended = state(&service, &path, token).await;
    let receipt = service.token(&project.id, Role::Receipt("party-1"));
    assert_eq!((&ended["state"], &ended["receipt_token"]), (&json!("taken_in"), &json!(receipt)));
    let party = service.party(&project.id, 0);
    assert_eq!((&party["state"], &party["records"]), (&json!("Contributed"), &json!(500)));
    assert!(left(&service).iter().all(|file| file.contains("/outcomes/")), "{:?}", left(&service));

    // whoever did not get the last answer asks again
    let asked = head(&service, &path, token).await;
    assert_eq!(asked.headers["upload-offset"], asked.headers["upload-length"]);
    assert_eq!(asked.headers["upload-metadata"], json_form());
    assert_eq!(service.send(patch(&path, token, body.len(), "")).await.status, 204);
    service.send(patch(&path, token, 0, body)).await.problem(409);
    let form = json_form();
    let headers = [("upload-length", "9"), ("upload-metadata", form.as_str())];
    begin_with(&service, &project, token, &headers).await.problem(403);
}

#[tokio::test]
async fn raw_encodings_may_come_so_as_well() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let form = metadata(&[("form", "binary"), ("hash-count", "3"), ("hash-size", "64")]);
    let path = begin(&service, &project, 192, &form).await;
    assert_eq!(service.send(patch(&path, &project.update[0], 0, vec![7; 100])).await.status, 204);
    assert_eq!(service.send(patch(&path, &project.update[0], 100, vec![7; 92])).await.status, 204);
    let party = service.party(&project.id, 0);
    assert_eq!((&party["records"], &party["encodingBytes"]), (&json!(3), &json!(64)));
    let stored = service.store.path().join(party["encodings"].as_str().unwrap());
    assert_eq!(std::fs::read(stored).unwrap(), [7; 192]);
}

#[tokio::test]
async fn of_a_connection_that_breaks_every_byte_that_arrived_is_kept() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let (token, body) = (&project.update[0], clks(500, 128));
    let path = begin(&service, &project, body.len(), &json_form()).await;
    let server = start(&service).await;
    let send = async |from: usize, to: usize| {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = format!(
            "PATCH {path} HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\ntus-resumable: 1.0.0\r\nupload-offset: {from}\r\n\
             content-type: {OFFSET_STREAM}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len() - from
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&body.as_bytes()[from..to]).await.unwrap();
        stream
    };
    for (from, to) in [(0, 30_000), (30_000, 30_001)] {
        drop(send(from, to).await);
        let stored = async {
            while offset(&service, &path, token).await != to {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, stored).await.unwrap();
    }
    assert_eq!(
        service.party(&project.id, 0)["state"],
        Value::Null,
        "nothing is judged before it is complete"
    );
    let mut stream = send(30_001, body.len()).await;
    let answer = read_all(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    assert_eq!(service.party(&project.id, 0)["records"], 500);
}

#[tokio::test]
async fn of_two_that_go_on_at_once_one_wins() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let (token, body) = (&project.update[0], clks(300, 128));
    let path = begin(&service, &project, body.len(), &json_form()).await;
    let both_are_there = Arc::new(Barrier::new(2));
    let send = |to: usize| {
        let (barrier, sent) = (both_are_there.clone(), body[..to].to_owned());
        let sent = stream::once(async move {
            barrier.wait().await;
            Ok::<_, std::io::Error>(Bytes::from(sent))
        });
        Service::send_to(&service.rest, patch(&path, token, 0, Body::from_stream(sent)))
    };
    let (short, long) = tokio::join!(send(10_000), send(20_000));
    let statuses = [short.status.as_u16(), long.status.as_u16()];
    assert!(matches!(statuses, [204, 409] | [409, 204]), "{statuses:?}");
    let there = offset(&service, &path, token).await;
    assert_eq!(there, if statuses[0] == 204 { 10_000 } else { 20_000 });
    assert_eq!(service.send(patch(&path, token, there, body[there..].to_owned())).await.status, 204);
    assert_eq!(service.party(&project.id, 0)["records"], 300);
}

#[tokio::test]
async fn a_request_that_is_not_of_the_protocol_changes_nothing() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let (token, body) = (&project.update[0], clks(3, 128));
    let path = begin(&service, &project, body.len(), &json_form()).await;
    assert_eq!(service.send(patch(&path, token, 0, body[..50].to_owned())).await.status, 204);
    for wrong in [0, 49, 51, body.len(), body.len() + 1] {
        service.send(patch(&path, token, wrong, "x")).await.problem(409);
    }
    let without = |name: &str| {
        let mut request = patch(&path, token, 50, "x");
        request.headers_mut().remove(name);
        request
    };
    let refused = service.send(without("tus-resumable")).await;
    refused.problem(412);
    assert_eq!(refused.headers["tus-version"], "1.0.0");
    service.send(without("upload-offset")).await.problem(400);
    service.send(without("content-type")).await.problem(415);
    service.send(without("authorization")).await.problem(400);
    let mut packed = patch(&path, token, 50, "x");
    packed.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    service.send(packed).await.problem(400);
    let mut other = patch(&path, token, 50, "x");
    other.headers_mut().insert("tus-resumable", "0.2.2".parse().unwrap());
    service.send(other).await.problem(412);
    assert_eq!(offset(&service, &path, token).await, 50);
}

#[tokio::test]
async fn what_is_too_large_or_makes_no_sense_is_refused_before_it_comes() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let token = &project.update[0];
    let json_form = json_form();
    let binary = |count, size| metadata(&[("form", "binary"), ("hash-count", count), ("hash-size", size)]);
    let (wrong_product, right_product) = (binary("3", "64"), binary("2", "64"));
    for (length, form, status) in [
        (Some("1048577"), &json_form, 413),
        (Some("99999999999999999999"), &json_form, 400),
        (Some("0"), &json_form, 400),
        (Some("-1"), &json_form, 400),
        (None, &json_form, 400),
        (Some("128"), &wrong_product, 400),
        (Some("128"), &binary("18446744073709551615", "2"), 400),
        (Some("128"), &metadata(&[("form", "xml")]), 400),
        (Some("128"), &String::new(), 400),
        (Some("128"), &"a,".repeat(4000), 400),
    ] {
        let mut headers = vec![("upload-metadata", form.as_str())];
        headers.extend(length.map(|length| ("upload-length", length)));
        begin_with(&service, &project, token, &headers).await.problem(status);
    }
    let deferred = [("upload-defer-length", "1"), ("upload-metadata", &*json_form)];
    begin_with(&service, &project, token, &deferred).await.problem(400);
    assert_eq!(service.objects(), [""; 0]);

    let path = begin(&service, &project, 128, &right_product).await;
    let mut announced = patch(&path, token, 0, vec![1; 129]);
    announced.headers_mut().insert("content-length", "129".parse().unwrap());
    service.send(announced).await.problem(413);
    assert_eq!(offset(&service, &path, token).await, 0);
    let chunks = stream::iter([vec![1; 100], vec![1; 100]]).map(Ok::<_, std::io::Error>);
    service.send(patch(&path, token, 0, Body::from_stream(chunks))).await.problem(413);
    assert_eq!(offset(&service, &path, token).await, 100);
    assert_eq!(service.send(patch(&path, token, 100, vec![1; 28])).await.status, 204);

    let blocked = service.create(json!({"schema": {}, "result_type": "groups", "uses_blocking": true})).await;
    let headers = [("upload-length", "128"), ("upload-metadata", &*right_product)];
    begin_with(&service, &blocked, &blocked.update[0], &headers).await.problem(403);
}

#[tokio::test]
async fn an_upload_that_was_left_is_gone_and_makes_room() {
    let service = Service::with(|app, _| app.limits.upload_expiry = Duration::ZERO);
    let project = service.create_of_type("groups").await;
    let token = &project.update[0];
    let path = begin(&service, &project, 100, &json_form()).await;
    assert_eq!(head(&service, &path, token).await.status, 410);
    service.send(patch(&path, token, 0, "x")).await.problem(410);
    service.send(request("GET", &path, token, &[], Body::empty())).await.problem(410);
    for _ in 0..6 {
        begin(&service, &project, 100, &json_form()).await;
    }
    assert_eq!(left(&service).len(), 1, "the others were removed");
}

#[tokio::test]
async fn a_party_has_few_unfinished_uploads_at_a_time() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let token = &project.update[0];
    let mut paths = Vec::new();
    for _ in 0..4 {
        paths.push(begin(&service, &project, 100, &json_form()).await);
    }
    let form = json_form();
    let headers = [("upload-length", "100"), ("upload-metadata", form.as_str())];
    let refused = begin_with(&service, &project, token, &headers).await.problem(400);
    assert!(refused.contains("unfinished"), "{refused}");
    assert_eq!(begin_with(&service, &project, &project.update[1], &headers).await.status, 201);
    let ended = service.send(request("DELETE", &paths[0], token, &[], Body::empty())).await;
    assert_eq!((ended.status.as_u16(), &ended.headers["tus-resumable"]), (204, &"1.0.0".parse().unwrap()));
    assert_eq!(head(&service, &paths[0], token).await.status, 403);
    begin(&service, &project, 100, &json_form()).await;
}

#[tokio::test]
async fn nobody_else_reaches_an_upload() {
    let service = Service::new();
    let (project, other) = (service.create_of_type("groups").await, service.create_of_type("groups").await);
    let path = begin(&service, &project, 100, &json_form()).await;
    let id = path.rsplit_once('/').unwrap().1.to_owned();
    let tokens = ["wrong", &project.result, &project.update[1], &other.update[0]];
    for token in tokens {
        service.send(patch(&path, token, 0, "x")).await.problem(403);
        service.send(request("GET", &path, token, &[], Body::empty())).await.problem(403);
        service.send(request("DELETE", &path, token, &[], Body::empty())).await.problem(403);
        assert_eq!(head(&service, &path, token).await.status, 403);
    }
    let elsewhere = format!("/api/v1/projects/{}/uploads/{id}", other.id);
    service.send(patch(&elsewhere, &other.update[0], 0, "x")).await.problem(403);
    for odd in ["..", "%2e%2e%2f", "%ff", "x", &id.to_uppercase(), &id[1..], &format!("{id}%2fpieces")] {
        let path = format!("/api/v1/projects/{}/uploads/{odd}", project.id);
        let status = service.send(patch(&path, &project.update[0], 0, "x")).await.status;
        assert!(status == 403 || status == 404, "{odd}: {status}");
    }
    assert_eq!(offset(&service, &path, &project.update[0]).await, 0);
}

#[tokio::test]
async fn data_that_is_refused_is_told_to_the_uploader_and_on_the_party() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let token = &project.update[0];
    let body = r#"{"clks": ["AAAAAAAAAAA=", "§"]}"#;
    let path = begin(&service, &project, body.len(), &json_form()).await;
    assert_eq!(service.send(patch(&path, token, 0, &body[..10])).await.status, 204);
    let detail = service.send(patch(&path, token, 10, &body[10..])).await.problem(400);
    assert!(detail.contains("record 1"), "{detail}");
    let party = service.party(&project.id, 0);
    assert_eq!((&party["reason"], &party["message"]), (&json!("InvalidBase64"), &json!(detail)));
    let ended = state(&service, &path, token).await;
    assert_eq!((&ended["state"], &ended["problem"]), (&json!("refused"), &json!(detail)));
    // to a client that asks only how much is there, all would be well
    assert_eq!(head(&service, &path, token).await.status, 410);
    service.send(patch(&path, token, body.len(), "")).await.problem(400);
    assert!(service.objects().iter().all(|file| file.contains("/outcomes/")), "{:?}", service.objects());

    let odd = clks(3, 7);
    let path = begin(&service, &project, odd.len(), &json_form()).await;
    assert_eq!(service.send(patch(&path, token, 0, odd)).await.status, 204);
    let warned = state(&service, &path, token).await;
    assert_eq!(
        (&warned["state"], &service.party(&project.id, 0)["state"]),
        (&json!("taken_in"), &json!("Rejected"))
    );
    assert_eq!(warned["warning"], service.party(&project.id, 0)["message"]);

    let good = clks(3, 128);
    let path = begin(&service, &project, good.len(), &json_form()).await;
    assert_eq!(service.send(patch(&path, token, 0, good)).await.status, 204);
    assert_eq!(service.party(&project.id, 0)["state"], "Contributed");
}

#[tokio::test]
async fn a_project_deleted_meanwhile_is_told_and_nothing_is_left() {
    for complete in [false, true] {
        let service = Service::new();
        let project = service.create_of_type("groups").await;
        let body = clks(3, 128);
        let path = begin(&service, &project, body.len(), &json_form()).await;
        let (kubernetes, key) =
            (service.kubernetes.clone(), ("linkageprojects".to_owned(), project.id.clone()));
        let folder = service.store.path().join(service.folder(&project.id));
        let sent = if complete { body.clone() } else { body[..50].to_owned() };
        let sent = stream::once(async move {
            std::fs::remove_dir_all(folder).unwrap();
            kubernetes.objects().resources.remove(&key);
            Ok::<_, std::io::Error>(Bytes::from(sent))
        });
        service.send(patch(&path, &project.update[0], 0, Body::from_stream(sent))).await.problem(403);
        assert_eq!(service.objects(), [""; 0], "{complete}");
    }
}

/// An upload all of whose bytes are in the store, and whose replica ended before it took them in.
async fn abandoned(service: &Service, project: &Created, body: &str) -> (String, Upload) {
    let path = begin(service, project, body.len(), &json_form()).await;
    let id = path.rsplit_once('/').unwrap().1;
    let folder = format!("{}resumable/0/unfinished/{id}/", service.folder(&project.id));
    let upload = Upload::open(&service.app.store, folder).await.unwrap().unwrap();
    let start = upload.progress().await.unwrap();
    let sent = stream::iter([Ok(Bytes::from(body.to_owned()))]);
    upload.append(start, sent).await.1.unwrap();
    (path, upload)
}

#[tokio::test]
async fn what_a_killed_replica_has_left_is_taken_in_when_it_is_asked_for() {
    for sign_is_left in [false, true] {
        let service = Service::new();
        let project = service.create_of_type("groups").await;
        let body = clks(3, 128);
        let (path, upload) = abandoned(&service, &project, &body).await;
        if sign_is_left {
            let sign = service.store.path().join(upload.folder()).join("taking-in");
            let file = std::fs::File::create(sign).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
        }
        assert_eq!(offset(&service, &path, &project.update[0]).await, body.len());
        wait_for(&service, &path, &project.update[0], "taken_in").await;
        assert_eq!(service.party(&project.id, 0)["records"], 3);
    }
}

#[tokio::test]
async fn what_somebody_is_taking_in_is_left_to_them() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let (path, upload) = abandoned(&service, &project, &clks(3, 128)).await;
    std::fs::write(service.store.path().join(upload.folder()).join("taking-in"), "").unwrap();
    let body_is_complete = upload.description.bytes as usize;
    let answer = service.send(patch(&path, &project.update[0], body_is_complete, "")).await;
    assert_eq!(answer.status, 204);
    assert_eq!(state(&service, &path, &project.update[0]).await["state"], "taking_in");
    assert_eq!(service.party(&project.id, 0)["state"], Value::Null);
}

#[tokio::test]
async fn an_upload_that_counts_already_is_not_refused_because_it_counts() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let (path, upload) = abandoned(&service, &project, &clks(3, 128)).await;
    // the replica ended between the claim and the note of its outcome
    let attempt = "a".repeat(48);
    let attempts = service.store.path().join(upload.folder()).join("attempts");
    std::fs::create_dir_all(&attempts).unwrap();
    std::fs::write(attempts.join(&attempt), "").unwrap();
    let encodings = format!("{}parties/0/{attempt}/encodings", service.folder(&project.id));
    service.kubernetes.change("linkageprojects", &project.id, |resource| {
        resource["status"]["parties"] = json!([
            {"name": "party-1", "state": "Contributed", "encodings": encodings, "encodingBytes": 128, "records": 3},
            {"name": "party-2", "state": "Waiting"}
        ]);
    });
    assert_eq!(head(&service, &path, &project.update[0]).await.status, 200);
    wait_for(&service, &path, &project.update[0], "taken_in").await;
}

#[tokio::test]
async fn the_protocol_is_told_and_may_come_in_other_shapes() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let token = &project.update[0];
    let uploads = format!("/api/v1/projects/{}/uploads", project.id);
    let asked = Request::builder().method(Method::OPTIONS).uri(&uploads).body(Body::empty()).unwrap();
    let told = service.send(asked).await;
    assert_eq!((told.status.as_u16(), &told.headers["tus-version"]), (204, &"1.0.0".parse().unwrap()));
    assert_eq!(told.headers["tus-max-size"], (1 << 20).to_string());
    let extensions = told.headers["tus-extension"].to_str().unwrap();
    for extension in ["creation", "creation-with-upload", "expiration", "termination"] {
        assert!(extensions.split(',').any(|told| told == extension), "{extensions}");
    }

    let body = clks(3, 128);
    let (length, form) = (body.len().to_string(), json_form());
    let headers = [("upload-length", &*length), ("upload-metadata", &*form), ("content-type", OFFSET_STREAM)];
    let begun = request("POST", &uploads, token, &headers, Body::from(body[..100].to_owned()));
    let begun = service.send(begun).await;
    assert_eq!((begun.status.as_u16(), &begun.headers["upload-offset"]), (201, &"100".parse().unwrap()));
    let path = format!("/api/v1/projects/{}/{}", project.id, begun.headers["location"].to_str().unwrap());
    let mut by_post = patch(&path, token, 100, body[100..].to_owned());
    *by_post.method_mut() = Method::POST;
    by_post.headers_mut().insert("x-http-method-override", "PATCH".parse().unwrap());
    assert_eq!(service.send(by_post).await.status, 204);
    assert_eq!(service.party(&project.id, 0)["records"], 3);
}

#[tokio::test]
async fn an_upload_needs_a_place_as_any_other() {
    let service = Service::with(|app, _| {
        app.places = Places::new(Shares { all: 1, address: 1, project: 1, party: 1 });
    });
    let _held = service.app.places.take(None, "another", 0, 1);
    let project = service.create_of_type("groups").await;
    let path = begin(&service, &project, 100, &json_form()).await;
    service.send(patch(&path, &project.update[0], 0, "x")).await.problem(503);
    assert_eq!(offset(&service, &path, &project.update[0]).await, 0);
}
