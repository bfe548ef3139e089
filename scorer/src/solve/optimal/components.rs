use super::Solving;

/// Finds the connected components of pairs: 12 bytes a record.
pub(super) struct Components {
    /// For each record another one of its component, nearer to the one that stands for it.
    parents: Vec<u32>,
    /// Records of the component that a record stands for.
    records: Vec<u32>,
    /// Its pairs, or the most that can be counted: more than there can be in a component that is small enough.
    pairs: Vec<u32>,
    total: u64,
}

/// A component that is to be solved.
pub(super) struct Component {
    pub records: u32,
    pub pairs: u32,
}

/// Which of the components that are to be solved a record is in.
pub(super) struct ComponentOf(Vec<u32>);

impl ComponentOf {
    const NONE: u32 = u32::MAX;

    /// None if it is not to be solved, as the record is alone, or its component too large, or greedy is as good.
    pub(super) fn get(&self, record: u32) -> Option<usize> {
        Some(self.0[record as usize])
            .filter(|&component| component != Self::NONE)
            .map(|component| component as usize)
    }
}

impl Components {
    pub(super) fn new(records: u32) -> Self {
        let all = records as usize;
        Self { parents: (0..records).collect(), records: vec![1; all], pairs: vec![0; all], total: 0 }
    }

    /// There is a pair of these two.
    pub(super) fn connect(&mut self, a: u32, b: u32) {
        self.total += 1;
        let (a, b) = (self.root(a), self.root(b));
        let (a, b) = if self.records[a as usize] < self.records[b as usize] { (b, a) } else { (a, b) };
        let mut pairs = 1;
        if a != b {
            self.parents[b as usize] = a;
            self.records[a as usize] += self.records[b as usize];
            pairs += self.pairs[b as usize].min(u32::MAX - 1);
        }
        let of_a = &mut self.pairs[a as usize];
        *of_a = of_a.saturating_add(pairs);
    }

    /// The record that stands for the component of another.
    fn root(&mut self, mut record: u32) -> u32 {
        loop {
            let parent = self.parents[record as usize];
            if parent == record {
                return record;
            }
            // shortens the way for the next time
            let above = self.parents[parent as usize];
            self.parents[record as usize] = above;
            record = above;
        }
    }

    /// The components that are to be solved: those with at most so many records, but for the smallest, where greedy is
    /// as good.
    pub(super) fn finish(mut self, max_records: u32) -> (ComponentOf, Vec<Component>, Solving) {
        let all = self.parents.len() as u32;
        let mut component_of = vec![ComponentOf::NONE; all as usize];
        let mut components = Vec::new();
        let mut solving = Solving { greedy_pairs: self.total, ..Solving::default() };
        for root in 0..all {
            let (records, pairs) = (self.records[root as usize], self.pairs[root as usize]);
            if self.parents[root as usize] != root || pairs == 0 {
                continue;
            }
            solving.components += 1;
            solving.largest_component_records = solving.largest_component_records.max(records.into());
            if records > max_records {
                solving.greedy_components += 1;
                solving.greedy_records += u64::from(records);
                continue;
            }
            solving.greedy_pairs -= u64::from(pairs);
            // of three records, two have one partner in common: the first pair is the best
            if records > 3 {
                component_of[root as usize] = components.len() as u32;
                components.push(Component { records, pairs });
            }
        }
        for record in 0..all {
            component_of[record as usize] = component_of[self.root(record) as usize];
        }
        (ComponentOf(component_of), components, solving)
    }
}
