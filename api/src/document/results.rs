//! What a result may look like. The service streams it from the store as `scorer::result` has written it.

use utoipa::ToSchema;

use super::values::{Record, Score};
use crate::mask_key::PaillierContext;
use crate::results::ResultAddress;

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
