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
    mask_done: AtomicU64,
    mask_total: AtomicU64,
}

impl JobState {
    /// What there is to say now.
    pub fn progress(&self) -> Progress {
        Progress {
            stage: self.stage(),
            comparisons: self.meter.comparisons(),
            total_comparisons: self.total.load(Ordering::Relaxed),
            pairs: self.meter.pairs(),
            mask_encrypted: self.mask_done.load(Ordering::Relaxed),
            mask_total: self.mask_total.load(Ordering::Relaxed),
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

    /// More elements of the mask that this pod will encrypt.
    pub(super) fn add_mask_total(&self, elements: u64) {
        self.mask_total.fetch_add(elements, Ordering::Relaxed);
    }

    /// More elements of the mask are encrypted.
    pub(super) fn add_mask_done(&self, elements: u64) {
        self.mask_done.fetch_add(elements, Ordering::Relaxed);
    }

    /// More comparisons that this pod will do.
    pub(super) fn add_total(&self, comparisons: u64) {
        self.total.fetch_add(comparisons, Ordering::Relaxed);
    }
}
