//! How names, notes, ids and times are read and written.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::error::Error;

/// Characters that a name may have, as the resources allow it.
const MAX_NAME: usize = 1024;
/// Characters that notes may have, as the resources allow it.
const MAX_NOTES: usize = 10_240;

/// A time in ISO 8601, UTC.
pub fn time(time: &Time) -> String {
    time.0.to_string()
}

/// An id for a project, run or upload that nobody can guess: 48 hex digits.
pub fn fresh_id() -> String {
    hex::encode(rand::random::<[u8; 24]>())
}

/// A name of a project or run; absent and null are empty.
///
/// # Errors
/// [`Error::Invalid`] when it is too long.
pub fn name(name: Option<String>) -> Result<String, Error> {
    at_most(MAX_NAME, "name", name)
}

/// Notes on a project or run; absent and null are empty.
///
/// # Errors
/// [`Error::Invalid`] when they are too long.
pub fn notes(notes: Option<String>) -> Result<String, Error> {
    at_most(MAX_NOTES, "notes", notes)
}

fn at_most(limit: usize, field: &str, text: Option<String>) -> Result<String, Error> {
    let text = text.unwrap_or_default();
    let length = text.chars().count();
    if length > limit {
        return Err(Error::Invalid(format!("{field} has {length} characters; at most {limit} are allowed")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_48_hex_digits_and_differ() {
        let (one, other) = (fresh_id(), fresh_id());
        assert!(one.len() == 48 && one.bytes().all(|c| c.is_ascii_hexdigit()));
        assert_ne!(one, other);
    }

    #[test]
    fn times_are_iso_8601_in_utc() {
        let epoch = Time(k8s_openapi::jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(time(&epoch), "1970-01-01T00:00:00Z");
    }
}
