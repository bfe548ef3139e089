//! Uploads: as JSON, as raw bytes, and by way of the store.

use api::limits::places::{Places, Shares};

use serde_json::json;

use super::Transcript;
use super::projects::{impatient, refusals, silence};
use crate::s3::{grants, in_child_with_credentials};
use crate::service::{Created, Service, clks};

async fn with_project(service: &Service, transcript: &mut Transcript, blocking: bool) -> Created {
    let body = json!({"schema": {}, "result_type": "groups", "uses_blocking": blocking});
    let project = service.create(body).await;
    transcript.name_project(&project);
    project
}

#[tokio::test]
async fn uploading_json() {
    let mut transcript = Transcript::new();
    let service = Service::new();
    let project = with_project(&service, &mut transcript, false).await;
    let path = format!("/projects/{}/clks", project.id);
    let [first, second] = [&project.update[0], &project.update[1]];
    let wrong = [
        ("no JSON", "{\"clks\": ["),
        ("none of the keys", "{\"clk\": []}"),
        ("empty data", "{\"clks\": []}"),
        ("no base64", "{\"clks\": [\"AAAAAAAAAAA=\", \"?\"]}"),
        ("sizes that differ", "{\"clks\": [\"AAAAAAAAAAA=\", \"AAAAAAAAAAAAAAAAAAAAAA==\"]}"),
        ("blocks that the project does not use", "{\"clknblocks\": [[\"AAAAAAAAAAA=\", \"a\"]]}"),
        (
            "objects in the store, where that is switched off",
            "{\"encodings\": {\"file\": {\"bucket\": \"b\", \"path\": \"p\"}}}",
        ),
    ];
    for (title, body) in wrong {
        let call = transcript.call(title, "POST", &path).token(first);
        call.header("content-type", "application/json").body(body).of(&service).await;
    }
    let small = || clks(2, 8);
    let call = transcript.call("another media type", "POST", &path).token(first);
    call.header("content-type", "text/plain").body(small()).of(&service).await;
    let call = transcript.call("packed in a way that is not known", "POST", &path).token(first);
    let call = call.header("content-encoding", "br").header("content-type", "application/json");
    call.body(small()).of(&service).await;
    let call = transcript.call("larger than is allowed", "POST", &path).token(first);
    call.header("content-type", "application/json").body(clks(20_000, 64)).of(&service).await;
    transcript
        .call("the result token", "POST", &path)
        .token(&project.result)
        .json(&json!({}))
        .of(&service)
        .await;
    refusals(&mut transcript, &service, "POST", &path, first).await;
    let call = transcript.call("encodings of a size that cannot be linked", "POST", &path).token(first);
    call.header("content-type", "application/json").body(clks(2, 9)).of(&service).await;
    for (title, token) in [("taken in", first), ("of the other party", second), ("once more", first)] {
        let call = transcript.call(title, "POST", &path).token(token);
        call.header("content-type", "application/json").body(small()).of(&service).await;
    }
    with_blocks(&mut transcript).await;
    without_room(&mut transcript, "clks", ("application/json", small().into())).await;
    transcript.check("upload_json");
}

async fn with_blocks(transcript: &mut Transcript) {
    let service = Service::new();
    let project = with_project(&service, transcript, true).await;
    let path = format!("/projects/{}/clks", project.id);
    let bodies = [
        ("no blocks, although the project uses them", json!({"clks": ["AAAAAAAAAAA="]})),
        ("encodings with their blocks", json!({"clknblocks": [["AAAAAAAAAAA=", "a", 1]]})),
    ];
    for (title, body) in bodies {
        transcript.call(title, "POST", &path).token(&project.update[0]).json(&body).of(&service).await;
    }
    let body = json!({"encodings": ["AAAAAAAAAAA="], "blocks": {"0": ["a", 1]}});
    let call = transcript.call("blocks apart from the encodings", "POST", &path).token(&project.update[1]);
    call.json(&body).of(&service).await;
}

/// No time, no place, no space.
async fn without_room(transcript: &mut Transcript, what: &str, (media_type, body): (&str, Vec<u8>)) {
    let slow = impatient();
    let project = with_project(&slow, transcript, false).await;
    let path = format!("/projects/{}/{what}", project.id);
    let call = transcript.call("nothing comes", "POST", &path).token(&project.update[0]);
    let call = call.header("hash-count", "2").header("hash-size", "8").header("content-type", media_type);
    call.body(silence()).of(&slow).await;

    let full = Service::new();
    let project = with_project(&full, transcript, false).await;
    let path = format!("/projects/{}/{what}", project.id);
    full.app.fullness.note::<()>(&Err(api::error::Error::StoreFull));
    let call = transcript.call("the store is full", "POST", &path).token(&project.update[0]);
    let call = call.header("hash-count", "2").header("hash-size", "8").header("content-type", media_type);
    call.body(body.clone()).of(&full).await;

    let busy = Service::with(|app, _| {
        app.places = Places::new(Shares { all: 1, address: 1, project: 1, party: 1 });
    });
    let _held = busy.app.places.take(None, "another", 0, 1);
    let project = with_project(&busy, transcript, false).await;
    let path = format!("/projects/{}/{what}", project.id);
    let call = transcript.call("too many uploads are in progress", "POST", &path).token(&project.update[0]);
    let call = call.header("hash-count", "2").header("hash-size", "8").header("content-type", media_type);
    call.body(body).of(&busy).await;
}

#[tokio::test]
async fn uploading_raw_bytes() {
    let mut transcript = Transcript::new();
    let service = Service::new();
    let project = with_project(&service, &mut transcript, false).await;
    let path = format!("/projects/{}/binaryclks", project.id);
    let [first, second] = [&project.update[0], &project.update[1]];
    let whole = vec![1; 16];
    let cases = [
        ("no whole number", first, "two", "8", whole.clone()),
        ("fewer bytes than announced", first, "3", "8", whole.clone()),
        ("more bytes than announced", first, "1", "8", whole.clone()),
        ("an encoding's size that cannot be", first, "1", "1025", whole.clone()),
        ("encodings of a size that cannot be linked", first, "4", "4", whole.clone()),
        ("taken in", first, "2", "8", whole.clone()),
        ("encodings of another size than the other party's", second, "1", "16", whole.clone()),
        ("once more", first, "2", "8", whole.clone()),
        ("larger than is allowed", second, "200000", "8", vec![1; 1_600_000]),
    ];
    for (title, token, count, size, body) in cases {
        let call = transcript.call(title, "POST", &path).token(token);
        let call = call.header("content-type", "application/octet-stream");
        call.header("hash-count", count).header("hash-size", size).body(body).of(&service).await;
    }
    let call = transcript.call("another media type", "POST", &path).token(second);
    let call = call.header("content-type", "application/json").header("hash-count", "2");
    call.header("hash-size", "8").body(whole.clone()).of(&service).await;
    refusals(&mut transcript, &service, "POST", &path, second).await;
    without_room(&mut transcript, "binaryclks", ("application/octet-stream", whole)).await;
    transcript.check("upload_binary");
}

#[test]
fn uploading_by_way_of_the_store() {
    if !in_child_with_credentials("contract::uploads::uploading_by_way_of_the_store") {
        return;
    }
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let mut transcript = Transcript::new();
        let service = Service::new();
        let project = with_project(&service, &mut transcript, false).await;
        let path = format!("/projects/{}/authorize-external-upload", project.id);
        transcript.call("switched off", "GET", &path).token(&project.update[0]).of(&service).await;

        let grants = grants().await;
        let service = Service::with(|app, _| app.grants = Some(grants));
        let project = with_project(&service, &mut transcript, false).await;
        let folder = service.folder(&project.id);
        transcript.name(&folder, "projects/FOLDER/");
        let path = format!("/projects/{}/authorize-external-upload", project.id);
        transcript.call("credentials", "GET", &path).token(&project.update[0]).of(&service).await;
        refusals(&mut transcript, &service, "GET", &path, &project.update[0]).await;
        let announced = json!({"encodings": {"file": {"bucket": "linkage", "path": "projects/another/1"}}});
        let call = transcript.call(
            "an object that is not the party's own",
            "POST",
            &format!("/projects/{}/clks", project.id),
        );
        call.token(&project.update[0]).json(&announced).of(&service).await;
        service.upload(&project.id, &project.update[0], clks(2, 8)).await;
        transcript.call("data is there already", "GET", &path).token(&project.update[0]).of(&service).await;
        transcript.check("authorize_external_upload");
    });
}
