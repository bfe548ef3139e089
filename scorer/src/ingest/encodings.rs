//! Encodings as base64 strings, in order or by index: checked, and appended to the output as raw bytes.

use base64_simd::STANDARD;

use super::memory::Share;
use super::order::Reorder;
use super::{Counted, Expectations, IngestError, Limits};

pub(super) struct Encodings {
    limits: Limits,
    size: Size,
    records: u32,
    reorder: Reorder,
    /// Shorter encodings are filled up with zeros to so many bytes.
    padded_to: Option<u32>,
}

impl Encodings {
    pub fn new(expected: &Expectations, padded_to: Option<u32>) -> Self {
        let reorder = Reorder::new(Share::of(expected.memory));
        Self { limits: expected.limits, size: Size::new(expected), records: 0, reorder, padded_to }
    }

    /// How many records have been taken in order.
    pub fn records(&self) -> u32 {
        self.records
    }

    /// Index of the record that was appended last.
    pub fn last(&self) -> u32 {
        self.records.saturating_sub(1)
    }

    /// Takes the next record.
    pub fn append(&mut self, text: &str, byte: u64, output: &mut Vec<u8>) -> Result<(), IngestError> {
        let record = self.records;
        if record >= self.limits.max_records {
            return Err(self.too_many());
        }
        let start = output.len();
        decode(text, output).ok_or(IngestError::InvalidBase64 { record, byte })?;
        self.pad(start, output);
        self.size.check(record, output.len() - start);
        if self.size.mismatch.is_some() {
            output.truncate(start);
        }
        self.records += 1;
        Ok(())
    }

    /// Takes the record of an index. Records that come early wait for those before them.
    pub fn place(
        &mut self,
        record: u32,
        text: &str,
        byte: u64,
        output: &mut Vec<u8>,
    ) -> Result<(), IngestError> {
        if record >= self.limits.max_records {
            return Err(self.too_many());
        }
        if record == self.records {
            self.append(text, byte, output)?;
        } else {
            let mut encoding = Vec::new();
            decode(text, &mut encoding).ok_or(IngestError::InvalidBase64 { record, byte })?;
            self.pad(0, &mut encoding);
            self.size.check(record, encoding.len());
            self.reorder.keep(record, self.records, encoding)?;
        }
        while let Some(encoding) = self.reorder.take(self.records) {
            if self.size.mismatch.is_none() {
                output.extend_from_slice(&encoding);
            }
            self.records += 1;
        }
        Ok(())
    }

    /// At the end: whether all indices were there.
    pub fn check_order(&self) -> Result<(), IngestError> {
        if self.reorder.is_empty() {
            return Ok(());
        }
        Err(IngestError::Malformed(format!(
            "encodings: record {} is missing, though there are later ones; indices must run from 0 without gaps",
            self.records
        )))
    }

    /// At the end: how much there was, if all encodings are of one size that can be used.
    pub fn counted(&self) -> Result<Counted, IngestError> {
        let encoding_bytes = self.size.checked()?;
        Ok(Counted { records: self.records, encoding_bytes, with_block: None, warning: None })
    }

    /// Fills up the encoding that begins at `start`, if it is too short.
    fn pad(&self, start: usize, output: &mut Vec<u8>) {
        if let Some(bytes) = self.padded_to {
            output.resize(output.len().max(start + bytes as usize), 0);
        }
    }

    fn too_many(&self) -> IngestError {
        IngestError::TooLarge(format!("there are more than {} records", self.limits.max_records))
    }
}

/// The size that all encodings must have.
pub(super) struct Size {
    limits: Limits,
    /// Fixed beforehand, or by the first record.
    bytes: Option<u32>,
    fixed: bool,
    /// What was wrong with the first encoding of another size.
    mismatch: Option<String>,
}

impl Size {
    pub fn new(expected: &Expectations) -> Self {
        Self {
            limits: expected.limits,
            bytes: expected.encoding_bytes,
            fixed: expected.encoding_bytes.is_some(),
            mismatch: None,
        }
    }

    /// Notes the size of a record's encoding. The data is read to its end even if it is no good.
    pub fn check(&mut self, record: u32, bytes: usize) {
        if self.mismatch.is_some() || self.bytes.is_some_and(|expected| expected as usize == bytes) {
            return;
        }
        let Limits { min_encoding_bytes: min, max_encoding_bytes: max, .. } = self.limits;
        let usable = bytes.is_multiple_of(8) && (min as usize..=max as usize).contains(&bytes);
        self.mismatch = match self.bytes {
            None if usable => {
                self.bytes = u32::try_from(bytes).ok();
                None
            }
            None => Some(format!(
                "record {record}: an encoding of {bytes} bytes is not supported; \
                 encodings must be a multiple of 8 bytes, from {min} to {max}"
            )),
            Some(expected) if self.fixed => Some(format!(
                "record {record}: the encoding has {bytes} bytes, but the project asks for {expected}; \
                 encode as the project's schema says"
            )),
            Some(expected) => Some(format!(
                "record {record}: the encoding has {bytes} bytes, but those before it have {expected}; \
                 all must have one size"
            )),
        };
    }

    /// The size of all encodings.
    pub fn checked(&self) -> Result<u32, IngestError> {
        match (&self.mismatch, self.bytes) {
            (Some(mismatch), _) => Err(IngestError::EncodingSize(mismatch.clone())),
            (None, Some(bytes)) => Ok(bytes),
            (None, None) => Err(IngestError::Empty),
        }
    }
}

/// Appends what a base64 text stands for. Clients end it with a newline, or break it into lines.
fn decode(text: &str, output: &mut Vec<u8>) -> Option<()> {
    let text = text.trim_ascii_end();
    if STANDARD.decode_append(text, output).is_ok() {
        return Some(());
    }
    let joined: String = text.split_ascii_whitespace().collect();
    (joined.len() < text.len()).then(|| STANDARD.decode_append(&joined, output).ok()).flatten()
}
