//! The kinds of problems that an answer tells of, in one table: what programs may tell apart by the `type` of a problem.
//!
//! The document, the page `api/problems.md` and `GET /api/v1/problems` are made of this table. A kind that was once
//! published keeps its name and its status.

use axum::http::StatusCode;
use serde::Serialize;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// Where the kinds are listed; a kind's URI is this with its name as the fragment.
pub const PATH: &str = "/api/v1/problems";

/// Declares the kinds: the URI of each, its status, and what it means.
macro_rules! kinds {
    ($($kind:ident = $name:literal, $status:ident, $meaning:literal;)+) => {
        /// A kind of problem.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ProblemKind {
            $(#[doc = $meaning] $kind,)+
        }

        impl ProblemKind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// The `type` of a problem: a reference that is relative to the service's address.
            pub const fn uri(self) -> &'static str {
                match self { $(Self::$kind => concat!("/api/v1/problems#", $name)),+ }
            }

            /// The status that it is answered with.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$kind => StatusCode::$status),+ }
            }

            /// What it means, and what to do.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$kind => $meaning),+ }
            }
        }
    };
}

kinds! {
    InvalidRequest = "invalid-request", BAD_REQUEST,
        "The request is malformed. The detail says what is wrong, where, and what to do.";
    InvalidData = "invalid-data", BAD_REQUEST,
        "The uploaded data cannot be read. The detail says where. The token stays good for another upload.";
    MissingToken = "missing-token", BAD_REQUEST,
        "A token is needed, and the Authorization header is missing.";
    Aborted = "aborted", BAD_REQUEST,
        "The connection broke before the body was complete. Send it again.";
    Forbidden = "forbidden", FORBIDDEN,
        "The token does not allow this, or there is no such project or run. Which of these is not told.";
    MayNotCreate = "may-not-create", FORBIDDEN,
        "The administrator lets only some create projects, and this caller is none of them.";
    QuotaExceeded = "quota-exceeded", FORBIDDEN,
        "There are as many projects, runs or bytes of texts as there may be. The detail says which quota it is.";
    AlreadyContributed = "already-contributed", FORBIDDEN,
        "This party has already contributed its data.";
    UploadUnderWay = "upload-under-way", FORBIDDEN,
        "Another upload of this party is under way. Wait for its answer, or try again once it has ended.";
    UploadRefused = "upload-refused", BAD_REQUEST,
        "The data of a resumable upload was refused: the detail says why. The status is that of the refusal.";
    Superseded = "superseded", FORBIDDEN,
        "The upload stood still, and the party has begun another one meanwhile.";
    BlocksMismatch = "blocks-mismatch", FORBIDDEN,
        "The project uses blocking and the upload has no blocks, or the other way round.";
    NotOwnObject = "not-own-object", FORBIDDEN,
        "The announced object is not in the party's own part of the store.";
    NotOfRun = "not-of-run", FORBIDDEN,
        "The run links no data of this party, so there is no permutation for it.";
    UnknownPath = "unknown-path", NOT_FOUND,
        "There is nothing at this path.";
    NoResultYet = "no-result-yet", NOT_FOUND,
        "The run is not complete yet. Ask again later.";
    NoWebhook = "no-webhook", NOT_FOUND,
        "The project has no webhook.";
    NoHistogram = "no-histogram", NOT_FOUND,
        "The run is complete, but a version of the software made it that recorded no histogram.";
    NoSimilarityScores = "no-similarity-scores", NOT_FOUND,
        "The run has no similarity scores beside its result. Create a run that asks for them.";
    MethodNotAllowed = "method-not-allowed", METHOD_NOT_ALLOWED,
        "The path does not take this method. The Allow header lists those that it takes.";
    NotAcceptable = "not-acceptable", NOT_ACCEPTABLE,
        "The result is not there in the format that is asked for. The detail lists the formats that are.";
    RunHasBegun = "run-has-begun", CONFLICT,
        "A run works on this party's data, or has done so. The data can be neither replaced nor withdrawn any more.";
    FromSource = "from-source", CONFLICT,
        "The party's data comes from source objects that the project names, not from an upload.";
    OffsetConflict = "offset-conflict", CONFLICT,
        "A resumable upload stands elsewhere than its client believes. Ask by HEAD how many bytes are there.";
    UploadExpired = "upload-expired", GONE,
        "A resumable upload was left for too long. Begin another one.";
    ProtocolVersion = "protocol-version", PRECONDITION_FAILED,
        "The header Tus-Resumable must be 1.0.0, the version of the tus protocol.";
    TooSlow = "too-slow", REQUEST_TIMEOUT,
        "The body stopped coming.";
    TooLarge = "too-large", PAYLOAD_TOO_LARGE,
        "The body is larger than the service accepts.";
    UnsupportedMediaType = "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE,
        "The body has another media type than this path takes.";
    UnsupportedEncoding = "unsupported-encoding", UNSUPPORTED_MEDIA_TYPE,
        "The Content-Encoding of the body is neither gzip nor absent.";
    RangeNotSatisfiable = "range-not-satisfiable", RANGE_NOT_SATISFIABLE,
        "The result ends before the range begins.";
    RunFailed = "run-failed", INTERNAL_SERVER_ERROR,
        "The run has failed, so there is no result. The status of the run says why.";
    PartyRejected = "party-rejected", INTERNAL_SERVER_ERROR,
        "The data of a party cannot be linked. That party must contribute again first.";
    SwitchedOff = "switched-off", INTERNAL_SERVER_ERROR,
        "This installation does not offer this part of the service.";
    Internal = "internal", INTERNAL_SERVER_ERROR,
        "The service is at fault. Its log tells more under the X-Request-Id of the answer.";
    TooManyRequests = "too-many-requests", SERVICE_UNAVAILABLE,
        "The client has sent too many requests in a short time. Try again after the Retry-After seconds.";
    TooManyUploads = "too-many-uploads", SERVICE_UNAVAILABLE,
        "Too many uploads are in progress. Try again after the Retry-After seconds.";
    TooManyWaiting = "too-many-waiting", SERVICE_UNAVAILABLE,
        "Too many requests wait for something to change. Ask without wait, or try again after the Retry-After seconds.";
    Busy = "busy", SERVICE_UNAVAILABLE,
        "Other requests hold the memory that this one needs. Try again after the Retry-After seconds.";
    Unavailable = "unavailable", SERVICE_UNAVAILABLE,
        "Something that the service needs is away. Try again after the Retry-After seconds.";
    StoreFull = "store-full", INSUFFICIENT_STORAGE,
        "The store has no space left. Upload again when the administrator has made room.";
}

/// A row of the table.
#[derive(Serialize)]
struct Row {
    #[serde(rename = "type")]
    uri: &'static str,
    status: u16,
    meaning: &'static str,
}

/// The table in JSON.
pub fn json() -> String {
    let rows = ProblemKind::ALL.iter().map(|kind| Row {
        uri: kind.uri(),
        status: kind.status().as_u16(),
        meaning: kind.meaning(),
    });
    serde_json::to_string_pretty(&rows.collect::<Vec<_>>()).unwrap_or_default()
}

/// The table as a page.
pub fn markdown() -> String {
    let mut page = String::from(
        "# Problems\n\n\
         Every answer that is no success is a problem (RFC 9457): `application/problem+json` with `type`, `title`, `status` and\n\
         `detail`. Programs tell problems apart by `type`, a reference relative to the service's address, which never changes\n\
         its meaning. The `detail` is for people and may change. `GET /api/v1/problems` gives the same table in JSON.\n\n\
         This page is generated: `make generate`.\n\n\
         | type | status | meaning |\n| --- | --- | --- |\n",
    );
    for kind in ProblemKind::ALL {
        page += &format!("| `{}` | {} | {} |\n", kind.uri(), kind.status().as_u16(), kind.meaning());
    }
    page
}

impl Serialize for ProblemKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.uri())
    }
}

impl ToSchema for ProblemKind {}

impl PartialSchema for ProblemKind {
    fn schema() -> RefOr<Schema> {
        let table: Vec<String> =
            Self::ALL.iter().map(|kind| format!("* `{}`: {}", kind.uri(), kind.meaning())).collect();
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(format!(
                "The kind of problem, by which programs tell problems apart: a reference relative to the service's \
                 address.\n\n{}",
                table.join("\n")
            )))
            .enum_values(Some(Self::ALL.iter().map(|kind| kind.uri())))
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_kind_has_a_uri_of_its_own_below_the_path_that_lists_them() {
        let uris: BTreeSet<_> = ProblemKind::ALL.iter().map(|kind| kind.uri()).collect();
        assert_eq!(uris.len(), ProblemKind::ALL.len());
        for uri in uris {
            let name = uri.strip_prefix(PATH).and_then(|rest| rest.strip_prefix('#')).unwrap();
            assert!(name.bytes().all(|c| c.is_ascii_lowercase() || c == b'-'), "{name}");
        }
    }

    /// Programs tell problems apart by these: changing or removing one is a change of the API.
    #[test]
    fn the_kinds_on_the_wire_are_these() {
        let names: Vec<_> = ProblemKind::ALL
            .iter()
            .map(|kind| (&kind.uri()[PATH.len() + 1..], kind.status().as_u16()))
            .collect();
        for known in [
            ("invalid-request", 400),
            ("invalid-data", 400),
            ("missing-token", 400),
            ("aborted", 400),
            ("forbidden", 403),
            ("may-not-create", 403),
            ("quota-exceeded", 403),
            ("already-contributed", 403),
            ("upload-under-way", 403),
            ("superseded", 403),
            ("blocks-mismatch", 403),
            ("not-own-object", 403),
            ("not-of-run", 403),
            ("unknown-path", 404),
            ("no-result-yet", 404),
            ("no-webhook", 404),
            ("no-histogram", 404),
            ("no-similarity-scores", 404),
            ("method-not-allowed", 405),
            ("not-acceptable", 406),
            ("run-has-begun", 409),
            ("from-source", 409),
            ("upload-refused", 400),
            ("offset-conflict", 409),
            ("upload-expired", 410),
            ("protocol-version", 412),
            ("too-slow", 408),
            ("too-large", 413),
            ("unsupported-media-type", 415),
            ("unsupported-encoding", 415),
            ("range-not-satisfiable", 416),
            ("run-failed", 500),
            ("party-rejected", 500),
            ("switched-off", 500),
            ("internal", 500),
            ("too-many-requests", 503),
            ("too-many-uploads", 503),
            ("too-many-waiting", 503),
            ("busy", 503),
            ("unavailable", 503),
            ("store-full", 507),
        ] {
            assert!(names.contains(&known), "{known:?} is gone, or has another status");
        }
    }

    #[test]
    fn the_page_lists_all_kinds_and_is_fresh() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/problems.md");
        assert_eq!(std::fs::read_to_string(path).unwrap(), markdown(), "run `make generate`");
    }
}
