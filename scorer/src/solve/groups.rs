use super::records::Records;

/// One record of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member {
    /// The record's data set: the position of its party.
    pub dataset: u32,
    /// Its index in the data set.
    pub record: u32,
}

/// Records that belong together: every group holds two or more, at most one of a party, unless there is only one party or
/// the solver was told otherwise; no record is in two.
#[derive(Clone, Debug)]
pub struct Groups {
    pub(super) records: Records,
    /// For each record, the next one of its group, in a ring; itself when it is alone.
    pub(super) next: Vec<u32>,
    pub(super) len: u64,
}

impl Groups {
    /// How many groups there are.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no group at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Records of each data set.
    pub fn records(&self) -> Vec<u64> {
        self.records.counts().map(u64::from).collect()
    }

    /// The groups, by their first member; the members of each sorted by data set, then by record.
    pub fn iter(&self) -> impl Iterator<Item = Vec<Member>> + '_ {
        self.numbers().map(|numbers| self.members(&numbers))
    }

    /// The same as numbers of records.
    pub(super) fn numbers(&self) -> impl Iterator<Item = Vec<u32>> + '_ {
        (0..self.records.total()).filter_map(|first| self.group_of_first(first))
    }

    /// The records of these numbers.
    pub(super) fn members(&self, numbers: &[u32]) -> Vec<Member> {
        numbers.iter().map(|&number| self.records.member(number)).collect()
    }

    /// For each record the first member of its group: itself when it is alone.
    pub(super) fn first_members(&self) -> Vec<u32> {
        let mut first: Vec<u32> = (0..self.records.total()).collect();
        for number in 0..self.records.total() {
            let mut other = self.next[number as usize];
            while first[number as usize] == number && other != number {
                first[other as usize] = number;
                other = self.next[other as usize];
            }
        }
        first
    }

    /// The group whose first member this is; None if it is alone, or not the first.
    fn group_of_first(&self, first: u32) -> Option<Vec<u32>> {
        let mut other = self.next[first as usize];
        if other == first {
            return None;
        }
        let mut numbers = vec![first];
        while other != first {
            if other < first {
                return None;
            }
            numbers.push(other);
            other = self.next[other as usize];
        }
        numbers.sort_unstable();
        Some(numbers)
    }
}
