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
async fn large_schemas_are_not_kept_in_memory_and_stay_in_their_resources() {
    let world = World::new();
    let large = "x".repeat(900_000);
    let texts = json!({"title": "t", "notes": large, "encoding": {"bits": 1024, "schema": {"large": large}}});
    for n in 0..60 {
        world.kubernetes.create("linkageprojects", project(&format!("p{n}"), texts.clone()));
    }
    for n in 0..60 {
        world.project_says(&format!("p{n}"), "WaitingForParties").await;
    }
    let world = world.restarted(&settings());
    world.kubernetes.create("linkageprojects", project("late", texts));
    world.project_says("late", "WaitingForParties").await;
    let kept = world.context.caches.projects.state();
    assert_eq!(kept.len(), 61);
    for project in kept {
        let bytes = serde_json::to_string(&*project).unwrap().len();
        assert!(bytes < 4_000, "{bytes}");
        assert_eq!(project.spec.encoding.as_ref().unwrap().bits, Some(1024));
    }
    // what was written of the projects has changed none of it
    let whole = world.kubernetes.get("linkageprojects", "p7").unwrap();
    assert_eq!(whole["spec"]["encoding"]["schema"]["large"].as_str().unwrap().len(), 900_000);
    assert!(whole["status"]["conditions"].is_array(), "{}", whole["status"]);
}

#[tokio::test]
async fn new_tokens_of_one_party_are_in_the_secret_and_the_others_stay() {
    let world = World::new();
    world.kubernetes.create("linkageprojects", project("p", json!({"resultType": "Permutations"})));
    let first = secret(&world, "p-tokens").await["data"].clone();
    world.kubernetes.change("linkageprojects", "p", |project| {
        project["spec"]["parties"][0]["tokenGeneration"] = json!(2);
        project["metadata"]["generation"] = json!(2);
    });
    let new =
        |secret: Value| (secret["data"]["update-a"] != first["update-a"]).then_some(secret["data"].clone());
    let second = world
        .kubernetes
        .until("new tokens", |kubernetes| kubernetes.get("secrets", "p-tokens").and_then(new))
        .await;
    assert_ne!(second["receipt-a"], first["receipt-a"]);
    for stays in ["update-b", "receipt-b", "result"] {
        assert_eq!(second[stays], first[stays], "{stays}");
    }
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

/// The project whose party a has announced an object over REST.
async fn announced(world: &World) -> (Value, String) {
    let made = world.kubernetes.create("linkageprojects", project("p", json!({})));
    let folder = world.context.installation.project(made["metadata"]["uid"].as_str().unwrap());
    let key = format!("{folder}uploads/1/0/a.json");
    let status = json!({"parties": [{"name": "a", "state": "Waiting", "announced": {"encodings": key}}]});
    world.kubernetes.change("linkageprojects", "p", |project| project["status"] = status);
    (made, key)
}

async fn party(world: &World, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let found = |kubernetes: &fake_kubernetes::FakeKubernetes| {
        let party = kubernetes.get("linkageprojects", "p")?["status"]["parties"][0].clone();
        fits(&party).then_some(party)
    };
    world.kubernetes.until(what, found).await
}

async fn ingest_job(world: &World) -> Value {
    let jobs = |kubernetes: &fake_kubernetes::FakeKubernetes| kubernetes.all("jobs").into_iter().next();
    world.kubernetes.until("the Job that reads what was announced", jobs).await
}

fn plan(job: &Value) -> Value {
    let variables = job["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
    let plan = variables.iter().find(|variable| variable["name"] == "INGEST_PLAN").unwrap();
    plan["value"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn what_was_announced_is_read_by_a_job_whoever_noted_it_and_removed_once_it_counts() {
    let world = World::new();
    let (_, key) = announced(&world).await;
    party(&world, "it waits for the object", |party| party["reason"] == "SourceNotFound").await;
    world.put(&key, "x").await;
    world.kubernetes.change("linkageprojects", "p", |project| project["spec"]["notes"] = json!("look again"));
    let job = ingest_job(&world).await;
    let plan = plan(&job);
    assert_eq!(
        (&plan["source"]["encodings"], plan["announcedMaxBytes"].is_u64()),
        (&json!(key), true),
        "{plan}"
    );
    party(&world, "it is being read", |party| {
        party["state"] == "Ingesting" && party["announced"]["encodings"] == key
    })
    .await;
    // the operator is killed as well
    let world = world.restarted(&settings());
    let output = plan["output"].as_str().unwrap().to_owned();
    let contribution = json!({"encodings": format!("{output}encodings"), "records": 3, "encodingBytes": 128, "blake3": "00"});
    world.put(&format!("{output}contribution.json"), &contribution.to_string()).await;
    world.complete(job["metadata"]["name"].as_str().unwrap());
    let counted = party(&world, "it counts", |party| party["state"] == "Contributed").await;
    assert_eq!((&counted["records"], &counted["announced"]), (&json!(3), &Value::Null));
    while !world.keys(&key).await.is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_is_wrong_with_an_announced_object_is_told_on_its_party_which_may_announce_another() {
    let world = World::new();
    let (_, key) = announced(&world).await;
    world.put(&key, "x").await;
    world.kubernetes.change("linkageprojects", "p", |project| project["spec"]["notes"] = json!("look again"));
    let job = ingest_job(&world).await;
    let failure = json!({"reason": "MalformedJson", "message": "record 3 is no base64"}).to_string();
    let ended = json!({"terminated": {"exitCode": 3, "reason": "Error", "message": failure}});
    world.pod(&job, "x-0", scorer("Failed", ended));
    world.give_up(job["metadata"]["name"].as_str().unwrap());
    let refused = party(&world, "it is refused", |party| party["state"] == "Rejected").await;
    assert_eq!((&refused["reason"], &refused["announced"]), (&json!("MalformedJson"), &Value::Null));
    let message = refused["message"].as_str().unwrap();
    assert!(message.starts_with("record 3 is no base64; announce a corrected object"), "{message}");
    world.event("MalformedJson", "record 3 is no base64").await;
}

#[tokio::test]
async fn an_announcement_leads_to_no_other_data_than_what_parties_put_there() {
    let world = World::new();
    let (made, _) = announced(&world).await;
    let folder = world.context.installation.project(made["metadata"]["uid"].as_str().unwrap());
    for key in [
        format!("{folder}parties/1/x/encodings"),
        "in/a.json".into(),
        "projects/other/uploads/1/0/a.json".into(),
    ] {
        world.put(&key, "x").await;
        world.kubernetes.change("linkageprojects", "p", |project| {
            project["status"]["parties"][0] = json!({"name": "a", "announced": {"encodings": key}});
            project["spec"]["notes"] = json!(key);
        });
        let is_told = |party: &Value| {
            party["reason"] == "SourceNotAllowed"
                && party["message"].as_str().is_some_and(|told| told.contains(&key))
        };
        party(&world, "it is not allowed", is_told).await;
    }
    assert!(world.kubernetes.all("jobs").is_empty());
}
