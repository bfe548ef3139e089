//! Parties that upload to the store by themselves, and fetch results from there, with credentials that are good for
//! just that.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tests::client::{Client, Folder};
use tests::cluster::run;
use tests::objects::Objects;
use tests::rest::{Body, Rest};
use tests::{Installation, Story, data};

use crate::anonlink_client::{Project, direct_result, encode, encodings, with_blocks};

/// The address is that within the cluster; the stories say how they get there.
pub const SWITCHED_ON: [&str; 4] = [
    "--set",
    "store.temporaryCredentials.enabled=true",
    "--set",
    "store.temporaryCredentials.endpoint=http://linkage-operator-store:8333",
];

/// A library of S3 that parties use.
#[derive(Clone, Copy)]
enum Library {
    Boto3,
    Minio,
}

/// Credentials that were handed out, and where they lead.
struct Grant<'o> {
    objects: &'o Objects,
    credentials: Value,
    bucket: String,
    path: String,
}

impl<'o> Grant<'o> {
    fn new(objects: &'o Objects, answer: &Value, place: &str) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        assert_eq!(answer[place]["endpoint"], "linkage-operator-store:8333", "no secrets in messages");
        assert_eq!(answer[place]["secure"], false);
        for part in ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"] {
            assert!(answer["credentials"][part].is_string(), "{part}");
        }
        Self {
            objects,
            credentials: answer["credentials"].clone(),
            bucket: text(&answer[place]["bucket"]),
            path: text(&answer[place]["path"]),
        }
    }

    async fn for_upload(
        objects: &'o Objects,
        rest: &Rest,
        project: &str,
        token: &str,
    ) -> anyhow::Result<Self> {
        let path = format!("projects/{project}/authorize-external-upload");
        Ok(Self::new(objects, &rest.get(&path, token).await?.expect(201)?, "upload"))
    }

    /// What the store says to a call; none if it is denied.
    async fn call(
        &self,
        library: Library,
        action: &str,
        key: &str,
        more: Value,
    ) -> anyhow::Result<Option<String>> {
        let anonlink = std::env::var("ANONLINK").context("run the tests by tests/e2e/run")?;
        let (name, python) = match library {
            Library::Boto3 => ("boto3", std::env::var("LINKAGE_PYTHON")?),
            // it comes with anonlink-client
            Library::Minio => ("minio", Path::new(&anonlink).with_file_name("python").display().to_string()),
        };
        let mut call = json!({"endpoint": self.objects.address(), "credentials": self.credentials,
            "bucket": self.bucket, "key": key});
        call.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/store_client.py");
        let said = run(&python, &[program, name, action], &call.to_string()).await?;
        match said.code {
            0 => Ok(Some(said.text)),
            3 => Ok(None),
            _ => bail!("{name} {action} {key}: {}", said.text),
        }
    }

    async fn put(&self, library: Library, name: &str, file: &Path, metadata: Value) -> Story {
        let key = format!("{}/{name}", self.path);
        let more = json!({"file": file, "metadata": metadata});
        self.call(library, "put", &key, more).await?.map(drop).with_context(|| format!("{key} is denied"))
    }

    async fn is_denied(&self, library: Library, action: &str, key: &str) -> Story {
        let more = match action {
            "put" => json!({"file": data::example("data/schema.json"), "metadata": {}}),
            _ => Value::Null,
        };
        match self.call(library, action, key, more).await? {
            None => Ok(()),
            Some(said) => bail!("{action} {key} is not denied: {said}"),
        }
    }

    /// The document that announces an object.
    fn announcement(&self, name: &str) -> Value {
        json!({"encodings": {"file": {"bucket": self.bucket, "path": format!("{}/{name}", self.path)},
            "credentials": self.credentials}})
    }
}

async fn announce(rest: &Rest, project: &str, token: &str, document: Value) -> anyhow::Result<(u16, Value)> {
    let answer = rest.post(&format!("projects/{project}/clks"), token, Body::json(&document)).await?;
    let said = answer.body.to_string();
    let secret = document["encodings"]["credentials"]["SecretAccessKey"].as_str().unwrap_or("-");
    assert!(!said.contains(secret), "the answer has the credentials in it");
    Ok((answer.status, answer.body))
}

#[tokio::test]
async fn by_boto3_and_by_minio() -> Story {
    Installation::tell_with("store-uploads", &SWITCHED_ON, |here| async move {
        let (rest, objects) = (here.rest().await?, here.objects().await?);
        let request = json!({"schema": {}, "result_type": "similarity_scores"});
        let (project, tokens, result_token) = rest.create_project(request).await?;
        let a = Grant::for_upload(&objects, &rest, &project, &tokens[0]).await?;
        let b = Grant::for_upload(&objects, &rest, &project, &tokens[1]).await?;
        assert_ne!(a.path, b.path);
        let json_file = data::example("data/thousand/hospital-a.json");
        let metadata = json!({"hash-count": "1000", "hash-size": "128"});
        a.put(Library::Boto3, "encodings.json", &json_file, metadata.clone()).await?;
        // more than a thousand records: what is too much is left out
        let raw_file = data::example("data/hospital-b.bin");
        b.put(Library::Minio, "raw", &raw_file, metadata.clone()).await?;
        nothing_else_is_allowed(&a, &b).await?;

        // what is announced has to be one's own, and what it is said to be
        for wrong in [b.announcement("raw"), a.announcement("../0/encodings.json"), a.announcement("")] {
            assert_eq!(announce(&rest, &project, &tokens[0], wrong).await?.0, 403);
        }
        let mut elsewhere = a.announcement("encodings.json");
        elsewhere["encodings"]["file"]["endpoint"] = json!("127.0.0.1:8081");
        assert_eq!(announce(&rest, &project, &tokens[0], elsewhere).await?.0, 403);
        a.put(Library::Minio, "short.json", &json_file, json!({"hash-count": "1001", "hash-size": "128"}))
            .await?;
        a.put(Library::Boto3, "bare.json", &json_file, json!({})).await?;
        for (name, says) in
            [("short.json", "hash-count is 1001"), ("bare.json", "hash-count"), ("none", "not in the store")]
        {
            let (status, said) = announce(&rest, &project, &tokens[0], a.announcement(name)).await?;
            assert_eq!(status, 201, "{name}: {said}");
            let told = |project: &Value| {
                project["status"]["parties"][0]["message"]
                    .as_str()
                    .is_some_and(|message| message.contains(says))
            };
            let limit = Duration::from_secs(60);
            here.namespace.wait_for(&format!("lproj/{project}"), says, limit, told).await?;
        }

        let run = rest.create_run(&project, &result_token, 0.75).await?;
        for (token, announcement) in
            [(&tokens[0], a.announcement("encodings.json")), (&tokens[1], b.announcement("raw"))]
        {
            let (status, said) = announce(&rest, &project, token, announcement.clone()).await?;
            assert_eq!((status, &said["message"]), (201, &json!("Updated")));
            // an answer may be lost: the same is the same
            let again = announce(&rest, &project, token, announcement).await?.0;
            assert!(again == 201 || again == 403, "{again}");
        }
        rest.wait_completed(&project, &run, &result_token).await?;
        let again = rest.get(&format!("projects/{project}/authorize-external-upload"), &tokens[0]).await?;
        assert_eq!(again.status, 403, "who has contributed needs no credentials");
        nothing_is_left_of_uploads(&objects, &["short.json", "bare.json"]).await?;
        fetch_result(&here, &rest, &objects, [&project, &run, &result_token]).await
    })
    .await
}

/// What was taken in is removed, but for what was refused, which may be put right.
async fn nothing_is_left_of_uploads(objects: &Objects, but: &[&str]) -> Story {
    let began = Instant::now();
    loop {
        let left = objects.keys("projects/").await?;
        let is_left =
            |key: &&String| key.contains("/uploads/") && !but.iter().any(|name| key.ends_with(name));
        match left.iter().find(is_left) {
            None => return Ok(()),
            Some(_) if began.elapsed() < Duration::from_secs(30) => {
                tokio::time::sleep(Duration::from_millis(200)).await
            }
            Some(key) => bail!("{key} is left"),
        }
    }
}

/// A party's credentials put objects into its own folder, and do nothing more.
async fn nothing_else_is_allowed(a: &Grant<'_>, b: &Grant<'_>) -> Story {
    for library in [Library::Boto3, Library::Minio] {
        for (action, key) in [
            ("get", format!("{}/encodings.json", a.path)),
            ("get", format!("{}/raw", b.path)),
            ("delete", format!("{}/encodings.json", a.path)),
            ("put", format!("{}/more", b.path)),
            ("put", format!("{}1/more", a.path)),
            ("put", a.path.replace("/uploads/1/0", "/parties/0/x/encodings")),
            ("put", "runs/x/result/groups".into()),
            ("put", "sources/more".into()),
            ("list", a.path.clone()),
        ] {
            a.is_denied(library, action, &key).await?;
        }
    }
    Ok(())
}

/// The result by credentials for that alone.
async fn fetch_result(
    here: &Installation,
    rest: &Rest,
    objects: &Objects,
    [project, run, token]: [&str; 3],
) -> Story {
    let result = rest.result(project, run, token).await?;
    let path = format!("projects/{project}/runs/{run}/result");
    let answer = rest.get_with(&path, token, "RETURN-OBJECT-STORE-ADDRESS", "true").await?.expect(200)?;
    // what anonlink loads
    assert!(
        answer["object"]["path"].as_str().unwrap_or_default().ends_with(".pairs"),
        "no secrets in messages"
    );
    let as_json = [("RETURN-OBJECT-STORE-ADDRESS", "true"), ("Accept", "application/json")];
    let answer: Value = serde_json::from_slice(&rest.download(&path, token, &as_json).await?.bytes)?;
    let grant = Grant::new(objects, &answer, "object");
    for library in [Library::Boto3, Library::Minio] {
        let fetched = grant.call(library, "get", &grant.path, Value::Null).await?.context("denied")?;
        assert_eq!(serde_json::from_str::<Value>(&fetched)?, result);
        let folder = grant.path.rsplit_once('/').context("no folder")?.0.to_owned();
        grant.is_denied(library, "list", &folder).await?;
        for action in ["put", "delete"] {
            grant.is_denied(library, action, &grant.path).await?;
        }
        for key in objects.keys("").await?.iter().filter(|key| **key != grant.path) {
            grant.is_denied(library, "get", key).await?;
        }
    }
    let logs = here.namespace.kubectl(&["logs", "deployment/linkage-operator-api"]).await?;
    for part in ["SecretAccessKey", "SessionToken"] {
        let secret = grant.credentials[part].as_str().unwrap_or_default();
        assert!(!logs.contains(secret), "the {part} is in the log");
    }
    Ok(())
}

#[tokio::test]
async fn by_anonlink_client() -> Story {
    Installation::tell_with("store-anonlink", &SWITCHED_ON, |here| async move {
        let (rest, objects) = (here.rest().await?, here.objects().await?);
        let folder = Folder::with_people("store-anonlink").await?;
        let client = Client::new(&rest.address().await, Some(&objects.address()), &folder);
        encode(&client, &folder).await?;
        let blocked = with_blocks(&client, &folder).await?;
        for (more, bodies) in [(vec![], encodings(&folder)?), (vec!["--blocked"], blocked)] {
            let project = Project::create(&client, "groups", &more).await?;
            for (party, name) in ["hospital-a", "hospital-b"].into_iter().enumerate() {
                let blocks = format!("{name}-blocks.json");
                let with: &[&str] = if more.is_empty() { &[] } else { &["--blocks", &blocks] };
                let said = project.upload(party, with).await?.1;
                assert!(said.contains("Uploading to the external object store"), "{said}");
            }
            let run = project.link().await?;
            let result = project.result(&run, &project.result_token, &[]).await?;
            assert_eq!(result, direct_result(&rest, "groups", bodies).await?);
        }
        nothing_is_left_of_uploads(&objects, &[]).await
    })
    .await
}
