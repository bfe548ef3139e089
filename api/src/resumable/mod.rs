//! Resumable uploads, by the tus protocol 1.0: an upload whose connection breaks goes on where it broke off, on any replica.
//!
//! All state is in the store ([`pieces`]): what an upload is for, what has arrived of it, and what became of it. Whatever
//! arrives becomes a small object of its own, an immutable piece whose key says where it begins; a piece is written only if
//! there is none at its key, so that of two requests that go on at the same place one wins, without a lock. Pieces may be of
//! any size, unlike the parts of an S3 multipart upload, so that nothing of a request that breaks off is lost. When all of an
//! upload is there, [`intake`] reads its pieces in order and takes them in as any other upload.

pub mod description;
pub mod intake;
pub mod outcome;
pub mod pieces;
pub mod protocol;
