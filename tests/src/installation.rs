//! One installation of the chart in a namespace of its own.

use std::panic::AssertUnwindSafe;

use anyhow::bail;
use futures::FutureExt;

use crate::Story;
use crate::cluster::{Namespace, run};
use crate::data;
use crate::objects::Objects;
use crate::rest::{Body, Rest};

/// The name of the Helm release in each namespace.
const RELEASE: &str = "linkage-operator";

/// One installation of the chart in a namespace of its own.
pub struct Installation {
    /// Its namespace.
    pub namespace: Namespace,
}

impl Installation {
    /// Tells a story on a fresh installation, and removes it all afterwards. A story that fails tells first how
    /// everything was.
    pub async fn tell<F: Future<Output = Story>>(name: &str, story: impl FnOnce(Self) -> F) -> Story {
        Self::tell_with(name, &[], story).await
    }

    /// The same on an installation with other values than usual.
    pub async fn tell_with<F: Future<Output = Story>>(
        name: &str,
        values: &[&str],
        story: impl FnOnce(Self) -> F,
    ) -> Story {
        in_namespace(name, |namespace| async move {
            install(&namespace, values).await?;
            story(Self { namespace }).await
        })
        .await
    }

    /// A client of the REST service.
    pub async fn rest(&self) -> anyhow::Result<Rest> {
        Rest::connect(self.namespace.clone(), &format!("{RELEASE}-api")).await
    }

    /// The store, as the one sees it who puts source objects in and takes results out.
    pub async fn objects(&self) -> anyhow::Result<Objects> {
        self.objects_as("uploader").await
    }

    /// The store, as one of its users sees it.
    pub async fn objects_as(&self, user: &str) -> anyhow::Result<Objects> {
        Objects::connect(&self.namespace, &format!("{RELEASE}-store"), user).await
    }

    /// Upgrades the installation, with other values than before.
    pub async fn upgrade(&self, values: &[&str]) -> Story {
        install(&self.namespace, values).await
    }

    /// The project of examples/two-hospitals, to which both have contributed a thousand records. No run of it.
    pub async fn two_hospitals(&self) -> anyhow::Result<Rest> {
        self.namespace.apply_example("two-hospitals/project.yaml").await?;
        let rest = self.rest().await?;
        for party in ["hospital-a", "hospital-b"] {
            let token = self.token("two-hospitals", &format!("update-{party}")).await?;
            let body = Body::document(data::read(&format!("thousand/{party}.json"))?);
            rest.post("projects/two-hospitals/clks", &token, body).await?.expect(201)?;
        }
        Ok(rest)
    }

    /// Changes the number of the operator's pods, and waits until they are there or gone.
    pub async fn scale_operator(&self, replicas: u8) -> Story {
        let deployment = format!("deployment/{RELEASE}-operator");
        self.namespace.kubectl(&["scale", &deployment, &format!("--replicas={replicas}")]).await?;
        if replicas > 0 {
            return self
                .namespace
                .kubectl(&["rollout", "status", &deployment, "--timeout=120s"])
                .await
                .map(drop);
        }
        let pods = ["wait", "pods", "--selector", "app.kubernetes.io/component=operator"];
        self.namespace.kubectl(&[&pods[..], &["--for=delete", "--timeout=60s"]].concat()).await.map(drop)
    }

    /// Takes the bundled store away, or brings it back, and waits until that is so.
    pub async fn scale_store(&self, replicas: u8) -> Story {
        let store = format!("statefulset/{RELEASE}-store");
        self.namespace.kubectl(&["scale", &store, &format!("--replicas={replicas}")]).await?;
        if replicas > 0 {
            return self.namespace.kubectl(&["rollout", "status", &store, "--timeout=120s"]).await.map(drop);
        }
        let pod = format!("pod/{RELEASE}-store-0");
        self.namespace.kubectl(&["wait", &pod, "--for=delete", "--timeout=90s"]).await.map(drop)
    }

    /// A token from a project's Secret, such as `result` or `update-hospital-a`.
    pub async fn token(&self, project: &str, name: &str) -> anyhow::Result<String> {
        let secret = format!("secret/{project}-tokens");
        let limit = std::time::Duration::from_secs(60);
        let found = self
            .namespace
            .wait_for(&secret, "there", limit, |secret| secret["data"][name].is_string())
            .await?;
        let encoded = found["data"][name].as_str().unwrap_or_default().to_owned();
        let decoded = run("base64", &["--decode"], &encoded).await?;
        Ok(decoded.text)
    }
}

/// Tells a story in a fresh namespace, and removes it afterwards. A story that fails tells first how everything was.
pub async fn in_namespace<F: Future<Output = Story>>(
    name: &str,
    story: impl FnOnce(Namespace) -> F,
) -> Story {
    let namespace = Namespace(format!("e2e-{name}"));
    remove(&namespace).await?;
    let manifest = format!(
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {}\n  labels:\n    \
         pod-security.kubernetes.io/enforce: restricted\n",
        namespace.0
    );
    let made = namespace.apply(&manifest).await?;
    if !made.succeeded {
        bail!("{}", made.text);
    }
    // an assertion that fails ends the story like any other error
    let told = AssertUnwindSafe(story(namespace.clone())).catch_unwind().await.unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(anyhow::anyhow!(said.unwrap_or_default()))
    });
    match told {
        Ok(()) => remove(&namespace).await,
        Err(error) => {
            let state = describe(&namespace).await;
            remove(&namespace).await?;
            // what went wrong comes last: logs are read, and cut, from the end
            Err(anyhow::anyhow!(
                "this is how everything was:{state}\n--- the story \"{name}\" failed: {error:#}"
            ))
        }
    }
}

async fn install(namespace: &Namespace, more: &[&str]) -> Story {
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/linkage-operator");
    let values = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/values.yaml");
    let mut arguments =
        vec!["upgrade", "--install", RELEASE, chart, "--namespace", &namespace.0, "--values", values];
    let images = images();
    arguments.extend(images.iter().flat_map(|value| ["--set-string", value.as_str()]));
    arguments.extend(["--wait", "--timeout", "180s"]);
    arguments.extend(more);
    let output = run("helm", &arguments, "").await?;
    if !output.succeeded {
        bail!("helm {}: {}", arguments.join(" "), output.text);
    }
    Ok(())
}

/// The images that `tests/e2e/run` has brought to the cluster, as values of the chart.
fn images() -> Vec<String> {
    let mut values = Vec::new();
    for (variable, value) in [("IMAGE", "image"), ("STORE_IMAGE", "store.bundled.image")] {
        if let Ok(image) = std::env::var(variable)
            && let Some((repository, tag)) = image.rsplit_once(':')
        {
            values.push(format!("{value}.repository={repository}"));
            values.push(format!("{value}.tag={tag}"));
        }
    }
    values
}

/// Removes the namespace and all in it, the resources first, while there is an operator that can purge them.
async fn remove(namespace: &Namespace) -> Story {
    if namespace.get(&format!("namespace/{}", namespace.0)).await?.is_none() {
        return Ok(());
    }
    let gentle = namespace
        .try_kubectl(&["delete", "linkageruns,linkageprojects", "--all", "--timeout=60s"], "")
        .await?;
    if !gentle.succeeded {
        // what an earlier, killed run of the tests left has no operator any more
        for resource in namespace.names("linkageruns,linkageprojects", "").await? {
            let patch = r#"{"metadata":{"finalizers":null}}"#;
            namespace.try_kubectl(&["patch", &resource, "--type=merge", "--patch", patch], "").await?;
        }
    }
    namespace.kubectl(&["delete", "namespace", &namespace.0, "--timeout=180s"]).await?;
    Ok(())
}

/// All that helps to understand what went wrong.
async fn describe(namespace: &Namespace) -> String {
    let mut text = String::new();
    let logs = |component: &'static str| {
        let selector = if component == "scorer" {
            "app.kubernetes.io/managed-by=linkage-operator".to_owned()
        } else {
            format!("app.kubernetes.io/component={component}")
        };
        vec![
            "logs".to_owned(),
            "--selector".to_owned(),
            selector,
            "--tail=60".to_owned(),
            "--prefix".to_owned(),
        ]
    };
    let words = |command: &str| command.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let commands = [
        words("get linkageprojects,linkageruns -o yaml"),
        words("get all,pvc -o wide"),
        words("get events --sort-by=.lastTimestamp"),
        logs("operator"),
        logs("api"),
        logs("scorer"),
    ];
    for command in commands {
        let arguments: Vec<&str> = command.iter().map(String::as_str).collect();
        if let Ok(output) = namespace.try_kubectl(&arguments, "").await {
            text += &format!("\n--- kubectl {}\n{}", command.join(" "), output.text);
        }
    }
    text
}
