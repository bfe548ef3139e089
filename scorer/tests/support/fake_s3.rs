//! An S3 store in memory that fails as it is told to: by answers, or by breaking the connection off.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use scorer::store::{Store, StoreArgs};

/// What a store answers in place of doing what it is asked.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// A status, a code and a message.
    Answer(u16, &'static str, &'static str),
    /// It does what it is asked, but its answer is lost.
    LoseAnswer,
    /// It sends so many bytes of an object, and no more.
    BreakOff(usize),
    /// It answers a request to delete many objects with a success that says of each that it has failed.
    DeleteFails(&'static str),
    /// It forgets an upload.
    ForgetUpload,
}

/// Of a request by its method and its path with query: whether it fails.
type Decide = Box<dyn FnMut(&str) -> Option<Fault> + Send>;

#[derive(Default)]
struct Content {
    objects: BTreeMap<String, Bytes>,
    uploads: BTreeMap<String, BTreeMap<u32, Bytes>>,
    /// Key, number, and whether it is a marker.
    versions: BTreeSet<(String, u64, bool)>,
    keeps_versions: bool,
    counter: u64,
    requests: Vec<String>,
}

/// A running store with the bucket `fake`; stopped when its runtime is.
#[derive(Clone)]
pub struct FakeS3 {
    content: Arc<Mutex<Content>>,
    decide: Arc<Mutex<Option<Decide>>>,
    endpoint: String,
}

impl FakeS3 {
    pub async fn start() -> Self {
        Self::start_on(0).await
    }

    /// On a port, or on any.
    pub async fn start_on(port: u16) -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let fake = Self { content: Arc::default(), decide: Arc::default(), endpoint };
        let router = axum::Router::new().fallback(answer).with_state(fake.clone());
        let router = router.layer(axum::extract::DefaultBodyLimit::disable());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        fake
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub async fn store(&self) -> Store {
        let args = StoreArgs {
            store_url: "s3://fake/p".into(),
            store_endpoint: Some(self.endpoint.clone()),
            store_region: "us-east-1".into(),
            store_create_bucket: false,
            store_credentials_file: None,
        };
        args.open().await.unwrap()
    }

    /// Decides from now on which requests fail.
    pub fn fail(&self, decide: impl FnMut(&str) -> Option<Fault> + Send + 'static) {
        *self.decide.lock().unwrap() = Some(Box::new(decide));
    }

    /// The next so many requests fail of those whose method, path and query contain a text.
    pub fn fail_next(&self, mut times: u32, request: &'static str, fault: Fault) {
        self.fail(move |seen| {
            let fails = times > 0 && seen.contains(request);
            times -= u32::from(fails);
            fails.then_some(fault)
        });
    }

    pub fn recover(&self) {
        *self.decide.lock().unwrap() = None;
    }

    pub fn keep_versions(&self) {
        self.content().keeps_versions = true;
    }

    pub fn requests(&self) -> Vec<String> {
        self.content().requests.clone()
    }

    /// Puts an object there.
    pub fn insert(&self, key: &str, content: Vec<u8>) {
        self.content().objects.insert(format!("p/{key}"), content.into());
    }

    pub fn has(&self, key: &str) -> bool {
        self.content().objects.contains_key(&format!("p/{key}"))
    }

    /// Versions and markers.
    pub fn versions(&self) -> usize {
        self.content().versions.len()
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap()
    }
}

/// One request.
struct Asked {
    method: Method,
    key: String,
    query: BTreeMap<String, String>,
    range: Option<(usize, usize)>,
    body: Bytes,
}

async fn answer(
    State(fake): State<FakeS3>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let asked = Asked::of(method, &uri, &headers, body);
    let line = format!("{} {uri}", asked.method);
    fake.content().requests.push(line.clone());
    let fault = fake.decide.lock().unwrap().as_mut().and_then(|decide| decide(&line));
    match fault {
        None => fake.content().respond(&asked),
        Some(Fault::Answer(status, code, message)) => refusal(status, code, message),
        Some(Fault::LoseAnswer) => {
            fake.content().respond(&asked);
            refusal(503, "ServiceUnavailable", "the answer is lost")
        }
        Some(Fault::DeleteFails(code)) => {
            fake.content().respond(&asked);
            xml(&format!("<DeleteResult><Error><Key>p/t/a</Key><Code>{code}</Code></Error></DeleteResult>"))
        }
        Some(Fault::ForgetUpload) => {
            fake.content().uploads.clear();
            refusal(404, "NoSuchUpload", "it is gone")
        }
        Some(Fault::BreakOff(bytes)) => {
            let whole = fake.content().respond(&asked);
            broken_off(whole, bytes).await
        }
    }
}

async fn broken_off(whole: Response<Body>, bytes: usize) -> Response<Body> {
    let (mut parts, body) = whole.into_parts();
    let content = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    parts.headers.insert("content-length", content.len().into());
    let start = content.slice(..bytes.min(content.len()));
    let cut = futures::stream::iter([Ok(start), Err(std::io::Error::other("broken off"))]);
    Response::from_parts(parts, Body::from_stream(cut))
}

impl Asked {
    fn of(method: Method, uri: &Uri, headers: &HeaderMap, body: Bytes) -> Self {
        let range = headers.get("range").and_then(|range| {
            let (first, last) = range.to_str().ok()?.strip_prefix("bytes=")?.split_once('-')?;
            Some((first.parse().ok()?, last.parse().ok()?))
        });
        let query = uri.query().unwrap_or_default().split('&').map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name.to_owned(), value.replace("%2F", "/"))
        });
        let key = uri.path().trim_start_matches("/fake").trim_start_matches('/').to_owned();
        Self { method, key, query: query.collect(), range, body }
    }

    fn is(&self, parameter: &str) -> bool {
        self.query.contains_key(parameter)
    }

    fn parameter(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }
}

impl Content {
    fn respond(&mut self, asked: &Asked) -> Response<Body> {
        match asked.method.as_str() {
            "POST" if asked.is("delete") => self.delete_many(&asked.body),
            "POST" if asked.is("uploads") => self.begin(),
            "POST" => self.complete(asked),
            "PUT" if asked.is("partNumber") => self.part(asked),
            "PUT" => self.put(asked.key.clone(), asked.body.clone()),
            "DELETE" if asked.is("uploadId") => {
                self.uploads.remove(asked.parameter("uploadId"));
                empty(204)
            }
            "DELETE" => {
                let marker = self.delete(&asked.key, asked.query.get("versionId").map(String::as_str));
                let answer = Response::builder().status(204);
                answer.header("x-amz-delete-marker", marker.to_string()).body(Body::empty()).unwrap()
            }
            "GET" if asked.is("uploads") => xml("<ListMultipartUploadsResult></ListMultipartUploadsResult>"),
            "GET" if asked.is("versions") => self.list_versions(asked.parameter("prefix")),
            "GET" if asked.is("list-type") => self.list(asked.parameter("prefix")),
            _ if asked.key.is_empty() => empty(200),
            _ => self.get(asked),
        }
    }

    fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    fn put(&mut self, key: String, content: Bytes) -> Response<Body> {
        if self.keeps_versions {
            let version = self.next();
            self.versions.insert((key.clone(), version, false));
        }
        self.objects.insert(key, content);
        empty(200)
    }

    fn get(&self, asked: &Asked) -> Response<Body> {
        let Some(content) = self.objects.get(&asked.key) else {
            return refusal(404, "NoSuchKey", "there is none");
        };
        let answer = Response::builder().header("etag", format!("\"{}\"", content.len()));
        if asked.method == Method::HEAD {
            return answer.header("content-length", content.len()).body(Body::empty()).unwrap();
        }
        let content = match asked.range {
            Some((first, _)) if first >= content.len() => return refusal(416, "InvalidRange", "beyond"),
            Some((first, last)) => content.slice(first..content.len().min(last + 1)),
            None => content.clone(),
        };
        answer.status(if asked.range.is_some() { 206 } else { 200 }).body(content.into()).unwrap()
    }

    /// Tells whether a marker is left.
    fn delete(&mut self, key: &str, version: Option<&str>) -> bool {
        if let Some(version) = version {
            self.versions.retain(|(kept, number, _)| kept != key || number.to_string() != version);
            return false;
        }
        self.objects.remove(key);
        if self.keeps_versions {
            let version = self.next();
            self.versions.insert((key.to_owned(), version, true));
        }
        self.keeps_versions
    }

    fn delete_many(&mut self, body: &[u8]) -> Response<Body> {
        let text = std::str::from_utf8(body).unwrap().to_owned();
        let mut answer = String::new();
        for object in text.split("<Object>").skip(1) {
            let key = between(object, "Key").unwrap();
            let marker = self.delete(key, between(object, "VersionId"));
            answer += &format!("<Deleted><Key>{key}</Key><DeleteMarker>{marker}</DeleteMarker></Deleted>");
        }
        xml(&format!("<DeleteResult>{answer}</DeleteResult>"))
    }

    fn begin(&mut self) -> Response<Body> {
        let id = format!("upload{}", self.next());
        self.uploads.insert(id.clone(), BTreeMap::new());
        xml(&format!(
            "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
        ))
    }

    fn part(&mut self, asked: &Asked) -> Response<Body> {
        let Some(parts) = self.uploads.get_mut(asked.parameter("uploadId")) else {
            return refusal(404, "NoSuchUpload", "there is none");
        };
        parts.insert(asked.parameter("partNumber").parse().unwrap(), asked.body.clone());
        Response::builder().header("etag", "\"part\"").body(Body::empty()).unwrap()
    }

    fn complete(&mut self, asked: &Asked) -> Response<Body> {
        let Some(parts) = self.uploads.remove(asked.parameter("uploadId")) else {
            return refusal(404, "NoSuchUpload", "there is none");
        };
        let whole: Vec<u8> = parts.into_values().flatten().collect();
        self.put(asked.key.clone(), whole.into());
        xml("<CompleteMultipartUploadResult></CompleteMultipartUploadResult>")
    }

    fn list(&self, prefix: &str) -> Response<Body> {
        let objects = self.objects.iter().filter(|(key, _)| key.starts_with(prefix));
        let listed: String = objects
            .map(|(key, content)| {
                format!("<Contents><Key>{key}</Key><Size>{}</Size></Contents>", content.len())
            })
            .collect();
        xml(&format!("<ListBucketResult>{listed}</ListBucketResult>"))
    }

    fn list_versions(&self, prefix: &str) -> Response<Body> {
        let versions = self.versions.iter().filter(|(key, ..)| key.starts_with(prefix));
        let listed: String = versions
            .map(|(key, version, marker)| {
                let kind = if *marker { "DeleteMarker" } else { "Version" };
                format!("<{kind}><Key>{key}</Key><VersionId>{version}</VersionId></{kind}>")
            })
            .collect();
        xml(&format!("<ListVersionsResult>{listed}</ListVersionsResult>"))
    }
}

fn between<'a>(text: &'a str, tag: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{tag}>"))?;
    Some(rest.split_once(&format!("</{tag}>"))?.0)
}

fn empty(status: u16) -> Response<Body> {
    Response::builder().status(status).body(Body::empty()).unwrap()
}

fn xml(text: &str) -> Response<Body> {
    let answer = Response::builder().header("content-type", "application/xml");
    answer.body(Body::from(format!("<?xml version=\"1.0\"?>{text}"))).unwrap()
}

fn refusal(status: u16, code: &str, message: &str) -> Response<Body> {
    let mut answer = xml(&format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>"));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    answer
}
