use foldhash::HashMap;

/// How many pairs have been seen between two groups that may still merge. Groups go by the number of one of
/// their records; a pair of groups that is not held has seen none.
#[derive(Debug, Default)]
pub(super) struct Edges {
    /// Both directions are held, so that a merged group's edges are found without a search.
    counts: HashMap<u32, HashMap<u32, u32>>,
}

impl Edges {
    /// Pairs seen between two groups.
    pub(super) fn get(&self, a: u32, b: u32) -> u32 {
        self.counts.get(&a).and_then(|of_a| of_a.get(&b)).copied().unwrap_or(0)
    }

    /// Counts pairs between two groups.
    pub(super) fn add(&mut self, a: u32, b: u32, count: u32) {
        *self.counts.entry(a).or_default().entry(b).or_default() += count;
        *self.counts.entry(b).or_default().entry(a).or_default() += count;
    }

    /// Forgets a group's edges, and gives them back: the other groups with the pairs seen.
    pub(super) fn take(&mut self, a: u32) -> HashMap<u32, u32> {
        let edges = self.counts.remove(&a).unwrap_or_default();
        for other in edges.keys() {
            if let Some(of_other) = self.counts.get_mut(other) {
                of_other.remove(&a);
                if of_other.is_empty() {
                    self.counts.remove(other);
                }
            }
        }
        edges
    }

    /// Pairs of groups with at least one edge, counted twice.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.counts.values().map(HashMap::len).sum()
    }
}
