//! What the local cluster alone can do: add a node that a test may take away.

use std::path::Path;

use anyhow::bail;

use crate::Story;
use crate::cluster::run;

/// The name of the added node.
pub const NODE: &str = "node2";
/// The taint of the added node.
pub const TAINT: &str = "local-cluster/added";

/// Whether the stories are told on the local cluster.
pub fn is_used() -> bool {
    let kubeconfig = std::env::var_os("KUBECONFIG").unwrap_or_default();
    Path::new(&kubeconfig).starts_with("/var/lib/linkage-local-cluster")
}

/// Adds the node. One that an earlier run has left is replaced.
pub async fn add_node() -> Story {
    cluster("add-node").await
}

/// Stops the kubelet of the added node. Its pods go on.
pub async fn pause_kubelet() -> Story {
    cluster("pause-kubelet").await
}

/// Lets the kubelet go on.
pub async fn resume_kubelet() -> Story {
    cluster("resume-kubelet").await
}

/// Removes the node.
pub async fn remove_node() -> Story {
    cluster("remove-node").await
}

async fn cluster(command: &str) -> Story {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/local-cluster/cluster");
    let output = run(program, &[command], "").await?;
    if !output.succeeded {
        bail!("{program} {command}: {}", output.text);
    }
    Ok(())
}
