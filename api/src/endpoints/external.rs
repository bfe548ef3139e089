//! Uploads by way of the store: a party puts its objects there by itself, and then announces them instead of sending
//! the data.

use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::StreamExt;
use scorer::ingest::UploadedObjects;
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

/// Largest announcement, in bytes: what is larger is data.
const MAX_ANNOUNCEMENT: usize = 64 << 10;

const EXPECTED: &str = "objects in the store are announced as {\"encodings\": {\"file\": {\"bucket\": …, \"path\": …}}}, \
                        with blocking also \"blocks\" in the same way, and nothing else";

/// Credentials for putting objects into the store, and where to put them.
#[derive(Serialize, ToSchema)]
pub struct ExternalUpload {
    credentials: TemporaryCredentials,
    /// Below this path objects may be put.
    upload: ObjectPlace,
}

/// What the beginning of a JSON upload turned out to be.
pub enum Peeked {
    /// The announcement of objects that are in the store.
    Announcement(Announcement),
    /// The data itself: its beginning.
    Data(Vec<Bytes>),
}

/// Names the objects that a party has put into the store.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Announcement {
    encodings: Announced,
    blocks: Option<Announced>,
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
    format!("{}uploads/{}/{party}", app.installation.project(uid), project.spec.token_generation)
}

/// Reads the beginning of a JSON upload, and tells an announcement from data.
pub async fn peek(body: &mut Unpacked<'_>) -> Result<Peeked, Error> {
    let (mut head, mut bytes) = (Vec::new(), 0);
    while bytes <= MAX_ANNOUNCEMENT {
        let Some(chunk) = body.next().await.transpose()? else {
            let document: Vec<u8> = head.concat();
            return Ok(match announcement(&document) {
                Some(announcement) => Peeked::Announcement(announcement?),
                None => Peeked::Data(head),
            });
        };
        bytes += chunk.len();
        head.push(chunk);
    }
    Ok(Peeked::Data(head))
}

/// The announcement, if the document is meant as one.
fn announcement(document: &[u8]) -> Option<Result<Announcement, Error>> {
    let document: Value = serde_json::from_slice(document).ok()?;
    ["encodings", "blocks"].iter().find(|key| document[key].get("file").is_some())?;
    // serde's own error may quote the document, in which there are credentials
    Some(Announcement::deserialize(document).map_err(|_| Error::Invalid(EXPECTED.into())))
}

/// The keys of what a party announces, all of which must be in its own part of the service's own store.
pub fn objects(
    app: &App,
    uploader: &Allowed<Uploader, Project>,
    announcement: &Announcement,
) -> Result<UploadedObjects, Error> {
    let (grants, folder) = (switched_on(app)?, folder(app, uploader));
    let key = |announced: &Announced| own_key(grants, &folder, &announced.file);
    Ok(UploadedObjects {
        encodings: key(&announcement.encodings)?,
        blocks: announcement.blocks.as_ref().map(key).transpose()?,
        max_bytes: app.limits.max_upload_bytes,
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
        let both = read(json!({"encodings": file, "blocks": file})).unwrap().unwrap();
        assert_eq!((both.encodings.file.path.as_str(), both.blocks.is_some()), ("p", true));
        assert!(read(json!({"encodings": file})).unwrap().unwrap().blocks.is_none());
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
