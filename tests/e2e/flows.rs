//! The ways to link records: with kubectl, over REST, and both.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tests::rest::{Body, Rest};
use tests::{Installation, Story, data};

/// The pairs of records that a groups result puts together, for two parties.
fn pairs_of(result: &Value) -> BTreeSet<(u64, u64)> {
    let groups = result["groups"].as_array().map(Vec::as_slice).unwrap_or_default();
    groups.iter().map(|group| (group[0][1].as_u64().unwrap(), group[1][1].as_u64().unwrap())).collect()
}

async fn upload_json(rest: &Rest, project: &str, token: &str, file: &str) -> anyhow::Result<Value> {
    rest.post(&format!("projects/{project}/clks"), token, Body::document(data::read(file)?))
        .await?
        .expect(201)
}

#[tokio::test]
async fn with_kubectl_alone() -> Story {
    Installation::tell("kubectl", |here| async move {
        let objects = here.objects().await?;
        objects.put("sources/source-objects/hospital-a.json", data::read("hospital-a.json")?).await?;
        objects.put("sources/source-objects/hospital-b.bin", data::read("hospital-b.bin")?).await?;
        here.namespace.apply_example("source-objects").await?;
        let run = here.namespace.wait_complete("source-objects-at-80").await?;

        let expected = data::expected(".", "0.8")?;
        assert_eq!(run["status"]["groups"], expected["groups"]);
        assert_eq!(run["status"]["pairs"], expected["candidate_pairs"]);
        assert_eq!(run["status"]["progress"]["comparisons"], 25_000_000);
        let key = run["status"]["results"][0]["key"].as_str().unwrap();
        let result = objects.get_json(key).await?;
        let truth = data::true_pairs(".")?;
        assert_eq!(
            pairs_of(&result).intersection(&truth).count() as u64,
            expected["true_matches"].as_u64().unwrap()
        );

        let columns = here.namespace.kubectl(&["get", "lrun"]).await?;
        for shown in ["PROJECT", "THRESHOLD", "0.8", "Complete", "100%", "4712"] {
            assert!(columns.contains(shown), "{shown} is not in:\n{columns}");
        }
        let columns = here.namespace.kubectl(&["get", "lproj"]).await?;
        for shown in ["PARTIES", "2/2", "10000", "True", "AllPartiesContributed"] {
            assert!(columns.contains(shown), "{shown} is not in:\n{columns}");
        }
        let events =
            here.namespace.kubectl(&["get", "events", "--output", "custom-columns=R:.reason"]).await?;
        for reason in ["AllPartiesContributed", "Queued", "Complete"] {
            assert!(events.contains(reason), "{reason} is not in:\n{events}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn over_rest_alone() -> Story {
    Installation::tell("rest", |here| async move {
        let rest = here.rest().await?;
        let request =
            json!({"schema": {"clkConfig": {"l": 1024}}, "result_type": "groups", "name": "two hospitals"});
        let (project, tokens, result_token) = rest.create_project(request).await?;
        let receipt = upload_json(&rest, &project, &tokens[0], "thousand/hospital-a.json").await?;
        assert_eq!(receipt["message"], "Updated");
        assert_eq!(receipt["receipt_token"].as_str().map(str::len), Some(48));
        let again = rest
            .post(&format!("projects/{project}/clks"), &tokens[0], Body::json(&json!({"clks": []})))
            .await?;
        assert_eq!(again.status, 403, "a party contributes once");

        let run = rest.create_run(&project, &result_token, 0.8).await?;
        let waiting =
            rest.get(&format!("projects/{project}/runs/{run}/status"), &result_token).await?.expect(200)?;
        assert_eq!((&waiting["state"], &waiting["current_stage"]["number"]), (&json!("created"), &json!(1)));
        let early = rest.get(&format!("projects/{project}/runs/{run}/result"), &result_token).await?;
        assert_eq!(early.status, 404);

        let second = Body::binary(data::read("hospital-b.bin")?[..128_000].to_vec(), 1000).gzipped().await?;
        rest.post(&format!("projects/{project}/binaryclks"), &tokens[1], second).await?.expect(201)?;
        let status = rest.wait_completed(&project, &run, &result_token).await?;
        assert_eq!(status["total_number_comparisons"], 1_000_000);
        let result = rest.result(&project, &run, &result_token).await?;
        let described = rest.get(&format!("projects/{project}"), &result_token).await?.expect(200)?;
        assert_eq!((&described["parties_contributed"], &described["error"]), (&json!(2), &json!(false)));
        // hospital-b.bin's first thousand are not those of thousand/: what counts is that both ways agree
        assert_eq!(result["groups"].as_array().map(Vec::len), Some(groups_by_json(&rest).await?));

        rest.delete(&format!("projects/{project}"), &result_token).await?.expect(204)?;
        assert_eq!(rest.get(&format!("projects/{project}"), &result_token).await?.status, 403);
        Ok(())
    })
    .await
}

/// The same linkage with the second party's encodings as JSON, in line.
async fn groups_by_json(rest: &Rest) -> anyhow::Result<usize> {
    let request = json!({"schema": {}, "result_type": "groups"});
    let (project, tokens, result_token) = rest.create_project(request).await?;
    upload_json(rest, &project, &tokens[0], "thousand/hospital-a.json").await?;
    let all: Value = serde_json::from_slice(&data::read("hospital-b.json")?)?;
    let first: Vec<&Value> = all["clks"].as_array().unwrap().iter().take(1000).collect();
    let body = Body::json(&json!({"encodings": first})).gzipped().await?;
    rest.post(&format!("projects/{project}/clks"), &tokens[1], body).await?.expect(201)?;
    let run = rest.create_run(&project, &result_token, 0.8).await?;
    rest.wait_completed(&project, &run, &result_token).await?;
    Ok(rest.result(&project, &run, &result_token).await?["groups"].as_array().unwrap().len())
}

#[tokio::test]
async fn project_by_kubectl_and_uploads_over_rest() -> Story {
    Installation::tell("mixed", |here| async move {
        // the run is applied before any data is there: it waits
        here.namespace.apply_example("two-hospitals").await?;
        let message = here.namespace.wait_reason("lrun/two-hospitals-at-80", "WaitingForParties").await?;
        assert!(message.contains("hospital-a") && message.contains("hospital-b"), "{message}");

        let rest = here.rest().await?;
        for party in ["hospital-a", "hospital-b"] {
            let token = here.token("two-hospitals", &format!("update-{party}")).await?;
            upload_json(&rest, "two-hospitals", &token, &format!("{party}.json")).await?;
        }
        let run = here.namespace.wait_complete("two-hospitals-at-80").await?;
        let expected = data::expected(".", "0.8")?;
        assert_eq!(run["status"]["groups"], expected["groups"]);
        let result_token = here.token("two-hospitals", "result").await?;
        let result = rest.result("two-hospitals", "two-hospitals-at-80", &result_token).await?;
        let truth = data::true_pairs(".")?;
        let found = pairs_of(&result);
        assert_eq!(found.len() as u64, expected["groups"].as_u64().unwrap());
        assert_eq!(found.intersection(&truth).count() as u64, expected["true_matches"].as_u64().unwrap());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn three_parties() -> Story {
    Installation::tell("three", |here| async move {
        here.namespace.apply_example("three-parties").await?;
        let rest = here.rest().await?;
        for party in ["north", "south", "west"] {
            let token = here.token("three-parties", &format!("update-{party}")).await?;
            upload_json(&rest, "three-parties", &token, &format!("three-parties/{party}.json")).await?;
        }
        let run = here.namespace.wait_complete("three-parties-at-80").await?;
        let expected = data::expected("three-parties", "0.8")?;
        assert_eq!(run["status"]["pairs"], expected["candidate_pairs"]);
        assert_eq!(run["status"]["groups"], expected["groups"]);
        let token = here.token("three-parties", "result").await?;
        let result = rest.result("three-parties", "three-parties-at-80", &token).await?;
        for size in [2, 3] {
            let groups = result["groups"].as_array().unwrap();
            let count = groups.iter().filter(|group| group.as_array().unwrap().len() == size).count();
            assert_eq!(json!(count), expected["group_sizes"][size.to_string()], "groups of {size}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn permutations_line_up_the_matches_and_tell_nothing_else() -> Story {
    Installation::tell("permutations", |here| async move {
        here.namespace.apply_example("permutations").await?;
        let rest = here.rest().await?;
        let mut receipts = Vec::new();
        for party in ["hospital-a", "hospital-b"] {
            let token = here.token("permutations", &format!("update-{party}")).await?;
            let receipt =
                upload_json(&rest, "permutations", &token, &format!("thousand/{party}.json")).await?;
            receipts.push(receipt["receipt_token"].as_str().unwrap().to_owned());
            assert_eq!(
                receipts.last().unwrap(),
                &here.token("permutations", &format!("receipt-{party}")).await?
            );
        }
        here.namespace.wait_complete("permutations-at-80").await?;
        let result_token = here.token("permutations", "result").await?;
        let mask = rest.result("permutations", "permutations-at-80", &result_token).await?;
        let mask: Vec<u64> = serde_json::from_value(mask["mask"].clone())?;
        let mut rows = Vec::new();
        for receipt in &receipts {
            let answer = rest.result("permutations", "permutations-at-80", receipt).await?;
            assert_eq!(answer["rows"], 1000);
            let permutation: Vec<usize> = serde_json::from_value(answer["permutation"].clone())?;
            let mut record_at = vec![None; permutation.len()];
            for (record, position) in permutation.iter().enumerate() {
                assert!(record_at[*position].replace(record).is_none(), "two records at {position}");
            }
            rows.push(record_at);
        }
        let truth = data::true_pairs("thousand")?;
        let matched = (0..mask.len()).filter(|position| mask[*position] == 1);
        let found: BTreeSet<(u64, u64)> = matched
            .map(|position| (rows[0][position].unwrap() as u64, rows[1][position].unwrap() as u64))
            .collect();
        let expected = data::expected("thousand", "0.8")?;
        assert_eq!(found.len() as u64, expected["groups"].as_u64().unwrap());
        assert_eq!(found.intersection(&truth).count() as u64, expected["true_matches"].as_u64().unwrap());
        let update_token = here.token("permutations", "update-hospital-a").await?;
        let path = "projects/permutations/runs/permutations-at-80/result";
        assert_eq!(rest.get(path, &update_token).await?.status, 403);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn similarity_scores_with_and_without_shards() -> Story {
    Installation::tell("scores", |here| async move {
        here.namespace.apply_example("similarity-scores").await?;
        let sharded = "{apiVersion: pprl.dev/v1alpha1, kind: LinkageRun, metadata: {name: sharded}, \
                       spec: {projectRef: {name: similarity-scores}, threshold: 0.75, shards: 3}}";
        let applied = here.namespace.apply(sharded).await?;
        assert!(applied.succeeded, "{}", applied.text);
        let rest = here.rest().await?;
        for party in ["hospital-a", "hospital-b"] {
            let token = here.token("similarity-scores", &format!("update-{party}")).await?;
            upload_json(&rest, "similarity-scores", &token, &format!("thousand/{party}.json")).await?;
        }
        let run = here.namespace.wait_complete("similarity-scores-at-75").await?;
        let expected = data::expected("thousand", "0.75")?;
        assert_eq!(run["status"]["pairs"], expected["candidate_pairs"]);
        let token = here.token("similarity-scores", "result").await?;
        let result = rest.result("similarity-scores", "similarity-scores-at-75", &token).await?;
        let scores: Vec<f64> = result["similarity_scores"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pair| pair[2].as_f64().unwrap())
            .collect();
        assert_eq!(scores.len() as u64, expected["candidate_pairs"].as_u64().unwrap());
        assert!(
            scores.is_sorted_by(|a, b| a >= b) && scores.iter().all(|score| (0.75..=1.0).contains(score))
        );

        let run = here.namespace.wait_complete("sharded").await?;
        assert_eq!(run["status"]["shards"], 3);
        assert_eq!(rest.result("similarity-scores", "sharded", &token).await?, result);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn blocks_decide_what_is_compared() -> Story {
    Installation::tell("blocking", |here| async move {
        here.namespace.apply_example("blocking").await?;
        let rest = here.rest().await?;
        for party in ["hospital-a", "hospital-b"] {
            let token = here.token("blocking", &format!("update-{party}")).await?;
            let without =
                rest.post("projects/blocking/clks", &token, Body::json(&json!({"clks": ["AAAAAAAAAAA="]})));
            assert_eq!(without.await?.status, 403, "blocks are missing");
            upload_json(&rest, "blocking", &token, &format!("blocked/{party}.json")).await?;
        }
        let run = here.namespace.wait_complete("blocking-at-80").await?;
        let expected = data::expected("blocked", "0.8")?;
        assert_eq!(run["status"]["groups"], expected["groups"]);
        // of a million pairs of records
        assert_eq!(run["status"]["progress"]["comparisons"], 6828);
        Ok(())
    })
    .await
}
