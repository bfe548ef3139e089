//! The two resource types, `LinkageProject` and `LinkageRun`, and the rules that the operator and the REST
//! service must agree on: conditions and their reasons, labels, capability tokens, and which upload counts.
//!
//! Knows Kubernetes types only: no client, no object store, no encodings.

mod advice;
pub mod conditions;
pub mod contribution;
pub mod folders;
pub mod labels;
pub mod manifests;
mod outputs;
mod project;
mod run;
mod schema;
mod solver;
pub mod tokens;
pub mod webhook;

pub use advice::{RunScores, SuggestedThreshold, ThresholdAdvice, ThresholdEstimate};
pub use outputs::{AdditionalResult, ResultFormat};
pub use project::{
    AnnouncedObjects, Blocking, Encoding, LinkageProject, LinkageProjectSpec, LinkageProjectStatus,
    PaillierPublicKey, Party, PartyState, PartyStatus, ResultType, Retention, Source, StoredSchema,
};
pub use run::{
    LinkageRun, LinkageRunSpec, LinkageRunStatus, PairsFromRun, PinnedWork, ProjectReference, ResultStatus,
    RunProgress, RunReference, RunStage, Scheduling,
};
pub use solver::{RunSolving, Solver, SolverAlgorithm};
pub use webhook::{Webhook, WebhookStatus};

/// The API group of both resources.
pub const GROUP: &str = "pprl.dev";

/// The finalizer that keeps a resource until its objects and Jobs are gone.
pub const FINALIZER: &str = "pprl.dev/purge";
