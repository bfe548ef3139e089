//! The answers that are no success, in sets: what an endpoint can answer follows from what it does, so that its
//! annotation names what it does.

use utoipa::{IntoResponses, ToResponse};

use crate::error::Problem;

/// Of every endpoint: something behind it may be away, or broken.
#[derive(IntoResponses)]
pub enum ServiceProblems {
    /// The service is at fault.
    #[response(status = 500)]
    Fault(#[ref_response] Fault),
    /// Something that the service needs is away.
    #[response(status = 503)]
    Unavailable(#[ref_response] Unavailable),
}

/// Of those that ask for a token.
#[derive(IntoResponses)]
pub enum TokenProblems {
    /// There is none.
    #[response(status = 400)]
    BadRequest(#[ref_response] BadRequest),
    /// It is of no use here.
    #[response(status = 403)]
    Forbidden(#[ref_response] Forbidden),
}

/// Of those that answer with a list.
#[derive(IntoResponses)]
pub enum PageProblems {
    /// The part of it that is asked for cannot be.
    #[response(status = 400)]
    BadRequest(#[ref_response] BadRequest),
}

/// Of those that take a body.
#[derive(IntoResponses)]
pub enum BodyProblems {
    /// It is not what is expected.
    #[response(status = 400)]
    BadRequest(#[ref_response] BadRequest),
    /// It does not come.
    #[response(status = 408)]
    TooSlow(#[ref_response] TooSlow),
    /// There is too much of it.
    #[response(status = 413)]
    TooLarge(#[ref_response] TooLarge),
    /// It is of another type.
    #[response(status = 415)]
    Unsupported(#[ref_response] Unsupported),
}

/// Of those that put data into the store.
#[derive(IntoResponses)]
pub enum UploadProblems {
    /// There is no space for it.
    #[response(status = 507)]
    StoreFull(#[ref_response] StoreFull),
}

/// Of those that change what a party has contributed.
#[derive(IntoResponses)]
pub enum ChangeProblems {
    /// It cannot be changed any more.
    #[response(status = 409)]
    InUse(#[ref_response] InUse),
}

/// Of those that send a result. What 404 means is told by each.
#[derive(IntoResponses)]
pub enum ResultProblems {
    /// The run has not written it in a format that the client takes; the detail names those that there are.
    #[response(status = 406)]
    NotAcceptable(#[ref_response] NotAcceptable),
    /// It ends before the range begins.
    #[response(status = 416)]
    RangeNotSatisfiable(#[ref_response] RangeNotSatisfiable),
    /// The run has failed; or the service failed.
    #[response(status = 500)]
    RunFailed(#[ref_response] RunFailed),
}

/// The run has not written its result in a format that the client takes (`Accept`, or the ending of the path). The detail
/// names the media types that there are.
#[derive(ToResponse)]
#[response(content_type = "application/problem+json")]
pub struct NotAcceptable(pub Problem);

/// The result ends before the range begins.
#[derive(ToResponse)]
#[response(
    content_type = "application/problem+json",
    headers(("Content-Range" = String, description = "How many bytes there are"))
)]
pub struct RangeNotSatisfiable(pub Problem);

/// The run has failed; or the address of the result was asked for, and handing it out is switched off in this installation;
/// or the service failed.
#[derive(ToResponse)]
#[response(content_type = "application/problem+json")]
pub struct RunFailed(pub Problem);

/// The request is malformed, or the `Authorization` header is missing where a token is needed. The detail says what was
/// wrong, where, and what to do.
#[derive(ToResponse)]
#[response(content_type = "application/problem+json")]
pub struct BadRequest(pub Problem);

/// The token does not allow this; or there is no such project or run, which is not told apart, so that nobody can probe
/// for names; or the run links no data of the party that asks for its permutation. With an upload also: the party has contributed already; its data has blocks and the project uses none, or
/// the other way round; an object that it announces is not its own.
#[derive(ToResponse)]
#[response(content_type = "application/problem+json")]
pub struct Forbidden(pub Problem);

/// A run has begun with the party's data, so that it stays as it is; or the data was read from source objects, which the project
/// names.
#[derive(ToResponse)]
#[response(content_type = "application/problem+json")]
pub struct InUse(pub Problem);

/// The body has not come to its end: no more of it came for too long.
#[derive(ToResponse)]
#[response(content_type = "application/problem+json")]
pub struct TooSlow(pub Problem);

/// The body is larger than the service accepts, packed or unpacked.
#[derive(ToResponse)]
#[response(content_type = "application/problem+json")]
pub struct TooLarge(pub Problem);

/// The body is of another type than described here, or packed by anything but gzip: then `Accept-Encoding` says so.
#[derive(ToResponse)]
#[response(
    content_type = "application/problem+json",
    headers(("Accept-Encoding" = String, description = "How a body may be packed"))
)]
pub struct Unsupported(pub Problem);

/// The service failed. Its log tells more under the `X-Request-Id` of this answer.
#[derive(ToResponse)]
#[response(content_type = "application/problem+json")]
pub struct Fault(pub Problem);

/// Something that the service needs is away for the moment, or there are too many requests: try again.
#[derive(ToResponse)]
#[response(
    content_type = "application/problem+json",
    headers(("Retry-After" = u32, description = "After how many seconds"))
)]
pub struct Unavailable(pub Problem);

/// The store has no space left, and nothing of the upload was kept: upload again when the administrator has made room. It is
/// answered before the body is read where that was found out a moment ago.
#[derive(ToResponse)]
#[response(
    content_type = "application/problem+json",
    headers(("Retry-After" = u32, description = "After how many seconds"))
)]
pub struct StoreFull(pub Problem);
