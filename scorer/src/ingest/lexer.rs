//! The words of a JSON document that arrives piece by piece.

use std::borrow::Cow;

use json_event_parser::{JsonEvent, LowLevelJsonParser};

/// Shorter strings are left to the parser.
const LONG_STRING_BYTES: usize = 32;
/// The most that may stand between two long strings: commas, colons, white space.
const MAX_LEAD_BYTES: usize = 64;
/// The deepest document that means anything is 3 deep; the rest is for a good message.
const MAX_DEPTH: usize = 16;

/// A parser that passes long strings at the speed of memory.
///
/// Nearly all of an upload is base64 in long strings, which the parser goes through byte by byte. Where one comes that is
/// plain (ASCII, no escapes), its end is looked up instead, and the parser is shown an empty string in its place: so it
/// still judges whether a string may stand there. The positions of its errors are set right.
pub(super) struct Lexer {
    parser: LowLevelJsonParser,
    /// Bytes that have been taken in.
    taken: u64,
    /// Bytes of strings that the parser was not shown.
    hidden: u64,
    /// How many of these are in the current line.
    hidden_in_line: u64,
}

/// What is wrong, and where: all from 0.
#[derive(Debug, PartialEq)]
pub(super) struct SyntaxError {
    pub line: u64,
    /// In characters.
    pub column: u64,
    /// In bytes, from the document's beginning.
    pub offset: u64,
    pub message: String,
}

impl Lexer {
    pub fn new() -> Self {
        let parser = LowLevelJsonParser::new().with_max_stack_size(MAX_DEPTH);
        Self { parser, taken: 0, hidden: 0, hidden_in_line: 0 }
    }

    /// How many bytes have been taken in.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// The next event in what has arrived, and how many bytes it took; none when more must arrive, or all has been parsed.
    pub fn next<'i>(
        &mut self,
        input: &'i [u8],
        ending: bool,
    ) -> (usize, Option<Result<JsonEvent<'i>, SyntaxError>>) {
        let before = self.taken;
        if let Some((lead, text)) = long_string(input).filter(|_| before > 0) {
            let mut shown = [b'"'; MAX_LEAD_BYTES + 2];
            shown[..lead].copy_from_slice(&input[..lead]);
            let parsed = self.parser.parse_next(&shown[..lead + 2], false);
            let event = match parsed.event {
                Some(Ok(JsonEvent::String(_))) => Ok(JsonEvent::String(Cow::Borrowed(text))),
                Some(Ok(JsonEvent::ObjectKey(_))) => Ok(JsonEvent::ObjectKey(Cow::Borrowed(text))),
                Some(Err(error)) => Err(self.error(&error, input)),
                // what comes before a string makes no event
                Some(Ok(_)) | None => return self.next_as_it_is(input, ending),
            };
            let consumed = lead + text.len() + 2;
            self.pass(&input[..lead], consumed);
            self.hidden += text.len() as u64;
            self.hidden_in_line += text.len() as u64;
            return (consumed, Some(event));
        }
        self.next_as_it_is(input, ending)
    }

    fn next_as_it_is<'i>(
        &mut self,
        input: &'i [u8],
        ending: bool,
    ) -> (usize, Option<Result<JsonEvent<'i>, SyntaxError>>) {
        let parsed = self.parser.parse_next(input, ending);
        let consumed = parsed.consumed_bytes;
        let event = parsed.event.map(|event| event.map_err(|error| self.error(&error, input)));
        self.pass(&input[..consumed], consumed);
        (consumed, event)
    }

    /// Counts what has been taken in, of which the parser was shown a part that may have line breaks.
    fn pass(&mut self, shown: &[u8], consumed: usize) {
        if has_line_break(shown) {
            self.hidden_in_line = 0;
        }
        self.taken += consumed as u64;
    }

    /// An error where it is in the document, of which `input` is to be parsed.
    fn error(&self, error: &json_event_parser::JsonSyntaxError, input: &[u8]) -> SyntaxError {
        let at = error.location().start;
        let offset = at.offset + self.hidden;
        let before = usize::try_from(offset.saturating_sub(self.taken)).unwrap_or(usize::MAX);
        let is_in_next_line = has_line_break(&input[..before.min(input.len())]);
        let hidden_in_line = if is_in_next_line { 0 } else { self.hidden_in_line };
        SyntaxError {
            line: at.line,
            column: at.column + hidden_in_line,
            offset,
            message: error.message().to_owned(),
        }
    }
}

/// The plain long string that comes next, if one does, and how many bytes come before it.
fn long_string(input: &[u8]) -> Option<(usize, &str)> {
    let is_lead = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',' | b':');
    let lead = input.iter().take(MAX_LEAD_BYTES).take_while(|byte| is_lead(byte)).count();
    let text = input[lead..].strip_prefix(b"\"")?;
    let text = &text[..memchr::memchr(b'"', text)?];
    // all are looked at, as that is done for many at a time
    let is_plain =
        text.iter().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~') & (*byte != b'\\'));
    if !is_plain || text.len() < LONG_STRING_BYTES {
        return None;
    }
    Some((lead, std::str::from_utf8(text).ok()?))
}

fn has_line_break(text: &[u8]) -> bool {
    memchr::memchr2(b'\n', b'\r', text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the parser alone says of a document that comes in pieces: all events, and the error, if there is one.
    fn plainly(document: &[u8]) -> (Vec<JsonEvent<'static>>, Option<SyntaxError>) {
        let mut lexer = Lexer::new();
        read(document, &[document.len()], |input, ending| lexer.next_as_it_is(input, ending))
    }

    fn read(
        document: &[u8],
        pieces: &[usize],
        mut next: impl for<'i> FnMut(&'i [u8], bool) -> (usize, Option<Result<JsonEvent<'i>, SyntaxError>>),
    ) -> (Vec<JsonEvent<'static>>, Option<SyntaxError>) {
        let (mut events, mut start, mut end) = (Vec::new(), 0, 0);
        let mut pieces = pieces.iter().cycle();
        loop {
            let ending = end == document.len();
            let (consumed, event) = next(&document[start..end], ending);
            start += consumed;
            match event {
                Some(Ok(JsonEvent::Eof)) => return (events, None),
                Some(Ok(event)) => events.push(owned(&event)),
                Some(Err(error)) => return (events, Some(error)),
                None => {
                    assert!(!ending, "it ends without a word");
                    end = document.len().min(end + pieces.next().unwrap());
                }
            }
        }
    }

    fn owned(event: &JsonEvent<'_>) -> JsonEvent<'static> {
        match event {
            JsonEvent::String(text) => JsonEvent::String(text.to_string().into()),
            JsonEvent::Number(text) => JsonEvent::Number(text.to_string().into()),
            JsonEvent::Boolean(value) => JsonEvent::Boolean(*value),
            JsonEvent::Null => JsonEvent::Null,
            JsonEvent::StartArray => JsonEvent::StartArray,
            JsonEvent::EndArray => JsonEvent::EndArray,
            JsonEvent::StartObject => JsonEvent::StartObject,
            JsonEvent::EndObject => JsonEvent::EndObject,
            JsonEvent::ObjectKey(text) => JsonEvent::ObjectKey(text.to_string().into()),
            JsonEvent::Eof => JsonEvent::Eof,
        }
    }

    #[test]
    fn positions_are_those_in_the_document() {
        let long = "A".repeat(100);
        let text = format!("{{\"clks\": [\"{long}\",\r\n\"{long}\" , \"{long}\" ?]}}");
        let mut lexer = Lexer::new();
        let (events, error) = read(text.as_bytes(), &[text.len()], |input, ending| lexer.next(input, ending));
        assert_eq!(events.len(), 6);
        let error = error.unwrap();
        let line = text.lines().nth(1).unwrap();
        assert_eq!((error.line, error.column), (1, line.find('?').unwrap() as u64));
        assert_eq!(error.offset, text.find('?').unwrap() as u64);
    }

    /// Pieces of documents: most of them well-formed, some with a fault.
    fn document() -> impl Strategy<Value = String> {
        let text = prop_oneof![
            8 => "[A-Za-z0-9+/=]{30,80}",
            2 => "[A-Za-z]{0,5}",
            1 => "[ -~]{28,40}",
            1 => "\\PC{0,40}",
            1 => Just("A\\u00e9\\n\"".repeat(9)),
            1 => Just(format!("{}\u{1}", "B".repeat(40))),
            1 => Just("line\nbreak".repeat(6)),
        ];
        let space = prop_oneof![4 => Just(String::new()), 2 => Just(" ".into()), 1 => "[ \t\r\n]{0,3}", 1 => " {60,70}"];
        let value = (text, space.clone()).prop_map(|(text, space)| format!("{space}\"{text}\"{space}"));
        let separator = prop_oneof![30 => Just(","), 2 => Just(":"), 1 => Just(",,"), 1 => Just(""), 1 => Just("]"), 1 => Just("?")];
        let list = prop::collection::vec((value.clone(), separator), 0..12);
        let list = list.prop_map(|values| {
            values.into_iter().flat_map(|(value, separator)| [value, separator.into()]).collect()
        });
        (value, list, space, any::<bool>()).prop_map(
            |(key, list, space, in_object): (String, String, String, bool)| {
                let list = list.trim_end_matches(',');
                if in_object {
                    format!("{{{key}:{space}[{list}],{key}:{key}}}")
                } else {
                    format!("{space}[{list}]{space}")
                }
            },
        )
    }

    proptest! {
        #[test]
        fn nothing_differs_but_the_speed(text in document(), pieces in prop::collection::vec(1..90usize, 1..8)) {
            let mut lexer = Lexer::new();
            let found = read(text.as_bytes(), &pieces, |input, ending| lexer.next(input, ending));
            prop_assert_eq!(found, plainly(text.as_bytes()));
        }
    }
}
