use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::engine::Meter;
use crate::progress::{Progress, Stage};

/// How far a pod is, to be read from other threads while it works; and a way to stop it.
#[derive(Debug, Default)]
pub struct JobState {
    /// The engine's counters.
    pub meter: Meter,
    stage: Mutex<Stage>,
    total: AtomicU64,
}

impl JobState {
    /// What there is to say now.
    pub fn progress(&self) -> Progress {
        Progress {
            stage: self.stage(),
            comparisons: self.meter.comparisons(),
            total_comparisons: self.total.load(Ordering::Relaxed),
            pairs: self.meter.pairs(),
        }
    }

    /// What the pod is doing.
    pub fn stage(&self) -> Stage {
        *self.stage.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(super) fn set_stage(&self, stage: Stage) {
        tracing::debug!(?stage, "stage");
        *self.stage.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = stage;
    }

    /// More comparisons that this pod will do.
    pub(super) fn add_total(&self, comparisons: u64) {
        self.total.fetch_add(comparisons, Ordering::Relaxed);
    }
}
