//! Data that cannot be used: a clear reason on the resource, nothing lost, and the way out still open.

use std::time::Duration;

use serde_json::{Value, json};
use tests::cluster::party;
use tests::rest::{Answer, Body, Rest};
use tests::{Installation, Story, data};

async fn upload(rest: &Rest, token: &str, body: Body, kind: &str) -> anyhow::Result<Answer> {
    rest.post(&format!("projects/two-hospitals/{kind}"), token, body).await
}

#[tokio::test]
async fn a_bad_upload_is_explained_and_may_be_repeated() -> Story {
    Installation::tell("bad-upload", |here| async move {
        here.namespace.apply_example("two-hospitals").await?;
        let rest = here.rest().await?;
        let token = here.token("two-hospitals", "update-hospital-a").await?;
        let good = data::read("thousand/hospital-a.json")?;
        let cut = good[..good.len() / 2].to_vec();
        let cases = [
            (Body::json(&json!({"clks": []})), "clks", "EmptyData"),
            (Body::document(cut), "clks", "MalformedJson"),
            (Body::document(b"{\"clks\": [\"AAAA\", }".to_vec()), "clks", "MalformedJson"),
            (Body::json(&json!({"clks": ["not base64!"]})), "clks", "InvalidBase64"),
            (Body::binary(vec![7; 128 * 10 - 1], 10), "binaryclks", "TruncatedData"),
        ];
        for (body, kind, reason) in cases {
            let answer = upload(&rest, &token, body, kind).await?;
            assert_eq!(answer.status, 400, "{reason}: {}", answer.body);
            let detail = answer.body["detail"].as_str().unwrap_or_default().to_owned();
            assert!(detail.len() > 10, "{reason}: {}", answer.body);
            let noted = |project: &Value| party(project, "hospital-a")["reason"] == reason;
            let limit = Duration::from_secs(10);
            let project = here.namespace.wait_for("lproj/two-hospitals", reason, limit, noted).await?;
            assert_eq!(party(&project, "hospital-a")["state"], "Waiting", "a 400 rejects nobody");
        }
        assert!(
            here.objects().await?.keys("projects/").await?.is_empty(),
            "nothing of a broken upload is kept"
        );
        upload(&rest, &token, Body::document(good), "clks").await?.expect(201)?;
        let contributed = |project: &Value| party(project, "hospital-a")["state"] == "Contributed";
        let limit = Duration::from_secs(10);
        here.namespace.wait_for("lproj/two-hospitals", "contributed", limit, contributed).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn encodings_of_unequal_size_are_rejected_and_replaced() -> Story {
    Installation::tell("unequal", |here| async move {
        let rest = here.rest().await?;
        let request = json!({"schema": {}, "result_type": "groups"});
        let (project, tokens, result_token) = rest.create_project(request).await?;
        let clks = format!("projects/{project}/clks");
        let good = |party: &str| data::read(&format!("thousand/{party}.json")).map(Body::document);
        rest.post(&clks, &tokens[0], good("hospital-a")?).await?.expect(201)?;
        let short = Body::json(&json!({"clks": ["AAAAAAAAAAA=", "AAAAAAAAAAA="]}));
        let run = rest.create_run(&project, &result_token, 0.8).await?;
        rest.post(&clks, &tokens[1], short).await?.expect(201)?;

        let message = here.namespace.wait_reason(&format!("lproj/{project}"), "PartyRejected").await?;
        assert!(message.contains("64 bits") && message.contains("1024"), "{message}");
        here.namespace.wait_reason(&format!("lrun/{run}"), "PartyRejected").await?;
        let described = rest.get(&format!("projects/{project}"), &result_token).await?.expect(200)?;
        assert_eq!(described["error"], true);
        let another = Body::json(&json!({"threshold": 0.9}));
        let refused = rest.post(&format!("projects/{project}/runs"), &result_token, another).await?;
        assert_eq!(refused.status, 500, "no new run while a party's data cannot be used");

        // the same token again, with good data: the run that waited goes on
        rest.post(&clks, &tokens[1], good("hospital-b")?).await?.expect(201)?;
        rest.wait_completed(&project, &run, &result_token).await?;
        let described = rest.get(&format!("projects/{project}"), &result_token).await?.expect(200)?;
        assert_eq!(described["error"], false);
        let result = rest.result(&project, &run, &result_token).await?;
        let expected = data::expected("thousand", "0.8")?["groups"].clone();
        assert_eq!(json!(result["groups"].as_array().unwrap().len()), expected);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_source_that_is_missing_or_broken_is_read_again_when_replaced() -> Story {
    Installation::tell("bad-source", |here| async move {
        // a run of a project that does not exist waits for it
        let run = std::fs::read_to_string(data::example("source-objects/run.yaml"))?;
        assert!(here.namespace.apply(&run).await?.succeeded);
        let message = here.namespace.wait_reason("lrun/source-objects-at-80", "ProjectNotFound").await?;
        assert!(message.contains("source-objects"), "{message}");

        let objects = here.objects().await?;
        objects
            .put("sources/source-objects/hospital-b.bin", data::read("hospital-b.bin")?[..1000].to_vec())
            .await?;
        here.namespace.apply_example("source-objects/project.yaml").await?;
        let judged = |project: &Value| {
            party(project, "hospital-a")["reason"] == "SourceNotFound"
                && party(project, "hospital-b")["state"] == "Rejected"
        };
        let limit = Duration::from_secs(120);
        let project = here.namespace.wait_for("lproj/source-objects", "judged", limit, judged).await?;
        let missing = party(&project, "hospital-a")["message"].as_str().unwrap_or_default();
        assert!(missing.contains("sources/source-objects/hospital-a.json"), "{project:#}");
        assert_eq!(party(&project, "hospital-b")["reason"], "TruncatedData", "{project:#}");

        objects.put("sources/source-objects/hospital-b.bin", data::read("hospital-b.bin")?).await?;
        objects.put("sources/source-objects/hospital-a.json", data::read("hospital-a.json")?).await?;
        let run = here.namespace.wait_complete("source-objects-at-80").await?;
        assert_eq!(run["status"]["groups"], data::expected(".", "0.8")?["groups"]);
        Ok(())
    })
    .await
}
