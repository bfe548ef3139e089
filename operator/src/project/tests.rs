//! Projects, before a Kubernetes API in memory.

use std::time::{Duration, SystemTime};

use fake_kubernetes::{Fault, Refusal, Verb};
use serde_json::{Value, json};

use crate::testing::{World, scorer, settings};

fn project(name: &str, spec: Value) -> Value {
    let mut whole = json!({"resultType": "Groups", "parties": [{"name": "a"}, {"name": "b"}]});
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    json!({"apiVersion": "pprl.dev/v1alpha1", "kind": "LinkageProject", "metadata": {"name": name}, "spec": whole})
}

fn with_source(name: &str, key: &str) -> Value {
    project(
        name,
        json!({"parties": [{"name": "a", "source": {"encodings": key}}, {"name": "b"}], "encoding": {"bits": 1024}}),
    )
}

async fn secret(world: &World, name: &str) -> Value {
    world.kubernetes.until(&format!("Secret {name}"), |kubernetes| kubernetes.get("secrets", name)).await
}

fn secret_of_another_program() -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "p-tokens"}, "data": {"password": "eA=="}})
}

#[tokio::test]
async fn tokens_are_handed_out_and_are_back_when_their_secret_is_deleted_or_changed() {
    let world = World::new();
    world.kubernetes.create("linkageprojects", project("p", json!({})));
    let first = secret(&world, "p-tokens").await;
    assert!(first["data"]["update-a"].is_string() && first["data"]["result"].is_string());
    world.project_says("p", "WaitingForParties").await;

    world.kubernetes.delete("secrets", "p-tokens");
    let again = secret(&world, "p-tokens").await;
    assert_eq!(again["data"], first["data"]);

    world.kubernetes.change("secrets", "p-tokens", |secret| secret["data"]["result"] = json!("eA=="));
    let mended = |secret: Value| (secret["data"] == first["data"]).then_some(());
    world
        .kubernetes
        .until("the right tokens", |kubernetes| kubernetes.get("secrets", "p-tokens").and_then(mended))
        .await;

    world.kubernetes.change("linkageprojects", "p", |project| {
        project["spec"]["tokenGeneration"] = json!(2);
        project["metadata"]["generation"] = json!(2);
    });
    let new = |secret: Value| (secret["data"]["result"] != first["data"]["result"]).then_some(());
    world
        .kubernetes
        .until("new tokens", |kubernetes| kubernetes.get("secrets", "p-tokens").and_then(new))
        .await;
}

#[tokio::test]
async fn a_secret_of_another_program_stays_as_it_is_and_the_project_says_so() {
    let world = World::new();
    let theirs = world.kubernetes.create("secrets", secret_of_another_program());
    world.kubernetes.create("linkageprojects", project("p", json!({})));
    let ready = world.project_says("p", "NameTaken").await;
    assert!(ready["message"].as_str().unwrap().contains("the Secret p-tokens"), "{ready}");
    world.event("NameTaken", "p-tokens").await;
    let told = world.kubernetes.events().into_iter().filter(|event| event["reason"] == "NameTaken");
    assert!(told.into_iter().all(|event| event["series"].is_null()), "it is told once");
    world.kubernetes.delete("linkageprojects", "p");
    let gone = |kubernetes: &fake_kubernetes::FakeKubernetes| {
        kubernetes.get("linkageprojects", "p").is_none().then_some(())
    };
    world.kubernetes.until("the project is gone", gone).await;
    assert_eq!(world.kubernetes.get("secrets", "p-tokens"), Some(theirs));
}

#[tokio::test]
async fn a_secret_that_cannot_be_changed_is_told() {
    let world = World::new();
    world.kubernetes.create("linkageprojects", project("p", json!({})));
    secret(&world, "p-tokens").await;
    world.kubernetes.change("secrets", "p-tokens", |secret| {
        secret["immutable"] = json!(true);
        secret["data"] = json!({});
        secret["metadata"]["annotations"] = json!({});
    });
    world.event("NameTaken", "is immutable").await;
}

#[tokio::test]
async fn tokens_that_kubernetes_does_not_take_are_told_and_keep_no_source_from_being_read() {
    let world = World::new();
    let quota = Refusal::quota_exceeded("secrets", "p-tokens", "few", "count/secrets");
    world.kubernetes.fail(Fault::refuses(quota).on(Verb::Create, "secrets"));
    world.put("in/a.bin", "x").await;
    world.kubernetes.create("linkageprojects", with_source("p", "in/a.bin"));
    world.event("KubernetesRefused", "exceeded quota: few").await;
    let jobs = |kubernetes: &fake_kubernetes::FakeKubernetes| kubernetes.all("jobs").into_iter().next();
    world.kubernetes.until("the Job that reads the source", jobs).await;
}

#[tokio::test]
async fn what_two_parties_did_wrong_are_two_events() {
    let world = World::new();
    let parties = json!([{"name": "a", "source": {"encodings": "in/a"}}, {"name": "b", "source": {"encodings": "in/b"}}]);
    world.kubernetes.create("linkageprojects", project("p", json!({"parties": parties})));
    world.event("SourceNotFound", "in/a").await;
    world.event("SourceNotFound", "in/b").await;
}

#[tokio::test]
async fn a_source_outside_of_what_is_allowed_is_not_read() {
    let world = World::new();
    world.put("elsewhere/a.bin", "x").await;
    world.kubernetes.create("linkageprojects", with_source("p", "elsewhere/a.bin"));
    world.event("SourceNotAllowed", "elsewhere/a.bin").await;
    assert!(world.kubernetes.all("jobs").is_empty());
}

#[tokio::test]
async fn a_source_that_did_not_fit_the_memory_is_read_again_when_there_is_more() {
    let world = World::new();
    world.put("in/a.bin", "x").await;
    world.kubernetes.create("linkageprojects", with_source("p", "in/a.bin"));
    let jobs = |kubernetes: &fake_kubernetes::FakeKubernetes| kubernetes.all("jobs").into_iter().next();
    let job = world.kubernetes.until("the Job that reads the source", jobs).await;
    let name = job["metadata"]["name"].as_str().unwrap().to_owned();
    world.pod(&job, "x-0", scorer("Failed", json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}})));
    world.give_up(&name);
    world.event("OutOfMemory", "raise the chart's jobs.resources").await;
    let mut more = settings();
    more.resources = serde_json::from_value(json!({"limits": {"memory": "9Gi"}})).unwrap();
    let world = world.restarted(&more);
    let memory = |job: &Value| {
        job["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"].clone()
    };
    let anew = |job: Value| (memory(&job) == "9Gi").then_some(());
    world
        .kubernetes
        .until("a Job with more memory", |kubernetes| kubernetes.get("jobs", &name).and_then(anew))
        .await;
}

#[tokio::test]
async fn a_project_that_is_deleted_takes_its_runs_and_its_data_along_and_says_what_it_waits_for() {
    let world = World::new();
    let made = world.contributed_project("p");
    let uid = made["metadata"]["uid"].as_str().unwrap();
    let folder = world.context.installation.project(uid);
    world.put(&format!("{folder}parties/0/u/encodings"), "x").await;
    world.put("projects/somebody-else/parties/0/u/encodings", "x").await;
    world.run("r", json!({}));
    let job = world.job("r-score").await;
    world.pod(&job, "r-score-0", scorer("Running", json!({"running": {}})));
    world.kubernetes.change("pods", "r-score-0", |pod| {
        pod["metadata"]["finalizers"] = json!(["example.org/slow"]);
        pod["metadata"]["ownerReferences"] = json!([]);
    });
    world.kubernetes.delete("linkageprojects", "p");
    let waiting = world.project_says("p", "Deleting").await;
    assert!(waiting["message"].as_str().unwrap().contains("its runs to go: r"), "{waiting}");
    world.kubernetes.delete("pods", "r-score-0");
    world.kubernetes.change("pods", "r-score-0", |pod| pod["metadata"]["finalizers"] = json!([]));
    let gone = |kubernetes: &fake_kubernetes::FakeKubernetes| {
        kubernetes.get("linkageprojects", "p").is_none().then_some(())
    };
    world.kubernetes.until("the project is gone", gone).await;
    assert!(world.kubernetes.get("linkageruns", "r").is_none());
    assert_eq!(world.keys("projects/").await, ["projects/somebody-else/parties/0/u/encodings"]);
}

#[tokio::test]
async fn what_resources_that_are_gone_have_left_in_the_store_goes_and_nothing_else() {
    let world = World::new();
    let living = world.contributed_project("p");
    let folder = |uid: &str| world.context.installation.project(uid);
    let kept = format!("{}parties/0/u/encodings", folder(living["metadata"]["uid"].as_str().unwrap()));
    let (gone, foreign) =
        (format!("{}parties/0/u/encodings", folder("gone")), "projects/zz-other/parties/0/u/encodings");
    let run = format!("{}pairs/0.pairs", world.context.installation.run("gone"));
    for key in [&kept, &gone, foreign, &run, "sources/x"] {
        world.put(key, "x").await;
    }
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    crate::sweep::sweep_orphans(&world.context, hour_ago).await.unwrap();
    assert_eq!(world.keys("").await.len(), 5, "what is young may be at work");
    let later = SystemTime::now() + Duration::from_secs(60);
    crate::sweep::sweep_orphans(&world.context, later).await.unwrap();
    let mut left = [kept.as_str(), foreign, "sources/x"].map(str::to_owned);
    left.sort();
    assert_eq!(world.keys("").await, left);
}
