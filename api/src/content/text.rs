//! How names, notes, ids and times are read and written.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::{Deserialize, Deserializer, de};
use serde_json::{Number, Value};

use crate::error::Error;

/// Characters that a name may have, as the resources allow it.
const MAX_NAME: usize = 1024;
/// Characters that notes may have, as the resources allow it.
const MAX_NOTES: usize = 10_240;

/// A time in ISO 8601, UTC, with microseconds and `+00:00`: Python before 3.11 reads no other form.
pub fn time(time: &Time) -> String {
    time.0.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string()
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

/// A whole number, if there is one: `2`, or `2.0`, which is the same to JSON, and how some languages write it.
///
/// # Errors
/// When it is anything else.
pub fn whole_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let whole = |number: &Number| {
        let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < (1u64 << 53) as f64);
        number.as_i64().or(float.map(|float| float as i64))
    };
    match Option::<Value>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Value::Number(number)) if let Some(whole) = whole(&number) => Ok(Some(whole)),
        Some(other) => Err(de::Error::custom(format!("{other}, expected a whole number"))),
    }
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
    fn whole_numbers_may_be_written_as_fractions() {
        let read = |text: &str| whole_number(&mut serde_json::Deserializer::from_str(text)).map_err(|_| ());
        for (text, expected) in
            [("2", Some(2)), ("2.0", Some(2)), ("-3e0", Some(-3)), ("0.2e1", Some(2)), ("null", None)]
        {
            assert_eq!(read(text), Ok(expected), "{text}");
        }
        for refused in ["2.5", "1e300", "\"2\"", "true", "[2]", "{}", "18446744073709551615"] {
            assert!(read(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn times_are_iso_8601_in_utc() {
        let epoch = Time(k8s_openapi::jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(time(&epoch), "1970-01-01T00:00:00.000000+00:00");
        let precise = Time("2030-01-02T03:04:05.678901234Z".parse().unwrap());
        assert_eq!(time(&precise), "2030-01-02T03:04:05.678901+00:00");
    }
}
