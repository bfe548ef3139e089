//! What tokens, ids, encodings and the like look like: the words of which the document's schemas are made. None of these
//! is ever filled; the service itself reads and writes plain text and numbers.

use utoipa::ToSchema;

/// A bare token: 48 hex digits.
#[derive(Debug, ToSchema)]
#[schema(pattern = "^[0-9a-f]{48}$", example = "3f9a1c5be2d84f60718293a4b5c6d7e8f90112233445566a")]
pub struct Token(pub String);

/// The id of a project or run: its name as a Kubernetes resource.
#[derive(Debug, ToSchema)]
#[schema(
    pattern = "^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$",
    min_length = 1,
    max_length = 50,
    example = "two-hospitals"
)]
pub struct Name(pub String);

/// An encoding of a record: the bytes of its Bloom filter in base64 (standard alphabet, padded). White space in it means
/// nothing. All encodings of a project have one size, a multiple of 8 bytes; the first that is uploaded, or the
/// project's `clkConfig.l`, says which.
#[derive(Debug, ToSchema)]
#[schema(
    content_encoding = "base64",
    pattern = r"^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?[ \t\r\n]*$",
    example = "Kf8AAAAAAAA="
)]
pub struct EncodingText(pub String);

/// A block, by its id: text of at most 1024 bytes, or an integer, written without a fraction. `1` and `"1"` are the same
/// block.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
pub enum Block {
    /// By its text.
    Text(BlockText),
    /// By its number, of any size.
    Number(isize),
}

/// The text of a block's id.
#[derive(Debug, ToSchema)]
#[schema(max_length = 1024)]
pub struct BlockText(pub String);

/// A record: the data set (the position of its party in the project, from 0), and its index in that, from 0.
#[derive(Debug, ToSchema)]
pub struct Record(pub u64, pub u64);

/// The Dice similarity of two encodings.
#[derive(Debug, ToSchema)]
#[schema(minimum = 0, maximum = 1)]
pub struct Score(pub f64);

/// Raw bytes.
#[derive(Debug, ToSchema)]
#[schema(value_type = String, format = Binary)]
pub struct Bytes(pub Vec<u8>);
