use crate::prune::{Counts, LEAF, MOST_SEGMENTS};

/// The segment counts of a leaf, each four times side by side, by segment, then by record.
///
/// A processor broadcasts 32 bits while it loads them. To broadcast a byte it needs another instruction, in a pipeline that
/// comparing is busy in.
#[derive(Debug)]
pub(super) struct Replicated([[i32; LEAF]; MOST_SEGMENTS]);

impl Default for Replicated {
    fn default() -> Self {
        Self([[0; LEAF]; MOST_SEGMENTS])
    }
}

impl Replicated {
    /// Inlined, to be compiled for the processor that it is for.
    #[inline(always)]
    pub(super) fn fill(&mut self, counts: &Counts<'_>) {
        for (to, from) in self.0.iter_mut().zip(counts.by_segment) {
            to.iter_mut().zip(from).for_each(|(to, &from)| *to = i32::from_ne_bytes([from; 4]));
        }
    }

    /// By so many segments each.
    pub(super) fn in_parts<const SEGMENTS: usize>(&self) -> &[[[i32; LEAF]; SEGMENTS]] {
        self.0.as_chunks().0
    }
}
