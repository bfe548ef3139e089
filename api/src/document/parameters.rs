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
    /// credentials for reading them there.
    #[param(rename = "RETURN-OBJECT-STORE-ADDRESS", required = false)]
    pub return_address: String,
}
