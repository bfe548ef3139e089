//! Lists in pages.

use serde_json::Value;

use crate::service::Service;

/// All items, page by page, and how many pages there were.
async fn pages(service: &Service, path: &str, token: Option<&str>, limit: usize) -> (Vec<Value>, usize) {
    let (mut query, mut items, mut count) = (format!("?limit={limit}"), Vec::new(), 0);
    loop {
        let answer = service.call("GET", &format!("{path}{query}"), token, Value::Null).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let page = answer.body.as_array().unwrap();
        assert!(page.len() <= limit);
        items.extend(page.iter().cloned());
        count += 1;
        let Some(link) = answer.headers.get("link") else { return (items, count) };
        let link = link.to_str().unwrap();
        query = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned();
    }
}

#[tokio::test]
async fn lists_come_in_pages_for_those_who_ask_and_whole_for_all_others() {
    let service = Service::with(|app, _| app.lists_all_projects = true);
    let project = service.create_of_type("groups").await;
    for _ in 0..4 {
        service.create_of_type("groups").await;
        service.create_run(&project).await;
    }
    let runs = format!("/projects/{}/runs", project.id);
    for (path, token, most) in [("/projects", None, 5), (runs.as_str(), Some(project.result.as_str()), 4)] {
        let whole = service.call("GET", path, token, Value::Null).await;
        assert!(!whole.headers.contains_key("link"), "an old client sees no difference");
        let whole = whole.body.as_array().unwrap().clone();
        assert_eq!(whole.len(), most);
        for (limit, count) in [(1, most), (2, most.div_ceil(2)), (most, 1), (1000, 1)] {
            assert_eq!(
                pages(&service, path, token, limit).await,
                (whole.clone(), count),
                "{path} by {limit}"
            );
        }
        for query in ["limit=0", "limit=1001", "limit=x", "limit=1&limit=2", "cursor=x", "cursor="] {
            service.call("GET", &format!("{path}?{query}"), token, Value::Null).await.problem(400);
        }
    }
}
