//! Objects are kept by the rules of the real API server.

use std::collections::BTreeMap;

use crds::LinkageRun;
use fake_kubernetes::{FakeKubernetes, Verb};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy};
use kube::{Api, Error, ResourceExt};
use serde_json::{Value, json};

fn run(name: &str) -> Value {
    json!({"apiVersion": "pprl.dev/v1alpha1", "kind": "LinkageRun", "metadata": {"name": name},
        "spec": {"projectRef": {"name": "p"}, "threshold": 0.8}})
}

fn job(name: &str) -> Value {
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "labels": {"app": name}}})
}

fn owned_by(owner: &Value, mut object: Value) -> Value {
    let reference = json!({"apiVersion": owner["apiVersion"], "kind": owner["kind"],
        "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]});
    object["metadata"]["ownerReferences"] = json!([reference]);
    object
}

fn typed<T: serde::de::DeserializeOwned>(object: Value) -> T {
    serde_json::from_value(object).expect("an object of its type")
}

fn refused<T: std::fmt::Debug>(result: kube::Result<T>) -> (u16, String, String) {
    match result.expect_err("it is refused") {
        Error::Api(status) => (status.code, status.reason.clone(), status.message.clone()),
        other => panic!("not a refusal: {other}"),
    }
}

fn with_finalizer(kubernetes: &FakeKubernetes, plural: &str, name: &str) {
    kubernetes.change(plural, name, |object| object["metadata"]["finalizers"] = json!(["pprl.dev/purge"]));
}

#[tokio::test]
async fn what_is_created_has_what_the_server_adds_and_exists_once() {
    let kubernetes = FakeKubernetes::new("linkage");
    let jobs: Api<Job> = Api::default_namespaced(kubernetes.client());
    let mut wanted = job("j");
    wanted["status"] = json!({"active": 1});
    let created = jobs.create(&PostParams::default(), &typed(wanted.clone())).await.unwrap();
    assert_eq!((created.namespace().as_deref(), created.metadata.generation), (Some("linkage"), Some(1)));
    assert!(created.uid().is_some() && created.creation_timestamp().is_some());
    assert!(created.resource_version().is_some());
    assert_eq!(created.status, None, "a status is not created by clients");

    let again = refused(jobs.create(&PostParams::default(), &typed(wanted)).await);
    assert_eq!(again, (409, "AlreadyExists".into(), "jobs.batch \"j\" already exists".into()));
    let absent = refused(jobs.get("absent").await);
    assert_eq!(absent, (404, "NotFound".into(), "jobs.batch \"absent\" not found".into()));
}

#[tokio::test]
async fn the_server_finds_a_name_for_what_has_only_its_start() {
    let kubernetes = FakeKubernetes::new("linkage");
    let pods: Api<Pod> = Api::default_namespaced(kubernetes.client());
    let pod: Pod = typed(json!({"metadata": {"generateName": "job-"}}));
    let first = pods.create(&PostParams::default(), &pod).await.unwrap().name_any();
    let second = pods.create(&PostParams::default(), &pod).await.unwrap().name_any();
    assert!(first.starts_with("job-") && first.len() > 4 && first != second, "{first} {second}");
}

#[tokio::test]
async fn the_status_and_all_else_are_written_apart() {
    let kubernetes = FakeKubernetes::new("linkage");
    kubernetes.create("linkageruns", run("r"));
    let runs: Api<LinkageRun> = Api::default_namespaced(kubernetes.client());
    let old = runs.get("r").await.unwrap();

    let mut changed = old.clone();
    changed.spec.suspend = true;
    changed.status = Some(typed(json!({"pairs": 7})));
    let changed = runs.replace("r", &PostParams::default(), &changed).await.unwrap();
    assert_eq!((changed.spec.suspend, changed.status.is_some()), (true, false));
    assert_eq!(changed.metadata.generation, Some(2));

    let mut status = changed.clone();
    status.spec.suspend = false;
    status.status = Some(typed(json!({"pairs": 7})));
    let status = runs.replace_status("r", &PostParams::default(), &status).await.unwrap();
    assert_eq!((status.spec.suspend, status.status.and_then(|status| status.pairs)), (true, Some(7)));
    assert_eq!(status.metadata.generation, Some(2));

    let stale = refused(runs.replace_status("r", &PostParams::default(), &old).await);
    assert_eq!((stale.0, stale.1.as_str()), (409, "Conflict"));
}

#[tokio::test]
async fn a_write_that_changes_nothing_is_none() {
    let kubernetes = FakeKubernetes::new("linkage");
    let maps: Api<ConfigMap> = Api::default_namespaced(kubernetes.client());
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"a": "1"}});
    let apply = PatchParams::apply("test").force();
    let first = maps.patch("m", &apply, &Patch::Apply(&map)).await.unwrap();
    let second = maps.patch("m", &apply, &Patch::Apply(&map)).await.unwrap();
    assert_eq!(first.resource_version(), second.resource_version());
    let third = maps.replace("m", &PostParams::default(), &second).await.unwrap();
    assert_eq!(first.resource_version(), third.resource_version());
}

#[tokio::test]
async fn patches_merge_and_keep_what_they_do_not_name() {
    let kubernetes = FakeKubernetes::new("linkage");
    let secrets: Api<Secret> = Api::default_namespaced(kubernetes.client());
    let apply = PatchParams::apply("test");
    let tokens = |name: &str| json!({"apiVersion": "v1", "kind": "Secret", "stringData": {name: "secret"}});
    secrets.patch("s", &apply, &Patch::Apply(tokens("a"))).await.unwrap();
    let secret = secrets.patch("s", &apply, &Patch::Apply(tokens("b"))).await.unwrap();
    let data: BTreeMap<_, _> = secret.data.unwrap();
    assert_eq!(
        data.into_iter().map(|(name, value)| (name, value.0)).collect::<Vec<_>>(),
        [("a".to_owned(), b"secret".to_vec()), ("b".to_owned(), b"secret".to_vec())]
    );

    let merge = |patch: Value| Patch::Merge(patch);
    let none = PatchParams::default();
    let removed = secrets.patch("s", &none, &merge(json!({"data": {"a": null}}))).await.unwrap();
    assert_eq!(removed.data.unwrap().len(), 1);
    let stale = merge(json!({"metadata": {"resourceVersion": secret.metadata.resource_version}}));
    assert_eq!(refused(secrets.patch("s", &none, &stale).await).0, 409);

    let json_patch = typed(json!([{"op": "add", "path": "/metadata/labels", "value": {"x": "y"}}]));
    let labelled = secrets.patch("s", &none, &Patch::Json::<()>(json_patch)).await.unwrap();
    assert_eq!(labelled.labels()["x"], "y");
}

#[tokio::test]
async fn a_deletion_keeps_its_preconditions_and_waits_for_the_last_finalizer() {
    let kubernetes = FakeKubernetes::new("linkage");
    let uid = kubernetes.create("linkageruns", run("r"))["metadata"]["uid"].as_str().unwrap().to_owned();
    let runs: Api<LinkageRun> = Api::default_namespaced(kubernetes.client());
    let of = |uid: &str| {
        let preconditions = Preconditions { uid: Some(uid.into()), resource_version: None };
        DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() }
    };
    let refusal = refused(runs.delete("r", &of("another")).await);
    assert_eq!((refusal.0, refusal.1.as_str()), (409, "Conflict"));
    assert!(refusal.2.contains("UID in the precondition (another)"), "{}", refusal.2);

    with_finalizer(&kubernetes, "linkageruns", "r");
    let marked = runs.delete("r", &of(&uid)).await.unwrap().left().unwrap();
    assert!(marked.metadata.deletion_timestamp.is_some());
    assert_eq!(marked.metadata.generation, Some(2));
    let more = Patch::Merge(json!({"metadata": {"finalizers": ["pprl.dev/purge", "another"]}}));
    assert_eq!(refused(runs.patch("r", &PatchParams::default(), &more).await).0, 422);
    let none = Patch::Merge(json!({"metadata": {"finalizers": []}}));
    runs.patch("r", &PatchParams::default(), &none).await.unwrap();
    assert_eq!(kubernetes.get("linkageruns", "r"), None);
    assert!(runs.delete("r", &DeleteParams::default()).await.is_err());
}

#[tokio::test]
async fn what_is_owned_goes_with_the_last_owner_unless_it_is_orphaned() {
    let kubernetes = FakeKubernetes::new("linkage");
    let run = kubernetes.create("linkageruns", run("r"));
    for name in ["kept", "goes"] {
        let job = kubernetes.create("jobs", owned_by(&run, job(name)));
        kubernetes.create("pods", owned_by(&job, json!({"metadata": {"name": name}})));
    }
    let jobs: Api<Job> = Api::default_namespaced(kubernetes.client());
    jobs.delete("kept", &DeleteParams::default()).await.unwrap();
    let orphan =
        kubernetes.get("pods", "kept").expect("a Job that is deleted without a policy leaves its pods");
    assert_eq!(orphan["metadata"]["ownerReferences"], json!([]));

    with_finalizer(&kubernetes, "pods", "goes");
    let runs: Api<LinkageRun> = Api::default_namespaced(kubernetes.client());
    let policy = Some(PropagationPolicy::Background);
    runs.delete("r", &DeleteParams { propagation_policy: policy, ..DeleteParams::default() }).await.unwrap();
    assert_eq!(kubernetes.get("jobs", "goes"), None);
    assert!(kubernetes.get("pods", "goes").unwrap()["metadata"]["deletionTimestamp"].is_string());
    kubernetes.change("pods", "goes", |pod| pod["metadata"]["finalizers"] = json!([]));
    assert_eq!(kubernetes.all("pods").len(), 1);
}

#[tokio::test]
async fn a_namespace_that_ends_takes_nothing_more_and_waits_for_finalizers() {
    let kubernetes = FakeKubernetes::new("linkage");
    kubernetes.create("linkageruns", run("held"));
    with_finalizer(&kubernetes, "linkageruns", "held");
    kubernetes.create("jobs", job("j"));
    kubernetes.delete("namespaces", "linkage");
    assert_eq!(kubernetes.all("jobs"), Vec::<Value>::new());
    let jobs: Api<Job> = Api::default_namespaced(kubernetes.client());
    let refusal = refused(jobs.create(&PostParams::default(), &typed(job("late"))).await);
    assert_eq!(refusal.1, "Forbidden");
    assert!(refusal.2.contains("because it is being terminated"), "{}", refusal.2);
    assert!(kubernetes.get("namespaces", "linkage").is_some());
    kubernetes.change("linkageruns", "held", |run| run["metadata"]["finalizers"] = json!([]));
    assert_eq!(kubernetes.get("namespaces", "linkage"), None);
}

#[tokio::test]
async fn lists_are_by_labels_and_name_in_pages_and_as_metadata() {
    let kubernetes = FakeKubernetes::new("linkage");
    for name in ["a", "b", "c"] {
        kubernetes.create("jobs", job(name));
    }
    let jobs: Api<Job> = Api::default_namespaced(kubernetes.client());
    let names = async |parameters: ListParams| {
        let list = jobs.list(&parameters).await.unwrap();
        list.items.iter().map(ResourceExt::name_any).collect::<Vec<_>>().join(" ")
    };
    let labels = |selector: &str| ListParams::default().labels(selector);
    assert_eq!(names(ListParams::default()).await, "a b c");
    assert_eq!(names(labels("app=b")).await, "b");
    assert_eq!(names(labels("app in (a,c)")).await, "a c");
    assert_eq!(names(labels("app notin (a,c),app")).await, "b");
    assert_eq!(names(labels("app!=a,app!=b")).await, "c");
    assert_eq!(names(labels("!app")).await, "");
    assert_eq!(names(ListParams::default().fields("metadata.name=c")).await, "c");
    let page = jobs.list(&ListParams::default().limit(2)).await.unwrap();
    let next = ListParams::default().limit(2).continue_token(&page.metadata.continue_.unwrap());
    assert_eq!(names(next).await, "c");
    let metadata = jobs.list_metadata(&labels("app=a")).await.unwrap();
    assert_eq!(metadata.items[0].types.as_ref().unwrap().kind, "PartialObjectMetadata");
}

#[tokio::test]
async fn the_requests_of_clients_are_told_and_those_of_the_test_are_not() {
    let kubernetes = FakeKubernetes::new("linkage");
    kubernetes.create("linkageruns", run("r"));
    let runs: Api<LinkageRun> = Api::default_namespaced(kubernetes.client());
    let run = runs.get("r").await.unwrap();
    runs.replace_status("r", &PostParams::default(), &run).await.unwrap();
    runs.list(&ListParams::default()).await.unwrap();
    let told: Vec<String> = kubernetes.requests().iter().map(ToString::to_string).collect();
    assert_eq!(told, ["get linkageruns/r", "update linkageruns/r/status", "list linkageruns"]);
    assert_eq!(kubernetes.requests().iter().filter(|request| request.verb.is_write()).count(), 1);
    kubernetes.clear_requests();
    assert!(!kubernetes.requests().iter().any(|request| request.verb == Verb::Get));
}
