//! Results as CSV, NDJSON and Parquet: by `Accept`, by the ending of the path, in part, and beside groups. Python's csv and
//! json, pandas and pyarrow read them (`scorer/tests/formats.py`), and must find in each what the JSON says.

use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tests::cluster::run;
use tests::rest::{Body, Download, Rest};
use tests::{Installation, Story, data};

const FORMATS: [(&str, &str); 4] = [
    ("json", "application/json"),
    ("csv", "text/csv"),
    ("ndjson", "application/x-ndjson"),
    ("parquet", "application/vnd.apache.parquet"),
];

/// What is read: the path below the run, and the name of the object there.
type Place<'a> = (&'a str, &'a str);

#[tokio::test]
async fn a_result_comes_in_the_format_that_is_asked_for() -> Story {
    Installation::tell("formats", |here| async move {
        let rest = here.rest().await?;
        for result_type in ["groups", "similarity_scores", "permutations"] {
            let (project, receipts, token) = filled(&rest, result_type).await?;
            let mut wanted = json!({"threshold": 0.8});
            if result_type == "groups" {
                wanted["additional_results"] = json!(["similarity_scores"]);
            }
            let run = create_run(&rest, &project, &token, &wanted).await?;
            let path = format!("projects/{project}/runs/{run}");
            let files = tempfile::tempdir()?;
            let places: &[(Place<'_>, &str)] = match result_type {
                "groups" => {
                    &[(("result", "groups"), &token), (("similarity-scores", "similarity_scores"), &token)]
                }
                "similarity_scores" => &[(("result", "similarity_scores"), &token)],
                _ => &[
                    (("result", "mask"), &token),
                    (("result", "permutation-0"), &receipts[0]),
                    (("result", "permutation-1"), &receipts[1]),
                ],
            };
            for (place, token) in places {
                in_every_format(&rest, &path, token, *place, files.path()).await?;
            }
            judge(files.path(), &["party-1", "party-2"]).await?;
            only_what_was_written(&rest, &project, &token).await?;
        }
        Ok(())
    })
    .await
}

/// A project of the example with a thousand records: its id, the receipts, and the result token.
async fn filled(rest: &Rest, result_type: &str) -> anyhow::Result<(String, Vec<String>, String)> {
    let request = json!({"schema": {}, "result_type": result_type});
    let (project, tokens, result_token) = rest.create_project(request).await?;
    let mut receipts = Vec::new();
    for (token, party) in tokens.iter().zip(["hospital-a", "hospital-b"]) {
        let body = Body::document(data::read(&format!("thousand/{party}.json"))?);
        let uploaded = rest.post(&format!("projects/{project}/clks"), token, body).await?.expect(201)?;
        receipts.push(uploaded["receipt_token"].as_str().unwrap_or_default().to_owned());
    }
    Ok((project, receipts, result_token))
}

async fn create_run(rest: &Rest, project: &str, token: &str, wanted: &Value) -> anyhow::Result<String> {
    let created =
        rest.post(&format!("projects/{project}/runs"), token, Body::json(wanted)).await?.expect(201)?;
    let run = created["run_id"].as_str().context("no run_id")?.to_owned();
    rest.wait_completed(project, &run, token).await?;
    Ok(run)
}

/// Downloads one object in each format, and keeps it in a folder.
async fn in_every_format(
    rest: &Rest,
    path: &str,
    token: &str,
    (place, name): Place<'_>,
    folder: &Path,
) -> Story {
    for (ending, media_type) in FORMATS {
        let by_ending = rest.download(&format!("{path}/{place}.{ending}"), token, &[]).await?;
        let accept = [("Accept", media_type)];
        let by_accept = rest.download(&format!("{path}/{place}"), token, &accept).await?;
        for download in [&by_ending, &by_accept] {
            ensure!(download.status == 200, "{place}.{ending}: {download:?}");
            assert!(download.header("content-type").starts_with(media_type), "{download:?}");
            assert!(download.header("content-disposition").ends_with(&format!("-{name}.{ending}\"")));
        }
        assert!(by_ending.bytes == by_accept.bytes, "{place}.{ending}");
        resumed(rest, &format!("{path}/{place}"), token, media_type, &by_accept).await?;
        std::fs::write(folder.join(format!("{name}.{ending}")), by_accept.bytes)?;
    }
    Ok(())
}

/// A download that breaks off in the middle goes on there.
async fn resumed(rest: &Rest, path: &str, token: &str, media_type: &str, whole: &Download) -> Story {
    let middle = whole.bytes.len() / 2;
    let etag = whole.header("etag").to_owned();
    let (first, rest_of_it) = (format!("bytes=0-{}", middle - 1), format!("bytes={middle}-"));
    let ask = async |range: &str, etag: &str| {
        let headers = [("Accept", media_type), ("Range", range), ("If-Range", etag)];
        rest.download(path, token, &headers).await
    };
    let (first, second) = (ask(&first, &etag).await?, ask(&rest_of_it, &etag).await?);
    assert_eq!((first.status, second.status), (206, 206));
    assert!([first.bytes, second.bytes].concat() == whole.bytes, "{path} as {media_type}");
    // not in the middle of something else
    let other = ask(&rest_of_it, "\"of another format\"").await?;
    assert!(other.status == 200 && other.bytes == whole.bytes);
    let known = rest.download(path, token, &[("Accept", media_type), ("If-None-Match", &etag)]).await?;
    assert_eq!((known.status, known.bytes.len()), (304, 0));
    Ok(())
}

/// A run with JSON alone has no other format, and says so.
async fn only_what_was_written(rest: &Rest, project: &str, token: &str) -> Story {
    let run = create_run(rest, project, token, &json!({"threshold": 0.9, "formats": ["json"]})).await?;
    let path = format!("projects/{project}/runs/{run}/result");
    for (ending, media_type) in &FORMATS[1..] {
        let refused = [
            rest.download(&format!("{path}.{ending}"), token, &[]).await?,
            rest.download(&path, token, &[("Accept", media_type)]).await?,
        ];
        for answer in refused {
            assert_eq!((answer.status, answer.header("content-type")), (406, "application/problem+json"));
            assert!(String::from_utf8_lossy(&answer.bytes).contains("it is there as application/json"));
        }
    }
    let second = rest.download(&path, token, &[("Accept", "text/csv, */*;q=0.1")]).await?;
    assert_eq!((second.status, second.header("content-type")), (200, "application/json"));
    Ok(())
}

async fn judge(folder: &Path, parties: &[&str]) -> Story {
    let python = std::env::var("LINKAGE_PYTHON").context("run the tests by tests/e2e/run")?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scorer/tests/formats.py");
    let folder = folder.to_str().context("no text")?;
    let said = run(&python, &[&[script, folder], parties].concat(), "").await?;
    ensure!(said.succeeded, "{}", said.text);
    Ok(())
}

#[tokio::test]
async fn a_run_says_what_it_writes_and_where() -> Story {
    Installation::tell("formats-example", |here| async move {
        let rest = here.rest().await?;
        here.namespace.apply_example("formats").await?;
        let scores = here.namespace.apply(&scores_of_three()).await?;
        ensure!(scores.succeeded, "{}", scores.text);
        for project in ["formats", "scores"] {
            for party in ["north", "south", "west"] {
                let token = here.token(project, &format!("update-{party}")).await?;
                let body = Body::document(data::read(&format!("three-parties/{party}.json"))?);
                rest.post(&format!("projects/{project}/clks"), &token, body).await?.expect(201)?;
            }
        }
        let run = here.namespace.wait_complete("formats-at-80").await?;
        let results = run["status"]["results"].as_array().context("no results")?;
        let written: Vec<String> = results
            .iter()
            .map(|result| format!("{} {}", result["name"], result["format"]).replace('"', ""))
            .collect();
        let expected = [
            "groups JSON",
            "groups CSV",
            "groups Parquet",
            "similarity_scores JSON",
            "similarity_scores CSV",
        ];
        assert_eq!(written[..5], expected);
        assert_eq!(written[5..], ["similarity_scores Parquet", "similarity_scores Anonlink"]);

        let token = here.token("formats", "result").await?;
        let path = "projects/formats/runs/formats-at-80";
        let beside = rest.download(&format!("{path}/similarity-scores.json"), &token, &[]).await?;
        assert_eq!(rest.download(&format!("{path}/result.ndjson"), &token, &[]).await?.status, 406);
        // the scores of any number of parties are a result of their own, too
        here.namespace.wait_complete("scores").await?;
        let token = here.token("scores", "result").await?;
        let alone = rest.download("projects/scores/runs/scores/result", &token, &[]).await?;
        assert!(alone.status == 200 && alone.bytes == beside.bytes);
        Ok(())
    })
    .await
}

fn scores_of_three() -> String {
    let parties = "[{name: north}, {name: south}, {name: west}]";
    format!(
        "{{apiVersion: pprl.dev/v1alpha1, kind: LinkageProject, metadata: {{name: scores}}, \
         spec: {{resultType: SimilarityScores, parties: {parties}}}}}\n---\n\
         {{apiVersion: pprl.dev/v1alpha1, kind: LinkageRun, metadata: {{name: scores}}, \
         spec: {{projectRef: {{name: scores}}, threshold: 0.8}}}}"
    )
}
