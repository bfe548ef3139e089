//! The documented shapes of an upload, as a state machine over JSON events.

use json_event_parser::JsonEvent;

use super::blocks::Blocks;
use super::encodings::Encodings;
use super::{Counted, Expectations, IngestError};

/// Which document is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Encodings, with their blocks if the project uses blocking.
    Upload,
    /// Encodings alone: their blocks are in a document of their own. Those that are shorter than so many bytes are filled
    /// up with zeros.
    EncodingsOnly { padded_to: Option<u32> },
    /// Blocks alone, of so many records. Other keys mean nothing here: programs that make blocks add how they did it.
    BlocksOnly { records: u32, of_every_record: bool },
}

impl Shape {
    fn padded_to(self) -> Option<u32> {
        match self {
            Self::EncodingsOnly { padded_to } => padded_to,
            Self::Upload | Self::BlocksOnly { .. } => None,
        }
    }
}

/// Keys of the document that mean nothing: the first few of them, and how many there are.
#[derive(Debug, Default)]
struct Ignored {
    keys: Vec<String>,
    number: u64,
}

impl Ignored {
    fn add(&mut self, key: &str) {
        const MOST: usize = 5;
        if self.keys.len() < MOST {
            self.keys.push(shown(key));
        }
        self.number += 1;
    }

    /// What to tell of them; none if there are none.
    fn warning(&self) -> Option<String> {
        let more = self.number - self.keys.len() as u64;
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let (noun, verb) = if self.number == 1 { ("key", "was") } else { ("keys", "were") };
        let keys = self.keys.join(", ");
        (self.number > 0).then(|| {
            format!(
                "the {noun} {keys}{more} of the document {verb} ignored; \"clks\", \"clknblocks\", \"encodings\" and \
                 \"blocks\" are read"
            )
        })
    }
}

/// What is to be written, until it is taken away.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// Raw encodings, by record.
    pub encodings: Vec<u8>,
    /// Entries of blocks, see [`Blocks`].
    pub blocks: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the document's `{`.
    Start,
    /// Within the document: a key, or the end.
    Document,
    /// After `"clks":`.
    Clks,
    /// After `"clknblocks":`.
    Records,
    /// After `"encodings":`.
    Encodings,
    /// After `"blocks":`.
    Blocks,
    /// In a list of encodings.
    EncodingList,
    /// In a map of encodings: an index, or the end.
    EncodingMap,
    /// After an index: its encoding.
    EncodingOf(u32),
    /// In `clknblocks`: a record, or the end.
    RecordList,
    /// In a record: its encoding.
    Record,
    /// In a record: a block, or the end.
    RecordBlocks,
    /// In the map of blocks: an index, or the end.
    BlockMap,
    /// After an index: its list of blocks.
    BlocksOf(u32),
    /// In that list: a block, or the end.
    BlockList(u32),
    /// In what means nothing, so many lists and objects deep.
    Skipped(usize),
    /// After the document's `}`.
    End,
}

pub(super) struct Grammar {
    shape: Shape,
    blocking: bool,
    state: State,
    encodings: Encodings,
    has_encodings: bool,
    blocks: Blocks,
    has_blocks: bool,
    ignored: Ignored,
    pub output: Output,
}

impl Grammar {
    pub fn new(shape: Shape, expected: &Expectations) -> Self {
        Self {
            shape,
            blocking: expected.blocking,
            state: State::Start,
            encodings: Encodings::new(expected, shape.padded_to()),
            has_encodings: false,
            blocks: Blocks::new(expected),
            has_blocks: false,
            ignored: Ignored::default(),
            output: Output::default(),
        }
    }

    /// Where in the document we are, for messages.
    pub fn place(&self) -> String {
        match self.state {
            State::Start | State::Document | State::End => "the document".into(),
            State::Clks | State::EncodingList | State::RecordList | State::Record | State::RecordBlocks => {
                format!("record {}", self.encodings.records())
            }
            State::Records => "clknblocks".into(),
            State::Encodings | State::EncodingMap => "encodings".into(),
            State::EncodingOf(record) => format!("record {record}"),
            State::Skipped(_) => "the document".into(),
            State::Blocks | State::BlockMap => "blocks".into(),
            State::BlocksOf(record) | State::BlockList(record) => format!("blocks of record {record}"),
        }
    }

    /// Takes the next event, which ends at a byte of the document.
    pub fn event(&mut self, event: JsonEvent<'_>, byte: u64) -> Result<(), IngestError> {
        use JsonEvent::{EndArray, EndObject, Number, ObjectKey, StartArray, StartObject, String};
        self.state = match (self.state, event) {
            (State::Start, StartObject) => State::Document,
            (State::Document, ObjectKey(key)) => self.key(&key)?,
            (State::Document, EndObject) => State::End,

            (State::Clks | State::Encodings, StartArray) => State::EncodingList,
            (State::EncodingList, String(text)) => {
                self.encodings.append(&text, byte, &mut self.output.encodings)?;
                State::EncodingList
            }
            (State::EncodingList, EndArray) => State::Document,

            (State::Encodings, StartObject) => State::EncodingMap,
            (State::EncodingMap, ObjectKey(key)) if is_external(&key) => {
                return Err(IngestError::ExternalObjects("encodings"));
            }
            (State::EncodingMap, ObjectKey(key)) => State::EncodingOf(self.index(&key, byte)?),
            (State::EncodingOf(record), String(text)) => {
                self.encodings.place(record, &text, byte, &mut self.output.encodings)?;
                State::EncodingMap
            }
            (State::EncodingMap, EndObject) => State::Document,

            (State::Records, StartArray) => State::RecordList,
            (State::RecordList, StartArray) => State::Record,
            (State::Record, String(text)) => {
                self.encodings.append(&text, byte, &mut self.output.encodings)?;
                State::RecordBlocks
            }
            (State::RecordBlocks, String(block)) => {
                self.blocks.add(self.encodings.last(), &block, byte, &mut self.output.blocks)?;
                State::RecordBlocks
            }
            (State::RecordBlocks, Number(block)) => {
                self.blocks.add_number(self.encodings.last(), &block, byte, &mut self.output.blocks)?;
                State::RecordBlocks
            }
            (State::RecordBlocks, EndArray) => State::RecordList,
            (State::RecordList, EndArray) => State::Document,

            (State::Blocks, StartObject) => State::BlockMap,
            (State::BlockMap, ObjectKey(key)) if is_external(&key) => {
                return Err(IngestError::ExternalObjects("blocks"));
            }
            (State::BlockMap, ObjectKey(key)) => {
                let record = self.index(&key, byte)?;
                self.blocks.begin(record, byte)?;
                State::BlocksOf(record)
            }
            (State::BlocksOf(record), StartArray) => State::BlockList(record),
            (State::BlockList(record), String(block)) => {
                self.blocks.add(record, &block, byte, &mut self.output.blocks)?;
                State::BlockList(record)
            }
            (State::BlockList(record), Number(block)) => {
                self.blocks.add_number(record, &block, byte, &mut self.output.blocks)?;
                State::BlockList(record)
            }
            (State::BlockList(_), EndArray) => State::BlockMap,
            (State::BlockMap, EndObject) => State::Document,

            (State::Skipped(depth), StartArray | StartObject) => State::Skipped(depth + 1),
            (State::Skipped(depth), EndArray | EndObject) => Self::skipped(depth.saturating_sub(1)),
            (State::Skipped(depth), ObjectKey(_)) => State::Skipped(depth),
            (State::Skipped(depth), _) => Self::skipped(depth),

            (state, event) => return Err(self.unexpected(state, &event, byte)),
        };
        Ok(())
    }

    /// The document is over, and well-formed as JSON. Tells what was in it.
    pub fn end(&mut self) -> Result<Counted, IngestError> {
        if let Shape::BlocksOnly { records, of_every_record } = self.shape {
            if !self.has_blocks {
                return Err(malformed("the document must have the key \"blocks\""));
            }
            self.blocks.check(records)?;
            if of_every_record {
                self.blocks.check_all_listed(records)?;
            }
            return Ok(Counted {
                records,
                encoding_bytes: 0,
                with_block: Some(self.blocks.with_block()),
                warning: None,
            });
        }
        if !self.has_encodings {
            let found = self.ignored.keys.first().map(|key| format!("; it has {key}")).unwrap_or_default();
            return Err(malformed(format!(
                "the document must have exactly one of the keys \"clks\", \"clknblocks\" and \"encodings\"{found}"
            )));
        }
        if self.shape == Shape::Upload && self.blocking && !self.has_blocks {
            return Err(IngestError::BlocksMissing);
        }
        self.encodings.check_order()?;
        if self.encodings.records() == 0 {
            return Err(IngestError::Empty);
        }
        self.blocks.check(self.encodings.records())?;
        let with_block = self.has_blocks.then(|| self.blocks.with_block());
        Ok(Counted { with_block, warning: self.ignored.warning(), ..self.encodings.counted()? })
    }

    /// A key of the document itself decides what comes next.
    fn key(&mut self, key: &str) -> Result<State, IngestError> {
        if matches!(self.shape, Shape::BlocksOnly { .. }) && key != "blocks" {
            return Ok(State::Skipped(0));
        }
        match key {
            "clks" | "clknblocks" | "encodings" => self.encodings_key(key),
            "blocks" => self.blocks_key(),
            _ => {
                self.ignored.add(key);
                Ok(State::Skipped(0))
            }
        }
    }

    /// What comes after a value that means nothing.
    fn skipped(depth: usize) -> State {
        if depth == 0 { State::Document } else { State::Skipped(depth) }
    }

    fn encodings_key(&mut self, key: &str) -> Result<State, IngestError> {
        if std::mem::replace(&mut self.has_encodings, true) {
            return Err(malformed(
                "the document has more than one of the keys \"clks\", \"clknblocks\" and \"encodings\"; send one",
            ));
        }
        if self.has_blocks && key != "encodings" {
            return Err(malformed(format!(
                "the document has \"{key}\" and \"blocks\"; blocks go with \"encodings\""
            )));
        }
        match key {
            "clks" if self.shape == Shape::Upload && self.blocking => Err(IngestError::BlocksMissing),
            "clks" => Ok(State::Clks),
            "clknblocks" => {
                self.blocks_key()?;
                Ok(State::Records)
            }
            _ => Ok(State::Encodings),
        }
    }

    fn blocks_key(&mut self) -> Result<State, IngestError> {
        if !self.blocking {
            return Err(IngestError::BlocksUnexpected);
        }
        if matches!(self.shape, Shape::EncodingsOnly { .. }) {
            return Err(IngestError::InvalidBlocks(
                "the encodings' document has blocks, and the source names a document of blocks; give them once".into(),
            ));
        }
        if std::mem::replace(&mut self.has_blocks, true) {
            return Err(malformed("the document has its blocks twice; send them once"));
        }
        Ok(State::Blocks)
    }

    /// A record's index, as a key.
    fn index(&self, key: &str, byte: u64) -> Result<u32, IngestError> {
        let plain = key.bytes().all(|byte| byte.is_ascii_digit()) && (key == "0" || !key.starts_with('0'));
        match key.parse() {
            Ok(index) if plain => Ok(index),
            _ => Err(malformed(format!(
                "{} (byte {byte}): the key {} is no record index; expected are \"0\", \"1\" and so on",
                self.place(),
                shown(key)
            ))),
        }
    }

    fn unexpected(&self, state: State, event: &JsonEvent<'_>, byte: u64) -> IngestError {
        let expected = match state {
            State::Start => "an object, such as {\"clks\": [\"...\"]}",
            State::Clks | State::Records => "a list",
            State::Encodings => "a list, or a map of record index to encoding",
            State::EncodingList | State::EncodingOf(_) => "an encoding as a base64 string",
            State::RecordList => "a list of an encoding and its block ids",
            State::Record => "an encoding as a base64 string, first in the record's list",
            State::Blocks => "a map of record index to a list of block ids",
            State::BlocksOf(_) => "a list of block ids",
            State::RecordBlocks | State::BlockList(_) => "a block id: a string or an integer",
            State::Document | State::EncodingMap | State::BlockMap | State::Skipped(_) | State::End => {
                "nothing more"
            }
        };
        let found = match event {
            JsonEvent::String(_) | JsonEvent::ObjectKey(_) => "a string",
            JsonEvent::Number(_) => "a number",
            JsonEvent::Boolean(_) => "true or false",
            JsonEvent::Null => "null",
            JsonEvent::StartArray | JsonEvent::EndArray => "a list",
            JsonEvent::StartObject | JsonEvent::EndObject => "an object",
            JsonEvent::Eof => "the end",
        };
        malformed(format!("{} (byte {byte}): expected {expected}, found {found}", self.place()))
    }
}

/// The keys of the forms that name objects in a store.
fn is_external(key: &str) -> bool {
    matches!(key, "file" | "credentials")
}

fn malformed(message: impl Into<String>) -> IngestError {
    IngestError::Malformed(message.into())
}

/// A key as it may be shown: it may be anything, of any length.
fn shown(key: &str) -> String {
    let start: String = key.chars().take(40).collect();
    let rest = if start.len() < key.len() { "..." } else { "" };
    format!("\"{}\"{rest}", start.escape_default())
}
