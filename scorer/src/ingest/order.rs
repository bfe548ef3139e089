use std::collections::BTreeMap;

use super::IngestError;
use super::memory::Share;

/// Most bytes of records that wait for those before them: it bounds the memory of an upload.
const MAX_WAITING_BYTES: usize = 16 << 20;
/// What a waiting record takes beside its encoding, roughly.
const OVERHEAD_BYTES: usize = 64;

/// Brings records that come out of order into order: a JSON object's members have none.
#[derive(Debug, Default)]
pub(super) struct Reorder {
    waiting: BTreeMap<u32, Vec<u8>>,
    memory: Share,
}

impl Reorder {
    pub fn new(memory: Share) -> Self {
        Self { waiting: BTreeMap::new(), memory }
    }

    /// Keeps a record until all those from `next` on have come.
    pub fn keep(&mut self, record: u32, next: u32, encoding: Vec<u8>) -> Result<(), IngestError> {
        if record < next || self.waiting.contains_key(&record) {
            return Err(IngestError::Malformed(format!("encodings: record {record} is there twice")));
        }
        let bytes = encoding.len() + OVERHEAD_BYTES;
        if self.memory.held() + bytes > MAX_WAITING_BYTES {
            return Err(IngestError::TooLarge(format!(
                "encodings: record {next} has not come, and {} later ones are too many to keep; \
                 send the records by ascending index, or as a list",
                self.waiting.len() + 1
            )));
        }
        self.memory.take(bytes)?;
        self.waiting.insert(record, encoding);
        Ok(())
    }

    /// The record that is now next, if it has come before.
    pub fn take(&mut self, next: u32) -> Option<Vec<u8>> {
        let encoding = self.waiting.remove(&next)?;
        self.memory.give(encoding.len() + OVERHEAD_BYTES);
        Some(encoding)
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
