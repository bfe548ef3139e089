//! PyPI's anonlink-client, unchanged, from hashing to the result: what it was written for is the Anonlink Entity
//! Service, so that whatever it gets from us must be what it would get from that.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use tests::client::{Client, Folder};
use tests::rest::{Body, Rest};
use tests::{Installation, Story, data};

const PARTIES: [&str; 2] = ["hospital-a", "hospital-b"];

/// How records are put into blocks, in the words of blocklib: by postcode, and by the sound of the surname.
const BLOCKING: &str = r#"{"type": "p-sig", "version": 1, "config": {
    "blocking-features": ["surname", "postcode"],
    "filter": {"type": "ratio", "max": 0.2, "min": 0.0},
    "blocking-filter": {"type": "bloom filter", "number-hash-functions": 4, "bf-len": 4096},
    "signatureSpecs": [[{"type": "feature-value", "feature": "postcode"}],
        [{"type": "metaphone", "feature": "surname"}]]}}"#;

/// A project that `anonlink` has made, and what it was told.
pub struct Project<'c> {
    client: &'c Client,
    id: String,
    update_tokens: Vec<String>,
    /// The token that opens the result.
    pub result_token: String,
}

impl<'c> Project<'c> {
    /// Has one made.
    pub async fn create(client: &'c Client, type_: &str, more: &[&str]) -> anyhow::Result<Self> {
        let schema = data::example("data/schema.json").to_string_lossy().into_owned();
        let arguments = ["create-project", "--type", type_, "--schema", &schema, "--name", "two hospitals"];
        let created = client.ask(&[&arguments, more].concat()).await?.document;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(Self {
            client,
            id: text(&created["project_id"]),
            update_tokens: created["update_tokens"].as_array().unwrap().iter().map(text).collect(),
            result_token: text(&created["result_token"]),
        })
    }

    /// Uploads a party's file; gives the receipt token and what was said.
    pub async fn upload(&self, party: usize, more: &[&str]) -> anyhow::Result<(String, String)> {
        let file = format!("{}.json", PARTIES[party]);
        let token = &self.update_tokens[party];
        let arguments = ["upload", &file, "--project", &self.id, "--apikey", token];
        let said = self.client.ask(&[&arguments, more].concat()).await?;
        assert_eq!(said.document["message"], "Updated", "{}", said.text);
        Ok((said.document["receipt_token"].as_str().unwrap().to_owned(), said.text))
    }

    /// Runs a linkage at .8 to its end; gives its id.
    pub async fn link(&self) -> anyhow::Result<String> {
        let arguments =
            ["create", "--project", &self.id, "--apikey", &self.result_token, "--threshold", "0.8"];
        let created = self.client.ask(&arguments).await?.document;
        assert_eq!(created["threshold"], 0.8, "{created}");
        let run = created["run_id"].as_str().unwrap().to_owned();
        self.result(&run, &self.result_token, &["--watch"]).await?;
        Ok(run)
    }

    /// The result of a run.
    pub async fn result(&self, run: &str, token: &str, more: &[&str]) -> anyhow::Result<Value> {
        let arguments = ["results", "--project", &self.id, "--run", run, "--apikey", token];
        Ok(self.client.ask(&[&arguments, more].concat()).await?.document)
    }
}

/// The parties encode their people.
pub async fn encode(client: &Client, folder: &Folder) -> Story {
    let schema = data::example("data/schema.json").to_string_lossy().into_owned();
    let secret = folder.read("secret")?;
    for party in PARTIES {
        let (people, encodings) = (format!("{party}.csv"), format!("{party}.json"));
        client.run(&["hash", &people, &secret, &schema, &encodings]).await?;
        let example: Value = serde_json::from_slice(&data::read(&format!("thousand/{encodings}"))?)?;
        assert_eq!(folder.read_json(&encodings)?, example, "{party}");
    }
    Ok(())
}

/// The result of the same data, uploaded and linked without that client.
pub async fn direct_result(rest: &Rest, type_: &str, bodies: [Value; 2]) -> anyhow::Result<Value> {
    let blocking = bodies[0].get("clknblocks").is_some();
    let request = json!({"schema": {}, "result_type": type_, "uses_blocking": blocking});
    let (project, tokens, result_token) = rest.create_project(request).await?;
    for (token, body) in tokens.iter().zip(&bodies) {
        rest.post(&format!("projects/{project}/clks"), token, Body::json(body)).await?.expect(201)?;
    }
    let run = rest.create_run(&project, &result_token, 0.8).await?;
    rest.wait_completed(&project, &run, &result_token).await?;
    rest.result(&project, &run, &result_token).await
}

/// The encodings, as they are uploaded.
pub fn encodings(folder: &Folder) -> anyhow::Result<[Value; 2]> {
    Ok([folder.read_json("hospital-a.json")?, folder.read_json("hospital-b.json")?])
}

#[tokio::test]
async fn groups_scores_and_permutations() -> Story {
    Installation::tell("anonlink", |here| async move {
        let rest = here.rest().await?;
        let folder = Folder::with_people("anonlink").await?;
        let client = Client::new(&rest.address().await, None, &folder);
        encode(&client, &folder).await?;
        assert_eq!(client.ask(&["status"]).await?.document["status"], "ok");
        for type_ in ["groups", "similarity_scores"] {
            let project = Project::create(&client, type_, &[]).await?;
            for party in [0, 1] {
                let (_, said) = project.upload(party, &[]).await?;
                // no credentials are handed out here, so it falls back
                assert!(said.contains("Failed to retrieve temporary credentials"), "{said}");
                assert!(said.contains("Uploading to entity service"), "{said}");
            }
            let run = project.link().await?;
            let result = project.result(&run, &project.result_token, &[]).await?;
            assert_eq!(result, direct_result(&rest, type_, encodings(&folder)?).await?, "{type_}");
            let found = result[type_].as_array().unwrap().len();
            assert_eq!(json!(found), data::expected("thousand", "0.8")?["candidate_pairs"]);
            deleted_at_last(&project, &run).await?;
        }
        permutations(&client).await
    })
    .await
}

async fn permutations(client: &Client) -> Story {
    // what the client makes by default
    let project = Project::create(client, "permutations", &[]).await?;
    let mut receipts = Vec::new();
    for party in [0, 1] {
        receipts.push(project.upload(party, &["--to_entityservice"]).await?.0);
    }
    let run = project.link().await?;
    let mask = project.result(&run, &project.result_token, &[]).await?;
    let mask: Vec<u8> = serde_json::from_value(mask["mask"].clone())?;
    let mut positions = Vec::new();
    for receipt in &receipts {
        let answer = project.result(&run, receipt, &[]).await?;
        let permutation: Vec<usize> = serde_json::from_value(answer["permutation"].clone())?;
        assert_eq!(answer["rows"], mask.len());
        positions.push(permutation);
    }
    let record_at = |party: usize, position: usize| {
        positions[party].iter().position(|at| *at == position).unwrap_or(usize::MAX) as u64
    };
    let matched = (0..mask.len()).filter(|position| mask[*position] == 1);
    let found: BTreeSet<_> =
        matched.map(|position| (record_at(0, position), record_at(1, position))).collect();
    let expected = data::expected("thousand", "0.8")?;
    assert_eq!(json!(found.len()), expected["groups"]);
    assert_eq!(json!(found.intersection(&data::true_pairs("thousand")?).count()), expected["true_matches"]);
    Ok(())
}

async fn deleted_at_last(project: &Project<'_>, run: &str) -> Story {
    let token = project.result_token.as_str();
    let of_run = &["delete", "--project", &project.id, "--run", run, "--apikey", token][..];
    let said = project.client.call(of_run).await?.text;
    assert!(said.contains("Run deleted"), "{said}");
    let of_project = &["delete-project", "--project", &project.id, "--apikey", token][..];
    let said = project.client.call(of_project).await?.text;
    assert!(said.contains("Project deleted"), "{said}");
    for gone in [of_run, of_project] {
        let said = project.client.call(gone).await?.text;
        assert!(said.contains("403"), "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn blocks_that_blocklib_makes() -> Story {
    Installation::tell("anonlink-blocks", |here| async move {
        let rest = here.rest().await?;
        let folder = Folder::with_people("anonlink-blocks").await?;
        let client = Client::new(&rest.address().await, None, &folder);
        encode(&client, &folder).await?;
        let bodies = with_blocks(&client, &folder).await?;
        let project = Project::create(&client, "groups", &["--blocked"]).await?;
        for party in [0, 1] {
            project.upload(party, &["--blocks", &format!("{}-blocks.json", PARTIES[party])]).await?;
        }
        let run = project.link().await?;
        let result = project.result(&run, &project.result_token, &[]).await?;
        assert_eq!(result, direct_result(&rest, "groups", bodies).await?);
        let found = result["groups"].as_array().unwrap().len() as u64;
        let without_blocks = data::expected("thousand", "0.8")?["groups"].as_u64().unwrap();
        assert!(found <= without_blocks && found > without_blocks / 2, "{found} groups");
        Ok(())
    })
    .await
}

/// Puts the records into blocks; gives the documents in which each record has its blocks beside it.
pub async fn with_blocks(client: &Client, folder: &Arc<Folder>) -> anyhow::Result<[Value; 2]> {
    folder.write("blocking.json", BLOCKING)?;
    let mut bodies = [Value::Null, Value::Null];
    for (party, body) in PARTIES.into_iter().zip(&mut bodies) {
        let (people, blocks) = (format!("{party}.csv"), format!("{party}-blocks.json"));
        client.run(&["block", &people, "blocking.json", &blocks]).await?;
        let (encodings, blocks) = (folder.read_json(&format!("{party}.json"))?, folder.read_json(&blocks)?);
        let records = encodings["clks"].as_array().unwrap().iter().enumerate().map(|(record, encoding)| {
            let of_record = blocks["blocks"][record.to_string()].as_array().into_iter().flatten();
            std::iter::once(encoding).chain(of_record).cloned().collect::<Value>()
        });
        *body = json!({"clknblocks": records.collect::<Value>()});
    }
    Ok(bodies)
}
