//! How a Job looks: the same for ingest, scoring and solving but for the plan and the number of pods.

use std::collections::BTreeMap;

use crds::{Scheduling, labels};
use k8s_openapi::api::batch::v1::{
    Job, JobSpec, PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement,
    PodFailurePolicyOnPodConditionsPattern, PodFailurePolicyRule,
};
use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EmptyDirVolumeSource, EnvFromSource, EnvVar,
    LocalObjectReference, PodSecurityContext, PodSpec, PodTemplateSpec, ResourceRequirements, SeccompProfile,
    SecretEnvSource, SecretVolumeSource, SecurityContext, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use kube::ResourceExt;
use kube::api::PostParams;
use tracing::info;

use crate::caches::is_owned;
use crate::context::Context;
use crate::error::Error;
use crate::job_credentials::{self, Access, FILE, FOLDER, VOLUME};
use crate::quantity;
use crate::settings::JobSettings;

/// Port on which the pods of Jobs serve progress and metrics.
pub const PROGRESS_PORT: u16 = 8080;

/// Exit code by which the scorer says that its input is at fault.
const EXIT_BAD_INPUT: i32 = 3;

/// The container of a pod that does the work.
pub const CONTAINER: &str = "scorer";

/// How often a pod is tried again, with pauses of 10 s, 20 s, 40 s and so on. A store that is away does not end a pod: the
/// pod waits for it.
const RETRIES: i32 = 6;

/// How long a finished Job stays, so that its pods' logs can be read. The run's status does not need it.
const KEEP_FINISHED_SECONDS: i32 = 3600;

const SCRATCH: &str = "/scratch";

/// What a Job does: the scorer's subcommand, and the name of the component in labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Reads a party's source objects.
    Ingest,
    /// Compares records; solves too when there is one shard.
    Score,
    /// Merges the shards and solves.
    Solve,
}

impl Task {
    /// `ingest`, `score` or `solve`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Score => "score",
            Self::Solve => "solve",
        }
    }

    fn plan_variable(self) -> &'static str {
        match self {
            Self::Ingest => "INGEST_PLAN",
            Self::Score | Self::Solve => "RUN_PLAN",
        }
    }
}

/// One Job to make.
pub struct JobOrder {
    /// The Job's name.
    pub name: String,
    /// What it does.
    pub task: Task,
    /// The plan, as JSON.
    pub plan: String,
    /// The digest of the pinned work, if it is a run's Job.
    pub work: Option<String>,
    /// How many pods, each with its own index.
    pub completions: i32,
    /// Labels that name the project and the run.
    pub labels: BTreeMap<String, String>,
    /// The project or run that owns the Job.
    pub owner: OwnerReference,
    /// CPU and memory of each pod.
    pub resources: ResourceRequirements,
    /// Where and when the pods run, if the run says.
    pub scheduling: Scheduling,
    /// What the pods need of the store.
    pub access: Access,
}

/// The memory that a pod may use in bytes: its limit, or a default where there is none.
pub fn memory_limit(resources: &ResourceRequirements) -> u64 {
    const DEFAULT: u64 = 2 << 30;
    let limit = resources.limits.as_ref().and_then(|limits| limits.get("memory"));
    limit.and_then(quantity::bytes).unwrap_or(DEFAULT)
}

/// What became of a Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobState {
    /// Its pods run or will run.
    Active,
    /// It waits for a queueing system to admit it.
    Queued,
    /// All its pods have succeeded.
    Complete,
    /// It will not be tried again; the text says why.
    Failed(String),
}

/// Reads a Job's conditions.
pub fn state(job: &Job) -> JobState {
    let conditions = job.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let find = |types: [&str; 2]| {
        conditions
            .iter()
            .find(|condition| condition.status == "True" && types.contains(&condition.type_.as_str()))
    };
    // FailureTarget and SuccessCriteriaMet say the same a moment earlier, while the last pods end
    if let Some(condition) = find(["Failed", "FailureTarget"]) {
        let reason = condition.reason.as_deref().unwrap_or("JobFailed");
        return JobState::Failed(format!("{reason}: {}", condition.message.as_deref().unwrap_or_default()));
    }
    if find(["Complete", "SuccessCriteriaMet"]).is_some() {
        return JobState::Complete;
    }
    let is_suspended = job.spec.as_ref().and_then(|spec| spec.suspend).unwrap_or(false);
    if is_suspended { JobState::Queued } else { JobState::Active }
}

/// Builds the Job. Its pods have their credentials of the store from the Secret that is named, or else from that of the
/// settings.
pub fn build(order: JobOrder, settings: &JobSettings, own_credentials: Option<&str>) -> Job {
    let mut labels = settings.pod_labels.clone();
    labels.extend(order.labels.clone());
    labels.insert(labels::MANAGED_BY.into(), labels::OPERATOR.into());
    labels.insert(labels::COMPONENT.into(), order.task.name().into());
    labels.insert(labels::OWNER_UID.into(), order.owner.uid.clone());
    let mut job_labels = labels.clone();
    if let Some(queue) = &order.scheduling.queue_name {
        job_labels.insert("kueue.x-k8s.io/queue-name".into(), queue.clone());
    }
    Job {
        metadata: ObjectMeta {
            name: Some(order.name.clone()),
            labels: Some(job_labels),
            annotations: order.work.clone().map(|work| [(labels::WORK.to_owned(), work)].into()),
            owner_references: Some(vec![order.owner.clone()]),
            ..ObjectMeta::default()
        },
        spec: Some(JobSpec {
            completion_mode: Some("Indexed".into()),
            completions: Some(order.completions),
            parallelism: Some(order.completions),
            backoff_limit_per_index: Some(RETRIES),
            // one shard that failed for good makes all others useless
            max_failed_indexes: Some(0),
            pod_failure_policy: Some(failure_policy()),
            // Kueue starts suspended Jobs when their turn comes
            suspend: order.scheduling.queue_name.as_ref().map(|_| true),
            ttl_seconds_after_finished: Some(KEEP_FINISHED_SECONDS),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta { labels: Some(labels), ..ObjectMeta::default() }),
                spec: Some(pod(order, settings, own_credentials)),
            },
            ..JobSpec::default()
        }),
        status: None,
    }
}

/// A disrupted pod costs no retry; bad input ends the Job at once.
fn failure_policy() -> PodFailurePolicy {
    PodFailurePolicy {
        rules: vec![
            PodFailurePolicyRule {
                action: "Ignore".into(),
                on_pod_conditions: Some(vec![PodFailurePolicyOnPodConditionsPattern {
                    type_: "DisruptionTarget".into(),
                    status: "True".into(),
                }]),
                ..PodFailurePolicyRule::default()
            },
            PodFailurePolicyRule {
                action: "FailJob".into(),
                on_exit_codes: Some(PodFailurePolicyOnExitCodesRequirement {
                    // not the exit code of what others may have put beside it
                    container_name: Some(CONTAINER.into()),
                    operator: "In".into(),
                    values: vec![EXIT_BAD_INPUT],
                }),
                ..PodFailurePolicyRule::default()
            },
        ],
    }
}

fn pod(order: JobOrder, settings: &JobSettings, own_credentials: Option<&str>) -> PodSpec {
    let scheduling = order.scheduling;
    let shared_credentials = settings.store.credentials_secret.as_ref().filter(|_| own_credentials.is_none());
    PodSpec {
        restart_policy: Some("Never".into()),
        service_account_name: Some(settings.service_account_name.clone()),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        image_pull_secrets: Some(
            settings
                .image_pull_secrets
                .iter()
                .map(|name| LocalObjectReference { name: name.clone() })
                .collect(),
        ),
        priority_class_name: scheduling.priority_class_name.or_else(|| settings.priority_class_name.clone()),
        node_selector: Some(if scheduling.node_selector.is_empty() {
            settings.node_selector.clone()
        } else {
            scheduling.node_selector
        }),
        tolerations: Some(if scheduling.tolerations.is_empty() {
            settings.tolerations.clone()
        } else {
            scheduling.tolerations
        }),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(65532),
            run_as_group: Some(65532),
            fs_group: Some(65532),
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".into(), localhost_profile: None }),
            ..PodSecurityContext::default()
        }),
        containers: vec![Container {
            name: CONTAINER.into(),
            image: Some(settings.image.clone()),
            image_pull_policy: Some(settings.image_pull_policy.clone()),
            command: Some(vec!["/usr/local/bin/scorer".into(), order.task.name().into()]),
            env: Some(environment(order.task, order.plan, settings, own_credentials)),
            env_from: shared_credentials.map(|name| {
                vec![EnvFromSource {
                    secret_ref: Some(SecretEnvSource { name: name.clone(), optional: Some(false) }),
                    ..EnvFromSource::default()
                }]
            }),
            ports: Some(vec![ContainerPort {
                name: Some("progress".into()),
                container_port: i32::from(PROGRESS_PORT),
                ..ContainerPort::default()
            }]),
            resources: Some(order.resources),
            security_context: Some(SecurityContext {
                allow_privilege_escalation: Some(false),
                read_only_root_filesystem: Some(true),
                capabilities: Some(Capabilities { drop: Some(vec!["ALL".into()]), add: None }),
                ..SecurityContext::default()
            }),
            volume_mounts: Some(
                [mount("scratch", SCRATCH, false)]
                    .into_iter()
                    .chain(own_credentials.map(|_| mount(VOLUME, FOLDER, true)))
                    .collect(),
            ),
            ..Container::default()
        }],
        volumes: Some(
            [scratch(settings)].into_iter().chain(own_credentials.map(credentials_volume)).collect(),
        ),
        ..PodSpec::default()
    }
}

fn mount(name: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: name.into(),
        mount_path: path.into(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
}

fn scratch(settings: &JobSettings) -> Volume {
    Volume {
        name: "scratch".into(),
        empty_dir: Some(EmptyDirVolumeSource {
            size_limit: Some(settings.scratch_size.clone()),
            ..EmptyDirVolumeSource::default()
        }),
        ..Volume::default()
    }
}

fn credentials_volume(secret: &str) -> Volume {
    Volume {
        name: VOLUME.into(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret.into()),
            default_mode: Some(0o440),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}

fn environment(
    task: Task,
    plan: String,
    settings: &JobSettings,
    own_credentials: Option<&str>,
) -> Vec<EnvVar> {
    let set = |name: &str, value: String| EnvVar { name: name.into(), value: Some(value), value_from: None };
    let mut environment = vec![
        set(task.plan_variable(), plan),
        set("STORE_URL", settings.store.url.clone()),
        set("SCRATCH_DIR", SCRATCH.into()),
        set("LISTEN", format!("0.0.0.0:{PROGRESS_PORT}")),
    ];
    environment.extend(own_credentials.map(|_| set("STORE_CREDENTIALS_FILE", format!("{FOLDER}/{FILE}"))));
    environment.extend(settings.store.endpoint.clone().map(|endpoint| set("STORE_ENDPOINT", endpoint)));
    environment.extend(settings.store.region.clone().map(|region| set("STORE_REGION", region)));
    environment
}

/// Creates a Job. A Job of that name with the same owner is taken for it, as the caches may be behind. A Job of somebody
/// else is left alone.
///
/// # Errors
/// Fails when Kubernetes refuses, or the name is taken.
pub async fn create(context: &Context, order: JobOrder) -> Result<(), Error> {
    let owner = order.owner.clone();
    let granted = job_credentials::grant(context, &order.name, &order.access).await?;
    let job = build(order, &context.jobs, granted.as_ref().map(|granted| granted.secret.as_str()));
    let (api, name) = (context.api::<Job>(), job.name_any());
    let refused = Error::refused(format!("create the Job {name}"));
    match api.create(&PostParams::default(), &job).await {
        Ok(created) => {
            info!(job = name, owner = owner.name, "created Job");
            match granted {
                Some(granted) => job_credentials::hand_over(context, &created, granted).await,
                None => Ok(()),
            }
        }
        Err(kube::Error::Api(status)) if status.code == 409 => {
            let Some(there) = api.get_opt(&name).await? else {
                return Err(Error::StillDeleting(format!("Job {name}")));
            };
            judge(&there, &owner)
        }
        Err(error) => Err(refused(error)),
    }
}

fn judge(there: &Job, owner: &OwnerReference) -> Result<(), Error> {
    let name = there.name_any();
    if !is_owned(there, &owner.uid) {
        let whose = there.owner_references().first().map(|other| format!("{} {}", other.kind, other.name));
        let whose = whose.unwrap_or_else(|| "somebody else".into());
        return Err(Error::NameTaken(format!(
            "the Job {name} in this namespace belongs to {whose}, and {} {} needs a Job of that name; delete or rename that \
             Job, or create the {} under another name. The operator leaves the Job alone, and looks again every minute",
            owner.kind, owner.name, owner.kind
        )));
    }
    match there.metadata.deletion_timestamp {
        Some(_) => Err(Error::StillDeleting(format!("Job {name}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn job(more: serde_json::Value) -> Job {
        let mut job = json!({"metadata": {"name": "r-score"}, "spec": {"template": {}}});
        job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(job).unwrap()
    }

    #[test]
    fn a_job_says_what_became_of_it() {
        let with = |type_: &str| {
            job(
                json!({"status": {"conditions": [{"type": type_, "status": "True", "reason": "R", "message": "m"}]}}),
            )
        };
        assert_eq!(state(&job(json!({}))), JobState::Active);
        assert_eq!(state(&job(json!({"spec": {"template": {}, "suspend": true}}))), JobState::Queued);
        for type_ in ["Complete", "SuccessCriteriaMet"] {
            assert_eq!(state(&with(type_)), JobState::Complete);
        }
        for type_ in ["Failed", "FailureTarget"] {
            assert_eq!(state(&with(type_)), JobState::Failed("R: m".into()));
        }
    }

    #[test]
    fn a_job_of_somebody_else_is_named_and_left_alone() {
        let owner = OwnerReference {
            kind: "LinkageRun".into(),
            name: "r".into(),
            uid: "1".into(),
            ..Default::default()
        };
        let owned = |uid: &str| {
            let reference = json!({"apiVersion": "v1", "kind": "CronJob", "name": "nightly", "uid": uid});
            job(json!({"metadata": {"name": "r-score", "ownerReferences": [reference]}}))
        };
        assert!(judge(&owned("1"), &owner).is_ok());
        let told = judge(&owned("2"), &owner).unwrap_err().to_string();
        assert!(told.contains("the Job r-score") && told.contains("CronJob nightly"), "{told}");
        assert!(judge(&job(json!({})), &owner).unwrap_err().to_string().contains("somebody else"));
    }
}
