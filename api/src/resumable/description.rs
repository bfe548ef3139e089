//! What an upload is for: how many bytes it has, and how they are to be read, as its metadata say.

use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::protocol::{METADATA, UPLOAD_DEFER_LENGTH, UPLOAD_LENGTH, number};
use crate::error::Error;

/// Most bytes of the metadata of an upload.
const MAX_METADATA: usize = 4096;
/// Most bytes of an encoding that may be announced; whether they can be linked is another matter.
const MAX_HASH_SIZE: u64 = 1024;

const EXPECTED: &str = "Upload-Metadata must say how the data is to be read: form json; or form binary with hash-count and \
                        hash-size, both whole numbers; each value in base64";

/// What an upload is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// How many bytes it will have.
    pub bytes: u64,
    /// How they are to be read.
    pub form: Form,
    /// `Upload-Metadata` as it was sent.
    pub metadata: String,
}

/// How the data of an upload is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// As a JSON document.
    Json,
    /// As raw encodings, one after the other.
    Binary {
        /// How many there are.
        records: u64,
        /// Bytes of each.
        encoding_bytes: u32,
    },
}

impl Description {
    /// What the headers of a request say that begins an upload.
    ///
    /// # Errors
    /// [`Error::Invalid`] and [`Error::TooLarge`].
    pub fn of(headers: &HeaderMap, limit: u64) -> Result<Self, Error> {
        if headers.contains_key(UPLOAD_DEFER_LENGTH) {
            let why = "Upload-Defer-Length is not supported: Upload-Length must say how many bytes there are";
            return Err(Error::Invalid(why.into()));
        }
        let bytes = number(headers, UPLOAD_LENGTH)?;
        if bytes > limit {
            return Err(Error::TooLarge { limit });
        }
        if bytes == 0 {
            return Err(Error::Invalid("Upload-Length is 0; there must be at least one record".into()));
        }
        let metadata = headers.get(METADATA).map_or(Ok(""), |value| value.to_str());
        let metadata = metadata.map_err(|_| Error::Invalid(EXPECTED.into()))?;
        let form = form(metadata)?;
        if let Form::Binary { records, encoding_bytes } = form
            && records.checked_mul(u64::from(encoding_bytes)) != Some(bytes)
        {
            return Err(Error::Invalid(format!(
                "Upload-Length is {bytes}, but hash-count times hash-size is {records} times {encoding_bytes}"
            )));
        }
        Ok(Self { bytes, form, metadata: metadata.to_owned() })
    }
}

fn form(metadata: &str) -> Result<Form, Error> {
    let wrong = || Error::Invalid(EXPECTED.into());
    if metadata.len() > MAX_METADATA {
        return Err(Error::Invalid(format!("Upload-Metadata has more than {MAX_METADATA} bytes")));
    }
    let known = ["form", "filetype", "filename", "hash-count", "hash-size"];
    let mut values: [Option<String>; 5] = Default::default();
    for pair in metadata.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
        let Some(slot) = known.iter().position(|known| *known == key) else { continue };
        let value = base64_simd::STANDARD.decode_to_vec(value.trim()).map_err(|_| wrong())?;
        let value = String::from_utf8(value).map_err(|_| wrong())?;
        if values[slot].replace(value).is_some() {
            return Err(Error::Invalid(format!("Upload-Metadata has {key} twice")));
        }
    }
    let [form, filetype, filename, count, size] = values;
    // clients that only tell the type or the name of a file are understood as well
    let named_json = filename.is_some_and(|name| name.to_ascii_lowercase().ends_with(".json"));
    let form = match (form.as_deref(), filetype.as_deref()) {
        (Some(form), _) => form,
        (None, Some("application/json")) => "json",
        (None, Some("application/octet-stream")) if count.is_some() => "binary",
        _ if count.is_some() && size.is_some() => "binary",
        _ if named_json => "json",
        _ => return Err(wrong()),
    };
    match form {
        "json" => Ok(Form::Json),
        "binary" => {
            let within = |text: Option<String>, max: u64| {
                let text = text.unwrap_or_default();
                let digits = text.bytes().all(|byte| byte.is_ascii_digit());
                text.parse().ok().filter(|number| digits && (1..=max).contains(number)).ok_or_else(wrong)
            };
            let encoding_bytes = u32::try_from(within(size, MAX_HASH_SIZE)?).unwrap_or(u32::MAX);
            Ok(Form::Binary { records: within(count, u64::from(u32::MAX))?, encoding_bytes })
        }
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Form, Error> {
        let encoded = |text: &str| base64_simd::STANDARD.encode_to_string(text);
        let pairs: Vec<_> = pairs.iter().map(|(key, value)| format!("{key} {}", encoded(value))).collect();
        form(&pairs.join(","))
    }

    #[test]
    fn metadata_tell_how_the_data_is_to_be_read() {
        let binary = Form::Binary { records: 12, encoding_bytes: 128 };
        assert_eq!(read(&[("form", "json"), ("filename", "ä.csv"), ("other", "1")]).unwrap(), Form::Json);
        assert_eq!(read(&[("filename", "A.JSON")]).unwrap(), Form::Json);
        assert_eq!(read(&[("filetype", "application/json"), ("filename", "a")]).unwrap(), Form::Json);
        assert_eq!(read(&[("hash-size", "128"), ("hash-count", "12")]).unwrap(), binary);
        assert_eq!(read(&[("form", "binary"), ("hash-size", "128"), ("hash-count", "12")]).unwrap(), binary);
        assert_eq!(form("form anNvbg==,is_confidential").unwrap(), Form::Json);
    }

    #[test]
    fn metadata_that_make_no_sense_are_refused() {
        for pairs in [
            &[][..],
            &[("form", "xml")],
            &[("form", "binary")],
            &[("form", "binary"), ("hash-count", "0"), ("hash-size", "8")],
            &[("form", "binary"), ("hash-count", "+1"), ("hash-size", "8")],
            &[("form", "binary"), ("hash-count", "1"), ("hash-size", "1025")],
            &[("form", "binary"), ("hash-count", "4294967296"), ("hash-size", "8")],
            &[("form", "json"), ("form", "binary")],
            &[("filename", "a.json.gz")],
        ] {
            assert!(matches!(read(pairs), Err(Error::Invalid(_))), "{pairs:?}");
        }
        for text in ["form", "form %%", "form /w==", &"a".repeat(MAX_METADATA + 1)] {
            assert!(form(text).is_err(), "{text}");
        }
    }
}
