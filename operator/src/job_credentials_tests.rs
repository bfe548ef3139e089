//! Credentials of Jobs, from a token service that answers over HTTP.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::post;
use k8s_openapi::jiff::Timestamp;
use scorer::store::{StoreArgs, TokenService, TokenServiceArgs};
use serde_json::{Value, json};

use crate::testing::World;

/// The fields of a request.
type Form = Vec<(String, String)>;

/// A token service, and what it was asked for.
#[derive(Clone, Default)]
struct Sts {
    requests: Arc<Mutex<Vec<Form>>>,
    refuses: Arc<Mutex<bool>>,
    /// The operator's own credentials.
    own: Arc<OnceLock<tempfile::NamedTempFile>>,
}

impl Sts {
    /// Serves, and gives the client for it.
    async fn start(&self) -> TokenService {
        let own = json!({"AccessKeyId": "operator", "SecretAccessKey": "hush", "SessionToken": "none",
            "Expiration": "2999-01-01T00:00:00Z"});
        let file = self.own.get_or_init(|| tempfile::NamedTempFile::new().unwrap()).path();
        std::fs::write(file, own.to_string()).unwrap();
        let sts = self.clone();
        let service = post(move |form: String| async move { sts.answer(&form) });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, axum::Router::new().route("/", service)).await });
        let store_args = StoreArgs {
            store_url: "s3://b".into(),
            store_endpoint: Some(endpoint),
            store_region: "us-east-1".into(),
            store_create_bucket: false,
            store_credentials_file: Some(file.to_owned()),
        };
        let args = TokenServiceArgs {
            role_arn: "arn:aws:iam::000000000000:role/jobs".into(),
            endpoint: None,
            seconds: 3600,
        };
        TokenService::open(args, &store_args, &store_args.open().await.unwrap()).await.unwrap()
    }

    fn answer(&self, form: &str) -> impl IntoResponse + use<> {
        let form = reqwest::Url::parse(&format!("http://sts/?{form}")).unwrap();
        let mut requests = self.requests.lock().unwrap();
        requests.push(form.query_pairs().into_owned().collect());
        if *self.refuses.lock().unwrap() {
            let refusal = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not you</Message></Error></ErrorResponse>";
            return (StatusCode::FORBIDDEN, refusal.to_owned());
        }
        let expiration = Timestamp::now().checked_add(Duration::from_secs(3600)).unwrap();
        let number = requests.len();
        (
            StatusCode::OK,
            format!(
                "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>key-{number}</AccessKeyId>\
                 <SecretAccessKey>hush</SecretAccessKey><SessionToken>token</SessionToken>\
                 <Expiration>{expiration}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
            ),
        )
    }

    fn refuse(&self, refuses: bool) {
        *self.refuses.lock().unwrap() = refuses;
    }

    /// Which resources the actions of the last request may be done with.
    fn permitted(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        let policy = requests.last().unwrap().iter().find(|(name, _)| name == "Policy").unwrap();
        let policy: Value = serde_json::from_str(&policy.1).unwrap();
        let statements = policy["Statement"].as_array().unwrap();
        let resource = |statement: &Value| {
            let action = statement["Action"][0].as_str().unwrap().trim_start_matches("s3:");
            let resource = statement["Resource"][0].as_str().unwrap().trim_start_matches("arn:aws:s3:::");
            format!("{action} {resource}")
        };
        statements.iter().map(resource).collect()
    }
}

fn only_secret(world: &World) -> Option<Value> {
    let mut secrets = world.kubernetes.all("secrets").into_iter();
    secrets.find(|secret| secret["data"]["credentials.json"].is_string())
}

fn access_key(secret: &Value) -> String {
    let encoded = secret["data"]["credentials.json"].as_str().unwrap();
    let bytes = base64_simd::STANDARD.decode_to_vec(encoded).unwrap();
    let credentials: Value = serde_json::from_slice(&bytes).unwrap();
    credentials["AccessKeyId"].as_str().unwrap().to_owned()
}

async fn with_one_run(sts: &Sts) -> (World, Value) {
    let world = World::with_token_service(Some(sts.start().await));
    world.contributed_project("p");
    world.run("r", json!({}));
    let job = world.job("r-score").await;
    (world, job)
}

#[tokio::test]
async fn a_jobs_pods_get_credentials_for_its_own_project_and_run_alone() {
    let sts = Sts::default();
    let (world, job) = with_one_run(&sts).await;
    let secret = world.kubernetes.until("the Secret", |_| only_secret(&world)).await;
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(pod["volumes"][1]["secret"]["secretName"], secret["metadata"]["name"]);
    assert_eq!(pod["containers"][0]["envFrom"], Value::Null, "no credentials of the installation");
    assert_eq!(
        secret["metadata"]["ownerReferences"][0]["uid"], job["metadata"]["uid"],
        "it goes with the Job"
    );

    let uid = world.kubernetes.get("linkageruns", "r").unwrap()["metadata"]["uid"].clone();
    let output = format!("b/{}*", world.context.installation.run(uid.as_str().unwrap()));
    let expected = [
        "ListBucket b".to_owned(),
        format!("GetObject {output}"),
        format!("PutObject {output}"),
        format!("DeleteObject {output}"),
        "GetObject b/projects/x/*".to_owned(),
    ];
    assert_eq!(sts.permitted(), expected);
}

#[tokio::test]
async fn a_source_is_read_with_credentials_for_its_objects_alone() {
    let sts = Sts::default();
    let world = World::with_token_service(Some(sts.start().await));
    world.put("in/a.json", "{}").await;
    let source = json!({"name": "a", "source": {"encodings": "in/a.json"}});
    let project = world.kubernetes.create(
        "linkageprojects",
        json!({"apiVersion": "pprl.dev/v1alpha1", "kind": "LinkageProject", "metadata": {"name": "p"},
            "spec": {"resultType": "Groups", "parties": [source, {"name": "b"}]}}),
    );
    world.kubernetes.until("the Secret", |_| only_secret(&world)).await;
    let permitted = sts.permitted();
    assert!(permitted.contains(&"GetObject b/in/a.json".to_owned()), "{permitted:?}");
    let own = world.context.installation.project(project["metadata"]["uid"].as_str().unwrap());
    let others = permitted.iter().filter(|permitted| {
        !permitted.contains(&format!("b/{own}parties/0/source-")) && !permitted.ends_with("b/in/a.json")
    });
    assert_eq!(others.collect::<Vec<_>>(), ["ListBucket b"]);
}

#[tokio::test]
async fn credentials_are_renewed_before_they_expire_and_when_their_secret_is_gone() {
    let sts = Sts::default();
    let (world, _) = with_one_run(&sts).await;
    let secret = world.kubernetes.until("the Secret", |_| only_secret(&world)).await;
    let name = secret["metadata"]["name"].as_str().unwrap().to_owned();
    let first = access_key(&secret);
    world.kubernetes.change("secrets", &name, |secret| {
        secret["metadata"]["annotations"]["pprl.dev/renew-credentials"] = json!("2020-01-01T00:00:00Z");
    });
    let is_renewed = |_: &_| only_secret(&world).filter(|secret| access_key(secret) != first);
    let renewed = world.kubernetes.until("other credentials", is_renewed).await;
    assert_eq!(renewed["metadata"]["name"], name.as_str());

    // long after the Job was made
    world.kubernetes.change("jobs", "r-score", |job| {
        job["metadata"]["creationTimestamp"] = json!("2020-01-01T00:00:00Z");
    });
    world.kubernetes.delete("secrets", &name);
    let again = world.kubernetes.until("the Secret again", |_| only_secret(&world)).await;
    assert_eq!(again["metadata"]["name"], name.as_str(), "the pods wait for this one");
}

#[tokio::test]
async fn credentials_that_are_refused_are_told_and_asked_for_again() {
    let sts = Sts::default();
    sts.refuse(true);
    let world = World::with_token_service(Some(sts.start().await));
    world.contributed_project("p");
    world.run("r", json!({}));
    let status = world.run_says("r", "StoreUnavailable").await;
    let message = status["message"].as_str().unwrap();
    assert!(message.contains("role/jobs") && message.contains("AccessDenied not you"), "{message}");
    world.event("StoreUnavailable", "role/jobs").await;
    assert!(world.kubernetes.get("jobs", "r-score").is_none(), "its pods could only wait");
    sts.refuse(false);
    world.job("r-score").await;
}

#[tokio::test]
async fn a_renewal_that_fails_is_told_and_the_run_goes_on() {
    let sts = Sts::default();
    let (world, job) = with_one_run(&sts).await;
    let secret = world.kubernetes.until("the Secret", |_| only_secret(&world)).await;
    sts.refuse(true);
    world.kubernetes.change("secrets", secret["metadata"]["name"].as_str().unwrap(), |secret| {
        secret["metadata"]["annotations"]["pprl.dev/renew-credentials"] = json!("2020-01-01T00:00:00Z");
    });
    world.event("StoreUnavailable", "the credentials of the Job r-score are not renewed").await;
    assert_eq!(world.kubernetes.get("jobs", "r-score").unwrap()["metadata"]["uid"], job["metadata"]["uid"]);
    world.write_summary("r").await;
    world.complete("r-score");
    world.run_says("r", "Complete").await;
}
