//! Block ids of records, appended to the output as entries: u32 LE record index, u16 LE length, UTF-8 block id.

use super::memory::Share;
use super::seen::Seen;
use super::{Expectations, IngestError};

/// The longest block id.
const MAX_BLOCK_BYTES: usize = 1024;

pub(super) struct Blocks {
    max_records: u32,
    /// Which records have had their list.
    listed: Seen,
    highest: Option<u32>,
    /// How many records have had their list.
    count: u32,
    /// How many records are in a block, and the last of them: all blocks of a record come together.
    with_block: u32,
    last_with_block: Option<u32>,
}

impl Blocks {
    pub fn new(expected: &Expectations) -> Self {
        Self {
            max_records: expected.limits.max_records,
            listed: Seen::new(Share::of(expected.memory)),
            highest: None,
            count: 0,
            with_block: 0,
            last_with_block: None,
        }
    }

    /// A record's list of blocks begins, in a map of such lists.
    pub fn begin(&mut self, record: u32, byte: u64) -> Result<(), IngestError> {
        if record >= self.max_records {
            return Err(IngestError::TooLarge(format!(
                "blocks (byte {byte}): record {record} is beyond the {} records that are accepted",
                self.max_records
            )));
        }
        if !self.listed.add(record)? {
            return Err(IngestError::Malformed(format!(
                "blocks (byte {byte}): record {record} is there twice; give all its blocks in one list"
            )));
        }
        self.highest = self.highest.max(Some(record));
        self.count += 1;
        Ok(())
    }

    /// A record is in a block. What a missing value gives, an empty block id, is no block: else all records without a value
    /// would be compared with one another.
    pub fn add(
        &mut self,
        record: u32,
        block: &str,
        byte: u64,
        output: &mut Vec<u8>,
    ) -> Result<(), IngestError> {
        if block.is_empty() {
            return Ok(());
        }
        if self.last_with_block.replace(record) != Some(record) {
            self.with_block += 1;
        }
        let length = u16::try_from(block.len()).ok().filter(|&length| usize::from(length) <= MAX_BLOCK_BYTES);
        let length = length.ok_or_else(|| {
            IngestError::InvalidBlocks(format!(
                "blocks of record {record} (byte {byte}): a block id of {} bytes; at most {MAX_BLOCK_BYTES} are allowed",
                block.len()
            ))
        })?;
        output.extend_from_slice(&record.to_le_bytes());
        output.extend_from_slice(&length.to_le_bytes());
        output.extend_from_slice(block.as_bytes());
        Ok(())
    }

    /// A record is in a block that is named by an integer: the same as the one named by its digits.
    pub fn add_number(
        &mut self,
        record: u32,
        number: &str,
        byte: u64,
        output: &mut Vec<u8>,
    ) -> Result<(), IngestError> {
        let digits = number.strip_prefix('-').unwrap_or(number);
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(IngestError::Malformed(format!(
                "blocks of record {record} (byte {byte}): a block id must be a string or an integer, not a fraction"
            )));
        }
        self.add(record, if digits == "0" { "0" } else { number }, byte, output)
    }

    /// How many records are in a block.
    pub fn with_block(&self) -> u32 {
        self.with_block
    }

    /// At the end: whether all records with blocks exist.
    pub fn check(&self, records: u32) -> Result<(), IngestError> {
        match self.highest {
            Some(highest) if highest >= records => Err(IngestError::InvalidBlocks(format!(
                "there are blocks of record {highest}, but only {records} records, numbered from 0"
            ))),
            _ => Ok(()),
        }
    }

    /// At the end: whether each record had its list, be it an empty one.
    pub fn check_all_listed(&self, records: u32) -> Result<(), IngestError> {
        if self.count == records {
            return Ok(());
        }
        Err(IngestError::InvalidBlocks(format!(
            "there are blocks of {} records, but {records} records; give each its blocks",
            self.count
        )))
    }
}
