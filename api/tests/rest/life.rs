//! The life of projects, of data and of tokens: what ends, what is replaced, what is taken back.

use api::limits::lifetimes::Lifetimes;
use axum::body::Body;
use axum::http::Request;
use crds::tokens::Role;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use crate::service::{Answer, Created, Service, clks};

const DAY: i64 = 86_400;

fn spec(service: &Service, project: &Created) -> Value {
    service.kubernetes.project(&project.id)["spec"].clone()
}

async fn describe(service: &Service, project: &Created) -> Answer {
    service.get(&format!("/projects/{}", project.id), &project.result).await
}

fn kept(project: i64) -> Lifetimes {
    Lifetimes { project: Some(project), longest_project: Some(90 * DAY), run: Some(DAY) }
}

#[tokio::test]
async fn a_project_ends_as_its_client_asks_or_as_is_usual_and_says_when() {
    let service = Service::with(|app, _| app.lifetimes = kept(30 * DAY));
    let create = async |more: Value| {
        let mut body = json!({"schema": {}, "result_type": "groups"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        service.call("POST", "/projects", None, body).await
    };
    for (asked, seconds) in [
        (json!({}), 30 * DAY),
        (json!({"retention_seconds": 60}), 60),
        (json!({"retention_seconds": null}), 30 * DAY),
    ] {
        let created = create(asked).await;
        let id = created.body["project_id"].as_str().unwrap();
        let project = service.kubernetes.project(id);
        assert_eq!(project["spec"]["retention"], json!({"secondsAfterCreation": seconds}));
        let made: Timestamp = project["metadata"]["creationTimestamp"].as_str().unwrap().parse().unwrap();
        let told: Timestamp = created.body["time_expires"].as_str().unwrap().parse().unwrap();
        assert_eq!(told.as_second() - made.as_second(), seconds);
        let described =
            service.get(&format!("/projects/{id}"), created.body["result_token"].as_str().unwrap()).await;
        assert_eq!(described.body["time_expires"], created.body["time_expires"]);
    }
    for asked in [json!(0), json!(90 * DAY + 1), json!(-1), json!(5), json!("x"), json!(1.5), json!(1e18)] {
        let told = create(json!({"retention_seconds": asked})).await.problem(400);
        assert!(told.contains("retention_seconds") || told.contains("a whole number"), "{asked}: {told}");
    }
    // where nothing is set, nothing ends
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    assert_eq!(spec(&service, &project)["retention"], Value::Null);
    assert_eq!(describe(&service, &project).await.body.get("time_expires"), None);
    let for_ever = Service::with(|app, _| app.lifetimes = Lifetimes { longest_project: None, ..kept(DAY) });
    let project =
        for_ever.create(json!({"schema": {}, "result_type": "groups", "retention_seconds": 0})).await;
    assert_eq!(spec(&for_ever, &project)["retention"], Value::Null);
}

#[tokio::test]
async fn a_run_ends_as_its_client_asks_or_as_is_usual_and_says_when() {
    let service = Service::with(|app, _| app.lifetimes = kept(30 * DAY));
    let project = service.create_of_type("groups").await;
    let path = format!("/projects/{}/runs", project.id);
    for (asked, seconds) in [(json!(null), Some(DAY)), (json!(0), None), (json!(3600), Some(3600))] {
        let body = json!({"threshold": 0.8, "ttl_seconds": asked});
        let created = service.call("POST", &path, Some(&project.result), body).await;
        assert_eq!(created.status, 201, "{created:?}");
        assert_eq!(created.body.get("ttl_seconds"), seconds.map(|seconds| json!(seconds)).as_ref());
        let run = created.body["run_id"].as_str().unwrap();
        service.kubernetes.change("linkageruns", run, |run| {
            assert_eq!(
                run["spec"].get("ttlSecondsAfterFinished"),
                seconds.map(|seconds| json!(seconds)).as_ref()
            );
            run["status"] = json!({"stage": "Complete", "completionTime": "2030-01-01T00:00:00Z"});
        });
        let status = service.get(&format!("{path}/{run}/status"), &project.result).await.body;
        let end = |seconds: i64| Timestamp::from_second(1_893_456_000 + seconds).unwrap();
        let told =
            status.get("time_expires").map(|time| time.as_str().unwrap().parse::<Timestamp>().unwrap());
        assert_eq!(told, seconds.map(end));
    }
    service
        .call("POST", &path, Some(&project.result), json!({"threshold": 0.8, "ttl_seconds": -1}))
        .await
        .problem(400);
}

#[tokio::test]
async fn tokens_expire_if_they_were_asked_to_and_not_a_moment_before() {
    let service = Service::new();
    let project = service
        .create(json!({"schema": {}, "result_type": "permutations", "token_lifetime_seconds": 3600}))
        .await;
    let described = describe(&service, &project).await.body;
    let told: Timestamp = described["time_tokens_expire"].as_str().unwrap().parse().unwrap();
    assert!(told > Timestamp::now() && told.as_second() <= Timestamp::now().as_second() + 3601);
    let answer = service.upload(&project.id, &project.update[0], clks(2, 64)).await;
    let receipt = answer.body["receipt_token"].as_str().unwrap().to_owned();
    let path = format!("/projects/{}", project.id);
    assert_eq!(service.get(&path, &receipt).await.status, 200);

    let expire = |time: Value| {
        service
            .kubernetes
            .change("linkageprojects", &project.id, |project| project["spec"]["tokensExpireAt"] = time);
    };
    expire(json!("2020-01-01T00:00:00Z"));
    for token in [&project.result, &receipt] {
        service.get(&path, token).await.problem(403);
    }
    service.upload(&project.id, &project.update[1], clks(2, 64)).await.problem(403);
    service.call("DELETE", &path, Some(&project.result), Value::Null).await.problem(403);
    rotate(&service, &project, &project.result, json!({}), None).await.problem(403);
    // whoever may change the project in Kubernetes prolongs their time
    expire(json!("2999-01-01T00:00:00Z"));
    assert_eq!(service.get(&path, &project.result).await.status, 200);
    assert_eq!(service.upload(&project.id, &project.update[1], clks(2, 64)).await.status, 201);
    let refused = json!({"schema": {}, "result_type": "groups", "token_lifetime_seconds": 5});
    service.call("POST", "/projects", None, refused).await.problem(400);
}

async fn rotate(service: &Service, project: &Created, token: &str, body: Value, key: Option<&str>) -> Answer {
    let mut request = Request::post(format!("/api/v1/projects/{}/tokens/rotate", project.id))
        .header("authorization", token)
        .header("content-type", "application/json");
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    service.send(request.body(Body::from(body.to_string())).unwrap()).await
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[tokio::test]
async fn all_tokens_are_replaced_and_the_old_ones_open_nothing() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let answer = rotate(&service, &project, &project.result, json!({}), None).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers["cache-control"]),
        (200, &"no-store".parse().unwrap())
    );
    assert_eq!(answer.body["project_id"], project.id);
    let new = |party: usize| text(&answer.body["update_tokens"][format!("party-{}", party + 1)]).to_owned();
    let result = text(&answer.body["result_token"]).to_owned();
    let path = format!("/projects/{}", project.id);
    service.get(&path, &project.result).await.problem(403);
    assert_eq!(service.get(&path, &result).await.status, 200);
    for party in [0, 1] {
        service.upload(&project.id, &project.update[party], clks(2, 64)).await.problem(403);
        assert_eq!(service.upload(&project.id, &new(party), clks(2, 64)).await.status, 201);
    }
    for token in [&project.result, &project.update[0], &new(0), "wrong"] {
        rotate(&service, &project, token, json!({}), None).await.problem(403);
    }
    let path = format!("/projects/{}/tokens/rotate", project.id);
    service.call("POST", &path, None, json!({})).await.problem(400);
}

#[tokio::test]
async fn the_tokens_of_one_party_are_replaced_and_the_others_stay() {
    let service = Service::new();
    let project = service.create_of_type("permutations").await;
    let receipt = service.token(&project.id, Role::Receipt("party-1"));
    let body = json!({"party": "party-1", "token_lifetime_seconds": 3600});
    let answer = rotate(&service, &project, &project.result, body, None).await;
    assert_eq!(answer.body.get("result_token"), None);
    assert_eq!(answer.body["update_tokens"].as_object().unwrap().len(), 1, "{answer:?}");
    assert!(text(&answer.body["time_tokens_expire"]).parse::<Timestamp>().unwrap() > Timestamp::now());
    let new = text(&answer.body["update_tokens"]["party-1"]).to_owned();
    service.upload(&project.id, &project.update[0], clks(2, 64)).await.problem(403);
    let uploaded = service.upload(&project.id, &new, clks(2, 64)).await;
    service.get(&format!("/projects/{}", project.id), &receipt).await.problem(403);
    let receipt = text(&uploaded.body["receipt_token"]);
    assert_eq!(service.get(&format!("/projects/{}", project.id), receipt).await.status, 200);
    assert_eq!(service.upload(&project.id, &project.update[1], clks(2, 64)).await.status, 201);
    assert_eq!(describe(&service, &project).await.status, 200);
    let parties = spec(&service, &project)["parties"].clone();
    assert_eq!((&parties[0]["tokenGeneration"], &parties[1]), (&json!(2), &json!({"name": "party-2"})));
    for wrong in [
        json!({"party": "x"}),
        json!({"partys": "party-1"}),
        json!({"token_lifetime_seconds": -1}),
        json!([]),
    ] {
        rotate(&service, &project, &project.result, wrong, None).await.problem(400);
    }
}

#[tokio::test]
async fn a_rotation_whose_answer_was_lost_is_asked_for_again_and_answered_the_same() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let key = "3f0c1a52-8a77-4a1e-9d0f-0b6c1f7f9a11";
    let first = rotate(&service, &project, &project.result, json!({}), Some(key)).await;
    let generation = || spec(&service, &project)["tokenGeneration"].clone();
    assert_eq!(generation(), 2);
    let new = text(&first.body["result_token"]).to_owned();
    for token in [&project.result, &new] {
        let again = rotate(&service, &project, token, json!({}), Some(key)).await;
        assert_eq!((again.status.as_u16(), &again.body), (200, &first.body));
    }
    assert_eq!(generation(), 2);
    // the old token alone opens nothing: it may be the one that was stolen
    for other in [None, Some("another-key-of-some-length")] {
        rotate(&service, &project, &project.result, json!({}), other).await.problem(403);
    }
    rotate(&service, &project, &new, json!({}), Some("short")).await.problem(400);
    // nor with the key, once there are newer ones
    let second = rotate(&service, &project, &new, json!({}), None).await;
    assert_eq!(second.status, 200);
    rotate(&service, &project, &project.result, json!({}), Some(key)).await.problem(403);
    let annotations = service.kubernetes.project(&project.id)["metadata"]["annotations"].to_string();
    assert!(!annotations.contains(key), "{annotations}");
}

#[tokio::test]
async fn a_rotation_is_done_once_whatever_becomes_of_kubernetes_answers() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    service.kubernetes.objects().lost_answers = 1;
    let answer = rotate(&service, &project, &project.result, json!({}), None).await;
    assert_eq!(
        (answer.status.as_u16(), spec(&service, &project)["tokenGeneration"].clone()),
        (200, json!(2))
    );
    let result = text(&answer.body["result_token"]).to_owned();
    // somebody else writes at the same time
    let name = project.id.clone();
    service.kubernetes.objects().before_write = Some(Box::new(move |objects| {
        objects.change("linkageprojects", &name, |project| project["metadata"]["labels"]["x"] = json!("y"));
    }));
    let answer = rotate(&service, &project, &result, json!({"party": "party-2"}), None).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let spec = spec(&service, &project);
    assert_eq!((&spec["tokenGeneration"], &spec["parties"][1]["tokenGeneration"]), (&json!(2), &json!(2)));
}

#[tokio::test]
async fn new_tokens_of_a_project_made_with_kubectl_are_in_its_secret_alone() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    service.kubernetes.change("linkageprojects", &project.id, |project| {
        project["metadata"]["labels"] = json!({});
        project["spec"]["tokensExpireAt"] = json!("2999-01-01T00:00:00Z");
    });
    let answer =
        rotate(&service, &project, &project.result, json!({"token_lifetime_seconds": 0}), None).await;
    let expected = json!({"project_id": project.id, "tokens_secret": format!("{}-tokens", project.id)});
    assert_eq!((answer.status.as_u16(), &answer.body), (200, &expected));
    let spec = spec(&service, &project);
    assert_eq!((&spec["tokenGeneration"], spec.get("tokensExpireAt")), (&json!(2), None));
}

#[tokio::test]
async fn tokens_that_expired_are_not_replaced_by_others_that_open_nothing() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    service.kubernetes.change("linkageprojects", &project.id, |project| {
        project["spec"]["parties"][0]["tokensExpireAt"] = json!("2020-01-01T00:00:00Z");
    });
    let body = json!({"party": "party-1"});
    let told = rotate(&service, &project, &project.result, body, None).await.problem(400);
    assert!(told.contains("token_lifetime_seconds"), "{told}");
    let body = json!({"party": "party-1", "token_lifetime_seconds": 3600});
    let answer = rotate(&service, &project, &project.result, body, None).await;
    let token = text(&answer.body["update_tokens"]["party-1"]);
    assert_eq!(service.upload(&project.id, token, clks(2, 64)).await.status, 201);
}

/// The same encodings as `clks(records, bytes)`, written otherwise.
fn written_otherwise(records: usize, bytes: usize) -> String {
    let document: Value = serde_json::from_str(&clks(records, bytes)).unwrap();
    let clks: Vec<_> =
        document["clks"].as_array().unwrap().iter().map(|clk| format!("{}\n", text(clk))).collect();
    serde_json::to_string_pretty(&json!({"clks": clks})).unwrap()
}

#[tokio::test]
async fn the_same_content_again_is_the_same_contribution_and_leaves_nothing() {
    let service = Service::new();
    let project = service.create_of_type("permutations").await;
    let token = &project.update[0];
    let first = service.upload(&project.id, token, clks(3, 128)).await;
    assert_eq!(first.status, 201);
    let before = (service.objects(), service.kubernetes.project(&project.id));
    let again = service.upload(&project.id, token, clks(3, 128)).await;
    assert_eq!((again.status.as_u16(), &again.body), (201, &first.body));
    let again = service.upload(&project.id, token, written_otherwise(3, 128)).await;
    assert_eq!((again.status.as_u16(), &again.body), (201, &first.body));
    let raw: Vec<u8> = (0..3_u8).flat_map(|n| [n + 1; 128]).collect();
    let again = service.upload_binary(&project.id, token, ["3", "128"], raw.clone()).await;
    assert_eq!((again.status.as_u16(), &again.body), (201, &first.body));
    let mut other = raw.clone();
    other[383] ^= 1;
    service.upload_binary(&project.id, token, ["3", "128"], other).await.problem(403);
    service.upload_binary(&project.id, token, ["6", "64"], raw).await.problem(403);
    for other in
        ["{", "", r#"{"clks": []}"#, r#"{"clks": ["AAAA"]}"#, r#"{"clknblocks": [["AAAAAAAAAAA=", "a"]]}"#]
    {
        service.upload(&project.id, token, other).await.problem(403);
    }
    // the other party's same content is its own
    let others = service.upload(&project.id, &project.update[1], clks(3, 128)).await;
    assert_ne!(others.body["receipt_token"], first.body["receipt_token"]);
    service
        .kubernetes
        .change("linkageprojects", &project.id, |project| project["status"]["firstRun"] = json!("r"));
    assert_eq!(service.upload(&project.id, token, clks(3, 128)).await.body, first.body);
    assert_eq!(service.party(&project.id, 0), before.1["status"]["parties"][0]);
    assert_eq!(service.objects().len(), 2);
}

#[tokio::test]
async fn blocks_are_part_of_the_content() {
    let service = Service::new();
    let project = service.create(json!({"schema": {}, "result_type": "groups", "uses_blocking": true})).await;
    let body = |block: &str| json!({"clknblocks": [["AAAAAAAAAAA=", block]]}).to_string();
    assert_eq!(service.upload(&project.id, &project.update[0], body("a")).await.status, 201);
    let party = service.party(&project.id, 0);
    let stored = std::fs::read(service.store.path().join(text(&party["blocks"]))).unwrap();
    assert_eq!(party["blocksBlake3"], blake3::hash(&stored).to_hex().as_str());
    assert_eq!(service.upload(&project.id, &project.update[0], body("a")).await.status, 201);
    service.upload(&project.id, &project.update[0], body("b")).await.problem(403);
}

#[tokio::test]
async fn of_two_uploads_of_the_same_content_at_once_both_are_answered_and_one_is_kept() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let upload = || service.upload(&project.id, &project.update[0], clks(3, 128));
    // the first is claimed just before the second: it had begun when there was nothing yet
    let (first, second) = tokio::join!(upload(), upload());
    let answered: Vec<u16> = [&first, &second].iter().map(|answer| answer.status.as_u16()).collect();
    assert!(answered.contains(&201), "{answered:?}");
    assert_eq!(service.objects().len(), 1);
}

async fn withdraw(service: &Service, project: &Created, token: &str) -> Answer {
    service.call("DELETE", &format!("/projects/{}/clks", project.id), Some(token), Value::Null).await
}

async fn replace(service: &Service, project: &Created, token: &str, body: String) -> Answer {
    let request = Request::post(format!("/api/v1/projects/{}/clks", project.id))
        .header("authorization", token)
        .header("content-type", "application/json")
        .header("replace-contribution", "true");
    service.send(request.body(Body::from(body)).unwrap()).await
}

#[tokio::test]
async fn a_party_withdraws_its_data_and_contributes_other() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let token = &project.update[0];
    assert_eq!(withdraw(&service, &project, token).await.status, 204);
    service.upload(&project.id, token, clks(3, 128)).await;
    // a run that waits has not begun
    service.create_run(&project).await;
    assert_eq!(withdraw(&service, &project, token).await.status, 204);
    assert_eq!(service.objects(), [""; 0]);
    assert_eq!(service.party(&project.id, 0), json!({"name": "party-1", "state": "Waiting"}));
    assert_eq!(describe(&service, &project).await.body["parties_contributed"], 0);
    assert_eq!(withdraw(&service, &project, token).await.status, 204);
    assert_eq!(service.upload(&project.id, token, clks(4, 64)).await.status, 201);
    for wrong in [&project.result, "wrong", &service.token(&project.id, Role::Receipt("party-1"))] {
        withdraw(&service, &project, wrong).await.problem(403);
    }
    service.call("DELETE", &format!("/projects/{}/clks", project.id), None, Value::Null).await.problem(400);
    assert_eq!(service.party(&project.id, 0)["records"], 4);
}

#[tokio::test]
async fn data_that_was_refused_is_withdrawn_with_its_error() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    service.upload(&project.id, &project.update[0], clks(3, 7)).await;
    assert_eq!(describe(&service, &project).await.body["error"], true);
    assert_eq!(withdraw(&service, &project, &project.update[0]).await.status, 204);
    assert_eq!(describe(&service, &project).await.body["error"], false);
}

#[tokio::test]
async fn once_a_run_has_begun_data_is_neither_withdrawn_nor_replaced_and_the_answer_says_why() {
    type Begin<'a> = &'a dyn Fn(&Service, &Created, &str);
    let begun: [Begin<'_>; 2] = [
        &|service, project, run| {
            let name = json!(run);
            service
                .kubernetes
                .change("linkageprojects", &project.id, |project| project["status"]["firstRun"] = name);
        },
        // by an earlier version
        &|service, _, run| {
            service.kubernetes.change("linkageruns", run, |run| {
                run["status"] = json!({"stage": "Queued", "startTime": "2030-01-01T00:00:00Z"});
            });
        },
    ];
    for begin in begun {
        let service = Service::new();
        let project = service.create_of_type("groups").await;
        let token = &project.update[0];
        service.upload(&project.id, token, clks(3, 128)).await;
        let run = service.create_run(&project).await;
        begin(&service, &project, &run);
        let before = (service.objects(), service.kubernetes.project(&project.id));
        assert!(withdraw(&service, &project, token).await.problem(409).contains("a run has begun"));
        assert!(
            replace(&service, &project, token, clks(4, 128)).await.problem(409).contains("a run has begun")
        );
        service.upload(&project.id, token, clks(4, 128)).await.problem(403);
        assert_eq!(replace(&service, &project, token, clks(3, 128)).await.status, 201);
        assert_eq!((service.objects(), service.kubernetes.project(&project.id)), before);
    }
}

#[tokio::test]
async fn a_withdrawal_that_a_run_precedes_by_a_moment_changes_nothing() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let token = &project.update[0];
    service.upload(&project.id, token, clks(3, 128)).await;
    let objects = service.objects();
    let begins = || {
        let name = project.id.clone();
        service
            .kubernetes
            .change("linkageprojects", &name, |project| project["status"]["firstRun"] = Value::Null);
        service.kubernetes.objects().before_write = Some(Box::new(move |objects| {
            objects.change("linkageprojects", &name, |project| project["status"]["firstRun"] = json!("r"));
        }));
    };
    begins();
    withdraw(&service, &project, token).await.problem(409);
    begins();
    replace(&service, &project, token, clks(4, 128)).await.problem(409);
    service.kubernetes.objects().before_write = None;
    assert_eq!(service.objects(), objects);
    assert_eq!(service.party(&project.id, 0)["records"], 3);
}

#[tokio::test]
async fn a_withdrawal_whose_answer_was_lost_is_done() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    service.upload(&project.id, &project.update[0], clks(3, 128)).await;
    service.kubernetes.objects().lost_answers = 1;
    assert_eq!(withdraw(&service, &project, &project.update[0]).await.status, 204);
    assert_eq!(service.objects(), [""; 0]);
}

#[tokio::test]
async fn data_from_source_objects_is_not_withdrawn() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    service.kubernetes.change("linkageprojects", &project.id, |project| {
        project["spec"]["parties"][0]["source"] = json!({"encodings": "sources/p/a.json"});
        project["status"] = json!({"parties": [{"name": "party-1", "state": "Contributed", "records": 2,
            "encodings": "projects/i-u/parties/0/source-00/encodings", "encodingBytes": 64, "blake3": "00"}]});
    });
    let told = withdraw(&service, &project, &project.update[0]).await.problem(409);
    assert!(told.contains("source objects"), "{told}");
}

#[tokio::test]
async fn data_is_replaced_only_if_that_is_asked_for_and_only_by_data_that_fits() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let token = &project.update[0];
    service.upload(&project.id, token, clks(3, 128)).await;
    service.upload(&project.id, &project.update[1], clks(3, 128)).await;
    let first = service.party(&project.id, 0);
    service.upload(&project.id, token, clks(4, 128)).await.problem(403);
    for wrong in ["{", r#"{"clks": []}"#] {
        replace(&service, &project, token, wrong.into()).await.problem(400);
    }
    let told = replace(&service, &project, token, clks(4, 64)).await.problem(400);
    assert!(told.contains("contributed before stays"), "{told}");
    assert_eq!(service.party(&project.id, 0)["encodings"], first["encodings"]);
    assert_eq!(service.party(&project.id, 0)["state"], "Contributed");
    assert_eq!(service.objects().len(), 2);

    service.kubernetes.objects().lost_answers = 1;
    let answer = replace(&service, &project, token, clks(4, 128)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let second = service.party(&project.id, 0);
    assert_eq!((&second["records"], &second["state"]), (&json!(4), &json!("Contributed")));
    assert!(!service.store.path().join(text(&first["encodings"])).exists());
    assert_eq!(service.objects().len(), 2);
    let answer = replace(&service, &project, token, clks(4, 128)).await;
    assert_eq!((answer.status.as_u16(), service.party(&project.id, 0)), (201, second));
}

#[tokio::test]
async fn an_upload_of_what_is_withdrawn_meanwhile_is_not_taken_for_it() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let token = &project.update[0];
    service.upload(&project.id, token, clks(3, 128)).await;
    let (kubernetes, name) = (service.kubernetes.clone(), project.id.clone());
    let body = futures::stream::once(async move {
        kubernetes.change("linkageprojects", &name, |project| {
            project["status"]["parties"][0] = json!({"name": "party-1", "state": "Waiting"});
        });
        Ok::<_, std::io::Error>(clks(3, 128))
    });
    service.upload(&project.id, token, Body::from_stream(body)).await.problem(503);
    assert_eq!(service.upload(&project.id, token, clks(3, 128)).await.status, 201);
    // the one of now, and the first, which this withdrawal has not removed; none of the upload between them
    assert_eq!(service.objects().len(), 2);
}
