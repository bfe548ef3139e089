//! What a scalar without quotes stands for, by the rules of YAML 1.1 as kubectl applies them (go-yaml v2, through
//! sigs.k8s.io/yaml): `no` is a truth value, `007` an octal number, `1_000` a thousand. kubectl sends
//! JSON, which has no infinity, and in which a whole number is an integer however it was written.

use serde_json::{Number, Value};

/// What a scalar stands for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    /// Its own text.
    Text,
    /// A boolean, a number, or null.
    Value(Value),
    /// A number that JSON does not have.
    NotFinite,
}

/// JSON writes floats below this in full, so that whole ones are integers to whoever reads them.
const WHOLE_BELOW: f64 = 1e21;

/// What a scalar without quotes and tag stands for.
pub(super) fn plain(text: &str) -> Scalar {
    if let Some(known) = word(text) {
        return known;
    }
    let found = match text.bytes().next() {
        // here Go's rules for numbers hold instead: an underscore stands between digits
        Some(b'.') => without_underscores(text).and_then(|digits| float(&digits)),
        Some(b'+' | b'-' | b'0'..=b'9') => {
            let digits = text.replace('_', "");
            integer(&digits).or_else(|| float(&digits))
        }
        _ => None,
    };
    found.map_or(Scalar::Text, Scalar::Value)
}

/// What a scalar with one of YAML's own tags (`!!int`, by the name `int`) stands for; none if it cannot be one.
pub(super) fn tagged(tag: &str, text: &str) -> Option<Scalar> {
    let scalar = plain(text);
    let fits = match (tag, &scalar) {
        ("null", Scalar::Value(Value::Null)) | ("bool", Scalar::Value(Value::Bool(_))) => true,
        ("float", Scalar::NotFinite) => true,
        ("int", Scalar::Value(Value::Number(_))) => integer(&text.replace('_', "")).is_some(),
        ("float", Scalar::Value(Value::Number(_))) => true,
        ("null" | "bool" | "int" | "float", _) => false,
        _ => return Some(Scalar::Text),
    };
    fits.then_some(scalar)
}

fn word(text: &str) -> Option<Scalar> {
    let value = match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "true" | "True" | "TRUE" => {
            Value::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "false" | "False" | "FALSE" => {
            Value::Bool(false)
        }
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf"
        | "-.Inf" | "-.INF" => return Some(Scalar::NotFinite),
        _ => return None,
    };
    Some(Scalar::Value(value))
}

/// An integer of any base that has a prefix; a leading zero means octal. None also where it is too large.
fn integer(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (radix, digits) = match unsigned.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &unsigned[2..]),
        [b'0', b'o' | b'O', ..] => (8, &unsigned[2..]),
        [b'0', b'b' | b'B', ..] => (2, &unsigned[2..]),
        [b'0', _, ..] => (8, &unsigned[1..]),
        _ => (10, unsigned),
    };
    if !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let magnitude = i128::from(u64::from_str_radix(digits, radix).ok()?);
    let value = if text.starts_with('-') { -magnitude } else { magnitude };
    match i64::try_from(value) {
        Ok(value) => Some(value.into()),
        // what has no sign may be larger; the API server reads it as a float
        Err(_) if text == unsigned => Number::from_f64(magnitude as f64).map(Value::Number),
        Err(_) => None,
    }
}

/// The text without the underscores between its digits; none if there are others.
fn without_underscores(text: &str) -> Option<String> {
    let between_digits = text.split('_').skip(1).zip(text.split('_')).all(|(after, before)| {
        before.ends_with(|c: char| c.is_ascii_digit()) && after.starts_with(|c: char| c.is_ascii_digit())
    });
    between_digits.then(|| text.replace('_', ""))
}

/// A decimal float, as JSON writes it.
fn float(text: &str) -> Option<Value> {
    if !text.bytes().all(|c| c.is_ascii_digit() || matches!(c, b'.' | b'e' | b'E' | b'+' | b'-')) {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    // 2^63, the first that is no i64
    let whole = value.fract() == 0.0 && value.abs() < WHOLE_BELOW;
    if whole && (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value) {
        return Some((value as i64).into());
    }
    // none where it is too large: then it is a text
    Number::from_f64(value).map(Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn scalars_without_quotes_are_what_kubectl_takes_them_for() {
        let cases = [
            (json!(true), "y Y yes Yes YES on On ON true True TRUE"),
            (json!(false), "n N no No NO off Off OFF false False FALSE"),
            (json!(null), "~ null Null NULL"),
            (json!(7), "7 +7 007 0o7 0O7 0x7 0b111 7.0 7. 7_ 70e-1 0x_7"),
            (json!(-7), "-7 -007 -0b111 -0x7 -7.0"),
            (json!(8), "8 08 010 08.0 0x8"),
            (json!(1000), "1000 1_000 1e3 1E3 1e+3 1000.0 01750"),
            (json!(0.5), ".5 .5_0 0.5 +.5 5e-1 5E-1 0_0.5"),
            (json!(0), "0 -0 00 0.0 -0.0 0e9"),
            (json!(10_000_000_000_000_000_i64), "1e16"),
            (json!(1e20), "1e20 100000000000000000000"),
            (json!(1e21), "1e21"),
            (json!(18446744073709551615.0), "18446744073709551615 0xffffffffffffffff"),
            (json!(i64::MIN), "-9223372036854775808 -0x8000000000000000"),
        ];
        for (value, texts) in cases {
            for text in texts.split(' ') {
                assert_eq!(plain(text), Scalar::Value(value.clone()), "{text}");
            }
        }
        assert_eq!(plain(""), Scalar::Value(json!(null)));
        for text in ".nan .NaN .inf +.Inf -.INF".split(' ') {
            assert_eq!(plain(text), Scalar::NotFinite, "{text}");
        }
    }

    #[test]
    fn all_else_is_text() {
        let texts = "yEs nO oN nUll tRUE 1:30 190:20:30 2001-12-14 2001-12-14t21:59:43Z 0o8 0b2 0xg 1e 1e400 -1e400 \
                     . .e5 ._5 .5_ .5__0 + - -- +-1 1.2.3 0.0.0.0 _1 0x 0b -0b2 <<  inf nan .infinity 1,000 0x1p-2 \
                     0xfffffffffffffffff x no! ~x =";
        for text in texts.split(' ').filter(|text| !text.is_empty()) {
            assert_eq!(plain(text), Scalar::Text, "{text}");
        }
    }

    #[test]
    fn a_tag_is_kept_or_cannot_be() {
        for (tag, text, value) in
            [("int", "007", json!(7)), ("float", "1", json!(1)), ("bool", "yes", json!(true))]
        {
            assert_eq!(tagged(tag, text), Some(Scalar::Value(value)), "{tag} {text}");
        }
        for (tag, text) in [("str", "no"), ("str", "7"), ("timestamp", "2001-12-14"), ("binary", "AA==")] {
            assert_eq!(tagged(tag, text), Some(Scalar::Text), "{tag} {text}");
        }
        for (tag, text) in [("int", "x"), ("int", "1.5"), ("bool", "1"), ("null", "x"), ("float", "yes")] {
            assert_eq!(tagged(tag, text), None, "{tag} {text}");
        }
    }
}
