//! The REST contract of the Anonlink Entity Service, rule by rule, over plain HTTP as its clients speak it.
//!
//! What takes credentials for the store is told in `store_uploads`, hostile clients in `crowd`, what a real client does in
//! `anonlink_client`.

mod projects;
mod results;
mod rules;
mod runs;
mod uploads;

use anyhow::Context;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{Installation, Story, data};

#[tokio::test]
async fn the_contract_holds() -> Story {
    // a fast machine sends more than one client may; what becomes of those who send too much is told in `crowd`
    let values = ["--set", "api.limits.requestsPerSecond=0"];
    Installation::tell_with("contract", &values, |here| async move {
        let rest = here.rest().await?;
        let service = Service { address: rest.address().await, client: client()? };
        rules::hold_everywhere(&service).await.context("rules for every endpoint")?;
        projects::hold(&service).await.context("projects")?;
        uploads::hold(&service).await.context("uploads")?;
        runs::hold(&service).await.context("runs")?;
        results::hold(&service).await.context("results")
    })
    .await
}

fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build()
}

/// The service, without anything between it and the test: no second try, nothing added to a request.
struct Service {
    address: String,
    client: reqwest::Client,
}

/// What the service answered.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    /// Null when there is none, or it is no JSON.
    body: Value,
}

impl Answer {
    /// Checks the status; an error has to be a problem in the form of the contract, which tells no more than it may.
    #[track_caller]
    fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        if status >= 400 {
            assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
            assert_eq!(self.body["status"], status, "{self:?}");
            for field in ["type", "title", "detail"] {
                assert!(self.body[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {self:?}");
            }
        }
        self.body
    }
}

impl Service {
    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}/api/v1/{path}", self.address))
    }

    async fn send(request: reqwest::RequestBuilder) -> anyhow::Result<Answer> {
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = serde_json::from_slice(&response.bytes().await?).unwrap_or_default();
        Ok(Answer { status, headers, body })
    }

    async fn get(&self, path: &str, token: &str) -> anyhow::Result<Answer> {
        Self::send(self.request(Method::GET, path).header("Authorization", token)).await
    }

    async fn delete(&self, path: &str, token: &str) -> anyhow::Result<Answer> {
        Self::send(self.request(Method::DELETE, path).header("Authorization", token)).await
    }

    async fn post(&self, path: &str, token: &str, body: &Value) -> anyhow::Result<Answer> {
        self.post_text(path, token, body.to_string()).await
    }

    /// The same with a body that need not be JSON.
    async fn post_text(
        &self,
        path: &str,
        token: &str,
        body: impl Into<reqwest::Body>,
    ) -> anyhow::Result<Answer> {
        let request = self.request(Method::POST, path).header("Content-Type", "application/json");
        Self::send(request.header("Authorization", token).body(body)).await
    }

    async fn post_binary(
        &self,
        project: &Project,
        party: usize,
        [count, size]: [&str; 2],
        body: Vec<u8>,
    ) -> anyhow::Result<Answer> {
        let request = self.request(Method::POST, &format!("{}/binaryclks", project.path));
        let request = request.header("Content-Type", "application/octet-stream").body(body);
        let request = request.header("Hash-Count", count).header("Hash-Size", size);
        Self::send(request.header("Authorization", &project.update_tokens[party])).await
    }

    /// A project with what is given beside an empty schema.
    async fn create(&self, more: Value) -> anyhow::Result<Project> {
        let mut request = json!({"schema": {}, "result_type": "groups"});
        for (name, value) in more.as_object().into_iter().flatten() {
            request[name] = value.clone();
        }
        let created = self.post("projects", "", &request).await?.expect(201);
        let id = text(&created["project_id"]);
        let tokens = created["update_tokens"].as_array().context("no update_tokens")?;
        Ok(Project {
            path: format!("projects/{id}"),
            id,
            update_tokens: tokens.iter().map(text).collect(),
            result_token: text(&created["result_token"]),
        })
    }

    /// A party's upload, in line.
    async fn upload(&self, project: &Project, party: usize, body: &Value) -> anyhow::Result<Answer> {
        self.post(&format!("{}/clks", project.path), &project.update_tokens[party], body).await
    }

    /// Both parties of the example with a thousand records contribute; gives the receipt tokens.
    async fn fill(&self, project: &Project) -> anyhow::Result<Vec<String>> {
        let mut receipts = Vec::new();
        for (party, name) in ["hospital-a", "hospital-b"].into_iter().enumerate() {
            let body = data::read(&format!("thousand/{name}.json"))?;
            let path = format!("{}/clks", project.path);
            let answer = self.post_text(&path, &project.update_tokens[party], body).await?.expect(201);
            receipts.push(text(&answer["receipt_token"]));
        }
        Ok(receipts)
    }

    async fn create_run(&self, project: &Project, threshold: f64) -> anyhow::Result<String> {
        let path = format!("{}/runs", project.path);
        let run =
            self.post(&path, &project.result_token, &json!({"threshold": threshold})).await?.expect(201);
        Ok(text(&run["run_id"]))
    }
}

/// A project that was created over REST.
struct Project {
    id: String,
    path: String,
    update_tokens: Vec<String>,
    result_token: String,
}

#[track_caller]
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

#[track_caller]
fn assert_token(value: &Value) {
    let is_token = |token: &str| {
        token.len() == 48 && token.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    assert!(value.as_str().is_some_and(is_token), "{value}");
}

/// ISO 8601 in UTC, as `datetime.fromisoformat` and the parsers of older clients take it.
#[track_caller]
fn assert_time(value: &Value) {
    let digits = value.as_str().unwrap_or_default().replace(|digit: char| digit.is_ascii_digit(), "0");
    let (seconds, rest) = digits.split_at_checked(19).unwrap_or_default();
    assert_eq!(seconds, "0000-00-00T00:00:00", "{value}");
    assert!(matches!(rest.trim_start_matches('.').trim_start_matches('0'), "Z" | "+00:00"), "{value}");
}

/// The names of an object's fields.
fn fields(value: &Value) -> Vec<&str> {
    value.as_object().into_iter().flat_map(|object| object.keys().map(String::as_str)).collect()
}

#[track_caller]
fn assert_fields(value: &Value, expected: &[&str]) {
    for field in expected {
        assert!(fields(value).contains(field), "{field} is missing: {value}");
    }
}

/// Waits for a run to end.
async fn completed(rest: &Service, project: &Project, run: &str) -> anyhow::Result<Value> {
    let path = format!("{}/runs/{run}/status", project.path);
    for _ in 0..600 {
        let status = rest.get(&path, &project.result_token).await?.expect(200);
        match status["state"].as_str() {
            Some("completed" | "error") => return Ok(status),
            _ => tokio::time::sleep(std::time::Duration::from_millis(200)).await,
        }
    }
    anyhow::bail!("the run does not end")
}
