//! The whole operator, before a Kubernetes API in memory and a store in a folder. Jobs and pods are played by the test.

use std::sync::Arc;

use crds::folders::Installation;
use crds::tokens::MasterKey;
use crds::webhook::AllowedUrls;
use fake_kubernetes::FakeKubernetes;
use scorer::store::{Store, TokenService};
use serde_json::{Value, json};

use crate::caches::caches;
use crate::context::Context;
use crate::events::Events;
use crate::job_credentials::JobCredentials;
use crate::settings::JobSettings;
use crate::watching;
use crate::webhooks::Webhooks;

/// The namespace that is served.
pub const NAMESPACE: &str = "linkage";

const JOB_SETTINGS: &str = "
image: linkage
serviceAccountName: scorer
store: {url: 's3://b'}
resources: {limits: {memory: 2Gi}}
comparisonsPerShard: 1000000
sourcePrefixes: ['in/']
replaceLostPodsAfterSeconds: 0
";

/// An operator at work.
pub struct World {
    /// The API.
    pub kubernetes: FakeKubernetes,
    /// The store.
    pub store: Store,
    /// What reconciliations get.
    pub context: Arc<Context>,
    operator: tokio::task::JoinHandle<()>,
    folder: tempfile::TempDir,
    /// Below which address webhooks may be, and whether that may be a private one.
    webhooks: (String, bool),
}

/// What an operator is told of its surroundings.
#[derive(Default)]
struct Surroundings {
    token_service: Option<TokenService>,
    webhooks: (String, bool),
}

impl Drop for World {
    fn drop(&mut self) {
        self.operator.abort();
    }
}

impl World {
    /// Starts the operator; nothing is there yet.
    pub fn new() -> Self {
        Self::with_surroundings(Surroundings::default())
    }

    /// The same, where the store has a token service.
    pub fn with_token_service(service: Option<TokenService>) -> Self {
        Self::with_surroundings(Surroundings { token_service: service, ..Surroundings::default() })
    }

    /// The same, with webhooks below these addresses, with commas between them.
    pub fn with_webhooks(allowed: &str, private_addresses: bool) -> Self {
        let webhooks = (allowed.to_owned(), private_addresses);
        Self::with_surroundings(Surroundings { webhooks, ..Surroundings::default() })
    }

    fn with_surroundings(surroundings: Surroundings) -> Self {
        Self::with(FakeKubernetes::new(NAMESPACE), tempfile::tempdir().unwrap(), &settings(), surroundings)
    }

    /// The operator is killed, and another one starts, with other settings perhaps.
    pub fn restarted(mut self, settings: &JobSettings) -> Self {
        self.operator.abort();
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
        let surroundings = Surroundings { token_service: None, webhooks: self.webhooks.clone() };
        Self::with(self.kubernetes.clone(), folder, settings, surroundings)
    }

    fn with(
        kubernetes: FakeKubernetes,
        folder: tempfile::TempDir,
        settings: &JobSettings,
        Surroundings { token_service, webhooks }: Surroundings,
    ) -> Self {
        let store = Store::in_directory(folder.path()).unwrap();
        let (caches, writers) = caches();
        let master_key = MasterKey::new(&[7; 32]).unwrap();
        let client = kubernetes.client();
        let context = Arc::new(Context {
            events: Events::new(client.clone(), "operator-0".into()),
            client,
            caches,
            namespace: NAMESPACE.into(),
            store: store.clone(),
            store_in_namespace: false,
            installation: Installation::of(&master_key, NAMESPACE),
            jobs: settings.clone(),
            master_key,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            retries: Default::default(),
            work_time: Default::default(),
            checked_secrets: Default::default(),
            job_credentials: JobCredentials::new(token_service),
            job_events: Default::default(),
            lost_pods: Default::default(),
            status_writes: Default::default(),
            namespace_is_going: Default::default(),
            webhooks: Webhooks::new(AllowedUrls::new(webhooks.0.split(',')).unwrap(), webhooks.1).unwrap(),
            freshness: Default::default(),
        });
        let watches = kubernetes.client();
        let operator = tokio::spawn(watching::control(
            context.clone(),
            writers,
            watches,
            futures::FutureExt::shared(std::future::pending::<()>()),
        ));
        Self { kubernetes, store, context, operator, folder, webhooks }
    }

    /// Creates a project of parties a and b that have contributed a thousand records each.
    pub fn contributed_project(&self, name: &str) -> Value {
        self.kubernetes.create("linkageprojects", contributed_project(name))
    }

    /// Creates a run of a project.
    pub fn run(&self, name: &str, spec: Value) -> Value {
        self.kubernetes.create("linkageruns", run(name, spec))
    }

    /// Waits until a run has a reason, and gives its status.
    pub async fn run_says(&self, name: &str, reason: &str) -> Value {
        let what = format!("run {name} says {reason}");
        self.kubernetes
            .until(&what, |kubernetes| {
                let status = kubernetes.get("linkageruns", name)?["status"].clone();
                (status["reason"] == reason).then_some(status)
            })
            .await
    }

    /// Waits until a project's Ready condition has a reason, and gives the condition.
    pub async fn project_says(&self, name: &str, reason: &str) -> Value {
        let what = format!("project {name} says {reason}");
        self.kubernetes
            .until(&what, |kubernetes| {
                let project = kubernetes.get("linkageprojects", name)?;
                let condition = project["status"]["conditions"][0].clone();
                (condition["reason"] == reason).then_some(condition)
            })
            .await
    }

    /// Waits until there is a Job of that name, and gives it.
    pub async fn job(&self, name: &str) -> Value {
        self.kubernetes.until(&format!("Job {name}"), |kubernetes| kubernetes.get("jobs", name)).await
    }

    /// Waits for an Event with a reason, about which object whatever, and gives its note.
    pub async fn event(&self, reason: &str, words: &str) -> String {
        let fits = |event: &Value| {
            event["reason"] == reason && event["note"].as_str().is_some_and(|note| note.contains(words))
        };
        self.kubernetes
            .until(&format!("Event {reason} with {words}"), |kubernetes| {
                let event = kubernetes.events().into_iter().find(|event| fits(event))?;
                Some(event["note"].as_str().unwrap_or_default().to_owned())
            })
            .await
    }

    /// Makes a pod of a Job, with a status.
    pub fn pod(&self, job: &Value, name: &str, status: Value) -> Value {
        let mut labels = job["spec"]["template"]["metadata"]["labels"].clone();
        labels["batch.kubernetes.io/controller-uid"] = job["metadata"]["uid"].clone();
        let owner = json!({"apiVersion": "batch/v1", "kind": "Job", "name": job["metadata"]["name"], "uid": job["metadata"]["uid"],
            "controller": true});
        self.kubernetes.create(
            "pods",
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": name, "labels": labels, "ownerReferences": [owner]},
                "spec": {"nodeName": "n1", "containers": [{"name": "scorer"}]}, "status": status,
            }),
        )
    }

    /// A Job has ended: all its pods have succeeded.
    pub fn complete(&self, job: &str) {
        self.kubernetes.change("jobs", job, |job| {
            job["status"] = json!({"succeeded": job["spec"]["completions"],
                "conditions": [{"type": "Complete", "status": "True", "reason": "CompletionsReached", "message": "",
                    "lastTransitionTime": "2030-01-01T00:00:00Z"}]});
        });
    }

    /// A Job has ended: it will not be tried again.
    pub fn give_up(&self, job: &str) {
        self.kubernetes.change("jobs", job, |job| {
            job["status"] = json!({"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded",
                "message": "too often", "lastTransitionTime": "2030-01-01T00:00:00Z"}]});
        });
    }

    /// Writes the summary that the last pod of a run would.
    pub async fn write_summary(&self, run: &str) {
        let pinned = self.kubernetes.get("linkageruns", run).unwrap()["status"]["pinned"].clone();
        let summary = json!({"version": 2, "work": pinned["digest"], "records": [1000, 1000], "comparisons": 1_000_000,
            "pairs": 5, "groups": 5, "scoringSeconds": 0.1, "solvingSeconds": 0.1, "results": []});
        let output = pinned["plan"]["output"].as_str().unwrap();
        self.put(&format!("{output}summary.json"), &summary.to_string()).await;
    }

    /// Writes an object.
    pub async fn put(&self, key: &str, content: &str) {
        self.store.put_small(key, content.to_owned().into(), "application/json").await.unwrap();
    }

    /// The keys below a prefix.
    pub async fn keys(&self, prefix: &str) -> Vec<String> {
        use futures::TryStreamExt;
        self.store.list(prefix).map_ok(|object| object.key).try_collect().await.unwrap()
    }
}

/// As the chart has them, with small shards, and sources below `in/`.
pub fn settings() -> JobSettings {
    serde_yaml::from_str(JOB_SETTINGS).unwrap()
}

/// A project of parties a and b that have contributed a thousand records each.
pub fn contributed_project(name: &str) -> Value {
    let party = |name: &str| {
        json!({"name": name, "state": "Contributed", "records": 1000, "encodingBytes": 128,
            "encodings": format!("projects/x/{name}"), "blake3": "00"})
    };
    json!({
        "apiVersion": "pprl.dev/v1alpha1", "kind": "LinkageProject", "metadata": {"name": name},
        "spec": {"resultType": "Groups", "parties": [{"name": "a"}, {"name": "b"}]},
        "status": {"parties": [party("a"), party("b")]},
    })
}

/// A run at .8 of project `p`.
pub fn run(name: &str, spec: Value) -> Value {
    let mut whole = json!({"projectRef": {"name": "p"}, "threshold": 0.8});
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    json!({"apiVersion": "pprl.dev/v1alpha1", "kind": "LinkageRun", "metadata": {"name": name}, "spec": whole})
}

/// A pod's status with the scorer in a state.
pub fn scorer(phase: &str, state: Value) -> Value {
    json!({"phase": phase, "containerStatuses": [{"name": "scorer", "image": "", "imageID": "", "ready": true,
        "restartCount": 0, "state": state}]})
}
