//! The forms in which data arrives: read for what they are, or refused by name; never taken for something else.

use axum::body::Body;
use axum::http::Request;
use futures::{FutureExt, stream};
use serde_json::{Value, json};

use api::limits::underway::Underway;

use crate::service::{Answer, Created, Service, clks};

const GZIP: &[u8] = b"\x1f\x8b\x08\x10\x00\x00\x00\x00\x00\x00\x03";

fn utf_16(text: &str) -> Vec<u8> {
    format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn padded(head: &[u8]) -> Vec<u8> {
    [head, &vec![b'x'; 128 * 4 - head.len()]].concat()
}

#[tokio::test]
async fn packed_data_without_content_encoding_is_refused_by_name() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let token = &project.update[0];
    for (by, head) in [
        ("gzip", GZIP),
        ("zip", b"PK\x03\x04\x14\x00\x00\x00\x08\x00"),
        ("zstd", b"\x28\xb5\x2f\xfd\x04\x58\xa1\x00"),
        ("xz", b"\xfd7zXZ\x00\x00\x04\xe6\xd6"),
        ("bzip2", b"BZh91AY&SY\x00\x11"),
    ] {
        let body = padded(head);
        let as_json = service.upload(&project.id, token, body.clone()).await.problem(400);
        // as long as announced, so that it would count as four encodings
        let as_raw = service.upload_binary(&project.id, token, ["4", "128"], body).await.problem(400);
        for detail in [as_json, as_raw] {
            assert!(detail.contains(&format!("packed ({by})")), "{detail}");
            assert_eq!(detail.contains("Content-Encoding: gzip"), by == "gzip", "{detail}");
        }
        let party = service.party(&project.id, 0);
        assert_eq!((&party["state"], &party["reason"]), (&json!("Waiting"), &json!("UnsupportedForm")));
    }
    let text = format!("{{\"clks\": [{}]}}", " ".repeat(128 - 12));
    let detail = service.upload_binary(&project.id, token, ["1", "128"], text).await.problem(400);
    assert!(detail.contains("JSON document"), "{detail}");
    assert_eq!(service.objects(), [""; 0]);
    assert_eq!(service.upload(&project.id, token, clks(3, 128)).await.status, 201);
}

#[tokio::test]
async fn a_byte_order_mark_is_passed_over_in_every_body_and_utf_16_is_refused_by_name() {
    let service = Service::new();
    let wanted = json!({"schema": {}, "result_type": "groups"}).to_string();
    let post = |path: &str, token: &str, body: Vec<u8>| {
        let request = Request::post(format!("/api/v1/{path}")).header("content-type", "application/json");
        service.send(request.header("authorization", token).body(Body::from(body)).unwrap())
    };
    let marked = |text: &str| format!("\u{feff}{text}").into_bytes();
    assert!(post("projects", "", utf_16(&wanted)).await.problem(400).contains("UTF-16"));
    assert_eq!(post("projects", "", marked(&wanted)).await.status, 201);

    let project = service.create_of_type("groups").await;
    let upload = format!("projects/{}/clks", project.id);
    let detail = post(&upload, &project.update[0], utf_16(&clks(3, 128))).await.problem(400);
    assert!(detail.contains("UTF-16"), "{detail}");
    assert_eq!(post(&upload, &project.update[0], marked(&clks(3, 128))).await.status, 201);
    assert_eq!(service.party(&project.id, 0)["records"], 3);
    let runs = format!("projects/{}/runs", project.id);
    assert_eq!(post(&runs, &project.result, marked("{\"threshold\": 0.9}")).await.status, 201);
}

#[tokio::test]
async fn keys_that_mean_nothing_are_ignored_and_told() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let with_more = clks(3, 128).replacen('{', "{\"meta\": {\"by\": [1, null]}, \"ä\\n\": 5, ", 1);
    let answer = service.upload(&project.id, &project.update[0], with_more).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let warning = answer.headers["warning"].to_str().unwrap();
    assert!(
        warning.starts_with("299 - \"") && warning.ends_with('"') && warning.contains("\\\"meta\\\""),
        "{warning}"
    );
    let party = service.party(&project.id, 0);
    assert_eq!((&party["state"], &party["reason"]), (&json!("Contributed"), &Value::Null));
    assert!(party["message"].as_str().unwrap().contains("\"meta\", \"\\u{e4}\\n\""), "{party}");
    let described = service.get(&format!("/projects/{}", project.id), &project.result).await.body;
    assert_eq!((&described["error"], &described["parties_contributed"]), (&json!(false), &json!(1)));
    assert_eq!(described["parties"][0]["message"], party["message"]);

    let plain = service.upload(&project.id, &project.update[1], clks(3, 128)).await;
    assert!(plain.status == 201 && !plain.headers.contains_key("warning"), "{plain:?}");
}

#[tokio::test]
async fn a_size_that_contradicts_the_schema_is_refused_before_the_body_is_read() {
    let service = Service::new();
    let project = service.create(json!({"schema": {"clkConfig": {"l": 512}}, "result_type": "groups"})).await;
    let path = format!("projects/{}/binaryclks", project.id);
    let detail = unread(&service, &path, &project.update[0], "application/octet-stream").await.problem(400);
    assert!(detail.contains("Hash-Size is 128") && detail.contains("512 bits"), "{detail}");
    assert_eq!(service.objects(), [""; 0]);
    let answer = service.upload_binary(&project.id, &project.update[0], ["3", "64"], vec![1; 192]).await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

/// An upload whose body is not sent before the service asks for it, so that a refusal cannot wait for it.
async fn unread(service: &Service, path: &str, token: &str, media_type: &str) -> Answer {
    let request = Request::post(format!("/api/v1/{path}"))
        .header("authorization", token)
        .header("content-type", media_type)
        .header("expect", "100-continue")
        .header("hash-count", "3")
        .header("hash-size", "128");
    let body = Body::from_stream(stream::pending::<std::io::Result<bytes::Bytes>>());
    service.send(request.body(body).unwrap()).await
}

async fn post_without_type(service: &Service, project: &Created, path: &str, body: &str) -> Answer {
    let request = Request::post(format!("/api/v1/projects/{}/{path}", project.id))
        .header("authorization", &project.update[0])
        .header("hash-count", "1")
        .header("hash-size", "8");
    service.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

#[tokio::test]
async fn an_empty_body_without_type_and_a_wrong_type_of_raw_encodings_are_400() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    for path in ["clks", "binaryclks"] {
        post_without_type(&service, &project, path, "").await.problem(400);
    }
    let empty = Request::post("/api/v1/projects").body(Body::empty()).unwrap();
    assert!(service.send(empty).await.problem(400).contains("empty"));
    post_without_type(&service, &project, "binaryclks", "12345678").await.problem(400);
    post_without_type(&service, &project, "clks", "{}").await.problem(415);
}

#[tokio::test]
async fn a_second_upload_while_the_first_is_under_way_is_403_at_once() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let (send, receive) = futures::channel::oneshot::channel::<()>();
    let slow = Body::from_stream(stream::once(receive.map(|_| Ok::<_, std::io::Error>(clks(3, 64)))));
    let path = format!("projects/{}/clks", project.id);
    let (first, ()) = tokio::join!(service.upload(&project.id, &project.update[0], slow), async {
        while service.app.uploads.is_empty() {
            tokio::task::yield_now().await;
        }
        let detail = unread(&service, &path, &project.update[0], "application/json").await.problem(403);
        assert!(detail.contains("under way"), "{detail}");
        // the other party is not concerned
        assert_eq!(service.upload(&project.id, &project.update[1], clks(3, 64)).await.status, 201);
        send.send(()).unwrap();
    });
    assert_eq!(first.status, 201, "{first:?}");
    assert_eq!(service.party(&project.id, 0)["records"], 3);
}

#[tokio::test]
async fn an_upload_whose_connection_is_dead_does_not_lock_its_party_out() {
    let service = Service::with(|app, _| app.underway = Underway::stalled_after(std::time::Duration::ZERO));
    let project = service.create_of_type("groups").await;
    let dead = Body::from_stream(stream::pending::<std::io::Result<bytes::Bytes>>());
    let (first, second) = tokio::join!(service.upload(&project.id, &project.update[0], dead), async {
        while service.app.uploads.is_empty() {
            tokio::task::yield_now().await;
        }
        service.upload(&project.id, &project.update[0], clks(3, 64)).await
    });
    assert!(first.problem(403).contains("stood still"));
    assert_eq!(second.status, 201, "{second:?}");
    assert_eq!(service.objects().len(), 1);
}
