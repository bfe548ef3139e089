//! The page for people, as a browser gets it.

use std::collections::BTreeSet;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use tower::ServiceExt;

use crate::service::Service;

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

async fn send(service: &Service, request: Request<Body>) -> Answer {
    let (parts, body) = service.rest.clone().oneshot(request).await.unwrap().into_parts();
    let text = String::from_utf8(to_bytes(body, 1 << 24).await.unwrap().to_vec()).unwrap();
    Answer { status: parts.status, headers: parts.headers, text }
}

async fn get(service: &Service, path: &str) -> Answer {
    send(service, Request::get(path).body(Body::empty()).unwrap()).await
}

/// What stands between `start` and `end`, each time.
fn between<'t>(text: &'t str, start: &str, end: char) -> Vec<&'t str> {
    text.match_indices(start).filter_map(|(at, _)| text[at + start.len()..].split(end).next()).collect()
}

/// All files of the page by their paths, found as a browser finds them: those that the page names, and those that they
/// name in turn.
async fn files(service: &Service) -> Vec<(String, Answer)> {
    let mut found: Vec<(String, Answer)> = Vec::new();
    let mut known = BTreeSet::new();
    let mut next = vec!["/".to_owned()];
    while let Some(path) = next.pop() {
        if !known.insert(path.clone()) {
            continue;
        }
        let file = get(service, &path).await;
        assert_eq!(file.status, 200, "{path}");
        let names = ["src=\"", "href=\""].iter().flat_map(|start| between(&file.text, start, '"'));
        next.extend(names.filter(|name| name.starts_with("page/")).map(|name| format!("/{name}")));
        let imports = between(&file.text, "from \"./", '"').into_iter();
        next.extend(imports.map(|name| format!("/page/{name}")));
        found.push((path, file));
    }
    found
}

#[tokio::test]
async fn every_file_of_the_page_is_served_and_guarded() {
    let files = files(&Service::new()).await;
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/page")).unwrap();
    assert_eq!(files.len(), folder.count(), "every file is used, and every one that is used is there");
    for (path, file) in &files {
        let kind = match path.rsplit_once('.').map(|(_, extension)| extension) {
            None => "text/html; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            Some("js") => "text/javascript; charset=utf-8",
            other => panic!("{path}: {other:?}"),
        };
        assert_eq!(file.headers["content-type"], kind, "{path}");
        assert_eq!(file.headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(file.headers["referrer-policy"], "no-referrer", "{path}");
        assert_eq!(file.headers["cache-control"], "no-cache", "{path}");
        let policy = file.headers["content-security-policy"].to_str().unwrap();
        let rules: Vec<_> = policy.split("; ").collect();
        for rule in ["default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"]
        {
            assert!(rules.contains(&rule), "{path}: {policy}");
        }
        for word in ["unsafe", "http", "data:", "blob:", "*"] {
            assert!(!policy.contains(word), "{path}: {policy}");
        }
    }
}

#[tokio::test]
async fn nothing_comes_from_elsewhere_and_nothing_is_in_line() {
    for (path, file) in files(&Service::new()).await {
        // a name space, not an address
        let text = file.text.replace("http://www.w3.org/2000/svg", "");
        for elsewhere in ["http:", "https:", "\"//", "@import", "url(\"", "url('"] {
            assert!(!text.contains(elsewhere), "{path} has {elsewhere}");
        }
        // what the policy would refuse, or what could make code or markup of text
        for refused in
            [" style=", "<style", " onclick=", "javascript:", "innerHTML", "eval(", "document.write"]
        {
            assert!(!text.contains(refused), "{path} has {refused}");
        }
        for kept in ["localStorage", "sessionStorage", "indexedDB", "document.cookie"] {
            assert!(!text.contains(kept), "{path}: the token is kept nowhere");
        }
        for script in between(&text, "<script", '<') {
            assert!(script.contains("src=") && script.ends_with('>'), "{path}: a script in line");
        }
    }
}

#[tokio::test]
async fn the_page_is_not_sent_again_to_whoever_has_it() {
    let service = Service::new();
    for path in ["/", "/page/page.js"] {
        let etag = get(&service, path).await.headers["etag"].to_str().unwrap().to_owned();
        for (known, status) in
            [(&*etag, 304), (&*format!("\"a\", W/{etag}"), 304), ("*", 304), ("\"another\"", 200), ("", 200)]
        {
            let request = Request::get(path).header("if-none-match", known).body(Body::empty()).unwrap();
            let answer = send(&service, request).await;
            assert_eq!(answer.status, status, "{path} {known}");
            assert_eq!(answer.headers["etag"], *etag);
            assert_eq!(answer.text.is_empty(), status == 304);
        }
    }
    let head = send(&service, Request::head("/").body(Body::empty()).unwrap()).await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
}

#[tokio::test]
async fn there_are_no_other_files_and_the_api_is_as_it_was() {
    let service = Service::new();
    for path in [
        "/page",
        "/page/",
        "/page/index.html",
        "/page/..%2Findex.html",
        "/page/%ff",
        "/page/a/b",
        "/index.html",
    ] {
        let answer = get(&service, path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{path}");
    }
    let answer = send(&service, Request::post("/").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 405);
    assert!(answer.headers["allow"].to_str().unwrap().contains("GET"));
    let status = service.call("GET", "/status", None, Value::Null).await;
    assert_eq!(status.status, 200);
    assert!(!status.headers.contains_key("content-security-policy"), "{status:?}");
}

#[tokio::test]
async fn requests_for_the_page_count_like_any_others() {
    let service = Service::with(|app, _| {
        let one = std::num::NonZeroU32::MIN;
        let rates = api::limits::throttle::Rates { requests: Some(one), burst: one };
        app.throttle = api::limits::throttle::Throttle::new(rates);
    });
    assert_eq!(get(&service, "/").await.status, 200);
    let refused = get(&service, "/page/page.css").await;
    assert_eq!((refused.status.as_u16(), &refused.headers["retry-after"]), (503, &"1".parse().unwrap()));
}
