//! What a result may look like. The service streams it from the store as `scorer::result` has written it.

use utoipa::{IntoResponses, ToSchema};

use super::values::{Record, Score};
use crate::endpoints::mask_key::PaillierContext;
use crate::endpoints::results::ResultAddress;

/// The result of a run, by the project's result type and by whose token asks for it.
#[derive(ToSchema)]
#[serde(untagged)]
pub enum RunResult {
    /// Of a project with result type `groups`.
    Groups(Groups),
    /// Of a project with result type `similarity_scores`.
    SimilarityScores(SimilarityScores),
    /// The same, when the address was asked for.
    Address(ResultAddress),
    /// Of a project with result type `permutations`, for the result token.
    Mask(Mask),
    /// Of a project with result type `permutations`, for a receipt token.
    Permutation(Permutation),
}

/// What comes instead of a whole result when the headers ask for less.
#[derive(IntoResponses)]
pub enum PartAnswers {
    /// The part of it that was asked for
    #[response(
        status = 206,
        headers(("Content-Range" = String, description = "Which bytes these are, and how many there are in all"))
    )]
    Part,
    /// It still has the `ETag` that was named
    #[response(status = 304)]
    NotModified,
}

/// Similarity scores, or where to fetch them.
#[derive(ToSchema)]
#[serde(untagged)]
pub enum ScoresResult {
    /// The scores.
    SimilarityScores(SimilarityScores),
    /// When the address was asked for.
    Address(ResultAddress),
}

/// A file of a run, by what it holds and its format.
#[derive(Debug, ToSchema)]
pub enum ResultFile {
    /// The result as JSON.
    #[serde(rename = "result.json")]
    ResultJson,
    /// The result as CSV.
    #[serde(rename = "result.csv")]
    ResultCsv,
    /// The result as NDJSON.
    #[serde(rename = "result.ndjson")]
    ResultNdjson,
    /// The result as Parquet.
    #[serde(rename = "result.parquet")]
    ResultParquet,
    /// The similarity scores as JSON.
    #[serde(rename = "similarity-scores.json")]
    ScoresJson,
    /// The similarity scores as CSV.
    #[serde(rename = "similarity-scores.csv")]
    ScoresCsv,
    /// The similarity scores as NDJSON.
    #[serde(rename = "similarity-scores.ndjson")]
    ScoresNdjson,
    /// The similarity scores as Parquet.
    #[serde(rename = "similarity-scores.parquet")]
    ScoresParquet,
}

/// A table as RFC 4180 has it, with a header line: `group,party,record,score` for groups, where `score` is the record's
/// highest similarity to another one of its group; `party_a,record_a,party_b,record_b,score` for similarity scores;
/// `position,match` for a mask, and `record,position` for a permutation (with `match` behind it, where the mask is encrypted).
#[derive(Debug, ToSchema)]
pub struct CsvTable(pub String);

/// A JSON document a line: for groups `{"group":0,"members":[{"party":"a","record":5},…],"scores":[{"a":0,"b":1,"score":0.93}]}`,
/// where `a` and `b` are positions among the members; else the row of the table.
#[derive(Debug, ToSchema)]
pub struct JsonLines(pub String);

/// The same table as in CSV, as an Apache Parquet file.
#[derive(Debug, ToSchema)]
#[schema(value_type = String, format = Binary)]
pub struct ParquetFile(pub Vec<u8>);

/// Groups of records that belong to one person each. No record is in two; those without any other are left out.
#[derive(Debug, ToSchema)]
pub struct Groups {
    /// The groups.
    pub groups: Vec<Group>,
}

/// The records of one person.
#[derive(Debug, ToSchema)]
#[schema(min_items = 2)]
pub struct Group(pub Vec<Record>);

/// All pairs of records of different parties with a similarity at or above the threshold.
#[derive(Debug, ToSchema)]
pub struct SimilarityScores {
    /// By descending score, then by the records.
    pub similarity_scores: Vec<ScoredPair>,
}

/// Two records and their similarity.
#[derive(Debug, ToSchema)]
#[schema(min_items = 3)]
pub struct ScoredPair(pub (Record, Record, Score));

/// At which positions the parties' permuted records match.
#[derive(Debug, ToSchema)]
pub struct Mask {
    /// As long as the smaller data set.
    pub mask: Vec<MaskElement>,
    /// With an encrypted mask: how the numbers are encoded.
    #[schema(nullable = false)]
    pub paillier_context: Option<PaillierContext>,
}

/// Whether the two records at a position match.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
pub enum MaskElement {
    /// In the clear.
    Bit(MaskBit),
    /// Of a project with a `public_key`.
    Encrypted(EncryptedNumber),
}

/// A number that only the holder of the project's key can read, as PyPI's `phe` writes it.
#[derive(Debug, ToSchema)]
pub struct EncryptedNumber {
    /// The ciphertext, in decimal digits.
    #[schema(pattern = "^[0-9]+$")]
    pub v: String,
    /// The exponent.
    #[schema(minimum = 0, maximum = 0)]
    pub e: u8,
}

/// 1 where the two records match, else 0.
#[derive(Debug, ToSchema)]
#[schema(minimum = 0, maximum = 1)]
pub struct MaskBit(pub u8);

/// Where each record of a party is to go, so that matching records of both parties get to the same position.
#[derive(Debug, ToSchema)]
pub struct Permutation {
    /// By the index of the record: its new position.
    pub permutation: Vec<u64>,
    /// How many records there are.
    pub rows: u64,
    /// Of a project with a `public_key`: the mask, encrypted.
    #[schema(nullable = false)]
    pub mask: Option<Vec<EncryptedNumber>>,
    /// With an encrypted mask: how the numbers are encoded.
    #[schema(nullable = false)]
    pub paillier_context: Option<PaillierContext>,
}
