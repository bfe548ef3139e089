//! Results in other formats than JSON: asked for by `Accept` or by the ending of the path, and in part as JSON is.

use serde_json::{Value, json};

use crate::results::get_bytes;
use crate::service::Service;

const ALL: [(&str, &str, &str); 4] = [
    ("JSON", "json", "application/json"),
    ("CSV", "csv", "text/csv; charset=utf-8; header=present"),
    ("NDJSON", "ndjson", "application/x-ndjson"),
    ("Parquet", "parquet", "application/vnd.apache.parquet"),
];

/// What the object of a name is filled with, in a format.
fn content(name: &str, ending: &str) -> String {
    format!("{{\"{name}\": \"as {ending}\"}}")
}

/// Completes a run with objects of these names, in these formats.
fn complete(service: &Service, run: &str, names: &[&str], formats: &[(&str, &str, &str)]) {
    let mut results = Vec::new();
    for name in names {
        for (format, ending, _) in formats {
            let key = format!("runs/{run}/result/{name}.{ending}");
            let path = service.store.path().join(&key);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let content = content(name, ending);
            std::fs::write(path, &content).unwrap();
            let blake3 = blake3::hash(content.as_bytes()).to_hex().to_string();
            results.push(
                json!({"name": name, "format": format, "key": key, "bytes": content.len(), "blake3": blake3}),
            );
        }
    }
    service.kubernetes.change("linkageruns", run, |resource| {
        resource["status"] = json!({"stage": "Complete", "results": results});
    });
}

#[tokio::test]
async fn a_format_is_asked_for_by_accept_or_by_the_ending() {
    let service = Service::new();
    for (result_type, name) in
        [("groups", "groups"), ("similarity_scores", "similarity_scores"), ("permutations", "mask")]
    {
        let (project, run, path) = service.project_with_run(result_type, "result").await;
        complete(&service, &run, &[name], &ALL);
        for (_, ending, content_type) in ALL {
            let media_type = content_type.split(';').next().unwrap();
            let by_accept = get_bytes(&service, &path, &project.result, &[("accept", media_type)]).await;
            let by_ending = get_bytes(&service, &format!("{path}.{ending}"), &project.result, &[]).await;
            for (status, headers, body) in [&by_accept, &by_ending] {
                assert_eq!((*status, String::from_utf8_lossy(body)), (200, content(name, ending).into()));
                assert_eq!(headers["content-type"], content_type);
                assert_eq!(headers["content-length"], body.len().to_string());
                let file = format!("attachment; filename=\"{run}-{name}.{ending}\"");
                assert_eq!(headers["content-disposition"], file);
            }
            assert_eq!(by_accept.1["etag"], by_ending.1["etag"], "it is the same object");
            assert_eq!(by_accept.1["vary"], "Accept, Authorization");
            assert_eq!(by_ending.1["vary"], "Authorization");
        }
        let (_, headers, _) = get_bytes(&service, &path, &project.result, &[]).await;
        assert_eq!(headers["content-type"], "application/json", "unless something else is asked for");
    }
}

#[tokio::test]
async fn each_format_is_sent_in_part_too() {
    let service = Service::new();
    let (project, run, path) = service.project_with_run("groups", "result").await;
    complete(&service, &run, &["groups"], &ALL);
    let mut etags = Vec::new();
    for (_, ending, content_type) in ALL {
        let accept = ("accept", content_type.split(';').next().unwrap());
        let get = async |more: &[(&str, &str)]| get_bytes(&service, &path, &project.result, more).await;
        let (_, headers, whole) = get(&[accept]).await;
        let etag = headers["etag"].to_str().unwrap().to_owned();
        let (status, headers, rest) = get(&[accept, ("range", "bytes=5-"), ("if-range", &etag)]).await;
        assert_eq!((status, &rest[..]), (206, &whole[5..]), "{ending}");
        assert_eq!(headers["content-type"], content_type);
        assert_eq!(get(&[accept, ("if-none-match", &etag)]).await.0, 304);
        etags.push(etag);
    }
    // what began in one format does not go on in another
    let more = [("accept", "text/csv"), ("range", "bytes=5-"), ("if-range", etags[0].as_str())];
    let (status, _, body) = get_bytes(&service, &path, &project.result, &more).await;
    assert_eq!((status, body), (200, content("groups", "csv").into_bytes()));
    let head = service.call("HEAD", &format!("{path}.parquet"), Some(&project.result), Value::Null).await;
    assert_eq!((head.status.as_u16(), &head.body), (200, &Value::Null));
    assert_eq!(head.headers["content-type"], "application/vnd.apache.parquet");
}

#[tokio::test]
async fn what_the_run_did_not_write_is_not_acceptable() {
    let service = Service::new();
    let (project, run, path) = service.project_with_run("groups", "result").await;
    complete(&service, &run, &["groups"], &ALL[..1]);
    for ending in ["csv", "ndjson", "parquet"] {
        let detail = service.get(&format!("{path}.{ending}"), &project.result).await.problem(406);
        assert!(detail.ends_with("it is there as application/json"), "{detail}");
        // only who may read it learns that
        service.get(&format!("{path}.{ending}"), "wrong").await.problem(403);
    }
    let (status, ..) = get_bytes(&service, &path, &project.result, &[("accept", "text/csv")]).await;
    assert_eq!(status, 406);
    let second = [("accept", "text/csv, application/json;q=0.1")];
    let (status, headers, _) = get_bytes(&service, &path, &project.result, &second).await;
    assert_eq!((status, &headers["content-type"]), (200, &"application/json".parse().unwrap()));
}

#[tokio::test]
async fn there_are_no_other_files() {
    let service = Service::new();
    let (project, run, path) = service.project_with_run("groups", "").await;
    complete(&service, &run, &["groups"], &ALL);
    for file in ["result.xml", "result.", "result.csv.gz", "groups.csv", "nothing", ".csv", "RESULT.csv"] {
        for token in [Some(project.result.as_str()), None] {
            service.call("GET", &format!("{path}{file}"), token, Value::Null).await.problem(404);
        }
    }
    // as with the result, the state is told to holders of tokens alone
    let (project, run, path) = service.project_with_run("groups", "result.csv").await;
    service.tells_the_state_to_holders_of_tokens(&project, &run, &path).await;
}

#[tokio::test]
async fn similarity_scores_may_lie_beside_groups() {
    let service = Service::new();
    let (project, run, path) = service.project_with_run("groups", "similarity-scores").await;
    service.tells_the_state_to_holders_of_tokens(&project, &run, &path).await;
    complete(&service, &run, &["groups"], &ALL);
    let detail = service.get(&path, &project.result).await.problem(404);
    assert!(detail.contains("additional_results"), "{detail}");
    complete(&service, &run, &["groups", "similarity_scores"], &ALL);
    for (_, ending, content_type) in ALL {
        let accept = [("accept", content_type.split(';').next().unwrap())];
        let by_accept = get_bytes(&service, &path, &project.result, &accept).await;
        let by_ending = get_bytes(&service, &format!("{path}.{ending}"), &project.result, &[]).await;
        for (status, headers, body) in [by_accept, by_ending] {
            assert_eq!((status, body), (200, content("similarity_scores", ending).into_bytes()));
            assert_eq!(headers["content-type"], content_type);
        }
    }
    for token in ["wrong", &project.update[0]] {
        service.get(&path, token).await.problem(403);
    }
    let result = service.get(&path.replace("similarity-scores", "result"), &project.result).await;
    assert_eq!(result.body, json!({"groups": "as json"}));
}

#[tokio::test]
async fn a_project_of_similarity_scores_has_them_at_both_places() {
    let service = Service::new();
    let (project, run, path) = service.project_with_run("similarity_scores", "similarity-scores").await;
    complete(&service, &run, &["similarity_scores"], &ALL);
    assert_eq!(service.get(&path, &project.result).await.body, json!({"similarity_scores": "as json"}));
}

#[tokio::test]
async fn no_receipt_opens_similarity_scores() {
    let service = Service::new();
    let (project, run, path) = service.project_with_run("permutations", "similarity-scores").await;
    complete(&service, &run, &["mask", "permutation-0", "permutation-1"], &ALL);
    let receipt = service.token(&project.id, crds::tokens::Role::Receipt("party-1"));
    service.get(&path, &receipt).await.problem(403);
    service.get(&path, &project.result).await.problem(404);
    let refused = json!({"threshold": 0.8, "additional_results": ["similarity_scores"]});
    let runs = format!("/projects/{}/runs", project.id);
    service.call("POST", &runs, Some(&project.result), refused).await.problem(400);
}
