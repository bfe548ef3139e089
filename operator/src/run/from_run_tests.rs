use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use serde_json::json;

use super::super::decide::tests::{decided, next, pod, project, reason, run, summary, view};
use super::super::view::Summary;
use super::*;
use crate::jobs::JobState;

fn data() -> String {
    order::data_sha256(&project(["Contributed", "Contributed"]))
}

/// The run whose pairs are used: named, with this spec and status.
fn earlier(name: &str, spec: serde_json::Value, status: serde_json::Value) -> LinkageRun {
    let mut earlier = run(spec);
    earlier.metadata.name = Some(name.into());
    earlier.metadata.uid = Some(format!("uid-of-{name}"));
    earlier.status = Some(serde_json::from_value(status).unwrap());
    earlier
}

fn condition(type_: &str) -> serde_json::Value {
    json!([{"type": type_, "status": "True", "reason": "R", "message": "", "lastTransitionTime": "2030-01-01T00:00:00Z"}])
}

fn complete() -> LinkageRun {
    let status = json!({
        "stage": "Complete", "conditions": condition("Complete"), "shards": 3, "dataSha256": data(),
        "pinned": {"digest": "d1", "plan": {"output": "runs/aa-uid-of-first/", "shards": 3}},
        "progress": {"comparisons": 1_000_000, "totalComparisons": 1_000_000, "percent": "100%"},
    });
    earlier("first", json!({"threshold": 0.7}), status)
}

fn later(earlier: Option<LinkageRun>) -> RunView {
    let mut run = run(json!({"threshold": 0.9, "fromRun": {"name": "first"}}));
    run.metadata.name = Some("second".into());
    RunView { run, earlier, ..view() }
}

#[test]
fn solves_the_pairs_of_the_earlier_run_and_scores_nothing() {
    let recorded = decided(&later(Some(complete())));
    // first it is recorded whose pairs are used, before anything is done with them
    assert_eq!((recorded.action, reason(&recorded)), (Action::None, "Queued"));
    assert_eq!(recorded.look_again, SOON);
    let used = recorded.status.pairs_from_run.clone().unwrap();
    assert_eq!((used.name.as_str(), used.uid.as_str(), used.threshold), ("first", "uid-of-first", 0.7));
    assert!(recorded.status.start_time.is_none());

    let started = decided(&next(later(Some(complete())), &recorded));
    assert_eq!((started.action, started.status.stage), (Action::CreateSolveJob, Some(RunStage::Queued)));
    assert!(started.status.message.as_deref().unwrap().contains("run first"));
    assert_eq!((started.status.shards, started.status.data_sha256.clone()), (Some(3), Some(data())));
    assert_eq!(started.status.progress.as_ref().unwrap().percent, "100%");
    let progress = started.status.progress.clone().unwrap();
    assert_eq!((progress.comparisons, progress.total_comparisons), (1_000_000, 1_000_000));

    let running = |phase| RunView {
        solve: Some(JobState::Active),
        pods: vec![pod("solve", phase, None)],
        ..next(later(Some(complete())), &started)
    };
    let queued = decided(&running(PodPhase::Pending(None)));
    assert_eq!((queued.action, queued.status.stage), (Action::None, Some(RunStage::Queued)));
    let solving = decided(&running(PodPhase::Running));
    assert_eq!((solving.action, solving.status.stage), (Action::None, Some(RunStage::Solving)));
    assert!(solving.look_again <= Duration::from_secs(2));
    // a pod that is started again takes nobody back
    let again = decided(&next(running(PodPhase::Pending(None)), &solving));
    assert_eq!(again.status.stage, Some(RunStage::Solving));

    let done = decided(&RunView { summary: Summary::Present(summary()), ..running(PodPhase::Succeeded) });
    assert_eq!(done.status.stage, Some(RunStage::Complete));
    assert_eq!(done.status.pairs_from_run, Some(used));
}

#[test]
fn waits_for_the_earlier_run() {
    let deleting = LinkageRun {
        metadata: kube::api::ObjectMeta {
            deletion_timestamp: Some(Time(Timestamp::UNIX_EPOCH)),
            ..complete().metadata
        },
        ..complete()
    };
    let running = earlier("first", json!({"threshold": 0.7}), json!({"stage": "Scoring"}));
    for (there, expected) in
        [(None, "RunNotFound"), (Some(deleting), "RunNotFound"), (Some(running), "WaitingForRun")]
    {
        let decision = decided(&later(there));
        assert_eq!((decision.action, reason(&decision)), (Action::None, expected));
        assert_eq!(decision.status.stage, Some(RunStage::WaitingForParties));
        assert!(decision.status.message.as_ref().unwrap().contains("first"));
        assert_eq!(decision.status.pairs_from_run, None);
    }
}

#[test]
fn what_can_never_be_used_fails_the_run_and_says_why() {
    let with = |spec, change: fn(&mut LinkageRunStatus)| {
        let mut earlier = LinkageRun { spec: run(spec).spec, ..complete() };
        change(earlier.status.as_mut().unwrap());
        earlier
    };
    let failed = |status: &mut LinkageRunStatus| status.conditions[0].type_ = "Failed".into();
    let other_data = |status: &mut LinkageRunStatus| status.data_sha256 = Some("ab".into());
    for (there, why) in [
        (with(json!({"threshold": 0.91}), |_| ()), "at or above 0.91 only"),
        (with(json!({"threshold": 0.7, "projectRef": {"name": "hotels"}}), |_| ()), "is of project hotels"),
        (with(json!({"threshold": 0.7}), failed), "has failed"),
        (with(json!({"threshold": 0.7}), other_data), "other data"),
        (with(json!({"threshold": 0.7}), |status| status.data_sha256 = None), "other data"),
        (with(json!({"threshold": 0.7}), |status| status.pinned = None), "earlier version"),
    ] {
        let decision = decided(&later(Some(there)));
        assert_eq!((decision.action, reason(&decision)), (Action::None, "InvalidInput"), "{why}");
        let message = decision.status.message.as_deref().unwrap();
        assert!(message.contains(why) && message.contains("first"), "{message}");
        assert_eq!(decision.status.pairs_from_run, None);
    }
    let equal = with(json!({"threshold": 0.9}), |_| ());
    assert_eq!(reason(&decided(&later(Some(equal)))), "Queued");
}

#[test]
fn another_contribution_of_a_party_is_other_data() {
    let mut changed = project(["Contributed", "Contributed"]);
    changed.status.as_mut().unwrap().parties[1].encodings =
        Some("projects/2/parties/1/anew/encodings".into());
    assert_ne!(order::data_sha256(&changed), data());
    let decision = decided(&RunView { project: Some(changed), ..later(Some(complete())) });
    assert_eq!(reason(&decision), "InvalidInput");
}

#[test]
fn a_run_that_begins_to_go_before_the_start_is_let_go() {
    let recorded = decided(&later(Some(complete())));
    let decision = decided(&next(later(None), &recorded));
    assert_eq!((decision.action, reason(&decision)), (Action::None, "RunNotFound"));
    assert_eq!(decision.status.pairs_from_run, None);
    // and one of the same name that comes later is another one
    let mut anew = complete();
    anew.metadata.uid = Some("another".into());
    let decision = decided(&next(later(Some(anew)), &recorded));
    assert_eq!(decision.action, Action::None);
    assert_eq!(decision.status.pairs_from_run.unwrap().uid, "another");
}

#[test]
fn once_started_it_needs_the_pairs_until_its_end_and_not_the_run() {
    let recorded = decided(&later(Some(complete())));
    let started = decided(&next(later(Some(complete())), &recorded));
    let gone = RunView { solve: Some(JobState::Active), ..next(later(None), &started) };
    assert_eq!(reason(&decided(&gone)), "Queued");
    // also when its Job was deleted, as by suspending and resuming
    let resumed = decided(&RunView { solve: None, ..gone.clone() });
    assert_eq!(resumed.action, Action::CreateSolveJob);

    let needs = |decision: &Decision| {
        let run = next(later(None), decision).run;
        needed_by("uid-of-first", std::slice::from_ref(&run))
    };
    assert_eq!(needs(&recorded), ["second"]);
    assert_eq!(needs(&started), ["second"]);
    let done = decided(&RunView { summary: Summary::Present(summary()), ..gone.clone() });
    assert!(needs(&done).is_empty());
    let failed = decided(&RunView { solve: Some(JobState::Failed("x".into())), ..gone.clone() });
    assert_eq!(failed.status.stage, Some(RunStage::Failed));
    assert!(needs(&failed).is_empty());
    let mut deleted = next(later(None), &started).run;
    assert!(needed_by("uid-of-another", std::slice::from_ref(&deleted)).is_empty());
    deleted.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    assert!(needed_by("uid-of-first", &[deleted]).is_empty());
}

#[test]
fn a_summary_that_vanished_is_no_result_here_either() {
    let recorded = decided(&later(Some(complete())));
    let started = decided(&next(later(Some(complete())), &recorded));
    let vanished = RunView {
        solve: Some(JobState::Complete),
        summary: Summary::Absent,
        ..next(later(Some(complete())), &started)
    };
    assert_eq!(reason(&decided(&vanished)), "JobFailed");
}

#[test]
fn the_plan_names_where_the_pairs_are() {
    let recorded = decided(&later(Some(complete())));
    let started = decided(&next(later(Some(complete())), &recorded));
    let plan = started.status.pinned.unwrap().plan;
    let from = json!({"run": "first", "output": "runs/aa-uid-of-first/", "work": "d1"});
    assert_eq!(plan["pairsFrom"], from);
    assert_eq!(plan["shards"], json!(3));
    assert!(plan["output"].as_str().unwrap().ends_with("-1/"), "{}", plan["output"]);
}

#[test]
fn runs_wake_those_that_use_their_pairs_and_those_whose_pairs_they_use() {
    let user = Arc::new(later(None).run);
    let stranger = Arc::new(earlier("third", json!({}), json!({})));
    let all = [Arc::clone(&user), stranger, Arc::new(complete())];
    assert_eq!(concerned(&complete(), &all), ["second"]);
    assert_eq!(concerned(&user, &all), ["first"]);
}
