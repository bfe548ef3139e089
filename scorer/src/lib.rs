//! Finds the records that belong to one person, from their encodings alone.
//!
//! Knows formats, the object store, kernels and solvers. Knows nothing of Kubernetes.

pub mod engine;
pub mod ingest;
pub mod job;
pub mod pairs;
pub mod plan;
pub mod progress;
pub mod result;
pub mod solve;
pub mod store;
pub mod summary;
pub mod telemetry;
