//! The document and the snapshots tell of the same answers; and what the document says of uploads holds.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::described;
use crate::service::Service;

/// Answers that have no snapshot yet. The tests of their endpoints look at them: `resumable`, `life`, `parties`, `webhooks`,
/// `lists`, `waiting` and `projects`.
const ELSEWHERE: [(&str, Option<&str>); 17] = [
    ("begin_upload", None),
    ("go_on_with_upload", None),
    ("upload_offset", None),
    ("describe_upload", None),
    ("end_upload", None),
    ("list_uploads", None),
    ("withdraw", None),
    ("invitation", None),
    ("rotate_tokens", None),
    ("describe_webhook", None),
    ("upload_json", Some("409")),
    ("upload_binary", Some("409")),
    ("upload_binary", Some("415")),
    ("list_projects", None),
    ("create_project", Some("403")),
    ("create_project", Some("507")),
    ("run_status", Some("304")),
];

/// Said of every endpoint; but this one does nothing that could fail.
const NEVER: [&str; 2] = ["service_version", "500"];

/// The operation and the status of each answer in a snapshot.
fn answers(snapshot: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut operation = None;
    for line in snapshot.lines() {
        if let Some((method, path)) = line.split_once(' ').filter(|(_, rest)| rest.starts_with("/api/v1/")) {
            operation = described::operation_id(method, path);
        } else if let (Some(id), Some((status, _))) = (operation, line.split_once(' '))
            && status.len() == 3
            && status.bytes().all(|c| c.is_ascii_digit())
        {
            found.push((id.to_owned(), status.to_owned()));
            operation = None;
        }
    }
    found
}

#[test]
fn every_answer_that_the_document_tells_of_is_in_a_snapshot() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rest/snapshots");
    let mut seen = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "snap") {
            seen.extend(answers(&std::fs::read_to_string(path).unwrap()));
        }
    }
    let told: BTreeSet<_> = described::statuses().into_iter().collect();
    let impossible = BTreeSet::from([<(String, String)>::from(NEVER.map(str::to_owned))]);
    let is_elsewhere = |answer: &(String, String)| {
        ELSEWHERE.iter().any(|(id, status)| answer.0 == *id && status.is_none_or(|status| answer.1 == status))
    };
    let missing: Vec<_> = told
        .difference(&seen)
        .filter(|answer| !impossible.contains(*answer) && !is_elsewhere(answer))
        .collect();
    assert!(missing.is_empty(), "no snapshot has these: {missing:?}");
    let untold: Vec<_> = seen.difference(&told).collect();
    assert!(untold.is_empty(), "the document has none of these: {untold:?}");
}

/// Uploads as the document describes them, and others.
fn uploads() -> Vec<Value> {
    let encoding = "AAAAAAAAAAA=";
    vec![
        json!({"clks": [encoding]}),
        json!({"clks": [format!("{encoding}\n")]}),
        json!({"clks": []}),
        json!({"clks": [1]}),
        json!({"clks": encoding}),
        json!({"clknblocks": [[encoding, "a", 1]]}),
        json!({"clknblocks": [[encoding, 1.5]]}),
        json!({"clknblocks": [[]]}),
        json!({"clknblocks": []}),
        json!({"encodings": [encoding], "blocks": {"0": ["a", 1]}}),
        json!({"encodings": {"0": encoding}, "blocks": {"0": ["a"]}}),
        json!({"encodings": {"x": encoding}, "blocks": {"0": ["a"]}}),
        json!({"encodings": [encoding], "blocks": ["a"]}),
        json!({"blocks": {"0": ["a"]}}),
        json!({}),
    ]
}

#[tokio::test]
async fn an_upload_that_the_document_describes_is_taken_and_no_other() {
    for upload in uploads() {
        let uses_blocking = !upload.to_string().contains("clks");
        let service = Service::new();
        let body = json!({"schema": {}, "result_type": "groups", "uses_blocking": uses_blocking});
        let project = service.create(body).await;
        let answer = service.upload(&project.id, &project.update[0], upload.to_string()).await;
        let described = described::takes("upload_json", &upload);
        assert_eq!(answer.status == 201, described, "{upload}: {answer:?}");
        assert!([201, 400].contains(&answer.status.as_u16()), "{upload}: {answer:?}");
    }
}
