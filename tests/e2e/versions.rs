//! The bucket keeps versions of its objects: deleting removes these, too, or says that they stay.

use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tests::objects::{Objects, decoded};
use tests::{Installation, Story};

/// A finalizer of the story, by which a deleted run can still be looked at.
const LOOK: &str = "example.org/look";
const ADMIN: [&str; 2] = ["e2e-admin", "e2e-admin-secret"];
const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn older_versions_of_what_is_deleted_go_too_or_are_told_of() -> Story {
    Installation::tell("versions", |here| async move {
        configure(&here, |_| {}).await?;
        admin(&here).await?.keep_versions().await?;
        two_hospitals_are_linked(&here).await?;
        let objects = admin(&here).await?;
        assert!(objects.versions("projects/").await? > 0 && objects.versions("runs/").await? > 0);
        here.namespace.kubectl(&["delete", "lproj/two-hospitals", "--timeout=120s"]).await?;
        assert_eq!((objects.versions("projects/").await?, objects.versions("runs/").await?), (0, 0));

        // a store whose administrator has not thought of versions
        configure(&here, |policies| *policies = policies.replace("s3:ListBucketVersions", "s3:ListBucket"))
            .await?;
        two_hospitals_are_linked(&here).await?;
        let run = "lrun/two-hospitals-at-80";
        let patch = json!([{"op": "add", "path": "/metadata/finalizers/-", "value": LOOK}]).to_string();
        here.namespace.kubectl(&["patch", run, "--type=json", "--patch", &patch]).await?;
        here.namespace.kubectl(&["delete", run, "--wait=false"]).await?;
        let is_let_go = |run: &Value| run["metadata"]["finalizers"] == json!([LOOK]);
        let left = here.namespace.wait_for(run, "let go", LIMIT, is_let_go).await?;
        let message = left["status"]["message"].as_str().unwrap_or_default();
        assert!(message.contains("the bucket keeps older versions"), "{:#}", left["status"]);
        let told = |events: &Value| {
            let about_it = |event: &&Value| event["involvedObject"]["name"] == "two-hospitals-at-80";
            let mut events = events["items"].as_array().into_iter().flatten().filter(about_it);
            events.any(|event| event["reason"] == "VersionsKept" && event["type"] == "Warning")
        };
        here.namespace.wait_for("events", "telling of versions", LIMIT, told).await?;
        assert!(admin(&here).await?.versions("runs/").await? > 0, "what is said to stay has gone");
        let patch = json!({"metadata": {"finalizers": null}}).to_string();
        here.namespace.kubectl(&["patch", run, "--type=merge", "--patch", &patch]).await.map(drop)
    })
    .await
}

async fn two_hospitals_are_linked(here: &Installation) -> Story {
    here.two_hospitals().await?;
    here.namespace.apply_example("two-hospitals/run.yaml").await?;
    here.namespace.wait_complete("two-hospitals-at-80").await.map(drop)
}

async fn admin(here: &Installation) -> anyhow::Result<Objects> {
    Objects::connect_with(&here.namespace, "linkage-operator-store", ADMIN.map(str::to_owned)).await
}

/// Starts the store anew, with an administrator, and with other policies.
async fn configure(here: &Installation, change: impl FnOnce(&mut String)) -> Story {
    let name = "secret/linkage-operator-store-config";
    let secret = here.namespace.get(name).await?.context("no configuration of the store")?;
    let mut text = decoded(&secret, "s3.json").await?;
    change(&mut text);
    let mut configuration: Value = serde_json::from_str(&text)?;
    let identities = configuration["identities"].as_array_mut().context("no identities")?;
    if !identities.iter().any(|identity| identity["name"] == "admin") {
        let credentials = json!([{"accessKey": ADMIN[0], "secretKey": ADMIN[1]}]);
        let actions = json!(["Admin", "Read", "Write", "List"]);
        identities.push(json!({"name": "admin", "credentials": credentials, "actions": actions}));
    }
    let patch = json!({"stringData": {"s3.json": configuration.to_string()}}).to_string();
    here.namespace.kubectl(&["patch", name, "--type=merge", "--patch", &patch]).await?;
    here.scale_store(0).await?;
    here.scale_store(1).await
}
