//! Takes a file apart into documents, and reads each as kubectl does: lines that begin with `---` separate them, scalars
//! without quotes follow YAML 1.1, of equal keys the last one counts, `<<` merges.

use std::collections::{BTreeMap, HashMap};

use granit_parser::{Event, Parser, ScalarStyle, StrInput, Tag};
use serde_json::{Map, Value};

use super::scalars::{self, Scalar};

/// What separates documents, at the beginning of a line.
const SEPARATOR: &str = "---";
/// The key that merges.
const MERGE: &str = "<<";
/// YAML's own tags begin with this.
const TAGS: &str = "tag:yaml.org,2002:";
/// How deeply lists and maps may be nested, aliases followed.
const MAX_DEPTH: usize = 256;
/// How many values a document may have, aliases followed.
const MAX_VALUES: usize = 1_000_000;

/// One document.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// What JSON says of it.
    pub value: Value,
    /// The text of each scalar without quotes that is no string, by its path.
    pub plain: BTreeMap<String, String>,
}

/// The documents of a file, or why one cannot be read.
pub(super) fn read(file: &str) -> impl Iterator<Item = Result<Document, String>> {
    split(file).into_iter().map(|part| part.and_then(|(line, text)| document(line, text)))
}

/// The documents' texts, each with the lines before it.
fn split(file: &str) -> Vec<Result<(usize, &str), String>> {
    let (mut parts, mut begin, mut first_line, mut end) = (Vec::new(), 0, 0, 0);
    for (number, line) in file.split_inclusive('\n').enumerate() {
        if let Some(rest) = line.strip_prefix(SEPARATOR) {
            let rest = rest.trim();
            if !rest.is_empty() && !rest.starts_with('#') {
                parts.push(Err(format!("line {}: nothing may follow --- on its line", number + 1)));
                return parts;
            }
            if end > begin {
                parts.push(Ok((first_line, &file[begin..end])));
            }
            (begin, first_line) = (end + line.len(), number + 1);
        }
        end += line.len();
    }
    if end > begin {
        parts.push(Ok((first_line, &file[begin..])));
    }
    parts
}

fn document(line: usize, text: &str) -> Result<Document, String> {
    let options = granit_parser::options! { emit_comments: false };
    let events = Parser::new_from_str_with_options(text, options);
    let mut reader = Reader { events, lines_before: line, anchors: HashMap::new(), values: 0 };
    let mut document = Document::default();
    if let Some(root) = reader.root()? {
        document.value = root.into_value(String::new(), &mut document.plain);
    }
    Ok(document)
}

/// A value, and the text of a scalar without quotes.
#[derive(Clone, Debug)]
enum Node {
    Scalar { value: Value, plain: Option<String> },
    List(Vec<Node>),
    Map(BTreeMap<String, Node>),
}

struct Reader<'t> {
    events: Parser<'t, StrInput<'t>>,
    lines_before: usize,
    anchors: HashMap<usize, Node>,
    values: usize,
}

impl<'t> Reader<'t> {
    /// The first document of the text; kubectl reads no other.
    fn root(&mut self) -> Result<Option<Node>, String> {
        loop {
            match self.next()? {
                (_, Event::StreamStart | Event::DocumentStart(..)) => {}
                (_, Event::StreamEnd | Event::DocumentEnd) => return Ok(None),
                (line, event) => {
                    let root = self.node(line, event, 0)?;
                    self.next()?;
                    return Ok(Some(root));
                }
            }
        }
    }

    fn next(&mut self) -> Result<(usize, Event<'t>), String> {
        match self.events.next() {
            Some(Ok((event, span))) => Ok((self.lines_before + span.start.line(), event)),
            Some(Err(error)) => {
                let marker = error.marker();
                let line = self.lines_before + marker.line();
                Err(format!("line {line}, column {}: {}", marker.col() + 1, error.info()))
            }
            None => Err("the document has no end".into()),
        }
    }

    fn node(&mut self, line: usize, event: Event<'t>, depth: usize) -> Result<Node, String> {
        self.count(1, depth)?;
        let (anchor, node) = match event {
            Event::Scalar(text, style, anchor, tag) => (anchor, scalar(line, &text, style, tag.as_deref())?),
            Event::SequenceStart(_, anchor, _) => (anchor, self.list(depth + 1)?),
            Event::MappingStart(_, anchor, _) => (anchor, self.map(depth + 1)?),
            Event::Alias(anchor) => return self.alias(line, anchor, depth),
            _ => return Err(format!("line {line}: a value is missing")),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Node, String> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (_, Event::SequenceEnd) => return Ok(Node::List(items)),
                (line, event) => items.push(self.node(line, event, depth)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Node, String> {
        let mut fields = BTreeMap::new();
        loop {
            let (line, event) = self.next()?;
            if let Event::MappingEnd = event {
                return Ok(Node::Map(fields));
            }
            let merges = is_merge(&event);
            let key = self.node(line, event, depth)?;
            let (value_line, event) = self.next()?;
            let is_alias = matches!(event, Event::Alias(_));
            let value = self.node(value_line, event, depth)?;
            if merges {
                merge(&mut fields, value, is_alias)
                    .ok_or(format!("line {line}: << must be followed by a map"))?;
            } else {
                fields.insert(key.into_key().ok_or(format!("line {line}: a key must be a string"))?, value);
            }
        }
    }

    fn alias(&mut self, line: usize, anchor: usize, depth: usize) -> Result<Node, String> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(format!("line {line}: an anchor's value contains itself"));
        };
        let (values, height) = node.measure();
        self.count(values, depth + height)?;
        self.anchors.get(&anchor).cloned().ok_or_else(|| format!("line {line}: there is no such anchor"))
    }

    fn count(&mut self, values: usize, depth: usize) -> Result<(), String> {
        self.values += values;
        if self.values > MAX_VALUES || depth > MAX_DEPTH {
            return Err(format!(
                "more than {MAX_VALUES} values, or more than {MAX_DEPTH} of them within each other"
            ));
        }
        Ok(())
    }
}

fn scalar(line: usize, text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Node, String> {
    let scalar = match tag.map(|tag| tag.suffix_in_namespace(TAGS)) {
        None if style == ScalarStyle::Plain => scalars::plain(text),
        None | Some(None) => Scalar::Text,
        Some(Some(tag)) => scalars::tagged(&tag, text)
            .ok_or_else(|| format!("line {line}: {text:?} is not what its tag !!{tag} says"))?,
    };
    match scalar {
        Scalar::Text => Ok(Node::Scalar { value: text.into(), plain: None }),
        Scalar::Value(value) => Ok(Node::Scalar { value, plain: Some(text.into()) }),
        Scalar::NotFinite => Err(format!(
            "line {line}: {text} without quotes is a number that JSON does not have; quote it: \"{text}\""
        )),
    }
}

fn is_merge(event: &Event<'_>) -> bool {
    matches!(event, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == MERGE)
}

/// Takes the fields of a map over, or those of several, of which the first counts most; none if it is neither.
fn merge(fields: &mut BTreeMap<String, Node>, from: Node, is_alias: bool) -> Option<()> {
    match from {
        Node::Map(more) => fields.extend(more),
        Node::List(maps) if !is_alias => {
            for map in maps.into_iter().rev() {
                let Node::Map(more) = map else { return None };
                fields.extend(more);
            }
        }
        _ => return None,
    }
    Some(())
}

impl Node {
    /// A key of JSON; none if it cannot be one.
    fn into_key(self) -> Option<String> {
        match self {
            Self::Scalar { value: Value::String(text), .. } => Some(text),
            Self::Scalar { value: value @ (Value::Bool(_) | Value::Number(_)), .. } => {
                Some(value.to_string())
            }
            _ => None,
        }
    }

    /// How many values there are within, and how deeply they are nested.
    fn measure(&self) -> (usize, usize) {
        let within = |nodes: &mut dyn Iterator<Item = &Self>| {
            nodes
                .map(Self::measure)
                .fold((1, 1), |(values, height), (more, below)| (values + more, height.max(below + 1)))
        };
        match self {
            Self::Scalar { .. } => (1, 1),
            Self::List(items) => within(&mut items.iter()),
            Self::Map(fields) => within(&mut fields.values()),
        }
    }

    fn into_value(self, path: String, plain: &mut BTreeMap<String, String>) -> Value {
        match self {
            Self::Scalar { value, plain: text } => {
                plain.extend(text.map(|text| (path, text)));
                value
            }
            Self::List(items) => {
                let items = items.into_iter().enumerate();
                items.map(|(index, item)| item.into_value(format!("{path}[{index}]"), plain)).collect()
            }
            Self::Map(fields) => {
                let fields = fields.into_iter().map(|(key, value)| {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    let value = value.into_value(path, plain);
                    (key, value)
                });
                Value::Object(fields.collect::<Map<_, _>>())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn values(file: &str) -> Result<Vec<Value>, String> {
        read(file).map(|document| document.map(|document| document.value)).collect()
    }

    fn refused(file: &str) -> String {
        values(file).unwrap_err()
    }

    #[test]
    fn documents_are_separated_by_lines() {
        let file = "# first\na: 1\n--- # second\n---\nb: |\n  x\n...\nignored: [\n---\n";
        assert_eq!(values(file), Ok(vec![json!({"a": 1}), json!({"b": "x\n"})]));
        assert_eq!(values("---\n---\n"), Ok(vec![]));
        assert_eq!(values("# nothing\n"), Ok(vec![json!(null)]));
        assert_eq!(refused("a: 1\n--- {b: 2}\n"), "line 2: nothing may follow --- on its line");
        assert!(
            refused("a: 1\n---\nb: [1\nc: 2\n").starts_with("line "),
            "{}",
            refused("a: 1\n---\nb: [1\nc: 2\n")
        );
    }

    #[test]
    fn quotes_make_text() {
        let file = "{a: no, b: 'no', c: \"007\", d: 007, e: !!str no}";
        assert_eq!(values(file), Ok(vec![json!({"a": false, "b": "no", "c": "007", "d": 7, "e": "no"})]));
        assert_eq!(values("a: |-\n  no\n"), Ok(vec![json!({"a": "no"})]));
        assert_eq!(values("a: !own no\nb: ! 7"), Ok(vec![json!({"a": "no", "b": "7"})]));
        assert!(refused("a: !!int x").contains("!!int"));
        assert!(refused("a:\n  - .inf").contains("line 2: .inf without quotes"));
    }

    #[test]
    fn the_text_of_what_is_no_string_is_kept_by_its_path() {
        let found = read("a: &x [no, 'no', {b: 1_0}]\nc: *x").next().unwrap().unwrap();
        let kept: Vec<_> = found.plain.iter().map(|(path, text)| format!("{path}={text}")).collect();
        assert_eq!(kept, ["a[0]=no", "a[2].b=1_0", "c[0]=no", "c[2].b=1_0"]);
    }

    #[test]
    fn of_equal_keys_the_last_counts_and_keys_are_strings() {
        let file = "{a: 1, a: 2, no: 3, 7: 4}";
        assert_eq!(values(file), Ok(vec![json!({"7": 4, "a": 2, "false": 3})]));
        for key in ["~", "[a]", "{a: b}"] {
            assert!(refused(&format!("? {key}\n: 1")).contains("a key must be a string"), "{key}");
        }
    }

    #[test]
    fn maps_are_merged() {
        let file = "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz: {c: 3, <<: [*x, *y], a: 4}\nq: {'<<': 1}";
        let found = values(file).unwrap();
        assert_eq!(found[0]["z"], json!({"a": 4, "b": 1, "c": 2}));
        assert_eq!(found[0]["q"], json!({"<<": 1}));
        for wrong in ["{<<: 1}", "{<<: [1]}", "[&x [{a: 1}], {<<: *x}]"] {
            assert!(refused(wrong).contains("<< must be followed by a map"), "{wrong}");
        }
    }

    #[test]
    fn what_grows_without_end_is_refused() {
        assert!(refused("a: &a [*a]").contains("contains itself"));
        assert!(refused("a: *b").contains("line 1"));
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let before = format!("*a{}", level - 1);
            bomb += &format!("a{level}: &a{level} [{}]\n", vec![before; 10].join(", "));
        }
        assert!(refused(&bomb).contains("values"));
        let deep = (1..40).fold("a0: &a0 [x]\n".to_owned(), |text, level| {
            let inner = format!("{}*a{}{}", "[".repeat(20), level - 1, "]".repeat(20));
            text + &format!("a{level}: &a{level} {inner}\n")
        });
        assert!(refused(&deep).contains("within each other"));
        for brackets in [300, 100_000] {
            assert!(values(&"[".repeat(brackets)).is_err());
            assert!(values(&"- ".repeat(brackets)).is_err());
        }
    }
}
