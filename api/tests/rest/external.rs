//! The store by temporary credentials: what parties put there and announce, and results that are fetched from there. The
//! security token service is played by the test.

use std::process::Command;

use api::access::grants::{GrantArgs, Grants};
use axum::Router;
use axum::routing::post;
use clap::Parser;
use scorer::store::StoreArgs;
use serde_json::{Value, json};

use crate::results::get_bytes;
use crate::service::{Service, clks};

const CREDENTIALS: &str = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
    <Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>B</SecretAccessKey><SessionToken>C</SessionToken>\
    <Expiration>2030-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>";

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    grants: GrantArgs,
}

/// Whether this is the process that has credentials of the store; else that is started, and the test is done.
fn has_credentials(test: &str) -> bool {
    if std::env::var("AWS_ACCESS_KEY_ID").is_ok_and(|key| key == "external-test") {
        return true;
    }
    let child = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .envs([("AWS_ACCESS_KEY_ID", "external-test"), ("AWS_SECRET_ACCESS_KEY", "x")])
        .status()
        .unwrap();
    assert!(child.success(), "see above");
    false
}

async fn service() -> Service {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let sts = Router::new().route("/", post(async || ([("content-type", "text/xml")], CREDENTIALS)));
    tokio::spawn(async move { axum::serve(listener, sts).await });
    let role = "arn:aws:iam::123456789012:role/linkage";
    let settings = Settings::parse_from([
        "test",
        "--store-url",
        "s3://bucket/prefix",
        "--store-endpoint",
        &address,
        "--sts-role-arn",
        role,
    ]);
    let store = settings.store.open().await.unwrap();
    let grants = Grants::open(&settings.grants, &settings.store, &store).await.unwrap();
    Service::with(|app, _| app.grants = grants)
}

fn announcement(bucket: &str, path: &str) -> Value {
    json!({"encodings": {"file": {"bucket": bucket, "path": path}, "credentials": {"AccessKeyId": "hush"}}})
}

#[tokio::test]
async fn an_announcement_is_answered_at_once_and_kept_on_the_project() {
    if !has_credentials("external::an_announcement_is_answered_at_once_and_kept_on_the_project") {
        return;
    }
    let service = service().await;
    let project = service.create_of_type("groups").await;
    let (path, token) = (format!("/projects/{}/authorize-external-upload", project.id), &project.update[0]);
    let place = service.get(&path, token).await;
    assert_eq!(place.status, 201, "{place:?}");
    assert_eq!(place.body["credentials"]["Expiration"], "2030-01-01T00:00:00.000000+00:00");
    let folder = place.body["upload"]["path"].as_str().unwrap().to_owned();

    for (bucket, path) in [("bucket", format!("{folder}/../1/a.json")), ("other", format!("{folder}/a.json"))]
    {
        service.upload(&project.id, token, announcement(bucket, &path).to_string()).await.problem(403);
    }
    let mut first = announcement("bucket", &format!("{folder}/a.json"));
    let with_blocks = json!({"encodings": first["encodings"], "blocks": first["encodings"]}).to_string();
    service.upload(&project.id, token, with_blocks).await.problem(403);
    let with_data = json!({"encodings": first["encodings"], "clks": ["AA=="]}).to_string();
    service.upload(&project.id, token, with_data).await.problem(400);
    assert_eq!(service.kubernetes.project(&project.id)["status"]["parties"], Value::Null);

    // whether it is there is found out when it is read: here is nobody who reads it
    first["meta"] = json!({"by": "blocklib"});
    let answer = service.upload(&project.id, token, first.to_string()).await;
    assert_eq!((answer.status.as_u16(), &answer.body["message"]), (201, &json!("Updated")), "{answer:?}");
    assert!(answer.headers["warning"].to_str().unwrap().contains("meta"));
    let party = service.party(&project.id, 0);
    let key = folder.strip_prefix("prefix/").unwrap();
    assert_eq!(party["announced"], json!({"encodings": format!("{key}/a.json")}));
    assert_eq!(party["state"], "Waiting");
    assert!(!service.kubernetes.project(&project.id).to_string().contains("hush"));

    // an answer that was lost: the same again is the same
    let again = service.upload(&project.id, token, first.to_string()).await;
    assert_eq!((again.status, &again.body), (answer.status, &answer.body));
    let other = announcement("bucket", &format!("{folder}/b.json")).to_string();
    for body in [other.clone(), clks(3, 128)] {
        let detail = service.upload(&project.id, token, body).await.problem(403);
        assert!(detail.contains("under way"), "{detail}");
    }
    // once it is told on the party that something is wrong with it, it may do otherwise
    service.kubernetes.change("linkageprojects", &project.id, |resource| {
        resource["status"]["parties"][0]["reason"] = json!("SourceNotFound");
    });
    assert_eq!(service.upload(&project.id, token, other).await.status, 201);
    assert_eq!(service.party(&project.id, 0)["announced"]["encodings"], format!("{key}/b.json"));
    service.kubernetes.change("linkageprojects", &project.id, |resource| {
        resource["status"]["parties"][0]["reason"] = json!("SourceNotFound");
    });
    assert_eq!(service.upload(&project.id, token, clks(3, 128)).await.status, 201);
    assert_eq!(service.party(&project.id, 0)["announced"], Value::Null);
    assert_eq!(service.objects().len(), 1);
}

#[tokio::test]
async fn an_address_leads_to_what_anonlink_loads_unless_accept_asks_for_a_table() {
    if !has_credentials("external::an_address_leads_to_what_anonlink_loads_unless_accept_asks_for_a_table") {
        return;
    }
    let service = service().await;
    for (result_type, ending) in [("similarity_scores", "result"), ("groups", "similarity-scores")] {
        let (project, run, path) = service.project_with_run(result_type, ending).await;
        let object = |format: &str, ending: &str| {
            json!({"name": "similarity_scores", "format": format, "key": format!("runs/x/{ending}"), "bytes": 4,
                "blake3": "00"})
        };
        let all = json!([
            object("JSON", "json"),
            object("CSV", "csv"),
            object("Parquet", "parquet"),
            object("Anonlink", "pairs")
        ]);
        let complete = |results: &Value| {
            service.kubernetes.change("linkageruns", &run, |resource| {
                resource["status"] = json!({"stage": "Complete", "results": results});
            });
        };
        complete(&all);
        let address = async |accept: Option<&str>| {
            let headers = [("return-object-store-address", "1")]
                .into_iter()
                .chain(accept.map(|accept| ("accept", accept)));
            let (status, _, body) =
                get_bytes(&service, &path, &project.result, &headers.collect::<Vec<_>>()).await;
            assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["credentials"]["SessionToken"], "C");
            body["object"]["path"].as_str().unwrap().to_owned()
        };
        for (accept, key) in [
            (None, "pairs"),
            (Some("*/*"), "pairs"),
            (Some("application/json"), "json"),
            (Some("text/csv"), "csv"),
            (Some("application/vnd.apache.parquet, */*;q=0.5"), "parquet"),
        ] {
            assert_eq!(address(accept).await, format!("prefix/runs/x/{key}"), "{accept:?}");
        }
        // a run of an earlier version
        complete(&json!([object("JSON", "json")]));
        assert_eq!(address(None).await, "prefix/runs/x/json");
    }
}
