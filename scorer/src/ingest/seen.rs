//! Which records have had their list of blocks, whatever the order in which they come.

use std::collections::BTreeMap;

use super::IngestError;
use super::memory::Share;

/// Records of a page.
const PAGE_RECORDS: u32 = 256;
/// What a page takes, its place in the map included, roughly.
const PAGE_BYTES: usize = 64;
/// Most bytes of the pages of one upload: enough for 60 million records in the worst order.
const MAX_BYTES: usize = 16 << 20;

/// A set of records. Those from 0 on that have all come take no memory, whichever is the highest; what has come before its turn
/// takes as much as there is of it.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// All records below have come.
    below: u32,
    ahead: BTreeMap<u32, [u64; (PAGE_RECORDS / 64) as usize]>,
    memory: Share,
}

impl Seen {
    pub fn new(memory: Share) -> Self {
        Self { below: 0, ahead: BTreeMap::new(), memory }
    }

    /// Adds a record; false if it is there already.
    pub fn add(&mut self, record: u32) -> Result<bool, IngestError> {
        if record < self.below {
            return Ok(false);
        }
        if record == self.below && !self.holds(record) {
            self.below += 1;
            self.advance();
            return Ok(true);
        }
        let (page, word, bit) = place(record);
        if !self.ahead.contains_key(&page) {
            if self.memory.held() + PAGE_BYTES > MAX_BYTES {
                return Err(IngestError::TooLarge(format!(
                    "blocks: the blocks of record {} have not come, and there are too many of later ones to keep; \
                     send the blocks by ascending index",
                    self.below
                )));
            }
            self.memory.take(PAGE_BYTES)?;
        }
        let words = self.ahead.entry(page).or_default();
        let is_new = words[word] & bit == 0;
        words[word] |= bit;
        Ok(is_new)
    }

    fn holds(&self, record: u32) -> bool {
        let (page, word, bit) = place(record);
        self.ahead.get(&page).is_some_and(|words| words[word] & bit != 0)
    }

    /// Forgets the pages of which all records have come in turn.
    fn advance(&mut self) {
        while !self.ahead.is_empty() && self.holds(self.below) {
            self.below += 1;
        }
        while let Some(first) =
            self.ahead.first_entry().filter(|page| page.key() < &(self.below / PAGE_RECORDS))
        {
            first.remove();
            self.memory.give(PAGE_BYTES);
        }
    }
}

fn place(record: u32) -> (u32, usize, u64) {
    (record / PAGE_RECORDS, (record % PAGE_RECORDS / 64) as usize, 1 << (record % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_high_record_takes_one_page_and_records_in_order_none() {
        let mut seen = Seen::default();
        assert!(seen.add(199_999_999).unwrap());
        assert_eq!(seen.memory.held(), PAGE_BYTES);
        for record in 0..10_000 {
            assert!(seen.add(record).unwrap());
        }
        assert_eq!(seen.memory.held(), PAGE_BYTES);
        for record in (10_000..20_000).rev() {
            assert!(seen.add(record).unwrap());
        }
        // the page that the records in turn have reached may stay
        assert!(seen.memory.held() <= 2 * PAGE_BYTES);
    }

    #[test]
    fn far_too_many_out_of_order_are_refused() {
        let mut seen = Seen::default();
        let refused = (1..400_000).find_map(|page| seen.add(page * PAGE_RECORDS).err());
        assert!(matches!(refused, Some(IngestError::TooLarge(why)) if why.contains("by ascending index")));
    }

    proptest! {
        #[test]
        fn it_is_a_set(records in prop::collection::vec(0..2_000u32, 0..3_000)) {
            let (mut seen, mut expected) = (Seen::default(), BTreeSet::new());
            for record in records {
                prop_assert_eq!(seen.add(record).unwrap(), expected.insert(record));
            }
        }
    }
}
