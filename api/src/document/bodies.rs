//! What an upload may look like. The service never holds one as a whole: `scorer::ingest` reads it as it comes, by the
//! same rules.

use std::collections::BTreeMap;

use utoipa::openapi::{ArrayBuilder, Object, ObjectBuilder, Ref, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::values::{Block, EncodingText};
use crate::endpoints::external::Announcement;

/// A party's data as JSON, in one of four forms.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
#[schema(examples(
    json!({"clks": ["Kf8AAAAAAAA=", "AAAAAAEAAP8="]}),
    json!({"clknblocks": [["Kf8AAAAAAAA=", "1010", 17], ["AAAAAAEAAP8=", "1010"]]}),
    json!({"encodings": ["Kf8AAAAAAAA=", "AAAAAAEAAP8="], "blocks": {"0": ["1010", 17], "1": ["1010"]}}),
    json!({"encodings": {"file": {"bucket": "linkage", "path": "projects/ID-UID/uploads/1/0/encodings.json"}}})
))]
pub enum Upload {
    /// Encodings alone.
    Clks(Clks),
    /// Encodings with their blocks.
    ClksAndBlocks(ClksAndBlocks),
    /// Encodings, and their blocks apart from them.
    Encodings(Encodings),
    /// Objects that the party has put into the store by itself.
    Announcement(Announcement),
}

/// Encodings, for a project without blocking.
#[derive(Debug, ToSchema)]
pub struct Clks {
    /// By the index of the record.
    #[schema(min_items = 1)]
    pub clks: Vec<EncodingText>,
}

/// Encodings with their blocks, for a project that uses blocking.
#[derive(Debug, ToSchema)]
pub struct ClksAndBlocks {
    /// By the index of the record.
    #[schema(min_items = 1)]
    pub clknblocks: Vec<EncodingWithBlocks>,
}

/// Encodings; and, for a project that uses blocking, the blocks of each.
#[derive(Debug, ToSchema)]
pub struct Encodings {
    /// The encodings.
    pub encodings: EncodingsInLine,
    /// The blocks of each record, by its index.
    #[schema(required = false, schema_with = blocks_by_record)]
    pub blocks: BTreeMap<u32, Vec<Block>>,
}

/// Encodings in a list, or by the index of the record: from 0, without gaps.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
pub enum EncodingsInLine {
    /// By the index of the record.
    List(EncodingList),
    /// With the index as a key.
    ByRecord(EncodingsByRecord),
}

/// Encodings, by the index of the record.
#[derive(Debug, ToSchema)]
#[schema(min_items = 1)]
pub struct EncodingList(pub Vec<EncodingText>);

/// Encodings, each with the index of its record as the key.
#[derive(Debug)]
pub struct EncodingsByRecord(pub BTreeMap<u32, EncodingText>);

impl ToSchema for EncodingsByRecord {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        collect::<EncodingText>(schemas);
    }
}

impl PartialSchema for EncodingsByRecord {
    fn schema() -> RefOr<Schema> {
        by_record("Encodings, each with the index of its record as the key: from 0, without gaps.")
            .additional_properties(Some(reference::<EncodingText>()))
            .min_properties(Some(1))
            .into()
    }
}

/// An encoding, then the ids of its blocks.
#[derive(Debug)]
pub struct EncodingWithBlocks(pub EncodingText, pub Vec<Block>);

impl ToSchema for EncodingWithBlocks {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        collect::<EncodingText>(schemas);
        collect::<Block>(schemas);
    }
}

impl PartialSchema for EncodingWithBlocks {
    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new()
            .description(Some("An encoding, then the ids of its blocks."))
            .prefix_items([EncodingText::schema()])
            .items(reference::<Block>())
            .min_items(Some(1))
            .examples([serde_json::json!(["Kf8AAAAAAAA=", "1010", 17])])
            .into()
    }
}

fn blocks_by_record() -> Object {
    let blocks = ArrayBuilder::new().items(reference::<Block>());
    by_record(
        "The blocks of each record, by its index. The order means nothing; every record must be among the encodings.",
    )
    .additional_properties(Some(blocks))
    .build()
}

/// A map by the index of a record.
fn by_record(description: &str) -> ObjectBuilder {
    let index =
        ObjectBuilder::new().schema_type(Type::String).pattern(Some("^(0|[1-9][0-9]{0,7}|1[0-9]{8})$"));
    ObjectBuilder::new().description(Some(description)).property_names(Some(index.build()))
}

fn reference<T: ToSchema>() -> RefOr<Schema> {
    Ref::from_schema_name(T::name()).into()
}

fn collect<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}
