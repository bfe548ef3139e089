//! Others put a container of theirs into the pods of Jobs, before the scorer, and it never ends, as the proxy of a service
//! mesh: what the scorer says counts all the same.

use std::time::Duration;

use anyhow::{bail, ensure};
use serde_json::{Value, json};
use tests::cluster::{Namespace, is_true};
use tests::{Installation, Story, data, local_cluster};

const NAME: &str = "e2e-sidecar";
const POLICIES: &str = "mutatingadmissionpolicies,mutatingadmissionpolicybindings";
const LIMIT: Duration = Duration::from_secs(120);

#[tokio::test]
async fn beside_a_container_that_comes_first_and_never_ends_the_scorer_decides() -> Story {
    if !local_cluster::is_used() {
        eprintln!("not told: this cluster may not have policies that change pods");
        return Ok(());
    }
    let cluster = Namespace("default".into());
    clean_up(&cluster).await?;
    let told = Installation::tell("sidecar", |here| async move {
        inject(&here).await?;
        ingest(&here).await?;
        a_run_completes(&here).await?;
        a_run_fails(&here).await
    })
    .await;
    clean_up(&cluster).await?;
    told
}

/// From now on all pods of this installation's Jobs get the container.
async fn inject(here: &Installation) -> Story {
    let container = "Object.spec.containers{name: 'a-proxy', image: 'localhost/pause:1', imagePullPolicy: 'Never', \
         securityContext: Object.spec.containers.securityContext{allowPrivilegeEscalation: false, capabilities: \
         Object.spec.containers.securityContext.capabilities{drop: ['ALL']}}}";
    let change = format!("[JSONPatch{{op: 'add', path: '/spec/containers/0', value: {container}}}]");
    let version = "admissionregistration.k8s.io/v1beta1";
    let policy = json!({
        "apiVersion": version, "kind": "MutatingAdmissionPolicy", "metadata": {"name": NAME},
        "spec": {
            "failurePolicy": "Fail", "reinvocationPolicy": "Never",
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": here.namespace.0}},
                "objectSelector": {"matchLabels": {"app.kubernetes.io/managed-by": "linkage-operator"}},
                "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
            },
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": change}}],
        },
    });
    let binding = json!({
        "apiVersion": version, "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": NAME},
        "spec": {"policyName": NAME},
    });
    for object in [policy, binding] {
        let applied = here.namespace.apply(&object.to_string()).await?;
        ensure!(applied.succeeded, "{}", applied.text);
    }
    // the API server learns of it a little later
    let of_pod =
        json!({"runAsUser": 65532, "runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
    let of_container = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    let probe = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "probe", "labels": {"app.kubernetes.io/managed-by": "linkage-operator"}},
        "spec": {
            "securityContext": of_pod,
            "containers": [{"name": "scorer", "image": "localhost/none", "securityContext": of_container}],
        },
    });
    let arguments = ["create", "--dry-run=server", "--output=json", "--filename=-"];
    let began = tokio::time::Instant::now();
    loop {
        let made = here.namespace.try_kubectl(&arguments, &probe.to_string()).await?;
        if made.succeeded
            && serde_json::from_str::<Value>(&made.text)?["spec"]["containers"][0]["name"] == "a-proxy"
        {
            return Ok(());
        }
        ensure!(began.elapsed() < LIMIT, "no container is put into pods: {}", made.text);
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

async fn ingest(here: &Installation) -> Story {
    let objects = here.objects().await?;
    for file in ["hospital-a.json", "hospital-b.bin"] {
        objects.put(&format!("sources/source-objects/{file}"), data::read(file)?).await?;
    }
    here.namespace.apply_example("source-objects/project.yaml").await?;
    let ready = |project: &Value| is_true(project, "Ready");
    here.namespace.wait_for("lproj/source-objects", "ready", LIMIT, ready).await?;
    gone(here, "jobs,pods", "app.kubernetes.io/component=ingest").await
}

async fn a_run_completes(here: &Installation) -> Story {
    start(here, "complete").await?;
    let complete = here.namespace.wait_complete("complete").await?;
    assert_eq!(complete["status"]["progress"]["percent"], "100%");
    assert_eq!(complete["status"]["groups"], data::expected(".", "0.8")?["groups"]);
    // nothing of it goes on for the sake of the other container
    gone(here, "jobs,pods", "pprl.dev/run=complete").await
}

async fn a_run_fails(here: &Installation) -> Story {
    let objects = here.objects_as("api").await?;
    let keys = objects.keys("projects/").await?;
    let Some(encodings) = keys.iter().find(|key| key.ends_with("/encodings")) else {
        bail!("no encodings: {keys:?}")
    };
    objects.put(encodings, vec![7; 5000 * 128]).await?;
    start(here, "broken").await?;
    let failed = |run: &Value| is_true(run, "Failed");
    let run = here.namespace.wait_for("lrun/broken", "failed", LIMIT, failed).await?;
    assert_eq!(run["status"]["reason"], "InvalidInput", "{:#}", run["status"]);
    let message = run["status"]["message"].as_str().unwrap_or_default();
    assert!(message.contains(encodings.as_str()), "it does not say what is wrong: {message}");
    // the Job has failed by itself, and stays for an hour as ever
    gone(here, "pods", "pprl.dev/run=broken").await
}

async fn start(here: &Installation, name: &str) -> Story {
    let spec = json!({"projectRef": {"name": "source-objects"}, "threshold": 0.8, "shards": 2});
    let run = json!({"apiVersion": "pprl.dev/v1alpha1", "kind": "LinkageRun", "metadata": {"name": name}, "spec": spec});
    let applied = here.namespace.apply(&run.to_string()).await?;
    ensure!(applied.succeeded, "{}", applied.text);
    Ok(())
}

async fn gone(here: &Installation, kinds: &str, selector: &str) -> Story {
    let none = |found: &Value| found["items"].as_array().is_some_and(Vec::is_empty);
    let began = tokio::time::Instant::now();
    loop {
        let text = here.namespace.kubectl(&["get", kinds, "--selector", selector, "--output=json"]).await?;
        let found: Value = serde_json::from_str(&text)?;
        if none(&found) {
            return Ok(());
        }
        ensure!(began.elapsed() < LIMIT, "still there: {found:#}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Nothing of this story stays in the cluster, also of one that was killed.
async fn clean_up(cluster: &Namespace) -> Story {
    cluster.kubectl(&["delete", POLICIES, NAME, "--ignore-not-found"]).await.map(drop)
}
