use super::{Error, Member};

/// Numbers the records of all data sets one after the other.
#[derive(Clone, Debug)]
pub(super) struct Records {
    /// Where each data set's numbers start, and where the last one's end.
    starts: Vec<u32>,
}

impl Records {
    pub(super) fn new(records: &[u64]) -> Result<Self, Error> {
        let total = records.iter().fold(0u64, |total, &count| total.saturating_add(count));
        let mut starts = vec![0];
        let mut end = 0u64;
        for count in records {
            end = end.saturating_add(*count);
            starts.push(u32::try_from(end).map_err(|_| Error::TooManyRecords { records: total })?);
        }
        Ok(Self { starts })
    }

    /// Records of all data sets.
    pub(super) fn total(&self) -> u32 {
        self.starts.last().copied().unwrap_or_default()
    }

    /// Records of each data set.
    pub(super) fn counts(&self) -> impl Iterator<Item = u32> + '_ {
        self.starts.windows(2).map(|ends| ends[1] - ends[0])
    }

    /// The number of a record; None if there is no such record.
    #[inline]
    pub(super) fn number(&self, dataset: u32, record: u32) -> Option<u32> {
        let &[start, end] = self.starts.get(dataset as usize..)?.first_chunk()?;
        start.checked_add(record).filter(|&number| number < end)
    }

    /// The data set that a record belongs to.
    pub(super) fn dataset(&self, number: u32) -> u32 {
        // Few data sets: the last start at or below the number.
        (self.starts.partition_point(|&start| start <= number) - 1) as u32
    }

    /// The record of a number.
    pub(super) fn member(&self, number: u32) -> Member {
        let dataset = self.dataset(number);
        Member { dataset, record: number - self.starts[dataset as usize] }
    }
}
