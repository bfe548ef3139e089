//! A mask that only the holder of a key can read.

use anyhow::Context;
use serde_json::{Value, json};
use tests::cluster::run;
use tests::rest::Body;
use tests::{Installation, Story, data};

/// PyPI's `phe`: makes a key in a folder, or checks what was encrypted under it.
async fn phe(arguments: &[&str]) -> Story {
    let python = std::env::var("LINKAGE_PYTHON").context("run the tests by tests/e2e/run")?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scorer/tests/encrypted_mask.py");
    let all: Vec<&str> = [script].iter().chain(arguments).copied().collect();
    let said = run(&python, &all, "").await?;
    anyhow::ensure!(said.succeeded, "{}", said.text);
    Ok(())
}

/// An upload of records of the first hospital.
fn some_of_hospital_a(records: impl Iterator<Item = usize>) -> anyhow::Result<Body> {
    let all: Value = serde_json::from_slice(&data::read("thousand/hospital-a.json")?)?;
    let clks: Vec<&Value> = records.map(|record| &all["clks"][record]).collect();
    Ok(Body::json(&json!({ "clks": clks })))
}

#[tokio::test]
async fn parties_get_the_mask_encrypted_and_nobody_gets_it_in_the_clear() -> Story {
    Installation::tell("encrypted-mask", |here| async move {
        let keys = tempfile::tempdir()?;
        let folder = keys.path().to_str().context("no text")?.to_owned();
        phe(&["key", &folder, "2048"]).await?;
        let key: Value = serde_json::from_slice(&std::fs::read(keys.path().join("public.json"))?)?;
        let (rest, objects) = (here.rest().await?, here.objects().await?);
        let request = json!({"schema": {}, "result_type": "permutations", "public_key": key,
            "paillier_context": {"base": 2, "encoded": true}});
        let (project, tokens, result_token) = rest.create_project(request).await?;
        // the second party has the records 5 to 24 of the first, which has 0 to 19
        let mut receipts = Vec::new();
        for (token, records) in tokens.iter().zip([0..20, 5..25]) {
            let path = format!("projects/{project}/clks");
            let answer = rest.post(&path, token, some_of_hospital_a(records)?).await?.expect(201)?;
            receipts.push(answer["receipt_token"].as_str().unwrap_or_default().to_owned());
        }
        let run = rest.create_run(&project, &result_token, 1.0).await?;
        rest.wait_completed(&project, &run, &result_token).await?;

        let mut results = vec![rest.result(&project, &run, &result_token).await?];
        for receipt in &receipts {
            results.push(rest.result(&project, &run, receipt).await?);
        }
        let at = |party: usize, record: usize| results[1 + party]["permutation"][record].clone();
        let matches: Vec<Value> = (5..20).map(|record| at(0, record)).collect();
        assert_eq!(matches, (5..20).map(|record| at(1, record - 5)).collect::<Vec<_>>());
        let mut files = Vec::new();
        for (number, result) in results.iter().enumerate() {
            let file = keys.path().join(format!("{number}.json"));
            std::fs::write(&file, result.to_string())?;
            files.push(file.to_str().context("no text")?.to_owned());
        }
        let matches = json!(matches).to_string();
        let mut arguments = vec!["check", folder.as_str(), matches.as_str()];
        arguments.extend(files.iter().map(String::as_str));
        phe(&arguments).await?;

        // nor is it in the store, in any format
        for key in objects.keys("runs/").await? {
            if !key.contains("/result/") || key.ends_with("/scores.json") {
                continue;
            }
            if key.ends_with(".json") {
                let mask = objects.get_json(&key).await?["mask"].clone();
                assert!(mask.as_array().is_some_and(|mask| mask.iter().all(Value::is_object)), "{key}");
            } else if key.ends_with(".csv") {
                let text = String::from_utf8(objects.get(&key).await?)?;
                let (header, rows) = text.split_once("\r\n").context("no header")?;
                assert!(header.ends_with(",match"), "{header}");
                let is_ciphertext =
                    |row: &str| row.rsplit(',').next().is_some_and(|field| field.len() > 1000);
                assert!(rows.lines().all(is_ciphertext), "{key}");
            }
        }
        Ok(())
    })
    .await
}
