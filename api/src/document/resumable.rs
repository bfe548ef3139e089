//! What the document says of resumable uploads.

use serde::Deserialize;
use utoipa::{IntoParams, IntoResponses};

use super::values::Name;
use crate::error::Problem;

/// A project, and an upload to it.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct UploadPath {
    /// The project.
    #[param(value_type = Name)]
    pub project_id: String,
    /// The upload: the end of the address that `POST …/uploads` answered.
    #[param(pattern = "^[0-9a-f]{48}$", example = "3f9a1c5be2d84f60718293a4b5c6d7e8f90112233445566a")]
    pub upload_id: String,
}

/// What the protocol wants said.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct Spoken {
    /// The version of the protocol.
    #[param(rename = "Tus-Resumable", pattern = r"^1\.0\.0$", example = "1.0.0")]
    pub tus_resumable: String,
}

/// What an upload will be.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct Beginning {
    /// How many bytes it has.
    #[param(rename = "Upload-Length", minimum = 1, example = 16)]
    pub upload_length: u64,
    /// Keys, each with a value in base64: `form` is `json`, or `binary` with `hash-count` and `hash-size`. Without it the
    /// service goes by `filetype` and `filename`.
    #[param(rename = "Upload-Metadata", required = false, example = "form anNvbg==,filename YS5qc29u")]
    pub upload_metadata: String,
}

/// Where a request goes on.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct GoingOn {
    /// How many bytes of the upload are there already.
    #[param(rename = "Upload-Offset", example = 0)]
    pub upload_offset: u64,
}

/// Of those that go on with an upload.
#[derive(IntoResponses)]
pub enum ResumableProblems {
    /// `Upload-Offset` is not where the upload stands, or another request has gone on there: `HEAD` tells where.
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(Problem),
    /// The upload has expired, or was refused: begin another one.
    #[response(status = 410, content_type = "application/problem+json")]
    Gone(Problem),
    /// The protocol is not spoken in version 1.0.0.
    #[response(status = 412, content_type = "application/problem+json")]
    Version(Problem),
}
