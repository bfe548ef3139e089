//! Results of each type, and who may read them.

use serde_json::{Value, json};
use tests::Story;

use super::{Project, Service, completed};

pub(super) async fn hold(service: &Service) -> Story {
    there_is_none_before_the_end(service).await?;
    groups(service).await?;
    scores(service).await?;
    permutations(service).await
}

/// What is not complete is 404 to whoever holds one of the project's tokens, and 403 to others.
async fn there_is_none_before_the_end(service: &Service) -> Story {
    let project = service.create(json!({})).await?;
    let run = service.create_run(&project, 0.8).await?;
    let path = format!("{}/runs/{run}/result", project.path);
    for token in [&project.result_token, &project.update_tokens[0]] {
        service.get(&path, token).await?.expect(404);
    }
    service.get(&path, "wrong").await?.expect(403);
    Ok(())
}

/// A project of the example with a thousand records, the path of its result, and the receipt tokens.
async fn complete(service: &Service, result_type: &str) -> anyhow::Result<(Project, String, Vec<String>)> {
    let project = service.create(json!({"result_type": result_type})).await?;
    let receipts = service.fill(&project).await?;
    let run = service.create_run(&project, 0.8).await?;
    let status = completed(service, &project, &run).await?;
    assert_eq!(status["state"], "completed", "{status}");
    let path = format!("{}/runs/{run}/result", project.path);
    for wrong in ["wrong", project.update_tokens[0].as_str()] {
        service.get(&path, wrong).await?.expect(403);
    }
    Ok((project, path, receipts))
}

async fn groups(service: &Service) -> Story {
    let (project, path, receipts) = complete(service, "groups").await?;
    service.get(&path, &receipts[0]).await?.expect(403);
    let result = service.get(&path, &project.result_token).await?.expect(200);
    assert_eq!(super::fields(&result), ["groups"]);
    let groups = result["groups"].as_array().unwrap();
    assert_eq!(json!(groups.len()), tests::data::expected("thousand", "0.8")?["groups"]);
    let rest = service.request(reqwest::Method::GET, &path).header("Authorization", &project.result_token);
    let rest = rest.header("Range", "bytes=100-").send().await?;
    assert_eq!(rest.status(), 206);
    let whole = service.request(reqwest::Method::GET, &path).header("Authorization", &project.result_token);
    assert_eq!(
        rest.bytes().await?,
        whole.send().await?.bytes().await?[100..],
        "what a broken download goes on with"
    );
    for group in groups {
        assert_eq!(group.as_array().map(Vec::len), Some(2), "no group of one, none with two of a party");
        assert_eq!((&group[0][0], &group[1][0]), (&json!(0), &json!(1)));
    }
    Ok(())
}

async fn scores(service: &Service) -> Story {
    let (project, path, receipts) = complete(service, "similarity_scores").await?;
    service.get(&path, &receipts[0]).await?.expect(403);
    let result = service.get(&path, &project.result_token).await?.expect(200);
    let pairs = result["similarity_scores"].as_array().unwrap();
    assert_eq!(json!(pairs.len()), tests::data::expected("thousand", "0.8")?["candidate_pairs"]);
    let order = |pair: &Value| {
        let number = |at: &str| pair.pointer(at).and_then(Value::as_u64).unwrap();
        let indices = [number("/0/0"), number("/1/0"), number("/0/1"), number("/1/1")];
        (pair[2].as_f64().unwrap(), indices)
    };
    assert!(pairs.iter().map(order).is_sorted_by(|a, b| a.0 > b.0 || (a.0 == b.0 && a.1 < b.1)));
    assert!(pairs.iter().all(|pair| (0.8..=1.0).contains(&order(pair).0)));
    Ok(())
}

async fn permutations(service: &Service) -> Story {
    let (project, path, receipts) = complete(service, "permutations").await?;
    let mask = service.get(&path, &project.result_token).await?.expect(200);
    assert_eq!(super::fields(&mask), ["mask"]);
    let mask = mask["mask"].as_array().unwrap();
    assert_eq!(mask.len(), 1000, "as long as the smaller data set");
    assert!(mask.iter().all(|bit| *bit == 0 || *bit == 1));
    let mut seen = Vec::new();
    for receipt in &receipts {
        let permutation = service.get(&path, receipt).await?.expect(200);
        assert_eq!(
            (super::fields(&permutation), &permutation["rows"]),
            (vec!["permutation", "rows"], &json!(1000))
        );
        let mut positions: Vec<u64> = serde_json::from_value(permutation["permutation"].clone())?;
        seen.push(positions.clone());
        positions.sort_unstable();
        assert!(positions.iter().copied().eq(0..1000));
        // receipt tokens open what else the contract lets them see
        service.get(&project.path, receipt).await?.expect(200);
        service.get(&path.replace("/result", "/status"), receipt).await?.expect(200);
        service.get(&format!("{}/runs", project.path), receipt).await?.expect(200);
    }
    assert_ne!(seen[0], seen[1]);
    Ok(())
}
