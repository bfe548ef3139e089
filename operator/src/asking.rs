//! Asks running pods how far they are.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use scorer::progress::Progress;

use crate::jobs::PROGRESS_PORT;
use crate::pods::{self, PodPhase, PodView};

/// Pods of one run that are asked at the same time.
const PARALLEL_REQUESTS: usize = 32;
/// A pod that answers later is starting, ending, or lost.
const TIMEOUT: Duration = Duration::from_secs(1);

/// What is known of the pods, and what the running ones say of themselves.
pub async fn ask(client: &reqwest::Client, pods: &[Arc<Pod>], now: Timestamp) -> Vec<PodView> {
    futures::stream::iter(pods.to_vec())
        .map(|pod| async move {
            let view = pods::view(&pod, now);
            let progress = match (&view.phase, pods::address(&pod)) {
                (PodPhase::Running, Some(address)) if view.lost_on.is_none() => {
                    ask_one(client, address).await
                }
                _ => None,
            };
            PodView { progress, ..view }
        })
        .buffered(PARALLEL_REQUESTS)
        .collect()
        .await
}

async fn ask_one(client: &reqwest::Client, address: &str) -> Option<Progress> {
    // an IPv6 address goes in brackets
    let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    let request = client.get(format!("http://{host}:{PROGRESS_PORT}/progress")).timeout(TIMEOUT);
    request.send().await.ok()?.error_for_status().ok()?.json().await.ok()
}
