use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use crate::engine::Meter;
use crate::progress::{Progress, Stage};
use crate::store::Store;

/// How far a pod is, to be read from other threads while it works; and a way to stop it.
#[derive(Debug, Default)]
pub struct JobState {
    /// The engine's counters.
    pub meter: Meter,
    stage: Mutex<Stage>,
    total: AtomicU64,
    mask_done: AtomicU64,
    mask_total: AtomicU64,
    /// The store that the pod may wait for.
    store: OnceLock<Store>,
}

impl JobState {
    /// What there is to say now.
    pub fn progress(&self) -> Progress {
        // what is done is read first, so that a total that grows meanwhile does no harm
        let comparisons = self.meter.comparisons();
        let total_comparisons = self.total.load(Ordering::Relaxed);
        Progress {
            stage: self.stage(),
            comparisons: comparisons.min(total_comparisons),
            total_comparisons,
            pairs: self.meter.pairs(),
            mask_encrypted: self.mask_done.load(Ordering::Relaxed),
            mask_total: self.mask_total.load(Ordering::Relaxed),
            waiting: self.store.get().and_then(Store::waiting),
        }
    }

    /// What the pod is doing.
    pub fn stage(&self) -> Stage {
        *self.stage.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Tells from now on when this store is waited for.
    pub(super) fn watch(&self, store: &Store) {
        let _ = self.store.set(store.clone());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{EncodingSource, Encodings, Linkage, Threshold};

    #[test]
    fn what_is_done_never_exceeds_what_is_to_be_done() {
        let state = JobState::default();
        let encodings = Encodings::from_bytes(&[0x5a; 80], 8).unwrap();
        let sources: [&dyn EncodingSource; 2] = [&encodings, &encodings];
        let linkage = Linkage::new(&sources, Threshold::new(0.5).unwrap()).unwrap();
        linkage.run(&state.meter, &mut Vec::new()).unwrap();
        assert_eq!(state.meter.comparisons(), 100);
        for (more, shown) in [(0, 0), (60, 60), (40, 100), (100, 100)] {
            state.add_total(more);
            assert_eq!(state.progress().comparisons, shown);
            assert!(shown <= state.progress().total_comparisons);
        }
    }
}
