//! A JSON document that arrives piece by piece.

use json_event_parser::{JsonEvent, JsonSyntaxError, LowLevelJsonParser};

use super::grammar::{Grammar, Output, Shape};
use super::{Counted, Expectations, IngestError};

/// The longest string or number, as it is written in the document.
const MAX_TOKEN_BYTES: usize = 64 << 10;
/// So much must have arrived before it is parsed: a token that comes byte by byte is not looked at each time.
const MIN_PARSED_BYTES: usize = 16 << 10;
/// The deepest document that means anything is 3 deep; the rest is for a good message.
const MAX_DEPTH: usize = 16;

pub(super) struct Document {
    lexer: LowLevelJsonParser,
    /// What has arrived and is not parsed yet.
    pending: Vec<u8>,
    /// How many bytes have been parsed.
    parsed: u64,
    grammar: Grammar,
}

impl Document {
    pub fn new(shape: Shape, expected: &Expectations) -> Self {
        Self {
            lexer: LowLevelJsonParser::new().with_max_stack_size(MAX_DEPTH),
            pending: Vec::new(),
            parsed: 0,
            grammar: Grammar::new(shape, expected),
        }
    }

    /// Takes the next piece, of a size that may be held in memory.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), IngestError> {
        self.pending.extend_from_slice(piece);
        if self.pending.len() < MIN_PARSED_BYTES {
            return Ok(());
        }
        self.parse(false)?;
        if self.pending.len() > MAX_TOKEN_BYTES {
            return Err(IngestError::Malformed(format!(
                "{} (byte {}): a string or number longer than {MAX_TOKEN_BYTES} bytes",
                self.grammar.place(),
                self.parsed
            )));
        }
        Ok(())
    }

    /// No more pieces come. Tells what was in the document.
    pub fn end(&mut self) -> Result<Counted, IngestError> {
        self.parse(true)?;
        self.grammar.end()
    }

    /// What is to be written; the caller empties it.
    pub fn output(&mut self) -> &mut Output {
        &mut self.grammar.output
    }

    fn parse(&mut self, ending: bool) -> Result<(), IngestError> {
        let mut start = 0;
        loop {
            let parsed = self.lexer.parse_next(&self.pending[start..], ending);
            start += parsed.consumed_bytes;
            self.parsed += parsed.consumed_bytes as u64;
            match parsed.event {
                None | Some(Ok(JsonEvent::Eof)) => break,
                Some(Ok(event)) => self.grammar.event(event, self.parsed)?,
                Some(Err(error)) => return Err(malformed(&error, &self.grammar.place())),
            }
        }
        self.pending.drain(..start);
        Ok(())
    }
}

fn malformed(error: &JsonSyntaxError, place: &str) -> IngestError {
    let at = error.location().start;
    IngestError::Malformed(format!(
        "{place} (line {}, column {}, byte {}): no well-formed JSON: {}",
        at.line + 1,
        at.column + 1,
        at.offset,
        error.message()
    ))
}
