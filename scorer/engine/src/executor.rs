use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Error, Meter, PairSink};
use crate::pairs::Pair;

/// Pairs that are gathered from the workers before the sink gets them.
const BATCH_PAIRS: usize = 1 << 18;

/// Runs tasks on all cores, and hands what they find to a sink on the caller's thread.
pub(super) struct Executor<'a> {
    meter: &'a Meter,
    sink: &'a mut dyn PairSink,
    pub(super) outcome: super::Outcome,
}

/// What one task has done; its pairs are in the vector that it was given.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Done {
    /// Comparisons of the plan that are done with.
    pub planned: u64,
    /// Comparisons that were really made.
    pub comparisons: u64,
}

/// What the workers share while they run.
#[derive(Default)]
struct Shared {
    pairs: Vec<Pair>,
    comparisons: u64,
    error: Option<Error>,
}

impl<'a> Executor<'a> {
    pub(super) fn new(meter: &'a Meter, sink: &'a mut dyn PairSink) -> Self {
        Self { meter, sink, outcome: super::Outcome::default() }
    }

    /// Runs tasks 0..tasks, each once. `work` gets the task, scratch space of its thread, and appends what it finds.
    ///
    /// The sink may take its time, and sort on all cores, so that it must not run beside the workers, nor may they
    /// wait for it: once a batch is full they stop taking tasks, all end, the sink gets the batch, and they go on.
    /// So at most a batch and one task's pairs a thread are in memory.
    pub(super) fn run<S: Default>(
        &mut self,
        tasks: usize,
        work: impl Fn(usize, &mut S, &mut Vec<Pair>) -> Result<Done, Error> + Sync,
    ) -> Result<(), Error> {
        let next = AtomicUsize::new(0);
        while next.load(Ordering::Relaxed) < tasks {
            let stop = AtomicBool::new(false);
            let shared = Mutex::new(Shared::default());
            rayon::broadcast(|_| {
                let (mut scratch, mut found) = (S::default(), Vec::new());
                while !stop.load(Ordering::Relaxed) {
                    let task = next.fetch_add(1, Ordering::Relaxed);
                    if task >= tasks {
                        break;
                    }
                    let done = self.meter.check().and_then(|()| work(task, &mut scratch, &mut found));
                    self.meter.add(done.as_ref().map_or(0, |done| done.planned), found.len() as u64);
                    if lock(&shared).take(done, &mut found) {
                        stop.store(true, Ordering::Relaxed);
                    }
                }
            });
            let shared = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
            if let Some(error) = shared.error {
                return Err(error);
            }
            self.outcome.comparisons += shared.comparisons;
            self.outcome.pairs += shared.pairs.len() as u64;
            self.sink.accept(&shared.pairs)?;
        }
        Ok(())
    }
}

impl Shared {
    /// Takes in what a task has done; true when the workers are to stop.
    fn take(&mut self, done: Result<Done, Error>, found: &mut Vec<Pair>) -> bool {
        match done {
            Ok(done) => self.comparisons += done.comparisons,
            Err(error) => {
                self.error.get_or_insert(error);
            }
        }
        self.pairs.append(found);
        self.error.is_some() || self.pairs.len() >= BATCH_PAIRS
    }
}

/// A worker that panics takes the run down anyway: rayon hands the panic on.
fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
