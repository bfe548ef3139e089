//! A JSON document that arrives piece by piece.

use json_event_parser::JsonEvent;

use super::form::Form;
use super::grammar::{Grammar, Output, Shape};
use super::lexer::{Lexer, SyntaxError};
use super::{Counted, Expectations, IngestError};

/// The longest string or number, as it is written in the document.
const MAX_TOKEN_BYTES: usize = 64 << 10;
/// So much must have arrived before it is parsed: a token that comes byte by byte is not looked at each time.
const MIN_PARSED_BYTES: usize = 16 << 10;

pub(super) struct Document {
    lexer: Lexer,
    /// What has arrived and is not parsed yet.
    pending: Vec<u8>,
    grammar: Grammar,
}

impl Document {
    pub fn new(shape: Shape, expected: &Expectations) -> Self {
        Self { lexer: Lexer::new(), pending: Vec::new(), grammar: Grammar::new(shape, expected) }
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
                self.lexer.taken()
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
        if self.lexer.taken() == 0
            && let Some(form) = Form::of_document(&self.pending)
        {
            return Err(IngestError::Form(form));
        }
        let mut start = 0;
        loop {
            let (consumed, event) = self.lexer.next(&self.pending[start..], ending);
            start += consumed;
            match event {
                None | Some(Ok(JsonEvent::Eof)) => break,
                Some(Ok(event)) => self.grammar.event(event, self.lexer.taken())?,
                Some(Err(error)) => return Err(malformed(&error, &self.grammar.place())),
            }
        }
        self.pending.drain(..start);
        Ok(())
    }
}

fn malformed(error: &SyntaxError, place: &str) -> IngestError {
    let SyntaxError { line, column, offset, message } = error;
    IngestError::Malformed(format!(
        "{place} (line {}, column {}, byte {offset}): no well-formed JSON: {message}",
        line + 1,
        column + 1
    ))
}
