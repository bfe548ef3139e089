//! What Kubernetes has told by its watches: reading it costs the API server nothing.
//!
//! It may be a moment behind. That does no harm where a write is guarded by the resource version that was read, or
//! where what is created has a fixed name. Where it could do harm, Kubernetes itself is asked.

use std::sync::Arc;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{self, ObjectRef, Store, store::Writer};

use crds::{LinkageProject, LinkageRun};

/// A Secret without what is in it.
pub type SecretMetadata = PartialObjectMeta<Secret>;

/// The readers.
#[derive(Clone)]
pub struct Caches {
    /// All projects.
    pub projects: Store<LinkageProject>,
    /// All runs.
    pub runs: Store<LinkageRun>,
    /// The Jobs that this operator has made.
    pub jobs: Store<Job>,
    /// Their pods.
    pub pods: Store<Pod>,
    /// The Secrets that this operator has made; their metadata alone.
    pub secrets: Store<SecretMetadata>,
}

impl Caches {
    /// Waits until all caches are filled.
    pub async fn wait_until_ready(&self) {
        // the writers live as long as the operator does
        let _ = futures::join!(
            self.projects.wait_until_ready(),
            self.runs.wait_until_ready(),
            self.jobs.wait_until_ready(),
            self.pods.wait_until_ready(),
            self.secrets.wait_until_ready(),
        );
    }
}

/// The other ends: what fills them.
pub struct Writers {
    /// See [`Caches::projects`].
    pub projects: Writer<LinkageProject>,
    /// See [`Caches::runs`].
    pub runs: Writer<LinkageRun>,
    /// See [`Caches::jobs`].
    pub jobs: Writer<Job>,
    /// See [`Caches::pods`].
    pub pods: Writer<Pod>,
    /// See [`Caches::secrets`].
    pub secrets: Writer<SecretMetadata>,
}

/// Empty caches, and what fills them.
pub fn caches() -> (Caches, Writers) {
    let (projects, project_writer) = reflector::store();
    let (runs, run_writer) = reflector::store();
    let (jobs, job_writer) = reflector::store();
    let (pods, pod_writer) = reflector::store();
    let (secrets, secret_writer) = reflector::store();
    let writers = Writers {
        projects: project_writer,
        runs: run_writer,
        jobs: job_writer,
        pods: pod_writer,
        secrets: secret_writer,
    };
    (Caches { projects, runs, jobs, pods, secrets }, writers)
}

/// The object of a name in a namespace.
pub fn named<K>(store: &Store<K>, namespace: &str, name: &str) -> Option<Arc<K>>
where
    K: kube::Resource<DynamicType = ()> + Clone + 'static,
{
    store.get(&ObjectRef::new(name).within(namespace))
}

/// Whether an object has an owner of this uid.
pub fn is_owned<K: ResourceExt>(object: &K, uid: &str) -> bool {
    object.owner_references().iter().any(|owner| owner.uid == uid)
}
