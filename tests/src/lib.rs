//! What the end-to-end stories are told with: an installation in a namespace of its own, manifests, a REST client, and
//! the objects in the store.
//!
//! Needs KUBECONFIG, `kubectl` and `helm` on PATH, and the images on the cluster; `tests/e2e/run` sees to all of it.

pub mod browser;
pub mod client;
pub mod cluster;
pub mod data;
pub mod forward;
pub mod installation;
pub mod local_cluster;
pub mod objects;
pub mod picky_store;
pub mod relay;
pub mod rest;

pub use installation::{Installation, in_namespace};

/// What a story returns: an error ends it, and is told with all that led to it.
pub type Story = anyhow::Result<()>;
