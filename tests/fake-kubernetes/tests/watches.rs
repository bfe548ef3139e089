//! Watches tell what changes, as kube's watcher needs it.

use std::pin::Pin;

use fake_kubernetes::{FakeKubernetes, Fault, Refusal, Verb};
use futures::{Stream, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, PostParams, WatchEvent, WatchParams};
use kube::runtime::watcher;
use kube::{Api, ResourceExt};
use serde_json::json;

type Events = Pin<Box<dyn Stream<Item = watcher::Result<watcher::Event<Pod>>> + Send>>;

fn pod(kubernetes: &FakeKubernetes, name: &str, app: &str) {
    kubernetes.create("pods", json!({"metadata": {"name": name, "labels": {"app": app}}}));
}

fn watch(kubernetes: &FakeKubernetes, config: watcher::Config) -> Events {
    watcher(Api::default_namespaced(kubernetes.client()), config).boxed()
}

async fn next(events: &mut Events) -> String {
    let event = tokio::time::timeout(std::time::Duration::from_secs(20), events.next()).await;
    match event.expect("an event in time").expect("a watcher never ends") {
        Ok(event) => event.to_string(),
        Err(error) => format!("error: {error}"),
    }
}

async fn follow(config: watcher::Config) {
    let kubernetes = FakeKubernetes::new("linkage");
    pod(&kubernetes, "early", "x");
    let mut events = watch(&kubernetes, config);
    for expected in ["Init", "InitApply(early)", "InitDone"] {
        assert_eq!(next(&mut events).await, expected);
    }
    pod(&kubernetes, "late", "x");
    assert_eq!(next(&mut events).await, "Apply(late)");
    kubernetes.change("pods", "early", |pod| pod["status"] = json!({"phase": "Running"}));
    assert_eq!(next(&mut events).await, "Apply(early)");
    kubernetes.delete("pods", "late");
    assert_eq!(next(&mut events).await, "Delete(late)");
    kubernetes.end_watches();
    pod(&kubernetes, "later", "x");
    assert_eq!(next(&mut events).await, "Apply(later)");
}

#[tokio::test]
async fn a_watcher_sees_what_is_there_and_all_that_follows() {
    follow(watcher::Config::default()).await;
}

#[tokio::test]
async fn a_watcher_with_streaming_lists_does_too() {
    follow(watcher::Config::default().streaming_lists()).await;
}

#[tokio::test]
async fn a_watcher_sees_what_comes_to_fit_its_selector_and_what_ceases_to() {
    let kubernetes = FakeKubernetes::new("linkage");
    pod(&kubernetes, "p", "other");
    let mut events = watch(&kubernetes, watcher::Config::default().labels("app=mine"));
    assert_eq!([next(&mut events).await, next(&mut events).await], ["Init", "InitDone"]);
    kubernetes.change("pods", "p", |pod| pod["metadata"]["labels"]["app"] = json!("mine"));
    assert_eq!(next(&mut events).await, "Apply(p)");
    kubernetes.change("pods", "p", |pod| pod["metadata"]["labels"]["app"] = json!("other"));
    assert_eq!(next(&mut events).await, "Delete(p)");
}

#[tokio::test]
async fn who_watches_from_too_far_back_begins_anew() {
    let kubernetes = FakeKubernetes::new("linkage");
    let mut events = watch(&kubernetes, watcher::Config::default());
    assert_eq!([next(&mut events).await, next(&mut events).await], ["Init", "InitDone"]);
    pod(&kubernetes, "p", "x");
    kubernetes.forget_history();
    assert!(next(&mut events).await.contains("too old resource version"));
    assert_eq!([next(&mut events).await, next(&mut events).await], ["Init", "InitApply(p)"]);
}

#[tokio::test]
async fn a_watcher_goes_on_when_the_api_server_is_back() {
    let kubernetes = FakeKubernetes::new("linkage");
    let mut events = watch(&kubernetes, watcher::Config::default());
    assert_eq!([next(&mut events).await, next(&mut events).await], ["Init", "InitDone"]);
    kubernetes.fail(Fault::refuses_connection());
    assert!(next(&mut events).await.starts_with("error"));
    pod(&kubernetes, "meanwhile", "x");
    kubernetes.heal();
    assert_eq!(next(&mut events).await, "Apply(meanwhile)");
}

#[tokio::test]
async fn a_watch_that_ends_by_its_time_says_how_far_it_was() {
    let kubernetes = FakeKubernetes::new("linkage");
    pod(&kubernetes, "other", "other");
    let version = kubernetes.get("pods", "other").unwrap()["metadata"]["resourceVersion"].clone();
    let pods: Api<Pod> = Api::default_namespaced(kubernetes.client());
    let parameters = WatchParams::default().labels("app=mine").timeout(1);
    let events: Vec<_> = pods.watch(&parameters, "0").await.unwrap().try_collect().await.unwrap();
    let [WatchEvent::Bookmark(bookmark)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(json!(bookmark.metadata.resource_version), version);
}

#[tokio::test]
async fn faults_happen_to_the_requests_they_name_as_often_as_they_say() {
    let kubernetes = FakeKubernetes::new("linkage");
    let pods: Api<Pod> = Api::default_namespaced(kubernetes.client());
    let new = |name: &str| serde_json::from_value::<Pod>(json!({"metadata": {"name": name}})).unwrap();
    let post = PostParams::default();
    let message = |result: kube::Result<Pod>| match result.unwrap_err() {
        kube::Error::Api(status) => format!("{} {}: {}", status.code, status.reason, status.message),
        other => format!("broken: {other}"),
    };

    let quota = Refusal::quota_exceeded("pods", "p", "few", "pods");
    kubernetes.fail(Fault::refuses(quota).on(Verb::Create, "pods").named("p").once());
    let refused = message(pods.create(&post, &new("p")).await);
    let expected = "403 Forbidden: pods \"p\" is forbidden: exceeded quota: few, requested: pods=1, used: pods=5, \
                    limited: pods=5";
    assert_eq!(refused, expected);
    assert_eq!(pods.create(&post, &new("p")).await.unwrap().name_any(), "p");

    kubernetes.fail(Fault::loses_answer().on(Verb::Create, "pods").once());
    assert!(message(pods.create(&post, &new("lost")).await).starts_with("broken"));
    assert!(kubernetes.get("pods", "lost").is_some(), "the write was done");

    kubernetes.fail(Fault::hangs().on(Verb::Delete, "pods"));
    let parameters = DeleteParams::default();
    let forever = pods.delete("lost", &parameters);
    let asked =
        kubernetes.until("the deletion", |k| k.requests().iter().find(|r| r.verb == Verb::Delete).cloned());
    tokio::select! {
        request = asked => assert_eq!(request.to_string(), "delete pods/lost"),
        answer = forever => panic!("{answer:?}"),
    }
    assert!(kubernetes.get("pods", "lost").is_some());

    for (refusal, says) in [
        (Refusal::too_many_requests(3), "429 TooManyRequests"),
        (Refusal::internal_error("webhook"), "500 InternalError: Internal error occurred: webhook"),
        (Refusal::timeout(), "504 Timeout"),
        (
            Refusal::invalid(
                "Job.batch",
                "j",
                &[("spec.a", "Required value"), ("spec.b", "Invalid value: 1")],
            ),
            "422 Invalid: Job.batch \"j\" is invalid: [spec.a: Required value, spec.b: Invalid value: 1]",
        ),
    ] {
        kubernetes.heal();
        kubernetes.fail(Fault::refuses(refusal));
        let said = message(pods.get("p").await);
        assert!(said.starts_with(says), "{said}");
    }
    kubernetes.heal();
    assert!(pods.get("p").await.is_ok());
}
