//! Whether the caches know of what this operator itself has written.
//!
//! A reconciliation on an older version would decide the same again, and its write would be refused. Resource versions of
//! one kind grow as Kubernetes promises since version 1.35; where they are no numbers nothing is held back.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use kube::ResourceExt;

/// A watch that has not told of a write by then is broken: whatever is known has to do.
const LONGEST: Duration = Duration::from_secs(5);
/// How soon to look again whether the watch has told.
pub const SOON: Duration = Duration::from_millis(50);

/// The versions that were written and not seen since, by uid.
#[derive(Default)]
pub struct Freshness(Mutex<HashMap<String, (u64, Instant)>>);

impl Freshness {
    /// This object was written, and is now of this version.
    pub fn wrote(&self, object: &impl ResourceExt) {
        if let (Some(uid), Some(version)) = (object.uid(), version(object)) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(uid, (version, Instant::now()));
        }
    }

    /// Whether an object, as the watch has told it, is older than what was written.
    pub fn is_behind(&self, object: &impl ResourceExt) -> bool {
        let (Some(uid), Some(seen)) = (object.uid(), version(object)) else { return false };
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_behind =
            written.get(&uid).is_some_and(|(version, at)| seen < *version && at.elapsed() < LONGEST);
        if !is_behind {
            written.remove(&uid);
        }
        is_behind
    }
}

fn version(object: &impl ResourceExt) -> Option<u64> {
    object.resource_version()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Pod;

    fn pod(version: &str) -> Pod {
        let metadata = serde_json::json!({"uid": "1", "resourceVersion": version});
        serde_json::from_value(serde_json::json!({"metadata": metadata})).unwrap()
    }

    #[test]
    fn an_older_version_than_was_written_is_behind() {
        let freshness = Freshness::default();
        assert!(!freshness.is_behind(&pod("9")));
        freshness.wrote(&pod("10"));
        assert!(freshness.is_behind(&pod("9")));
        assert!(!freshness.is_behind(&pod("10")));
        freshness.wrote(&pod("no number"));
        assert!(!freshness.is_behind(&pod("9")));
    }
}
