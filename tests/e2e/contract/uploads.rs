//! Uploads, in each form, and what they are refused for.

use serde_json::{Value, json};
use tests::Story;

use super::{Service, assert_token, completed, text};

/// Encodings of 64 bits: of one, two and three bits.
const ONE: &str = "AQAAAAAAAAA=";
const TWO: &str = "AwAAAAAAAAA=";
const THREE: &str = "BwAAAAAAAAA=";

pub(super) async fn hold(service: &Service) -> Story {
    every_form_counts(service).await?;
    blocks_in_line_belong_to_their_records(service).await?;
    blocks_are_needed_exactly_with_blocking(service).await?;
    a_refused_upload_leaves_the_token_usable(service).await?;
    binary_uploads_are_as_long_as_announced(service).await?;
    sizes_are_checked(service).await
}

/// The groups of two parties at a threshold.
async fn link(
    service: &Service,
    bodies: [Value; 2],
    blocking: bool,
    threshold: f64,
) -> anyhow::Result<Value> {
    let project = service.create(json!({"uses_blocking": blocking})).await?;
    for (party, body) in bodies.iter().enumerate() {
        let answer = service.upload(&project, party, body).await?.expect(201);
        assert_eq!(answer["message"], "Updated");
        assert_token(&answer["receipt_token"]);
        // the same once more is the same contribution; other data is not taken
        assert_eq!(service.upload(&project, party, body).await?.expect(201), answer);
        let other = match blocking {
            true => json!({"clknblocks": [[ONE, "other"]]}),
            false => json!({"clks": [ONE, ONE, ONE, ONE]}),
        };
        service.upload(&project, party, &other).await?.expect(403);
    }
    let run = service.create_run(&project, threshold).await?;
    let status = completed(service, &project, &run).await?;
    assert_eq!(status["state"], "completed", "{status}");
    let path = format!("{}/runs/{run}/result", project.path);
    Ok(service.get(&path, &project.result_token).await?.expect(200)["groups"].clone())
}

async fn every_form_counts(service: &Service) -> Story {
    // base64 may end in a new line
    let bodies = [json!({"clks": [format!("{ONE}\n"), THREE]}), json!({"encodings": [THREE, TWO, ONE]})];
    let groups = link(service, bodies, false, 1.0).await?;
    assert_eq!(groups, json!([[[0, 0], [1, 2]], [[0, 1], [1, 0]]]));

    // raw encodings and JSON in one project: they are compared
    let project = service.create(json!({})).await?;
    service.upload(&project, 0, &json!({"clks": [ONE]})).await?.expect(201);
    let raw = [[3, 0, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0]].concat();
    service.post_binary(&project, 1, ["2", "8"], raw).await?.expect(201);
    let run = service.create_run(&project, 1.0).await?;
    completed(service, &project, &run).await?;
    let path = format!("{}/runs/{run}/result", project.path);
    let result = service.get(&path, &project.result_token).await?.expect(200);
    assert_eq!(result, json!({"groups": [[[0, 0], [1, 1]]]}));
    Ok(())
}

async fn blocks_in_line_belong_to_their_records(service: &Service) -> Story {
    // 1 and "1" are one block, the order of `blocks` means nothing, and a pair that shares two counts once
    let first = json!({"clknblocks": [[ONE, 1, "x"], [TWO, "y"]]});
    let second = json!({"encodings": [TWO, ONE, THREE], "blocks": {"2": ["z"], "0": ["z"], "1": ["1", "x"]}});
    assert_eq!(link(service, [first.clone(), second], true, 0.1).await?, json!([[[0, 0], [1, 1]]]));
    let as_list = json!({"encodings": {"0": TWO, "1": ONE}, "blocks": {"1": ["y"], "0": ["none"]}});
    assert_eq!(link(service, [first, as_list], true, 0.1).await?, json!([[[0, 1], [1, 1]]]));
    Ok(())
}

async fn blocks_are_needed_exactly_with_blocking(service: &Service) -> Story {
    let (with, without) = (json!({"clknblocks": [[ONE, "a"]]}), json!({"clks": [ONE]}));
    for (blocking, wrong, right) in [(true, &without, &with), (false, &with, &without)] {
        let project = service.create(json!({"uses_blocking": blocking})).await?;
        service.upload(&project, 0, wrong).await?.expect(403);
        if blocking {
            service.post_binary(&project, 0, ["1", "8"], vec![1; 8]).await?.expect(403);
        }
        service.upload(&project, 0, right).await?.expect(201);
    }
    Ok(())
}

async fn a_refused_upload_leaves_the_token_usable(service: &Service) -> Story {
    let project = service.create(json!({})).await?;
    for body in [
        json!({"clks": []}),
        json!({"encodings": []}),
        json!({}),
        json!([]),
        json!({"clks": [ONE], "encodings": [ONE]}),
        json!({"clks": ONE}),
        json!({"clks": [1]}),
        json!({"clks": ["no base64!"]}),
        json!({"clks": [&ONE[..11]]}),
    ] {
        let answer = service.upload(&project, 0, &body).await?;
        assert_eq!(answer.status, 400, "{body}");
        answer.expect(400);
    }
    for body in ["", "{", r#"{"clks": ["AQAAAAAAAAA=""#, "nonsense", r#"{"clks": ["AQAAAAAAAAA="]} {}"#] {
        let path = format!("{}/clks", project.path);
        service.post_text(&path, &project.update_tokens[0], body).await?.expect(400);
    }
    let described = service.get(&project.path, &project.result_token).await?.expect(200);
    assert_eq!((&described["parties_contributed"], &described["error"]), (&json!(0), &json!(false)));
    service.upload(&project, 0, &json!({"clks": [ONE]})).await?.expect(201);
    Ok(())
}

async fn binary_uploads_are_as_long_as_announced(service: &Service) -> Story {
    let project = service.create(json!({})).await?;
    for (headers, length) in [
        (["2", "8"], 15),
        (["2", "8"], 17),
        (["2", "8"], 0),
        (["0", "8"], 0),
        (["-1", "8"], 8),
        (["1", "0"], 0),
        (["1", "1025"], 1025),
        (["one", "8"], 8),
        (["18446744073709551616", "8"], 8),
    ] {
        let answer = service.post_binary(&project, 0, headers, vec![1; length]).await?;
        assert_eq!(answer.status, 400, "{headers:?} {length}");
        answer.expect(400);
    }
    let answer = service.post_binary(&project, 0, ["2", "8"], vec![1; 16]).await?.expect(201);
    assert_eq!(answer["message"], "Updated");
    service.post_binary(&project, 0, ["2", "8"], vec![2; 16]).await?.expect(403);
    Ok(())
}

/// Of an unsupported size, of another than the other party's, of another than the schema says: 201, and an error that
/// the project shows; the token is good for another try.
async fn sizes_are_checked(service: &Service) -> Story {
    let (supported, unsupported) = (json!({"clks": [ONE]}), json!({"clks": ["AQAAAAAA"]}));
    let longer = json!({"clks": ["AQAAAAAAAAAAAAAAAAAAAA=="]});
    let by_schema = json!({"schema": {"clkConfig": {"l": 64}}});
    for (more, first, wrong) in
        [(json!({}), None, &unsupported), (json!({}), Some(&supported), &longer), (by_schema, None, &longer)]
    {
        let project = service.create(more).await?;
        if let Some(first) = first {
            service.upload(&project, 1, first).await?.expect(201);
        }
        service.upload(&project, 0, wrong).await?.expect(201);
        let mut described = Value::Null;
        for _ in 0..50 {
            described = service.get(&project.path, &project.result_token).await?.expect(200);
            if described["error"] == true {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        assert_eq!(described["error"], true, "within seconds: {described}");
        assert!(text(&described["message"]).contains("encoding"), "{described}");
        let path = format!("{}/runs", project.path);
        service.post(&path, &project.result_token, &json!({"threshold": 0.5})).await?.expect(500);
        service.upload(&project, 0, &supported).await?.expect(201);
        let described = service.get(&project.path, &project.result_token).await?.expect(200);
        assert_eq!(described["error"], false, "{described}");
    }
    Ok(())
}
