//! Linkage schemas: passed on as they were written, and looked into for one number. Small ones are in the resource, larger ones
//! in the store.

use crds::{Encoding, LinkageProject, StoredSchema};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::App;
use crate::error::Error;

/// Most bytes of a schema that is kept in the resource.
pub const MAX_IN_RESOURCE: usize = 64 << 10;
/// The key of a larger one, below the project's folder.
const KEY: &str = "schema.json";
/// Bits that `spec.encoding.bits` may have, as the resource allows it; in steps of 64.
const BITS: std::ops::RangeInclusive<i64> = 64..=8192;

/// A schema as a client sent it.
pub struct Schema(Box<RawValue>);

impl Schema {
    /// A schema that a client has sent.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is no JSON object, or nested too deeply.
    pub fn new(text: Box<RawValue>) -> Result<Self, Error> {
        if !text.get().starts_with('{') {
            return Err(Error::Invalid("schema must be a JSON object: a map of names to values".into()));
        }
        // only text so far: nobody has looked how deep it is
        let Nested = serde_json::from_str(text.get())
            .map_err(|error| Error::Invalid(format!("schema is not as expected: {error}")))?;
        Ok(Self(text))
    }

    /// Its size.
    pub fn bytes(&self) -> usize {
        self.0.get().len()
    }

    /// What the resource says of it.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is no JSON object.
    pub fn encoding(&self) -> Result<Encoding, Error> {
        let bits = bits(self.0.get());
        if self.bytes() > MAX_IN_RESOURCE {
            let bytes = i64::try_from(self.bytes()).unwrap_or(i64::MAX);
            let blake3 = blake3::hash(self.0.get().as_bytes()).to_hex().to_string();
            let stored_schema = Some(StoredSchema { key: KEY.into(), bytes, blake3 });
            return Ok(Encoding { bits, schema: Map::new(), stored_schema });
        }
        let schema = serde_json::from_str(self.0.get());
        let schema = schema.map_err(|error| Error::Invalid(format!("schema is not as expected: {error}")))?;
        Ok(Encoding { bits, schema, stored_schema: None })
    }

    /// Puts it into the store, if the project says that it is there.
    ///
    /// # Errors
    /// As the store.
    pub async fn store(&self, app: &App, project: &LinkageProject) -> Result<(), Error> {
        let Some(key) = stored(project).map(|stored| key(app, project, stored)) else { return Ok(()) };
        let mut writer = app.store.writer(&key).await?;
        writer.write(self.0.get().as_bytes()).await?;
        writer.finish().await?;
        Ok(())
    }
}

/// A project's schema, wherever it is.
///
/// # Errors
/// As the store; or when what is there is not what was put there.
pub async fn of(app: &App, project: &LinkageProject) -> Result<Box<RawValue>, Error> {
    let Some(stored) = stored(project) else {
        let schema = project.spec.encoding.as_ref().map(|encoding| &encoding.schema);
        let text = schema.map_or(Ok("{}".into()), serde_json::to_string);
        return text.and_then(RawValue::from_string).map_err(|error| Error::Internal(error.to_string()));
    };
    let other = || Error::Internal("the project's schema in the store is not what was put there".into());
    let (info, reader) = app.store.get(&key(app, project, stored)).await?;
    // a project made with kubectl could name anything
    if info.bytes != u64::try_from(stored.bytes).unwrap_or_default()
        || info.bytes > crate::limits::body::MAX_DOCUMENT
    {
        return Err(other());
    }
    let mut room = app.documents.room();
    room.grow(usize::try_from(info.bytes).unwrap_or(usize::MAX))?;
    let bytes = reader.read_to_end().await?;
    if blake3::hash(&bytes).to_hex().as_str() != stored.blake3 {
        return Err(other());
    }
    let text = String::from_utf8(bytes.to_vec()).map_err(|_| other())?;
    RawValue::from_string(text).map_err(|_| other())
}

fn stored(project: &LinkageProject) -> Option<&StoredSchema> {
    project.spec.encoding.as_ref()?.stored_schema.as_ref()
}

fn key(app: &App, project: &LinkageProject, stored: &StoredSchema) -> String {
    let uid = project.metadata.uid.as_deref().unwrap_or_default();
    format!("{}{}", app.installation.project(uid), stored.key)
}

/// The bits of an encoding by a linkage schema, if it gives a length that is possible.
fn bits(schema: &str) -> Option<i32> {
    #[derive(Deserialize)]
    struct Outer<'s> {
        #[serde(borrow, rename = "clkConfig")]
        config: &'s RawValue,
    }
    #[derive(Deserialize)]
    struct Inner {
        l: Value,
    }
    let outer: Outer<'_> = serde_json::from_str(schema).ok()?;
    // serde would take an array of the fields as well
    let config = Some(outer.config.get())
        .filter(|config| config.starts_with('{') && config.len() <= MAX_IN_RESOURCE)?;
    let bits = serde_json::from_str::<Inner>(config).ok()?.l.as_i64()?;
    if !BITS.contains(&bits) || bits % 64 != 0 {
        return None;
    }
    i32::try_from(bits).ok()
}

/// JSON that is not nested too deeply, whatever it is. Unlike [`IgnoredAny`] it is read by the parser that has a limit to that.
struct Nested;

impl<'de> Deserialize<'de> for Nested {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Nested {
    type Value = Self;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self, A::Error> {
        while entries.next_entry::<IgnoredAny, Self>()?.is_some() {}
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema(text: &str) -> Result<Schema, Error> {
        Schema::new(RawValue::from_string(text.into()).unwrap())
    }

    #[test]
    fn a_length_that_cannot_be_fixes_nothing() {
        assert_eq!(bits(r#"{"clkConfig": {"l": 1024}}"#), Some(1024));
        for l in [json!(0), json!(-64), json!(100), json!(8256), json!("1024"), json!(64.5), json!(null)] {
            assert_eq!(bits(&json!({"clkConfig": {"l": l}}).to_string()), None, "{l}");
        }
        for other in [json!({"clkConfig": [1024]}), json!({"clkConfig": {}}), json!({}), json!({"l": 1024})] {
            assert_eq!(bits(&other.to_string()), None, "{other}");
        }
    }

    #[test]
    fn only_small_schemas_are_kept_in_the_resource() {
        let of = |bytes: usize| {
            let text = json!({"clkConfig": {"l": 64}, "x": "x".repeat(bytes - 35)}).to_string();
            (text.len(), schema(&text).unwrap().encoding().unwrap())
        };
        let (bytes, small) = of(MAX_IN_RESOURCE);
        assert!(bytes <= MAX_IN_RESOURCE && small.stored_schema.is_none() && small.schema.len() == 2);
        let (bytes, large) = of(MAX_IN_RESOURCE + 100);
        assert_eq!(large.stored_schema.unwrap().bytes, bytes as i64);
        assert!(large.schema.is_empty());
        assert_eq!((small.bits, large.bits), (Some(64), Some(64)));
    }

    #[test]
    fn what_is_no_object_or_too_deep_is_refused() {
        for text in ["[]", "1", "null", "\"{\""] {
            assert!(matches!(schema(text), Err(Error::Invalid(_))), "{text}");
        }
        let deep = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
        assert!(schema(&deep(100)).is_ok());
        for levels in [200, 10_000] {
            assert!(matches!(schema(&deep(levels)), Err(Error::Invalid(_))), "{levels}");
        }
    }
}
