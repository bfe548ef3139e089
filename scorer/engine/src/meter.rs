use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{Error, Plan};

/// How far a linkage is, to be read from other threads while it runs; and a way to stop it.
///
/// The counters only ever grow, and add up over several runs with the same meter.
#[derive(Debug, Default)]
pub struct Meter {
    comparisons: AtomicU64,
    pairs: AtomicU64,
    cancelled: AtomicBool,
    method: Mutex<Option<(Plan, &'static str)>>,
}

impl Meter {
    /// Comparisons done so far; in the end [`super::Linkage::comparisons`]. With blocks a pair of records that
    /// share several blocks counts here once a block, though it is compared only once; the exact number is in
    /// [`super::Outcome`].
    pub fn comparisons(&self) -> u64 {
        self.comparisons.load(Ordering::Relaxed)
    }

    /// Pairs found so far.
    pub fn pairs(&self) -> u64 {
        self.pairs.load(Ordering::Relaxed)
    }

    /// How pairs are found, and by the instructions of which kernel; None until that is decided.
    pub fn method(&self) -> Option<(Plan, &'static str)> {
        *self.method.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the linkage end soon, with [`Error::Cancelled`].
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        if self.cancelled.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
    }

    pub(super) fn set_method(&self, plan: Plan, kernel: &'static str) {
        *self.method.lock().unwrap_or_else(PoisonError::into_inner) = Some((plan, kernel));
    }

    pub(super) fn add(&self, comparisons: u64, pairs: u64) {
        self.comparisons.fetch_add(comparisons, Ordering::Relaxed);
        self.pairs.fetch_add(pairs, Ordering::Relaxed);
    }
}
