//! What the administrator sets: flags, environment, and the file that tells how Jobs are made.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use k8s_openapi::api::core::v1::{ResourceRequirements, Toleration};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use scorer::plan::Limits;
use scorer::store::{StoreArgs, TokenServiceArgs};
use serde::Deserialize;

use crate::sweep::SweepArgs;

/// Reconciles LinkageProjects and LinkageRuns: starts the Jobs that link records, and writes their status.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Args {
    /// The namespace whose projects and runs this operator serves.
    #[arg(long, env = "NAMESPACE")]
    pub namespace: String,

    /// File that holds the master key, from which all tokens are derived; at least 32 bytes.
    #[arg(long, env = "MASTER_KEY_FILE", default_value = "/etc/linkage/master-key/key")]
    pub master_key_file: PathBuf,

    /// YAML file that tells how Jobs are made: image, store, resources, scheduling.
    #[arg(long, env = "JOB_SETTINGS", default_value = "/etc/linkage/jobs.yaml")]
    pub job_settings: PathBuf,

    /// Address of /healthz, /readyz and /metrics.
    #[arg(long, env = "LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,

    /// Where encodings and results are kept.
    #[command(flatten)]
    pub store: StoreArgs,

    /// The store is in this very namespace: when the namespace is deleted, so is all that is in the store.
    #[arg(long, env = "STORE_IN_NAMESPACE")]
    pub store_in_namespace: bool,

    /// Addresses to which webhooks of projects may lead, with commas between them: each allows itself and what is below it.
    #[arg(long, env = "WEBHOOK_URLS", value_delimiter = ',')]
    pub webhook_urls: Vec<String>,

    /// Let webhooks lead to addresses of private networks, too, such as those of the cluster.
    #[arg(long, env = "WEBHOOK_PRIVATE_ADDRESSES")]
    pub webhook_private_addresses: bool,

    /// When leftovers are removed.
    #[command(flatten)]
    pub sweep: SweepArgs,
}

/// How Jobs are made: the chart's values, as the operator reads them.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JobSettings {
    /// Image that holds the scorer.
    pub image: String,
    /// When the image is pulled.
    #[serde(default = "if_not_present")]
    pub image_pull_policy: String,
    /// Secrets for pulling the image.
    #[serde(default)]
    pub image_pull_secrets: Vec<String>,
    /// ServiceAccount of the pods; it needs no rights and its token is not mounted.
    pub service_account_name: String,
    /// The store as the pods reach it.
    pub store: JobStore,
    /// CPU and memory of a pod whose run does not say.
    #[serde(default)]
    pub resources: ResourceRequirements,
    /// How much scratch space a pod may fill.
    #[serde(default = "default_scratch_size")]
    pub scratch_size: Quantity,
    /// Labels that nodes must carry, for runs that do not say.
    #[serde(default)]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the pods tolerate, for runs that do not say.
    #[serde(default)]
    pub tolerations: Vec<Toleration>,
    /// Priority class of the pods, for runs that do not say.
    #[serde(default)]
    pub priority_class_name: Option<String>,
    /// What is taken in from source objects; uploads have the same limits.
    #[serde(default)]
    pub limits: Limits,
    /// The most bytes of an object that a party has put into the store by itself; uploads have the same limit.
    #[serde(default = "default_max_upload_bytes")]
    pub max_upload_bytes: u64,
    /// More labels for the pods.
    #[serde(default)]
    pub pod_labels: BTreeMap<String, String>,
    /// What the keys of source objects may begin with; `{project}` and `{namespace}` stand for the names of the project and of
    /// its namespace. An empty text allows all keys.
    #[serde(default = "default_source_prefixes")]
    pub source_prefixes: Vec<String>,
    /// After how many seconds a pod whose node does not answer is deleted by force, so that its Job makes another.
    #[serde(default = "default_replace_lost_pods")]
    pub replace_lost_pods_after_seconds: u64,
    /// How many comparisons one shard has at most, for runs that do not say how many shards they want.
    #[serde(default = "default_comparisons_per_shard")]
    pub comparisons_per_shard: u64,
}

/// The store as the pods reach it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JobStore {
    /// `s3://bucket` or `s3://bucket/prefix`.
    pub url: String,
    /// Endpoint of a store that is not AWS.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Region.
    #[serde(default)]
    pub region: Option<String>,
    /// Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; without it the pods' own identity is used.
    #[serde(default)]
    pub credentials_secret: Option<String>,
    /// The role of which each Job gets a part, for its own project and run alone; then the Secret is not used.
    #[serde(default)]
    pub role: Option<JobRole>,
}

/// The role of Jobs, as the store's token service knows it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JobRole {
    /// Its ARN, such as `arn:aws:iam::123456789012:role/linkage-jobs`. The operator must be allowed to assume it.
    pub arn: String,
    /// Address of the token service; by default that of the store.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// For how long credentials are good. They are renewed when half of that is over.
    #[serde(default = "default_role_seconds")]
    pub seconds: i32,
}

impl From<JobRole> for TokenServiceArgs {
    fn from(JobRole { arn, endpoint, seconds }: JobRole) -> Self {
        Self { role_arn: arn, endpoint, seconds }
    }
}

impl JobSettings {
    /// Reads the file that `--job-settings` names.
    ///
    /// # Errors
    /// Fails when the file cannot be read, or is not what this version understands.
    pub fn read(path: &std::path::Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_yaml::from_str(&text).with_context(|| format!("{} cannot be understood", path.display()))
    }

    /// What the keys of source objects of a project may begin with.
    pub fn source_prefixes(&self, namespace: &str, project: &str) -> Vec<String> {
        let replaced =
            |prefix: &String| prefix.replace("{namespace}", namespace).replace("{project}", project);
        self.source_prefixes.iter().map(replaced).collect()
    }
}

fn default_max_upload_bytes() -> u64 {
    10_000 << 20
}

fn default_source_prefixes() -> Vec<String> {
    vec!["sources/{project}/".into()]
}

fn default_role_seconds() -> i32 {
    3600
}

fn default_replace_lost_pods() -> u64 {
    120
}

fn if_not_present() -> String {
    "IfNotPresent".into()
}

fn default_scratch_size() -> Quantity {
    Quantity("10Gi".into())
}

fn default_comparisons_per_shard() -> u64 {
    200_000_000_000
}
