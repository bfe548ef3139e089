//! Labels and annotations on what the operator and the REST service create.

/// Label: the LinkageProject that an object belongs to.
pub const PROJECT: &str = "pprl.dev/project";
/// Label: the LinkageRun that an object belongs to.
pub const RUN: &str = "pprl.dev/run";
/// Label: the uid of the LinkageProject or LinkageRun that a Job or a pod belongs to.
pub const OWNER_UID: &str = "pprl.dev/owner-uid";
/// Annotation of a run's Job: the digest of the pinned work that it does.
pub const WORK: &str = "pprl.dev/work";
/// Annotation of what was created over REST: a keyed hash of the address that it came from, for quotas.
pub const CREATED_FROM: &str = "pprl.dev/created-from";
/// Annotation of what was created over REST: the bytes of its schema and notes, for quotas.
pub const TEXT_BYTES: &str = "pprl.dev/text-bytes";
/// Annotation of a project: by what the last rotation of its tokens is known again.
pub const ROTATION: &str = "pprl.dev/rotation";
/// Label: what a pod does: `ingest`, `score` or `solve`.
pub const COMPONENT: &str = "app.kubernetes.io/component";
/// Label: who made an object.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Value of [`MANAGED_BY`] on what the operator makes.
pub const OPERATOR: &str = "linkage-operator";
/// Value of [`MANAGED_BY`] on projects and runs created over REST: they get no tokens Secret, because the
/// answer that created them handed the tokens out.
pub const API: &str = "linkage-api";
