//! `LinkageRun`: one linkage of a project's data at one threshold.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ResourceRequirements, Toleration};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::advice::{RunScores, ThresholdAdvice};
use crate::outputs::{AdditionalResult, ResultFormat};
use crate::schema::kept;
use crate::solver::{RunSolving, Solver};
use crate::webhook::WebhookStatus;

/// Links the records of a project at a similarity threshold.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "pprl.dev",
    version = "v1alpha1",
    kind = "LinkageRun",
    plural = "linkageruns",
    namespaced,
    cel,
    status = "LinkageRunStatus",
    derive = "PartialEq",
    shortname = "lrun",
    category = "pprl",
    doc = "A LinkageRun links the records of a LinkageProject at a similarity threshold. It may be created before \
           the parties have contributed: it then waits.",
    validation = Rule::new("size(self.metadata.name) <= 48")
        .message("metadata.name must have at most 48 characters, because Jobs are named after it"),
    // existing resources are spared, as they must stay deletable
    validation = Rule::new("oldSelf.hasValue() || !self.metadata.name.contains('.')").optional_old_self(true)
        .message("metadata.name must not contain a dot, because pods are named after it"),
    validation = Rule::new("!has(self.spec.fromRun) || self.spec.fromRun.name != self.metadata.name")
        .message("fromRun names the run itself; name an earlier run, whose pairs are used again"),
    printcolumn(name = "Project", type_ = "string", json_path = ".spec.projectRef.name"),
    printcolumn(name = "Threshold", type_ = "number", json_path = ".spec.threshold"),
    printcolumn(name = "Stage", type_ = "string", json_path = ".status.stage"),
    printcolumn(name = "Progress", type_ = "string", json_path = ".status.progress.percent",
        description = "Share of the comparisons done"),
    printcolumn(name = "Pairs", type_ = "integer", json_path = ".status.pairs"),
    printcolumn(name = "Groups", type_ = "integer", json_path = ".status.groups"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason"),
    printcolumn(name = "Message", type_ = "string", priority = "1", json_path = ".status.message"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
)]
#[x_kube(
    cel,
    validation = Rule::new("self.projectRef == oldSelf.projectRef")
        .message("projectRef cannot be changed; create a new run"),
    validation = Rule::new("self.threshold == oldSelf.threshold")
        .message("threshold cannot be changed; create a new run"),
    validation = kept("shards").message("shards cannot be changed; create a new run"),
    validation = kept("resources").message("resources cannot be changed; create a new run"),
    validation = kept("fromRun").message("fromRun cannot be changed; create a new run"),
    validation = kept("solver").message("solver cannot be changed; create a new run"),
    validation = kept("formats").message("formats cannot be changed; create a new run, with fromRun if nothing is to be compared anew"),
    validation = kept("additionalResults").message("additionalResults cannot be changed; create a new run, with fromRun if nothing is to be compared anew"),
    validation = Rule::new("!has(self.fromRun) || !has(self.shards)")
        .message("shards cannot be given with fromRun, as nothing is compared; leave it out"),
)]
pub struct LinkageRunSpec {
    /// The project whose data is linked, in the same namespace.
    pub project_ref: ProjectReference,

    /// Pairs with a Dice similarity at or above this are kept: above 0, at most 1.
    #[x_kube(validation = Rule::new("self > 0.0 && self <= 1.0")
        .message("threshold must be above 0 and at most 1, for example 0.85"))]
    pub threshold: f64,

    /// An earlier run of the same project, whose scored pairs are used again instead of comparing the records anew.
    /// Its threshold must be this run's or lower. That run may be deleted at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_run: Option<RunReference>,

    /// How groups are formed of pairs. By default as anonlink forms them. Not for SimilarityScores, of which none are
    /// formed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub solver: Option<Solver>,
    /// How the result is written: any of JSON, CSV, NDJSON and Parquet; by default all four. JSON is written in any case. All
    /// but JSON name the parties, and tell the scores within groups. Similarity scores grow with the pairs: where these are
    /// billions, Parquet alone saves much space beside JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4))]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = Rule::new("!('Anonlink' in self)")
            .message("formats must not name Anonlink, in which similarity scores are written in any case; leave it out")
    )]
    pub formats: Option<Vec<ResultFormat>>,

    /// What is written beside the result that the project's resultType asks for: SimilarityScores of all pairs at or above
    /// the threshold, beside Groups. Never beside Permutations, which they would give away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub additional_results: Vec<AdditionalResult>,

    /// A title for people. The REST service's `name`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1024))]
    pub title: String,

    /// Notes for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 10240))]
    pub notes: String,

    /// Set it to stop the run's pods; unset it to go on. Finished shards are kept.
    #[serde(default)]
    pub suspend: bool,

    /// Into how many shards the comparisons are cut, each a pod. By default chosen from the size of the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub shards: Option<i32>,

    /// CPU and memory of each pod. The memory limit bounds what the scorer uses. By default the chart's values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,

    /// Where and when the pods run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduling: Option<Scheduling>,

    /// Seconds of work after which a run that is not complete fails. Only time in which a pod of the run is running counts:
    /// neither waiting for parties, for nodes or in a queue, nor being suspended. No limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub active_deadline_seconds: Option<i64>,

    /// Seconds after its end at which the run is deleted, with its result. Never, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub ttl_seconds_after_finished: Option<i64>,
}

/// Names a project in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectReference {
    /// The project's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Names a run in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunReference {
    /// The run's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Where and when a run's pods run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scheduling {
    /// A Kueue LocalQueue: the Jobs carry the label `kueue.x-k8s.io/queue-name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_name: Option<String>,

    /// Priority class of the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<String>,

    /// Labels that a node must carry.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,

    /// Taints that the pods tolerate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub tolerations: Vec<Toleration>,
}

/// How far a run is. Written by the operator alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LinkageRunStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Suspended, Complete, Failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::conditions")]
    pub conditions: Vec<Condition>,

    /// What the run is doing, or how it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<RunStage>,

    /// Why it is at that stage: the reason of the condition that matters most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,

    /// The same for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,

    /// Comparisons done and in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<RunProgress>,

    /// Pairs at or above the threshold, so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairs: Option<i64>,

    /// Groups found; for permutations the number of matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<i64>,

    /// Into how many shards the comparisons are cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shards: Option<i32>,

    /// What the run works on, written down once when it starts: all its Jobs get this, whatever changes meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<PinnedWork>,

    /// For how many seconds pods of the run have been at work: what spec.activeDeadlineSeconds is compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_seconds: Option<i64>,

    /// What the run links: SHA-256, in hex, over keys, sizes and checksums of the parties' data when the run began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_sha256: Option<String>,

    /// The run whose scored pairs are used, as `spec.fromRun` asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairs_from_run: Option<PairsFromRun>,

    /// When the run started: all parties had contributed, and its work was pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,

    /// When the run became complete or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,

    /// The objects of the result, the main one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub results: Vec<ResultStatus>,

    /// What algorithm Optimal has solved, and what it has left to Greedy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub solving: Option<RunSolving>,

    /// How similar the records are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<RunScores>,

    /// What to expect of other thresholds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold_advice: Option<ThresholdAdvice>,

    /// Whether the news of the run's end has been sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookStatus>,
}

/// What a run works on, as it was when the run started.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PinnedWork {
    /// SHA-256 of the plan, in hex. Each shard and the summary name it, and are used for this work only.
    pub digest: String,
    /// What the scorer is told: parties in order, keys and checksums of their data, threshold, solver, formats, shards.
    #[schemars(schema_with = "crate::schema::free_object")]
    pub plan: Map<String, Value>,
    /// CPU and memory of each pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
}

impl PinnedWork {
    /// The parties whose data is linked, in the order that numbers the data sets of the result.
    pub fn parties(&self) -> Vec<&str> {
        let inputs = self.plan.get("inputs").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        inputs.iter().filter_map(|input| input.get("party")?.as_str()).collect()
    }
}

/// What a run is doing, or how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum RunStage {
    /// Some party has not contributed yet, or there is no project yet.
    WaitingForParties,
    /// The pods have not started yet.
    Queued,
    /// Records are being compared.
    Scoring,
    /// Pairs are being solved and the result written.
    Solving,
    /// The result is there.
    Complete,
    /// The run will never complete.
    Failed,
}

/// The very run whose scored pairs are used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PairsFromRun {
    /// Its name.
    pub name: String,
    /// Its uid: a run that gets the same name later is another one.
    pub uid: String,
    /// Its threshold.
    pub threshold: f64,
    /// The digest of what it worked on: its pairs are used only if they are of that very work.
    #[serde(default)]
    pub work: String,
    /// Where its objects are in the store.
    #[serde(default)]
    pub output: String,
}

/// Comparisons done and in all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunProgress {
    /// Pairs of records compared so far.
    pub comparisons: i64,
    /// Pairs of records to compare in all.
    pub total_comparisons: i64,
    /// The share, such as `42%`.
    pub percent: String,
}

/// One object of a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResultStatus {
    /// `groups`, `similarity_scores`, `mask`, or `permutation-` and the number of the data set.
    pub name: String,
    /// How it is written.
    #[serde(default)]
    pub format: ResultFormat,
    /// Key of the object in the store.
    pub key: String,
    /// Size in bytes.
    pub bytes: i64,
    /// BLAKE3 of the object, in hex; `b3sum` prints the same.
    pub blake3: String,
}

impl LinkageRun {
    /// Forgets title and notes, which only people and clients read. Such a run must not be written back but for its status.
    pub fn forget_texts(&mut self) {
        self.spec.title = String::new();
        self.spec.notes = String::new();
    }
}
