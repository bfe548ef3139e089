use super::*;
use crds::LinkageProject;
use k8s_openapi::jiff::Timestamp;
use scorer::summary::{Contribution, Failure, FailureReason};
use serde_json::json;

fn view(status: serde_json::Value) -> ProjectView {
    let project: LinkageProject = serde_json::from_value(json!({
        "apiVersion": "pprl.dev/v1alpha1", "kind": "LinkageProject",
        "metadata": {"name": "p", "uid": "1", "generation": 1, "creationTimestamp": "1970-01-01T00:00:00Z"},
        "spec": {"resultType": "Groups", "parties": [{"name": "a", "source": {"encodings": "in/a.json"}}, {"name": "b"}]},
        "status": status,
    }))
    .unwrap();
    ProjectView {
        project,
        sources: [("a".to_owned(), SourceState::Present("v1".into()))].into(),
        ingests: [].into(),
        tokens_secret: Some("p-tokens".into()),
        trouble: None,
        now: Timestamp::from_second(1000).unwrap(),
    }
}

fn decided(view: &ProjectView) -> Decision {
    decide(view)
}

fn ingested(view: ProjectView, state: IngestState) -> ProjectView {
    ProjectView { ingests: [("a".to_owned(), state)].into(), ..view }
}

fn data(encoding_bytes: u32) -> IngestState {
    IngestState::Done(Contribution {
        encodings: "projects/1/parties/0/source-v1/encodings".into(),
        blocks: None,
        records: 10,
        encoding_bytes,
        blake3: "00".into(),
        blocks_blake3: None,
        records_without_block: None,
        warning: None,
    })
}

fn ready_reason(decision: &Decision) -> String {
    decision.status.conditions[0].reason.clone()
}

#[test]
fn every_party_is_listed_from_the_start() {
    let decision = decided(&view(json!({})));
    let names: Vec<_> = decision.status.parties.iter().map(|party| party.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(decision.status.contributed.as_deref(), Some("0/2"));
    assert_eq!(ready_reason(&decision), "WaitingForParties");
    assert_eq!(decision.status.tokens_secret.as_deref(), Some("p-tokens"));
}

#[test]
fn a_key_that_cannot_be_used_is_said_at_once() {
    let mut view = view(json!({}));
    let n = "A".repeat(171) + &"_".repeat(170) + "w";
    view.project.spec.paillier_public_key =
        serde_json::from_value(json!({"kty": "DAJ", "alg": "PAI-GN1", "modulus": n})).unwrap();
    let condition = decided(&view).status.conditions[0].clone();
    assert_eq!((condition.status.as_str(), condition.reason.as_str()), ("False", "InvalidPublicKey"));
    assert!(condition.message.contains("at least 2048"), "{}", condition.message);
}

#[test]
fn a_source_that_is_there_is_read_once() {
    let first = decided(&view(json!({})));
    assert_eq!(first.ingest, [("a".to_owned(), "v1".to_owned())]);
    assert_eq!(first.status.parties[0].state, PartyState::Ingesting);
    let mut reading = ingested(view(json!({})), IngestState::Active(None));
    reading.project.status = Some(first.status);
    assert!(decided(&reading).ingest.is_empty());
}

#[test]
fn a_source_that_is_missing_is_named_and_waited_for() {
    let sources = [("a".to_owned(), SourceState::Absent("in/a.json".into()))].into();
    let decision = decided(&ProjectView { sources, ..view(json!({})) });
    assert!(decision.ingest.is_empty());
    assert_eq!(decision.status.parties[0].reason.as_deref(), Some("SourceNotFound"));
    let message = &decision.status.conditions[0].message;
    assert!(message.contains("in/a.json") && message.contains(", b"), "{message}");
    assert!(decision.look_again <= Duration::from_secs(10));
}

#[test]
fn what_was_ingested_becomes_the_contribution() {
    let contributed_b =
        json!({"parties": [{"name": "b", "state": "Contributed", "records": 5, "encodingBytes": 128}]});
    let decision = decided(&ingested(view(contributed_b), data(128)));
    assert_eq!(ready_reason(&decision), "AllPartiesContributed");
    assert_eq!(decision.status.records, Some(15));
    assert!(decision.discard.is_empty());
}

#[test]
fn records_that_are_in_no_block_are_told() {
    let party = |name, without: i64| json!({"name": name, "state": "Contributed", "records": 5, "encodingBytes": 128, "recordsWithoutBlock": without});
    let decision = decided(&view(json!({"parties": [party("a", 2), party("b", 0)]})));
    let message = &decision.status.conditions[0].message;
    assert!(
        message
            .ends_with("10 records in all; 2 records of party a are in no block, and are compared with none"),
        "{message}"
    );
}

#[test]
fn data_that_does_not_fit_is_discarded_and_read_again_when_replaced() {
    let contributed_b =
        json!({"parties": [{"name": "b", "state": "Contributed", "records": 5, "encodingBytes": 128}]});
    let first = decided(&view(contributed_b));
    let mut reading = ingested(view(json!({})), data(64));
    reading.project.status = Some(first.status);
    let rejected = decided(&reading);
    assert_eq!(rejected.discard, ["a"]);
    assert_eq!(ready_reason(&rejected), "PartyRejected");

    let mut unchanged = ingested(view(json!({})), data(64));
    unchanged.project.status = Some(rejected.status.clone());
    let waiting = decided(&unchanged);
    assert!(waiting.ingest.is_empty() && waiting.discard.is_empty());
    assert_eq!(waiting.status, rejected.status);

    let mut replaced = view(json!({}));
    replaced.project.status = Some(rejected.status);
    replaced.sources = [("a".to_owned(), SourceState::Present("v2".into()))].into();
    assert_eq!(decided(&replaced).ingest, [("a".to_owned(), "v2".to_owned())]);
}

#[test]
fn a_failed_ingest_says_why_and_how_to_go_on() {
    let failure = Failure { reason: FailureReason::InvalidBase64, message: "record 7 is no base64".into() };
    let decision = decided(&ingested(view(json!({})), IngestState::Failed(failure)));
    let party = &decision.status.parties[0];
    assert_eq!((party.state, party.reason.as_deref()), (PartyState::Rejected, Some("InvalidBase64")));
    let message = party.message.as_deref().unwrap();
    assert!(message.contains("record 7") && message.contains("upload over REST"), "{message}");
}

#[test]
fn a_contribution_is_not_touched() {
    let status = json!({"parties": [{"name": "a", "state": "Contributed", "records": 5, "encodingBytes": 128,
                                     "encodings": "k", "sourceVersion": "v0"}]});
    let decision = decided(&ingested(view(status), data(64)));
    assert!(decision.ingest.is_empty() && decision.discard.is_empty());
    assert_eq!(decision.status.parties[0].encodings.as_deref(), Some("k"));
}

fn trouble(kind: TroubleKind) -> Trouble {
    Trouble { kind, message: "connection refused".into() }
}

#[test]
fn a_store_that_is_away_is_waited_for() {
    let away = ProjectView {
        trouble: Some(trouble(TroubleKind::StoreUnavailable)),
        sources: [].into(),
        ..view(json!({}))
    };
    let decision = decided(&away);
    assert_eq!(ready_reason(&decision), "StoreUnavailable");
    assert!(decision.look_again <= Duration::from_secs(10));
}

#[test]
fn trouble_is_told_beside_a_reason_that_counts_more() {
    let failure = Failure { reason: FailureReason::InvalidBase64, message: "record 7".into() };
    let mut rejected = ingested(view(json!({})), IngestState::Failed(failure));
    rejected.trouble = Some(trouble(TroubleKind::NameTaken));
    let condition = decided(&rejected).status.conditions[0].clone();
    assert_eq!(condition.reason, "PartyRejected");
    assert!(
        condition.message.contains("record 7") && condition.message.contains("refused"),
        "{}",
        condition.message
    );
}

#[test]
fn a_source_that_could_not_be_read_is_read_again_and_says_why() {
    let failure = || Failure { reason: FailureReason::StoreUnavailable, message: "store away".into() };
    let waiting = |pause| {
        let status = json!({"parties": [{"name": "a", "state": "Ingesting", "sourceVersion": "v1"}]});
        decided(&ingested(view(status), IngestState::Trouble(failure(), Duration::from_secs(pause))))
    };
    let later = waiting(40);
    assert!(later.restart.is_empty() && later.look_again <= Duration::from_secs(40));
    let party = &later.status.parties[0];
    assert_eq!((party.state, party.reason.as_deref()), (PartyState::Ingesting, Some("StoreUnavailable")));
    assert!(party.message.as_deref().unwrap().contains("read again"));
    assert!(later.status.conditions[0].message.contains("store away"));
    let now = waiting(0);
    assert_eq!(now.restart, [("a".to_owned(), "v1".to_owned())]);
    assert!(now.look_again <= Duration::from_secs(1));
}

#[test]
fn a_source_of_another_tenant_is_refused_with_what_is_allowed() {
    let elsewhere = SourceState::NotAllowed("sources/hotel/a.json".into(), "sources/hospital/".into());
    let decision = decided(&ProjectView { sources: [("a".to_owned(), elsewhere)].into(), ..view(json!({})) });
    assert!(decision.ingest.is_empty());
    let party = &decision.status.parties[0];
    assert_eq!(party.reason.as_deref(), Some("SourceNotAllowed"));
    assert!(party.message.as_deref().unwrap().contains("sources/hospital/"));
}

#[test]
fn a_pod_that_reads_a_source_and_waits_says_why() {
    let status = json!({"parties": [{"name": "a", "state": "Ingesting", "sourceVersion": "v1"}]});
    let waiting = IngestState::Active(Some("the image cannot be pulled".into()));
    let decision = decided(&ingested(view(status), waiting));
    assert_eq!(decision.status.parties[0].state, PartyState::Ingesting);
    assert!(decision.status.conditions[0].message.contains("the image cannot be pulled"));
}

#[test]
fn trouble_of_a_step_is_told_unless_all_have_contributed() {
    let project = |status| view(status).project;
    let trouble = trouble(TroubleKind::KubernetesRefused);
    let status = troubled(&project(json!({})), &trouble, Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(status.conditions[0].reason, "KubernetesRefused");
    assert_eq!(status.parties.len(), 2);
    let ready = json!({"conditions": [{"type": "Ready", "status": "True", "reason": "AllPartiesContributed",
        "message": "", "lastTransitionTime": "2030-01-01T00:00:00Z"}]});
    assert_eq!(troubled(&project(ready), &trouble, Timestamp::UNIX_EPOCH), None);
}

#[test]
fn a_project_is_deleted_when_its_time_is_over() {
    let mut view = view(json!({}));
    view.project.spec.retention = Some(crds::Retention { seconds_after_creation: 1010 });
    assert!(!decided(&view).delete);
    assert!(decided(&view).look_again <= Duration::from_secs(10));
    view.now = Timestamp::from_second(1010).unwrap();
    assert!(decided(&view).delete);
    view.project.spec.retention = Some(crds::Retention { seconds_after_creation: i64::MAX });
    assert!(!decided(&view).delete);
    view.now = Timestamp::MIN;
    assert!(!decided(&view).delete);
}
