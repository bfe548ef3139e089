//! Which part of a result is sent, by RFC 9110: a client whose download broke off asks for the rest.

use std::ops::Range;

use axum::http::header::{IF_NONE_MATCH, IF_RANGE, RANGE};
use axum::http::{HeaderMap, HeaderName, Method};
use http_range_header::{RangeUnsatisfiableError, parse_range_header};

/// What is sent of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// These bytes.
    Range(Range<u64>),
    /// Nothing: the client has it already.
    NotModified,
    /// Nothing: the object ends before what is asked for begins.
    Unsatisfiable,
}

/// What a request asks for, of an object of so many bytes with this strong `ETag` (in its quotes).
///
/// What is malformed, of another unit, or more than one range at once is answered with the whole, as the RFC allows.
pub fn wanted(method: &Method, headers: &HeaderMap, etag: &str, bytes: u64) -> Part {
    if is_known(headers, etag) {
        return Part::NotModified;
    }
    // a range of another version would not fit what the client has
    let is_other = text(headers, IF_RANGE).is_some_and(|tag| tag.trim() != etag);
    let Some(range) = text(headers, RANGE).filter(|_| *method == Method::GET && !is_other) else {
        return Part::Whole;
    };
    match parse_range_header(range).and_then(|ranges| ranges.validate(bytes)).as_deref() {
        Ok([range]) => Part::Range(*range.start()..range.end() + 1),
        Err(RangeUnsatisfiableError::Unsatisfiable) => Part::Unsatisfiable,
        _ => Part::Whole,
    }
}

/// Whether the client has what this `ETag` stands for: by a list of tags, which may be weak, or `*`.
pub fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let lists = headers.get_all(IF_NONE_MATCH).iter().filter_map(|list| list.to_str().ok());
    let mut tags = lists.flat_map(|list| list.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ETAG: &str = "\"abc\"";

    fn of(headers: &[(HeaderName, &str)]) -> Part {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        wanted(&Method::GET, &headers, ETAG, 100)
    }

    #[test]
    fn a_range_is_cut_to_the_object() {
        for (range, expected) in [
            ("bytes=0-0", 0..1),
            ("bytes=10-", 10..100),
            ("bytes=10-1000", 10..100),
            ("bytes=-10", 90..100),
            ("bytes=-1000", 0..100),
        ] {
            assert_eq!(of(&[(RANGE, range)]), Part::Range(expected), "{range}");
        }
        for range in ["bytes=100-", "bytes=100-200", "bytes=-0"] {
            assert_eq!(of(&[(RANGE, range)]), Part::Unsatisfiable, "{range}");
        }
        for range in
            ["", "bytes", "bytes=", "bytes=5-1", "lines=1-2", "bytes=a-b", "bytes=1-2,5-6", "bytes=--1"]
        {
            assert_eq!(of(&[(RANGE, range)]), Part::Whole, "{range}");
        }
    }

    #[test]
    fn the_rest_of_another_version_is_not_sent() {
        let range = (RANGE, "bytes=10-19");
        assert_eq!(of(&[range.clone(), (IF_RANGE, ETAG)]), Part::Range(10..20));
        // a date tells less than a tag, and weak tags do not count
        for other in ["\"def\"", "W/\"abc\"", "Wed, 25 Nov 2026 20:00:00 GMT", ""] {
            assert_eq!(of(&[range.clone(), (IF_RANGE, other)]), Part::Whole, "{other}");
        }
    }

    #[test]
    fn what_the_client_has_is_not_sent_again() {
        for tags in [ETAG, "*", "W/\"abc\"", "\"x\", \"abc\""] {
            assert_eq!(of(&[(RANGE, "bytes=0-1"), (IF_NONE_MATCH, tags)]), Part::NotModified, "{tags}");
        }
        assert_eq!(of(&[(IF_NONE_MATCH, "\"x\"")]), Part::Whole);
    }

    #[test]
    fn ranges_are_for_get_alone() {
        let headers = HeaderMap::from_iter([(RANGE, "bytes=0-1".parse().unwrap())]);
        assert_eq!(wanted(&Method::HEAD, &headers, ETAG, 100), Part::Whole);
    }

    proptest! {
        #[test]
        fn whatever_is_asked_for_is_within_the_object(
            range in "(bytes=)?[0-9, -]{0,30}|.{0,40}",
            bytes in prop_oneof![0..50u64, any::<u64>()],
        ) {
            let Ok(value) = range.parse() else { return Ok(()) };
            if let Part::Range(range) = wanted(&Method::GET, &HeaderMap::from_iter([(RANGE, value)]), ETAG, bytes) {
                prop_assert!(range.start < range.end && range.end <= bytes);
            }
        }
    }
}
