//! Uploads by way of the store: a party puts its objects there by itself, and then announces them instead of sending
//! the data.

use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use crds::{AnnouncedObjects, Blocking, LinkageProject};
use futures::StreamExt;
use scorer::ingest::IngestError;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::App;
use crate::access::allowed::{Allowed, Project};
use crate::access::grants::{Grants, ObjectPlace, Right, TemporaryCredentials};
use crate::access::who::Uploader;
use crate::content::unpack::Unpacked;
use crate::error::Error;
use crate::limits::body;

/// Largest announcement, in bytes: what is larger is data.
const MAX_ANNOUNCEMENT: usize = 64 << 10;

const EXPECTED: &str = "objects in the store are announced as {\"encodings\": {\"file\": {\"bucket\": …, \"path\": …}}}, \
                        with blocking also \"blocks\" in the same way, and no data beside them";

/// Credentials for putting objects into the store, and where to put them.
#[derive(Serialize, ToSchema)]
pub struct ExternalUpload {
    credentials: TemporaryCredentials,
    /// Below this path objects may be put.
    upload: ObjectPlace,
}

/// What the beginning of a JSON upload turned out to be.
pub enum Peeked {
    /// The announcement of objects that are in the store, and what of it was not read.
    Announcement {
        /// Which objects.
        announcement: Announcement,
        /// Keys that mean nothing.
        ignored: Option<String>,
    },
    /// The data itself: its beginning.
    Data(Vec<Bytes>),
}

/// Names the objects that a party has put into the store.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Announcement {
    encodings: Announced,
    blocks: Option<Announced>,
}

impl Announcement {
    /// What of the document was not read; none if all was.
    fn ignored(document: &Value) -> Option<String> {
        let keys = document.as_object().into_iter().flat_map(|document| document.keys());
        let ignored: Vec<String> = keys
            .filter(|key| !matches!(key.as_str(), "encodings" | "blocks"))
            .take(5)
            .map(|key| format!("\"{}\"", key.chars().take(40).collect::<String>().escape_default()))
            .collect();
        (!ignored.is_empty()).then(|| format!("ignored of the document: {}", ignored.join(", ")))
    }
}

/// One object.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = AnnouncedObject)]
struct Announced {
    file: File,
    /// Not needed: the service reads the object with its own.
    #[serde(default, rename = "credentials")]
    #[schema(value_type = Option<Object>)]
    _credentials: Option<IgnoredAny>,
}

/// Where it is.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ObjectAddress)]
struct File {
    bucket: String,
    /// The key in the bucket, below the path that `authorize-external-upload` told. A name that ends in `.json` holds
    /// `{"clks": […]}`, any other raw encodings; one of blocks holds `{"blocks": {"0": ["a"], …}}`. An object of
    /// encodings carries the user metadata `hash-count` and `hash-size`.
    path: String,
    /// Host, and port where it is not the default one; the service's own store if absent.
    endpoint: Option<String>,
}

/// Credentials for a party's part of the store.
pub async fn authorize(app: &App, uploader: &Allowed<Uploader, Project>) -> Result<ExternalUpload, Error> {
    let grants = switched_on(app)?;
    let folder = folder(app, uploader);
    let uid = uploader.project.metadata.uid.as_deref().unwrap_or_default();
    let credentials =
        grants.grant(Right::PutBelow(&folder), &format!("{uid}-{}", uploader.who.party)).await?;
    Ok(ExternalUpload { credentials, upload: grants.place(&folder) })
}

impl IntoResponse for ExternalUpload {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, [(CACHE_CONTROL, "no-store")], axum::Json(self)).into_response()
    }
}

/// Where a party puts its objects: no credentials of an earlier generation of tokens lead there.
pub fn folder(app: &App, uploader: &Allowed<Uploader, Project>) -> String {
    let Allowed { who: Uploader { party, .. }, project, .. } = uploader;
    let uid = project.metadata.uid.as_deref().unwrap_or_default();
    format!("{}uploads/{}/{}", app.installation.project(uid), generation(project, *party), party)
}

/// By what the folders of a party are told apart: its tokens may have been replaced by themselves.
fn generation(project: &LinkageProject, party: usize) -> String {
    let own = project.spec.parties.get(party).and_then(|party| party.token_generation);
    match own.filter(|own| *own > 1) {
        Some(own) => format!("{}.{own}", project.spec.token_generation),
        None => project.spec.token_generation.to_string(),
    }
}

/// Reads the beginning of a JSON upload, and tells an announcement from data.
pub async fn peek(body: &mut Unpacked<'_>) -> Result<Peeked, Error> {
    let (mut head, mut bytes) = (Vec::new(), 0);
    while bytes <= MAX_ANNOUNCEMENT {
        let Some(chunk) = body.next().await.transpose()? else {
            let document: Vec<u8> = head.concat();
            return Ok(match announcement(&document) {
                Some(read) => {
                    let (announcement, ignored) = read?;
                    Peeked::Announcement { announcement, ignored }
                }
                None => Peeked::Data(head),
            });
        };
        bytes += chunk.len();
        head.push(chunk);
    }
    Ok(Peeked::Data(head))
}

/// The announcement, if the document is meant as one.
fn announcement(document: &[u8]) -> Option<Result<(Announcement, Option<String>), Error>> {
    let document: Value = serde_json::from_slice(body::without_mark(document)).ok()?;
    ["encodings", "blocks"].iter().find(|key| document[key].get("file").is_some())?;
    let ignored = Announcement::ignored(&document);
    let has_data = ["clks", "clknblocks"].iter().any(|key| document.get(key).is_some());
    // serde's own error may quote the document, in which there are credentials
    let read = Announcement::deserialize(document).ok().filter(|_| !has_data);
    Some(read.map(|announcement| (announcement, ignored)).ok_or_else(|| Error::Invalid(EXPECTED.into())))
}

/// The keys of what a party announces, all of which must be in its own part of the service's own store. Whether they hold
/// what they should is found out when they are read.
pub fn objects(
    app: &App,
    uploader: &Allowed<Uploader, Project>,
    announcement: &Announcement,
) -> Result<AnnouncedObjects, Error> {
    let (grants, folder) = (switched_on(app)?, folder(app, uploader));
    let blocking = uploader.project.spec.blocking == Blocking::ByBlockId;
    let refused = match announcement.blocks {
        Some(_) if !blocking => Some(IngestError::BlocksUnexpected),
        None if blocking => Some(IngestError::BlocksMissing),
        _ => None,
    };
    if let Some(refused) = refused {
        return Err(Error::BlocksMismatch(refused.to_string()));
    }
    let key = |announced: &Announced| own_key(grants, &folder, &announced.file);
    Ok(AnnouncedObjects {
        encodings: key(&announcement.encodings)?,
        blocks: announcement.blocks.as_ref().map(key).transpose()?,
    })
}

fn own_key(grants: &Grants, folder: &str, file: &File) -> Result<String, Error> {
    let key = grants.own_key(file.endpoint.as_deref(), &file.bucket, &file.path);
    match key.filter(|key| is_below(folder, key)) {
        Some(key) => Ok(key.to_owned()),
        None => Err(Error::NotOwnObject),
    }
}

/// Whether a key lies below a folder, whole segments compared, and does not lead out of it again.
fn is_below(folder: &str, key: &str) -> bool {
    let inside = key.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
    let plain = |segment: &str| {
        !matches!(segment, "" | "." | "..") && segment.len() < 256 && !segment.contains(char::is_control)
    };
    key.len() <= 900 && inside.is_some_and(|inside| inside.split('/').all(plain))
}

fn switched_on(app: &App) -> Result<&Grants, Error> {
    app.grants.as_ref().ok_or(Error::SwitchedOff("uploading by way of the object store"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_lies_below_the_folder_is_taken() {
        for key in ["p/1/a", "p/1/a.json", "p/1/a/b", "p/1/..a"] {
            assert!(is_below("p/1", key), "{key}");
        }
        let long = format!("p/1/{}", "x/".repeat(450));
        for key in [
            "p/1",
            "p/1/",
            "p/12/a",
            "p/1a",
            "p/2/a",
            "/p/1/a",
            "p/1/../2/a",
            "p/1/..",
            "p/1/./a",
            "p/1//a",
            "p/1/a/",
            "p/1/a\n",
            "P/1/a",
            "",
            &long,
        ] {
            assert!(!is_below("p/1", key), "{key:?}");
        }
    }

    #[test]
    fn an_announcement_is_told_from_data() {
        let read = |document: Value| announcement(document.to_string().as_bytes());
        let file =
            json!({"file": {"bucket": "b", "path": "p"}, "credentials": {"AccessKeyId": "A", "x": [1]}});
        let both = read(json!({"encodings": file, "blocks": file})).unwrap().unwrap().0;
        assert_eq!((both.encodings.file.path.as_str(), both.blocks.is_some()), ("p", true));
        let (alone, ignored) = read(json!({"encodings": file})).unwrap().unwrap();
        assert!(alone.blocks.is_none() && ignored.is_none());
        let (_, ignored) = read(json!({"encodings": file, "meta": {"a": 1}})).unwrap().unwrap();
        assert_eq!(ignored.unwrap(), "ignored of the document: \"meta\"");
        let marked = format!("\u{feff}{}", json!({"encodings": file}));
        assert!(announcement(marked.as_bytes()).unwrap().is_ok());
        for data in [
            json!({"clks": ["file"]}),
            json!({"encodings": ["AA=="], "blocks": {"0": ["file"]}}),
            json!({"encodings": {"0": "AA=="}}),
            json!([{"file": 1}]),
            json!("file"),
        ] {
            assert!(read(data.clone()).is_none(), "{data}");
        }
        for wrong in [
            json!({"encodings": {"file": "p"}}),
            json!({"encodings": {"file": {"path": "p"}}}),
            json!({"encodings": {"file": {"bucket": "b", "path": 5}}}),
            json!({"encodings": file, "clks": []}),
            json!({"encodings": ["AA=="], "blocks": file}),
            json!({"encodings": file, "blocks": {"0": ["a"]}}),
        ] {
            assert!(matches!(read(wrong.clone()), Some(Err(Error::Invalid(_)))), "{wrong}");
        }
    }

    #[test]
    fn errors_of_an_announcement_do_not_quote_its_credentials() {
        let document = json!({"encodings": {"file": "hush", "credentials": {"SecretAccessKey": "hush"}}});
        let error = announcement(document.to_string().as_bytes()).unwrap().unwrap_err().to_string();
        assert!(!error.contains("hush"), "{error}");
    }
}
