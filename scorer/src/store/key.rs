//! Which keys may be used: those that mean the same object in a bucket and in a directory, and stay inside either.

use super::StoreError;

/// S3's limit; the prefix of the store's URL comes on top and is short.
const MAX_KEY_BYTES: usize = 900;

/// The folder in which a directory store keeps what is not finished; no key may lie there.
pub(super) const PARTIAL: &str = ".partial";

pub(super) fn check(key: &str) -> Result<(), StoreError> {
    let problem = if key.is_empty() {
        Some("it is empty")
    } else {
        problem_of_length(key)
            .or_else(|| key.split('/').find_map(problem_of_segment))
            .or_else(|| reserved(key))
    };
    refuse(key, problem)
}

/// A prefix may be empty, end in `/`, or end within a segment.
pub(super) fn check_prefix(prefix: &str) -> Result<(), StoreError> {
    if prefix.is_empty() {
        return Ok(());
    }
    let whole = prefix.strip_suffix('/').unwrap_or(prefix);
    let problem = problem_of_length(whole).or_else(|| whole.split('/').find_map(problem_of_segment));
    refuse(prefix, problem.or_else(|| reserved(whole)))
}

fn problem_of_length(key: &str) -> Option<&'static str> {
    (key.len() > MAX_KEY_BYTES).then_some("it is longer than 900 bytes")
}

fn problem_of_segment(segment: &str) -> Option<&'static str> {
    if segment.is_empty() {
        Some("it starts or ends with '/', or has '//' in it")
    } else if segment == "." || segment == ".." {
        Some("'.' and '..' are not allowed in it")
    } else if segment.len() > 255 {
        Some("a part of it is longer than 255 bytes")
    } else if segment.chars().any(char::is_control) {
        Some("it has control characters in it")
    } else {
        None
    }
}

fn reserved(key: &str) -> Option<&'static str> {
    (key.split('/').next() == Some(PARTIAL)).then_some("'.partial' is kept for unfinished objects")
}

fn refuse(key: &str, problem: Option<&'static str>) -> Result<(), StoreError> {
    match problem {
        None => Ok(()),
        Some(why) => Err(StoreError::InvalidKey { key: key.chars().take(100).collect(), why }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_inside_the_store() {
        for good in ["a", "a/b.json", "runs/1/pairs/0.pairs", "ä/ö", "..a", "a/.b"] {
            check(good).unwrap();
            check_prefix(good).unwrap();
        }
        for bad in [
            "",
            "/a",
            "a/",
            "a//b",
            "..",
            "../a",
            "a/../b",
            "a/..",
            ".",
            "a/./b",
            "a\0b",
            "a\nb",
            ".partial/x",
        ] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
        assert!(check(&"x".repeat(256)).is_err());
        assert!(check(&"x/".repeat(600)).is_err());
        for bad in ["/", "/a/", "a//", "../", "a/../", ".partial/"] {
            assert!(check_prefix(bad).is_err(), "{bad:?}");
        }
        for good in ["", "a/", "a/b"] {
            check_prefix(good).unwrap();
        }
    }
}
