//! What a killed pod leaves in the store goes, and nothing else does.

use std::time::{Duration, Instant};

use anyhow::bail;
use serde_json::json;
use tests::rest::Body;
use tests::{Installation, Story, data};

/// A few seconds instead of days.
const SOON: [&str; 2] = [
    "--set-json",
    r#"operator.extraEnv=[{"name":"SWEEP_AGE_SECONDS","value":"8"},{"name":"SWEEP_INTERVAL_SECONDS","value":"1"}]"#,
];

#[tokio::test]
async fn leftovers_of_uploads_are_removed() -> Story {
    Installation::tell_with("leftovers", &SOON, |here| async move {
        let rest = here.rest().await?;
        let request = json!({"schema": {}, "result_type": "groups"});
        let (project, tokens, result_token) = rest.create_project(request).await?;
        let clks = format!("projects/{project}/clks");
        let file = |party: &str| data::read(&format!("thousand/{party}.json")).map(Body::document);
        rest.post(&clks, &tokens[0], file("hospital-a")?).await?.expect(201)?;

        // by the REST service's own keys: what it leaves when it is killed at one moment or another
        let objects = here.objects_as("api").await?;
        let kept = objects.keys("projects/").await?;
        let folder: String = kept[0].split_inclusive('/').take(2).collect();
        let left = |upload: &str| format!("{folder}parties/1/{}/encodings", upload.repeat(24));
        objects.put(&left("0a"), vec![7; 128]).await?;
        objects.begin(&left("0b")).await?;
        objects.put(&format!("{folder}uploads/1/1/encodings.json"), vec![7; 128]).await?;
        let resumable = format!("{folder}resumable/1/unfinished/{}/", "0c".repeat(24));
        objects.put(&format!("{resumable}description.json"), b"{}".to_vec()).await?;
        objects.put(&format!("{resumable}pieces/ffffffffffffffff-0"), vec![7; 128]).await?;
        let began = Instant::now();
        loop {
            let (found, unfinished) =
                (objects.keys("projects/").await?, objects.unfinished("projects/").await?);
            if found == kept && unfinished.is_empty() {
                break;
            }
            if began.elapsed() > Duration::from_secs(60) {
                bail!("still there: {found:?} {unfinished:?}");
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        assert!(began.elapsed() > Duration::from_secs(5), "what is young is nobody's leftover");

        rest.post(&clks, &tokens[1], file("hospital-b")?).await?.expect(201)?;
        let run = rest.create_run(&project, &result_token, 0.8).await?;
        rest.wait_completed(&project, &run, &result_token).await?;
        let result = rest.result(&project, &run, &result_token).await?;
        let expected = data::expected("thousand", "0.8")?["groups"].clone();
        assert_eq!(json!(result["groups"].as_array().unwrap().len()), expected);
        Ok(())
    })
    .await
}
