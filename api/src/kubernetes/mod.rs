//! Projects and runs, as the Kubernetes API keeps them.

pub mod cluster;
pub mod news;
pub mod watched;
