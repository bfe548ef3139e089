use crate::pairs::{self, Pair, PairSorter};

/// Takes the pairs that the engine finds: in no order, a batch at a time, from one thread.
pub trait PairSink {
    /// Takes a batch.
    fn accept(&mut self, pairs: &[Pair]) -> Result<(), pairs::Error>;
}

impl PairSink for Vec<Pair> {
    fn accept(&mut self, pairs: &[Pair]) -> Result<(), pairs::Error> {
        self.extend_from_slice(pairs);
        Ok(())
    }
}

impl PairSink for PairSorter {
    fn accept(&mut self, pairs: &[Pair]) -> Result<(), pairs::Error> {
        self.extend(pairs)
    }
}
