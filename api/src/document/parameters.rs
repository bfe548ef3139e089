//! Headers of requests.

use utoipa::{IntoParams, ToSchema};

/// Of a request with a body.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct Packed {
    /// How the body is packed. The limit of its size counts for what it unpacks to, too.
    #[param(rename = "Content-Encoding", required = false, inline)]
    pub content_encoding: Packing,
}

/// How a body may be packed.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum Packing {
    /// Not at all.
    Identity,
    /// By gzip.
    Gzip,
}

/// Of an upload of raw bytes.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct RawEncodings {
    /// How many encodings there are.
    #[param(rename = "Hash-Count", minimum = 1, maximum = 200_000_000, example = 2)]
    pub hash_count: u64,
    /// Bytes of one encoding. Sizes that are no multiple of 8 cannot be linked.
    #[param(rename = "Hash-Size", minimum = 1, maximum = 1024, example = 8)]
    pub hash_size: u32,
}

/// Of a request for a part of a result.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct Partly {
    /// Which bytes of the result, such as `bytes=1000-`. What is not understood, or several ranges at once, is answered
    /// with the whole.
    #[param(rename = "Range", required = false)]
    pub range: String,
    /// The range only if the result still has this `ETag`; else the whole.
    #[param(rename = "If-Range", required = false)]
    pub if_range: String,
    /// Nothing if the result still has one of these.
    #[param(rename = "If-None-Match", required = false)]
    pub if_none_match: String,
}

/// Of a request for a result.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct ByAddress {
    /// With this header, whatever its value, similarity scores are answered with their address in the store, and
    /// credentials for reading them there. The object is what `anonlink.serialization.load_candidate_pairs` reads, unless
    /// `Accept` asks for another format.
    #[param(rename = "RETURN-OBJECT-STORE-ADDRESS", required = false)]
    pub return_address: String,
}

/// Of a request that may be sent again when its answer was lost.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct Repeatable {
    /// By what the request is known again: 16 to 128 characters that nobody can guess, such as a random UUID; the same for each
    /// attempt.
    #[param(rename = "Idempotency-Key", required = false, min_length = 16, max_length = 128)]
    pub idempotency_key: String,
}

/// Of an upload by a party that has contributed before.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct Replacing {
    /// With `true`, this data takes the place of what the party has contributed, until a run begins. Without it, other data
    /// than that is 403.
    #[param(rename = "Replace-Contribution", required = false, example = "false")]
    pub replace_contribution: String,
}
