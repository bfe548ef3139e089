//! What is sent and answered, in words that are the same each time.

use std::fmt::Write;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use serde_json::Value;
use tower::ServiceExt;

use super::described;
use crate::service::{Created, Service};

/// Headers whose values are of no interest: that they are there is.
const VOLATILE: [(&str, &str); 1] = [("x-request-id", "<id>")];
/// As long as a token, or the id of a project or run.
const ID_LENGTH: usize = 48;

/// The answers of one endpoint, each with what was asked.
pub struct Transcript {
    text: String,
    names: Vec<(String, String)>,
}

/// A request that is being put together.
pub struct Call<'t> {
    transcript: &'t mut Transcript,
    title: String,
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Body,
}

/// An answer, read whole.
pub struct Answered {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Transcript {
    pub fn new() -> Self {
        Self { text: String::new(), names: Vec::new() }
    }

    /// Writes this name instead of that text from now on.
    pub fn name(&mut self, text: &str, name: &str) {
        self.names.retain(|(_, known)| known != name);
        self.names.push((text.into(), name.into()));
    }

    /// Names the ids and tokens of a project.
    pub fn name_project(&mut self, project: &Created) {
        self.name(&project.id, "PROJECT");
        self.name(&project.result, "RESULT-TOKEN");
        for (index, token) in project.update.iter().enumerate() {
            self.name(token, &format!("UPDATE-TOKEN-{}", index + 1));
        }
    }

    /// A request to a path below `/api/v1`, and what it is an example of.
    pub fn call(&mut self, title: &str, method: &str, path: &str) -> Call<'_> {
        Call {
            transcript: self,
            title: title.into(),
            method: method.parse().unwrap(),
            path: format!("/api/v1{path}"),
            headers: Vec::new(),
            body: Body::empty(),
        }
    }

    /// Compares all that was answered with the snapshot of that name.
    #[track_caller]
    pub fn check(self, name: &str) {
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("../snapshots");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(name, self.text));
    }

    fn record(&mut self, title: &str, asked: &str, answered: &Answered) {
        let Answered { status, headers, body } = answered;
        let reason = status.canonical_reason().unwrap_or_default();
        let mut entry = format!("# {title}\n{asked}\n\n{} {reason}\n", status.as_u16());
        let mut lines: Vec<String> = headers
            .iter()
            .map(|(name, value)| {
                let volatile = VOLATILE.iter().find(|(volatile, _)| name == volatile);
                let value = volatile.map_or(value.to_str().unwrap(), |(_, replacement)| *replacement);
                format!("{name}: {value}\n")
            })
            .collect();
        lines.sort();
        entry.extend(lines);
        let _ = writeln!(entry, "\n{}\n", shown(headers, body));
        let redacted = self.redacted(entry);
        self.text.push_str(&redacted);
        self.text.push('\n');
    }

    fn redacted(&self, mut text: String) -> String {
        for (known, name) in &self.names {
            text = text.replace(known, name);
        }
        without_times(&without_ids(&text))
    }
}

impl Call<'_> {
    pub fn token(self, token: &str) -> Self {
        self.header("authorization", token)
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it, records the answer, and holds it against what the document says of it.
    pub async fn of(self, service: &Service) -> Answered {
        let Self { transcript, title, method, path, headers, body } = self;
        let mut asked = format!("{method} {path}");
        let mut request = Request::builder().method(method.clone()).uri(&path);
        for (name, value) in &headers {
            let _ = write!(asked, "\n{name}: {value}");
            request = request.header(*name, value);
        }
        let response = service.rest.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 1 << 24).await.unwrap().to_vec();
        let answered = Answered { status: parts.status, headers: parts.headers, body };
        transcript.record(&title, &asked, &answered);
        described::check(&method, &path, &answered);
        answered
    }
}

impl Answered {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// JSON in lines of its own, other text as it is, and how many bytes anything else has.
fn shown(headers: &HeaderMap, body: &[u8]) -> String {
    let is_json =
        |value: &HeaderValue| matches!(value.to_str(), Ok("application/json" | "application/problem+json"));
    if body.is_empty() {
        return "(no body)".into();
    }
    if headers.get("content-type").is_some_and(is_json)
        && let Ok(document) = serde_json::from_slice::<Value>(body)
    {
        return serde_json::to_string_pretty(&document).unwrap();
    }
    match std::str::from_utf8(body) {
        Ok(text) => text.trim_end().into(),
        Err(_) => format!("({} bytes)", body.len()),
    }
}

/// Ids and tokens that have no name.
fn without_ids(text: &str) -> String {
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    let mut found = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_hex) {
        let length = rest[start..].find(|c: char| !is_hex(c)).unwrap_or(rest.len() - start);
        let word = &rest[start..start + length];
        found.push_str(&rest[..start]);
        found.push_str(if length == ID_LENGTH { "<48 hex digits>" } else { word });
        rest = &rest[start + length..];
    }
    found + rest
}

/// Times, whose form is part of the contract: their digits are not.
fn without_times(text: &str) -> String {
    const FORM: &str = "dddd-dd-ddTdd:dd:dd";
    let is_time = |text: &[u8]| {
        text.iter()
            .zip(FORM.bytes())
            .all(|(&c, form)| if form == b'd' { c.is_ascii_digit() } else { c == form })
    };
    let mut found = text.as_bytes().to_vec();
    let mut at = 0;
    while at + FORM.len() <= found.len() {
        if is_time(&found[at..at + FORM.len()]) {
            found[at..at + FORM.len()].copy_from_slice(FORM.as_bytes());
            at += FORM.len();
            if found.get(at) == Some(&b'.') {
                for c in found[at + 1..].iter_mut().take_while(|c| c.is_ascii_digit()) {
                    *c = b'd';
                }
            }
        } else {
            at += 1;
        }
    }
    String::from_utf8(found).unwrap()
}
