mod properties;

use std::convert::Infallible;

use base64_simd::STANDARD;
use futures::stream;

use super::*;
use crate::summary::{Failure, FailureReason};

/// What is left in the store after taking something in.
#[derive(Debug, PartialEq, Eq)]
struct Stored {
    encodings: Vec<u8>,
    blocks: Vec<(u32, String)>,
}

struct Folder {
    store: Store,
    _folder: tempfile::TempDir,
}

fn folder() -> Folder {
    let folder = tempfile::tempdir().unwrap();
    Folder { store: Store::in_directory(folder.path()).unwrap(), _folder: folder }
}

fn chunks(document: &[u8], size: usize) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + use<> {
    let chunks: Vec<_> =
        document.chunks(size.max(1)).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    stream::iter(chunks)
}

#[tokio::main(flavor = "current_thread")]
async fn take_in(
    document: &[u8],
    chunk: usize,
    expected: Expectations,
) -> Result<(Contribution, Stored), IngestError> {
    let Folder { store, _folder } = folder();
    let taken = json(chunks(document, chunk), &expected, &store, "p/").await;
    let objects: Vec<_> = store.list("").collect().await;
    match taken {
        Ok(contribution) => {
            assert_eq!(objects.len(), 1 + usize::from(expected.blocking));
            let stored = stored(&store, &contribution).await;
            Ok((contribution, stored))
        }
        Err(error) => {
            assert!(objects.is_empty(), "{objects:?} is left after: {error}");
            Err(error)
        }
    }
}

async fn stored(store: &Store, contribution: &Contribution) -> Stored {
    let encodings = store.read_small(&contribution.encodings, u64::MAX).await.unwrap();
    let mut blocks = Vec::new();
    if let Some(key) = &contribution.blocks {
        let bytes = store.read_small(key, u64::MAX).await.unwrap();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let record = u32::from_le_bytes(rest[..4].try_into().unwrap());
            let length = usize::from(u16::from_le_bytes(rest[4..6].try_into().unwrap()));
            blocks.push((record, String::from_utf8(rest[6..6 + length].to_vec()).unwrap()));
            rest = &rest[6 + length..];
        }
    }
    Stored { encodings, blocks }
}

const PLAIN: Expectations = Expectations {
    blocking: false,
    encoding_bytes: None,
    limits: Limits { min_encoding_bytes: 8, max_encoding_bytes: 1024, max_records: 1000 },
    memory: None,
};
const BLOCKING: Expectations = Expectations { blocking: true, ..PLAIN };

fn base64(bytes: &[u8]) -> String {
    STANDARD.encode_to_string(bytes)
}

/// The encoding of 8 bytes of a number, as base64.
fn encoding(number: u8) -> String {
    base64(&[number; 8])
}

fn entry(record: u32, block: &str) -> (u32, String) {
    (record, block.to_owned())
}

/// Fills in `$1`, `$2` … with encodings.
fn document(template: &str) -> Vec<u8> {
    (1..=9).fold(template.to_owned(), |text, n| text.replace(&format!("${n}"), &encoding(n))).into_bytes()
}

fn good(template: &str, expected: Expectations) -> Stored {
    let (contribution, stored) = take_in(&document(template), 7, expected).unwrap();
    assert_eq!(contribution.encoding_bytes, 8);
    assert_eq!(contribution.records * 8, stored.encodings.len() as u64);
    stored
}

fn bad(template: &str, expected: Expectations) -> IngestError {
    take_in(&document(template), 1000, expected).map(|(contribution, _)| contribution).unwrap_err()
}

#[test]
fn all_documented_shapes_mean_the_same() {
    let encodings: Vec<u8> = [[1; 8], [2; 8], [3; 8]].concat();
    let blocks = vec![entry(0, "a"), entry(0, "1"), entry(2, "a")];
    for template in [
        r#"{"clks": ["$1", "$2", "$3"]}"#,
        r#"{"encodings": ["$1", "$2", "$3"]}"#,
        r#"{"encodings": {"0": "$1", "1": "$2", "2": "$3"}}"#,
        r#"{"encodings": {"2": "$3", "1": "$2", "0": "$1"}}"#,
        r#" { "clks" :["$1\n","$2 \r\n" , "$3"] }  "#,
    ] {
        let stored = good(template, PLAIN);
        assert_eq!(stored, Stored { encodings: encodings.clone(), blocks: vec![] }, "{template}");
    }
    for template in [
        r#"{"clknblocks": [["$1", "a", 1], ["$2"], ["$3", "a"]]}"#,
        r#"{"encodings": ["$1", "$2", "$3"], "blocks": {"0": ["a", "1"], "2": ["a"]}}"#,
        r#"{"blocks": {"0": ["a", 1], "1": [], "2": ["a"]}, "encodings": {"0": "$1", "2": "$3", "1": "$2"}}"#,
    ] {
        let stored = good(template, BLOCKING);
        assert_eq!(stored, Stored { encodings: encodings.clone(), blocks: blocks.clone() }, "{template}");
    }
}

#[test]
fn base64_may_be_broken_into_lines_and_escaped() {
    let bytes: Vec<u8> = (0..=127).collect();
    let lines: Vec<String> =
        base64(&bytes).as_bytes().chunks(76).map(|line| String::from_utf8(line.to_vec()).unwrap()).collect();
    let text = format!(r#"{{"clks": ["{}\n"]}}"#, lines.join("\\n").replace('/', "\\/"));
    let (_, stored) = take_in(text.as_bytes(), 10, PLAIN).unwrap();
    assert_eq!(stored.encodings, bytes);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (template, expected, reason, message) in [
        ("", PLAIN, FailureReason::MalformedJson, "end of file"),
        ("[]", PLAIN, FailureReason::MalformedJson, "expected an object"),
        ("{}", PLAIN, FailureReason::MalformedJson, "exactly one of the keys"),
        (r#"{"clks": ["$1"]} x"#, PLAIN, FailureReason::MalformedJson, "line 1, column"),
        (r#"{"clks": ["$1"]}{"clks": ["$1"]}"#, PLAIN, FailureReason::MalformedJson, "already contains one"),
        (r#"{"clks": ["$1""#, PLAIN, FailureReason::MalformedJson, "record 1"),
        (r#"{"clks": ["$1",]}"#, PLAIN, FailureReason::MalformedJson, "Trailing comma"),
        (
            r#"{"clks": ["$1", 5]}"#,
            PLAIN,
            FailureReason::MalformedJson,
            "record 1 (byte 27): expected an encoding",
        ),
        (r#"{"clks": ["$1", NaN]}"#, PLAIN, FailureReason::MalformedJson, "record 1 (line 1, column 27"),
        (r#"{"clks": ["$1", null]}"#, PLAIN, FailureReason::MalformedJson, "found null"),
        (
            r#"{"clks": ["$1"], "clks": ["$1"]}"#,
            PLAIN,
            FailureReason::MalformedJson,
            "more than one of the keys",
        ),
        (r#"{"clks": ["$1"], "encodings": ["$1"]}"#, PLAIN, FailureReason::MalformedJson, "more than one"),
        (r#"{"clk": ["$1"]}"#, PLAIN, FailureReason::MalformedJson, "it has \"clk\""),
        (r#"{"clks": []}"#, PLAIN, FailureReason::EmptyData, "no encodings"),
        (r#"{"encodings": {}}"#, PLAIN, FailureReason::EmptyData, "no encodings"),
        (r#"{"clks": ["$1", "a!b="]}"#, PLAIN, FailureReason::InvalidBase64, "record 1"),
        (r#"{"clks": ["$1", "AQEBAQEBAQE"]}"#, PLAIN, FailureReason::InvalidBase64, "padding"),
        (
            r#"{"clks": ["AAAA", "$1"]}"#,
            PLAIN,
            FailureReason::EncodingSizeMismatch,
            "record 0: an encoding of 3 bytes",
        ),
        (r#"{"clks": [""]}"#, PLAIN, FailureReason::EncodingSizeMismatch, "0 bytes"),
        (
            r#"{"encodings": {"0": "$1", "0": "$1"}}"#,
            PLAIN,
            FailureReason::MalformedJson,
            "record 0 is there twice",
        ),
        (
            r#"{"encodings": {"1": "$1", "1": "$1"}}"#,
            PLAIN,
            FailureReason::MalformedJson,
            "record 1 is there twice",
        ),
        (
            r#"{"encodings": {"0": "$1", "2": "$1"}}"#,
            PLAIN,
            FailureReason::MalformedJson,
            "record 1 is missing",
        ),
        (r#"{"encodings": {"00": "$1"}}"#, PLAIN, FailureReason::MalformedJson, "no record index"),
        (r#"{"encodings": {"-1": "$1"}}"#, PLAIN, FailureReason::MalformedJson, "no record index"),
        (r#"{"encodings": {"99999999999": "$1"}}"#, PLAIN, FailureReason::MalformedJson, "no record index"),
        (r#"{"encodings": {"1000": "$1"}}"#, PLAIN, FailureReason::MalformedJson, "more than 1000 records"),
        (r#"{"clknblocks": [["$1", "a"]]}"#, PLAIN, FailureReason::InvalidBlocks, "does not use blocking"),
        (
            r#"{"encodings": ["$1"], "blocks": {}}"#,
            PLAIN,
            FailureReason::InvalidBlocks,
            "does not use blocking",
        ),
        (r#"{"clks": ["$1"]}"#, BLOCKING, FailureReason::InvalidBlocks, "uses blocking"),
        (r#"{"encodings": ["$1"]}"#, BLOCKING, FailureReason::InvalidBlocks, "uses blocking"),
        (r#"{"blocks": {"0": []}}"#, BLOCKING, FailureReason::MalformedJson, "exactly one of the keys"),
        (
            r#"{"encodings": ["$1"], "blocks": {"1": []}}"#,
            BLOCKING,
            FailureReason::InvalidBlocks,
            "record 1, but only 1",
        ),
        (
            r#"{"encodings": ["$1"], "blocks": {"0": [], "0": []}}"#,
            BLOCKING,
            FailureReason::MalformedJson,
            "twice",
        ),
        (
            r#"{"encodings": ["$1"], "blocks": {"0": [1.5]}}"#,
            BLOCKING,
            FailureReason::MalformedJson,
            "fraction",
        ),
        (
            r#"{"encodings": ["$1"], "blocks": {"0": "a"}}"#,
            BLOCKING,
            FailureReason::MalformedJson,
            "a list of block ids",
        ),
        (
            r#"{"encodings": ["$1"], "blocks": {}, "blocks": {}}"#,
            BLOCKING,
            FailureReason::MalformedJson,
            "twice",
        ),
        (
            r#"{"clknblocks": [["$1", true]]}"#,
            BLOCKING,
            FailureReason::MalformedJson,
            "a string or an integer",
        ),
        (r#"{"clknblocks": [[]]}"#, BLOCKING, FailureReason::MalformedJson, "first in the record's list"),
        (
            r#"{"clknblocks": ["$1"]}"#,
            BLOCKING,
            FailureReason::MalformedJson,
            "a list of an encoding and its block",
        ),
        (r#"{"clknblocks": [["$1"]], "blocks": {}}"#, BLOCKING, FailureReason::MalformedJson, "twice"),
        (r#"{"blocks": {}, "clks": ["$1"]}"#, BLOCKING, FailureReason::MalformedJson, "blocks go with"),
    ] {
        let failure = Failure::from(bad(template, expected));
        assert_eq!(failure.reason, reason, "{template}: {failure}");
        assert!(failure.message.contains(message), "{template}: {failure}");
    }
}

#[test]
fn keys_that_mean_nothing_are_ignored_and_told() {
    for (template, told) in [
        (
            r#"{"meta": {"a": [1, {"b": null}, true, "x"]}, "clks": ["$1"]}"#,
            "the key \"meta\" of the document was",
        ),
        (
            r#"{"clks": ["$1"], "note": 1, "é\n": "x"}"#,
            "the keys \"note\", \"\\u{e9}\\n\" of the document were",
        ),
        (
            r#"{"a": 1, "b": 2, "c": 3, "clks": ["$1"], "d": 4, "e": 5, "f": 6, "a": 7}"#,
            "\"a\", \"b\", \"c\", \"d\", \"e\" and 2 more",
        ),
        (r#"{"clks": ["$1"]}"#, ""),
    ] {
        let (contribution, stored) = take_in(&document(template), 7, PLAIN).unwrap();
        assert_eq!(stored.encodings, [1; 8], "{template}");
        let warning = contribution.warning.unwrap_or_default();
        assert!(warning.contains(told) && warning.is_empty() == told.is_empty(), "{template}: {warning}");
        assert!(warning.is_ascii(), "{warning}");
    }
    let long = format!(r#"{{"{}": 1, "clks": ["{}"]}}"#, "k".repeat(10_000), encoding(1));
    let warning = take_in(long.as_bytes(), 1000, PLAIN).unwrap().0.warning.unwrap();
    assert!(warning.contains("kkk\"...") && warning.len() < 250, "{warning}");
    // in what is ignored, too, a document must be well-formed and of a depth that costs no memory
    for template in
        [r#"{"clks": ["$1"], "meta": {"a": }}"#.to_owned(), format!(r#"{{"meta": {}"#, "[".repeat(1000))]
    {
        assert!(matches!(bad(&template, PLAIN), IngestError::Malformed(_)), "{template}");
    }
}

#[test]
fn a_byte_order_mark_is_passed_over_and_utf_16_is_refused_by_name() {
    let text = String::from_utf8(document(r#"{"clks": ["$1", "$2"]}"#)).unwrap();
    for chunk in [1, 2, 1000] {
        let (_, stored) = take_in(format!("\u{feff}{text}").as_bytes(), chunk, PLAIN).unwrap();
        assert_eq!(stored.encodings, [[1; 8], [2; 8]].concat());
        for (mark, bytes) in [
            ("\u{feff}", u16::to_le_bytes as fn(u16) -> [u8; 2]),
            ("\u{feff}", u16::to_be_bytes),
            ("", u16::to_le_bytes),
        ] {
            let utf_16: Vec<u8> = format!("{mark}{text}").encode_utf16().flat_map(bytes).collect();
            let failure = Failure::from(take_in(&utf_16, chunk, PLAIN).unwrap_err());
            assert_eq!(failure.reason, FailureReason::MalformedJson);
            assert!(failure.message.contains("UTF-16"), "{failure}");
        }
    }
    // only at the beginning
    assert!(take_in(format!("{text}\u{feff}").as_bytes(), 7, PLAIN).is_err());
}

/// Beginnings of packed data, with the program that writes them so.
const PACKED: [(&str, &[u8]); 5] = [
    ("gzip", b"\x1f\x8b\x08\x10\x00\x00\x00\x00\x00\x03"),
    ("zip", b"PK\x03\x04\x14\x00\x00\x00\x08\x00"),
    ("zstd", b"\x28\xb5\x2f\xfd\x04\x58\xa1\x00"),
    ("xz", b"\xfd7zXZ\x00\x00\x04\xe6\xd6"),
    ("bzip2", b"BZh91AY&SY\x00\x11"),
];

#[test]
fn packed_data_is_refused_by_name_whatever_its_size() {
    for (by, head) in PACKED {
        for size in [16, 64, 8 * 1000] {
            let packed = [head, &vec![0xa5; size - head.len()]].concat();
            let records = Some(packed.len() as u64 / 8);
            for error in [
                raw(&packed, records, 8, PLAIN).unwrap_err(),
                raw(&packed, None, 8, PLAIN).unwrap_err(),
                take_in(&packed, 5, PLAIN).unwrap_err(),
            ] {
                assert!(error.to_string().contains(&format!("packed ({by})")), "{error}");
                assert_eq!(error.reason(), FailureReason::UnsupportedForm);
            }
        }
    }
}

#[test]
fn a_document_is_never_taken_for_raw_encodings() {
    let mut text = document(r#"{"clks": ["$1", "$2", "$3"]}"#);
    text.resize(text.len().next_multiple_of(8), b' ');
    let error = raw(&text, None, 8, PLAIN).unwrap_err();
    assert!(matches!(error, IngestError::Form(Form::Json)), "{error}");
}

#[test]
fn shorter_encodings_of_an_announced_document_are_filled_up_with_zeros() {
    let padded = |text: &str, bytes| {
        let expected = Expectations { encoding_bytes: Some(bytes), ..PLAIN };
        let mut document = Document::new(Shape::EncodingsOnly { padded_to: Some(bytes) }, &expected);
        document.feed(text.as_bytes()).unwrap();
        let counted = document.end()?;
        Ok::<_, IngestError>((counted.records, document.output().encodings.clone()))
    };
    let (short, whole) = (base64(&[1; 5]), encoding(2));
    for text in [
        format!(r#"{{"clks": ["{short}", "{whole}", ""]}}"#),
        format!(r#"{{"encodings": {{"1": "{whole}", "0": "{short}", "2": ""}}}}"#),
    ] {
        let expected = [&[1, 1, 1, 1, 1, 0, 0, 0][..], &[2; 8], &[0; 8]].concat();
        assert_eq!(padded(&text, 8).unwrap(), (3, expected), "{text}");
    }
    let longer = padded(&format!(r#"{{"clks": ["{whole}", "{}"]}}"#, base64(&[1; 9])), 8).unwrap_err();
    assert!(matches!(&longer, IngestError::EncodingSize(why) if why.contains("record 1")), "{longer}");
}

#[test]
fn documents_that_name_objects_are_told_apart() {
    for template in [
        r#"{"encodings": {"file": {"bucket": "b", "path": "p"}}}"#,
        r#"{"encodings": {"credentials": {}, "file": {}}}"#,
    ] {
        assert!(matches!(bad(template, PLAIN), IngestError::ExternalObjects("encodings")));
    }
    let blocks = r#"{"encodings": ["$1"], "blocks": {"file": {}}}"#;
    assert!(matches!(bad(blocks, BLOCKING), IngestError::ExternalObjects("blocks")));
}

#[test]
fn a_wrong_size_is_only_reported_for_what_is_otherwise_right() {
    let unequal = bad(r#"{"clks": ["$1", "AAAA", "$2"]}"#, PLAIN);
    assert!(matches!(&unequal, IngestError::EncodingSize(why) if why.contains("record 1")), "{unequal}");
    for malformed in [r#"{"clks": ["AAAA", "$2""#, r#"{"clks": ["AAAA", 3]}"#, r#"{"clks": ["AAAA", "!"]}"#] {
        assert!(!matches!(bad(malformed, PLAIN), IngestError::EncodingSize(_)), "{malformed}");
    }
    let fixed = Expectations { encoding_bytes: Some(16), ..PLAIN };
    assert!(matches!(bad(r#"{"clks": ["$1"]}"#, fixed), IngestError::EncodingSize(_)));
    // well-formed, but far too large
    let large = format!(r#"{{"clks": ["{}"]}}"#, base64(&[7; 4096]));
    assert!(matches!(bad(&large, PLAIN), IngestError::EncodingSize(_)));
}

#[test]
fn hostile_documents_end_in_an_error() {
    let nested = "[".repeat(100_000);
    let string = format!(r#"{{"clks": ["{}"]}}"#, "A".repeat(1 << 20));
    let number = format!(r#"{{"clks": [{}]}}"#, "1".repeat(1 << 20));
    let key = format!(r#"{{"{}": 1}}"#, "k".repeat(10_000));
    let block = format!(r#"{{"clknblocks": [["{}", "{}"]]}}"#, encoding(1), "b".repeat(1025));
    for (hostile, expected) in
        [(&nested, PLAIN), (&string, PLAIN), (&number, PLAIN), (&key, PLAIN), (&block, BLOCKING)]
    {
        let error = take_in(hostile.as_bytes(), 1 << 16, expected).unwrap_err();
        assert!(error.to_string().len() < 500);
    }
    let deep = format!(r#"{{"clks": {nested}"#);
    assert!(matches!(take_in(deep.as_bytes(), 1000, PLAIN), Err(IngestError::Malformed(_))));
    for invalid in
        [&b"{\"clks\": [\"\xff\xfe\"]}"[..], b"\xff", b"{\"\xc3\x28\": 1}", b"{\"clks\": [\"\\ud800\"]}"]
    {
        assert!(matches!(take_in(invalid, 3, PLAIN), Err(IngestError::Malformed(_))));
    }
}

#[test]
fn an_empty_block_id_is_no_block_and_records_without_one_are_counted() {
    for (template, blocks, without) in [
        (r#"{"clknblocks": [["$1", "", "a"], ["$2", ""], ["$3"]]}"#, vec![entry(0, "a")], 2),
        (r#"{"clknblocks": [["$1", ""], ["$2", "", ""], ["$3", ""]]}"#, vec![], 3),
        (
            r#"{"encodings": ["$1", "$2", "$3"], "blocks": {"2": ["", "b", 7], "0": [""]}}"#,
            vec![entry(2, "b"), entry(2, "7")],
            2,
        ),
        (
            r#"{"blocks": {"1": ["a", "b"], "0": ["a"], "2": ["c"]}, "encodings": ["$1", "$2", "$3"]}"#,
            vec![entry(1, "a"), entry(1, "b"), entry(0, "a"), entry(2, "c")],
            0,
        ),
        (r#"{"encodings": ["$1", "$2", "$3"], "blocks": {}}"#, vec![], 3),
    ] {
        for chunk in [1, usize::MAX] {
            let (contribution, stored) = take_in(&document(template), chunk, BLOCKING).unwrap();
            assert_eq!(stored.blocks, blocks, "{template}");
            assert_eq!(contribution.records_without_block, Some(without), "{template}");
        }
    }
    let (contribution, _) = take_in(&document(r#"{"clks": ["$1"]}"#), 1, PLAIN).unwrap();
    assert_eq!(contribution.records_without_block, None);
}

#[test]
fn a_million_blocks_of_one_record_pass() {
    let blocks: Vec<String> = (0..1_000_000).map(|block| block.to_string()).collect();
    let text = format!(r#"{{"encodings": ["{}"], "blocks": {{"0": [{}]}}}}"#, encoding(1), blocks.join(","));
    let (_, stored) = take_in(text.as_bytes(), 100_000, BLOCKING).unwrap();
    assert_eq!(stored.blocks.len(), 1_000_000);
    assert_eq!(stored.blocks[999_999], entry(0, "999999"));
}

#[test]
fn integers_and_strings_name_the_same_block() {
    let stored = good(r#"{"clknblocks": [["$1", 1, "1", -0, 0, -7, 12345678901234567890123]]}"#, BLOCKING);
    let names: Vec<_> = stored.blocks.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["1", "1", "0", "0", "-7", "12345678901234567890123"]);
}

#[test]
fn records_far_out_of_order_are_refused_before_they_fill_the_memory() {
    let mut text = String::from(r#"{"encodings": {"#);
    for record in (1..30_000).rev() {
        text.push_str(&format!(r#""{record}": "{}","#, base64(&[0; 1024])));
    }
    let many = Expectations { limits: Limits { max_records: 1_000_000, ..PLAIN.limits }, ..PLAIN };
    let error = take_in(text.as_bytes(), 1 << 16, many).unwrap_err();
    assert!(matches!(&error, IngestError::TooLarge(why) if why.contains("by ascending index")), "{error}");
}

#[test]
fn a_body_that_breaks_off_leaves_nothing() {
    let broken = || {
        let start = Ok(Bytes::from(document(r#"{"clks": ["$1", "#)));
        stream::iter([start, Err(std::io::Error::other("connection reset"))])
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let Folder { store, _folder } = folder();
        let error = json(broken(), &PLAIN, &store, "p/").await.unwrap_err();
        assert!(
            matches!(&error, IngestError::Body(_)) && error.to_string().contains("connection reset"),
            "{error}"
        );
        assert_eq!(store.list("").count().await, 0);
    });
}

fn raw(
    bytes: &[u8],
    records: Option<u64>,
    encoding_bytes: u32,
    expected: Expectations,
) -> Result<u64, IngestError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let Folder { store, _folder } = folder();
        let announced = Announced { records, encoding_bytes };
        let taken = binary(chunks(bytes, 5), announced, &expected, &store, "p/").await;
        assert_eq!(store.list("").count().await, usize::from(taken.is_ok()));
        let contribution = taken?;
        assert_eq!(store.read_small(&contribution.encodings, 1 << 20).await.unwrap(), bytes);
        Ok(contribution.records)
    })
}

#[test]
fn raw_encodings_must_be_as_long_as_announced() {
    assert_eq!(raw(&[1; 24], Some(3), 8, PLAIN).unwrap(), 3);
    assert_eq!(raw(&[1; 24], None, 8, PLAIN).unwrap(), 3);
    for (bytes, records) in [(23, Some(3)), (25, Some(3)), (0, Some(3)), (16, Some(3)), (23, None)] {
        let error = raw(&vec![1; bytes], records, 8, PLAIN).unwrap_err();
        assert!(matches!(error, IngestError::Length(_)), "{bytes} {records:?}: {error}");
    }
    assert!(matches!(raw(&[], None, 8, PLAIN), Err(IngestError::Empty)));
    assert!(matches!(raw(&[], Some(0), 8, PLAIN), Err(IngestError::Empty)));
    assert!(matches!(raw(&[1; 24], Some(u64::MAX), 8, PLAIN), Err(IngestError::TooLarge(_))));
    assert!(matches!(raw(&[1; 24], Some(3), 8, BLOCKING), Err(IngestError::BlocksMissing)));
}

#[test]
fn raw_encodings_of_another_size_are_told_apart_from_broken_ones() {
    assert!(matches!(raw(&[1; 21], Some(3), 7, PLAIN), Err(IngestError::EncodingSize(_))));
    assert!(matches!(raw(&[1; 20], Some(3), 7, PLAIN), Err(IngestError::Length(_))));
    assert!(matches!(raw(&[1; 24], Some(3), 0, PLAIN), Err(IngestError::EncodingSize(_))));
    let fixed = Expectations { encoding_bytes: Some(16), ..PLAIN };
    assert!(matches!(raw(&[1; 24], Some(3), 8, fixed), Err(IngestError::EncodingSize(_))));
}
