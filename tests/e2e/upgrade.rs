//! A newer chart, or other values: nothing that was handed out is lost.

use serde_json::{Value, json};
use tests::{Installation, Story};

async fn keys(here: &Installation) -> anyhow::Result<Vec<Value>> {
    let mut keys = Vec::new();
    for secret in here.namespace.names("secrets", "app.kubernetes.io/instance=linkage-operator").await? {
        keys.push(here.namespace.get(&secret).await?.unwrap_or_default()["data"].clone());
    }
    Ok(keys)
}

#[tokio::test]
async fn an_upgrade_keeps_all_keys_and_tokens() -> Story {
    Installation::tell("upgrade", |here| async move {
        let rest = here.rest().await?;
        let request = json!({"schema": {}, "result_type": "groups"});
        let (project, _, token) = rest.create_project(request).await?;
        let before = keys(&here).await?;
        assert!(before.len() > 1, "the master key, and those of the store's users: {}", before.len());
        here.upgrade(&["--set", "api.replicas=2"]).await?;
        assert!(keys(&here).await? == before, "keys have changed");
        rest.get(&format!("projects/{project}"), &token).await?.expect(200)?;
        Ok(())
    })
    .await
}
