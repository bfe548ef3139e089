//! Uploading: what counts, what is refused, and that a refused upload leaves nothing behind.

use async_compression::tokio::bufread::GzipEncoder;
use axum::body::Body;
use axum::http::Request;
use bytes::Bytes;
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use crate::kubernetes::Objects;
use crate::service::{Service, clks};

#[tokio::test]
async fn both_forms_of_upload_count() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let answer = service.upload(&project.id, &project.update[0], clks(3, 128)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.body["message"], "Updated");
    assert_eq!(answer.body["receipt_token"].as_str().unwrap().len(), 48);
    let answer = service.upload_binary(&project.id, &project.update[1], ["2", "128"], vec![5; 256]).await;
    assert_eq!(answer.status, 201, "{answer:?}");

    let (first, second) = (service.party(&project.id, 0), service.party(&project.id, 1));
    assert_eq!((&first["state"], &first["records"]), (&json!("Contributed"), &json!(3)));
    assert_eq!((&second["encodingBytes"], &second["records"]), (&json!(128), &json!(2)));
    let stored = service.store.path().join(second["encodings"].as_str().unwrap());
    assert_eq!(std::fs::read(stored).unwrap(), [5; 256]);
    let key = first["encodings"].as_str().unwrap();
    let folder = service.folder(&project.id);
    assert!(key.starts_with(&format!("{folder}parties/0/")) && key.ends_with("/encodings"), "{key}");
    let described = service.get(&format!("/projects/{}", project.id), &project.result).await;
    assert_eq!(described.body["parties_contributed"], 2);
}

#[tokio::test]
async fn a_party_contributes_once() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    assert_eq!(service.upload(&project.id, &project.update[0], clks(3, 128)).await.status, 201);
    let before = (service.objects(), service.kubernetes.project(&project.id));
    service.upload(&project.id, &project.update[0], clks(4, 128)).await.problem(403);
    service.upload_binary(&project.id, &project.update[0], ["1", "8"], vec![1; 8]).await.problem(403);
    assert_eq!((service.objects(), service.kubernetes.project(&project.id)), before);
}

#[tokio::test]
async fn a_broken_upload_says_why_and_leaves_the_token_usable() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let token = &project.update[0];
    let broken: [(&str, &str); 8] = [
        ("{", "MalformedJson"),
        ("", "MalformedJson"),
        ("[1, 2", "MalformedJson"),
        (r#"{"clks": ["AAAAAAAAAAA="], "#, "MalformedJson"),
        (r#"{"other": []}"#, "MalformedJson"),
        (r#"{"clks": "AAAA"}"#, "MalformedJson"),
        (r#"{"clks": ["AAAAAAAAAAA=", "§"]}"#, "InvalidBase64"),
        (r#"{"clks": []}"#, "EmptyData"),
    ];
    for (body, reason) in broken {
        let detail = service.upload(&project.id, token, body).await.problem(400);
        let party = service.party(&project.id, 0);
        assert_eq!(party["reason"], reason, "{body}: {detail}");
        assert_eq!((&party["state"], party["message"].as_str()), (&json!("Waiting"), Some(detail.as_str())));
        assert_eq!(service.objects(), [""; 0], "{body}");
    }
    for (length, count) in [(255, "2"), (257, "2"), (0, "2")] {
        service.upload_binary(&project.id, token, [count, "128"], vec![1; length]).await.problem(400);
        assert_eq!(service.party(&project.id, 0)["reason"], "TruncatedData", "{length}");
    }
    for announced in [["0", "128"], ["x", "128"], ["2", "1025"], ["2", "0"], ["2", "-1"]] {
        service.upload_binary(&project.id, token, announced, vec![1; 256]).await.problem(400);
    }
    let described = service.get(&format!("/projects/{}", project.id), &project.result).await.body;
    assert_eq!(described["error"], false);
    assert_eq!(service.objects(), [""; 0]);
    let event = service.kubernetes.objects().events[0].clone();
    assert_eq!((&event["reason"], &event["type"]), (&json!("MalformedJson"), &json!("Warning")));
    assert_eq!(event["regarding"]["name"], project.id);

    assert_eq!(service.upload(&project.id, token, clks(3, 128)).await.status, 201);
    assert_eq!(service.party(&project.id, 0)["reason"], Value::Null);
}

#[tokio::test]
async fn encodings_that_do_not_fit_are_taken_but_show_as_an_error() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let described = async || service.get(&format!("/projects/{}", project.id), &project.result).await.body;
    assert_eq!(service.upload(&project.id, &project.update[0], clks(3, 128)).await.status, 201);
    let stored = service.objects();
    let unlike_the_other = clks(3, 64);
    let unlike_each_other = json!({"clks": ["AAAAAAAAAAA=", "AAAAAAAAAAAAAAAAAAAAAA=="]}).to_string();
    for body in [unlike_the_other, clks(3, 7), unlike_each_other, clks(2, 2048)] {
        let answer = service.upload(&project.id, &project.update[1], body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        assert_eq!(
            (&answer.body["message"], described().await["error"].clone()),
            (&json!("Updated"), json!(true))
        );
        let party = service.party(&project.id, 1);
        assert_eq!((&party["state"], &party["reason"]), (&json!("Rejected"), &json!("EncodingSizeMismatch")));
        assert_eq!(
            (&answer.body["warning"], &party["message"]),
            (&party["message"], &described().await["message"])
        );
        assert_eq!(service.objects(), stored);
    }
    let runs = format!("/projects/{}/runs", project.id);
    service.call("POST", &runs, Some(&project.result), json!({"threshold": 0.8})).await.problem(500);

    assert_eq!(service.upload(&project.id, &project.update[1], clks(2, 128)).await.status, 201);
    assert_eq!(described().await["error"], false);
    service.create_run(&project).await;
}

#[tokio::test]
async fn the_schema_fixes_the_size() {
    let service = Service::new();
    let project = service.create(json!({"schema": {"clkConfig": {"l": 512}}, "result_type": "groups"})).await;
    let answer = service.upload(&project.id, &project.update[0], clks(3, 128)).await;
    assert!(answer.body["warning"].as_str().unwrap().contains("512"), "{answer:?}");
    assert_eq!(service.objects(), [""; 0]);
}

#[tokio::test]
async fn blocks_are_needed_exactly_with_blocking() {
    let service = Service::new();
    let plain = service.create_of_type("groups").await;
    let blocked = service.create(json!({"schema": {}, "result_type": "groups", "uses_blocking": true})).await;
    let with_blocks = json!({"clknblocks": [["AAAAAAAAAAA=", "a", 5], ["AAAAAAAAAAE=", "a"]]}).to_string();
    service.upload(&plain.id, &plain.update[0], with_blocks.clone()).await.problem(403);
    service.upload(&blocked.id, &blocked.update[0], clks(2, 8)).await.problem(403);
    service.upload_binary(&blocked.id, &blocked.update[0], ["1", "8"], vec![1; 8]).await.problem(403);
    assert_eq!(service.objects(), [""; 0]);

    assert_eq!(service.upload(&blocked.id, &blocked.update[0], with_blocks).await.status, 201);
    let in_line = json!({"encodings": ["AAAAAAAAAAA=", "AAAAAAAAAAE="], "blocks": {"1": ["a"], "0": [5]}});
    assert_eq!(service.upload(&blocked.id, &blocked.update[1], in_line.to_string()).await.status, 201);
    assert!(service.party(&blocked.id, 1)["blocks"].is_string());
}

#[tokio::test]
async fn a_claim_is_made_again_when_others_write_the_status() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let mut writes = 0;
    let id = project.id.clone();
    service.kubernetes.objects().before_write = Some(Box::new(move |objects| {
        writes += 1;
        if writes <= 3 {
            objects.change("linkageprojects", &id, |resource| {
                resource["status"]["observedGeneration"] = json!(writes)
            });
        }
    }));
    assert_eq!(service.upload(&project.id, &project.update[0], clks(3, 128)).await.status, 201);
    assert_eq!(service.party(&project.id, 0)["state"], "Contributed");
    assert_eq!(service.kubernetes.project(&project.id)["status"]["observedGeneration"], 3);
}

#[tokio::test]
async fn of_two_uploads_at_once_one_wins_and_the_other_leaves_nothing() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let id = project.id.clone();
    service.kubernetes.objects().before_write = Some(Box::new(move |objects| {
        objects.change("linkageprojects", &id, |resource| {
            resource["status"] = json!({"parties": [
                {"name": "party-1", "state": "Contributed", "records": 9, "encodingBytes": 8, "encodings": "theirs"}
            ]});
        });
    }));
    let detail = service.upload(&project.id, &project.update[0], clks(3, 128)).await.problem(403);
    assert!(detail.contains("already contributed"), "{detail}");
    assert_eq!(service.party(&project.id, 0)["encodings"], "theirs");
    assert_eq!(service.objects(), [""; 0]);

    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let upload = |records| service.upload(&project.id, &project.update[0], clks(records, 128));
    let answers = futures::join!(upload(2), upload(3), upload(4));
    let mut statuses = [answers.0, answers.1, answers.2].map(|answer| answer.status.as_u16());
    statuses.sort();
    assert_eq!(statuses, [201, 403, 403]);
    assert_eq!(service.objects().len(), 1);
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_counts() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    service.kubernetes.objects().lost_answers = 2;
    assert_eq!(service.upload(&project.id, &project.update[0], clks(3, 128)).await.status, 201);
    let key = service.party(&project.id, 0)["encodings"].as_str().unwrap().to_owned();
    assert!(service.store.path().join(key).exists());
}

#[tokio::test]
async fn a_project_deleted_meanwhile_leaves_nothing() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let id = project.id.clone();
    service.kubernetes.objects().before_write = Some(Box::new(move |objects| {
        objects.change("linkageprojects", &id, |resource| {
            resource["metadata"]["deletionTimestamp"] = json!("2030-01-01T00:00:00Z");
        });
    }));
    service.upload(&project.id, &project.update[0], clks(3, 128)).await.problem(403);
    assert_eq!(service.objects(), [""; 0]);
}

#[tokio::test]
async fn a_project_that_is_gone_before_an_upload_is_claimed_leaves_nothing() {
    for answer_is_lost in [false, true] {
        let service = Service::new();
        let project = service.create_of_type("groups").await;
        let key = ("linkageprojects".to_owned(), project.id.clone());
        let goes = move |objects: &mut Objects| drop(objects.resources.remove(&key));
        if answer_is_lost {
            let mut objects = service.kubernetes.objects();
            objects.lost_answers = 1;
            objects.after_write = Some(Box::new(goes));
        } else {
            service.kubernetes.objects().before_write = Some(Box::new(goes));
        }
        service.upload(&project.id, &project.update[0], clks(3, 128)).await.problem(403);
        assert_eq!(service.objects(), [""; 0], "{answer_is_lost}");
    }
}

#[tokio::test]
async fn a_project_that_is_purged_during_an_upload_is_told_as_gone() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let (kubernetes, store) = (service.kubernetes.clone(), service.store.path().to_owned());
    let body = |purged: bool| {
        let key = ("linkageprojects".to_owned(), project.id.clone());
        let (kubernetes, store) = (kubernetes.clone(), store.clone());
        let (head, tail) = (clks(3, 128), String::from(" "));
        let purge = stream::once(async move {
            // what is written and not complete goes as well
            std::fs::remove_dir_all(store).unwrap();
            if purged {
                kubernetes.objects().resources.remove(&key);
            }
            Ok::<_, std::io::Error>(tail)
        });
        Body::from_stream(stream::once(async move { Ok(head) }).chain(purge))
    };
    service.upload(&project.id, &project.update[0], body(false)).await.problem(500);
    std::fs::create_dir_all(service.store.path()).unwrap();
    scorer::store::Store::in_directory(service.store.path()).unwrap();
    service.upload(&project.id, &project.update[0], body(true)).await.problem(403);
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let broken = stream::iter([
        Ok(Bytes::from(clks(500, 128)).slice(..50_000)),
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
    ]);
    service.upload(&project.id, &project.update[0], Body::from_stream(broken)).await.problem(400);
    assert_eq!(service.objects(), [""; 0]);
    assert_eq!(service.upload(&project.id, &project.update[0], clks(3, 128)).await.status, 201);
}

#[tokio::test]
async fn an_upload_that_is_too_large_is_413_announced_or_not() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let request = || {
        Request::post(format!("/api/v1/projects/{}/clks", project.id))
            .header("authorization", &project.update[0])
            .header("content-type", "application/json")
    };
    let chunk = Bytes::from(format!("{{\"clks\": [{}", "\"AAAAAAAAAAA=\",".repeat(1000)));
    let rest = Bytes::from("\"AAAAAAAAAAA=\",".repeat(1000));
    let chunks = stream::iter(
        std::iter::once(chunk).chain(std::iter::repeat_n(rest, 100)).map(Ok::<_, std::io::Error>),
    );
    service.send(request().body(Body::from_stream(chunks)).unwrap()).await.problem(413);
    let announced = request().header("content-length", "9999999").body(Body::from("{")).unwrap();
    service.send(announced).await.problem(413);
    assert_eq!(service.objects(), [""; 0]);
}

#[tokio::test]
async fn while_the_store_is_full_no_body_is_read() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    service.app.fullness.note::<()>(&Err(api::error::Error::StoreFull));
    let unread = || Body::from_stream(stream::pending::<std::io::Result<Bytes>>());
    let refused = service.upload(&project.id, &project.update[0], unread()).await;
    assert!(refused.problem(507).contains("no space left"));
    assert!(refused.headers.contains_key("retry-after"));
    service.upload_binary(&project.id, &project.update[0], ["9", "8"], unread()).await.problem(507);
    // a caller who may not upload learns nothing of it
    service.upload(&project.id, "wrong", clks(2, 128)).await.problem(403);
    assert_eq!(service.objects(), [""; 0]);
}

#[tokio::test]
async fn a_body_packed_by_gzip_is_taken_like_any_other() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let send = async |party: usize, path: &str, type_: &str, body: Vec<u8>| {
        let request = Request::post(format!("/api/v1/projects/{}/{path}", project.id))
            .header("authorization", &project.update[party])
            .header("content-type", type_)
            .header("content-encoding", "gzip")
            .header("hash-count", "3")
            .header("hash-size", "128");
        service.send(request.body(Body::from(body)).unwrap()).await
    };
    let bomb = packed(format!("{{\"clks\": [{}", " ".repeat(3 << 20)).as_bytes()).await;
    send(0, "clks", "application/json", bomb).await.problem(413);
    let mut cut = packed(clks(3, 128).as_bytes()).await;
    cut.truncate(cut.len() - 9);
    send(0, "clks", "application/json", cut).await.problem(400);
    send(0, "clks", "application/json", clks(3, 128).into_bytes()).await.problem(400);
    assert_eq!(service.objects(), [""; 0]);
    let answer = send(0, "clks", "application/json", packed(clks(3, 128).as_bytes()).await).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let answer = send(1, "binaryclks", "application/octet-stream", packed(&[7; 384]).await).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let stored = service.store.path().join(service.party(&project.id, 1)["encodings"].as_str().unwrap());
    assert_eq!(std::fs::read(stored).unwrap(), [7; 384]);

    let run = Request::post(format!("/api/v1/projects/{}/runs", project.id))
        .header("authorization", &project.result)
        .header("content-type", "application/json")
        .header("content-encoding", "gzip");
    let answer = service.send(run.body(Body::from(packed(b"{\"threshold\": 0.9}").await)).unwrap()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

async fn packed(content: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    GzipEncoder::new(content).read_to_end(&mut packed).await.unwrap();
    packed
}

#[tokio::test]
async fn a_body_of_another_media_type_is_415() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let request = |path: &str| {
        Request::post(format!("/api/v1/projects/{}/{path}", project.id))
            .header("authorization", &project.update[0])
    };
    for path in ["clks", "binaryclks"] {
        let status = if path == "clks" { 415 } else { 400 };
        service.send(request(path).body(Body::from("x")).unwrap()).await.problem(status);
        let packed =
            request(path).header("content-type", "application/json").header("content-encoding", "br");
        let answer = service.send(packed.body(Body::from("x")).unwrap()).await;
        assert_eq!(answer.headers["accept-encoding"], "gzip");
        answer.problem(415);
    }
}

#[tokio::test]
async fn without_temporary_credentials_nothing_is_taken_from_the_store() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let path = format!("/projects/{}/authorize-external-upload", project.id);
    let detail = service.get(&path, &project.update[0]).await.problem(500);
    assert!(detail.contains("switched off"), "{detail}");
    service.get(&path, &project.result).await.problem(403);
    let path = format!("{}uploads/1/0/a.json", service.folder(&project.id));
    let file = json!({"file": {"bucket": "linkage", "path": path}});
    let announced = json!({"encodings": file}).to_string();
    service.upload(&project.id, &project.update[0], announced).await.problem(500);
    let malformed = json!({"encodings": {"file": "a.json"}}).to_string();
    service.upload(&project.id, &project.update[0], malformed).await.problem(400);
    // only what is small can be an announcement
    let large = format!(r#"{{"encodings": {{"file": "{}"}}}}"#, "a".repeat(70_000));
    service.upload(&project.id, &project.update[0], large).await.problem(400);
    assert_eq!(service.objects(), [""; 0]);
    assert_eq!(service.upload(&project.id, &project.update[0], clks(3, 128)).await.status, 201);
}
