//! Finds the records that belong to one person, from their encodings alone.
//!
//! Knows formats, the object store, kernels and solvers. Knows nothing of Kubernetes.

pub mod advice;
pub mod ingest;
pub mod job;
pub mod paillier;
pub mod plan;
pub mod progress;
pub mod result;
pub mod solve;
pub mod store;
pub mod summary;
pub mod telemetry;

pub use linkage_engine as engine;
pub use linkage_engine::pairs;
