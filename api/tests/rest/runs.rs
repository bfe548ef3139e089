//! Creating, describing, listing and deleting runs, and how far they are.

use serde_json::{Value, json};

use crate::service::{Service, clks};

#[tokio::test]
async fn a_run_is_created_described_listed_and_deleted() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let runs = format!("/projects/{}/runs", project.id);
    let wanted = json!({"threshold": 0.95, "name": "n", "notes": "m"});
    let created = service.call("POST", &runs, Some(&project.result), wanted).await;
    assert_eq!(created.status, 201);
    let id = created.body["run_id"].as_str().unwrap().to_owned();
    assert_eq!(created.body, json!({"run_id": id, "threshold": 0.95, "name": "n", "notes": "m"}));
    let path = format!("{runs}/{id}");
    assert_eq!(service.get(&path, &project.result).await.body, created.body);
    let listed = service.get(&runs, &project.result).await.body;
    assert_eq!(
        listed,
        json!([{"run_id": id, "time_added": "2030-01-01T00:00:02.000000+00:00", "state": "created"}])
    );

    assert_eq!(service.call("DELETE", &path, Some(&project.result), Value::Null).await.status, 204);
    service.call("DELETE", &path, Some(&project.result), Value::Null).await.problem(403);
    service.get(&path, &project.result).await.problem(403);
    service.get(&format!("{path}/status"), &project.result).await.problem(403);
    assert_eq!(service.get(&runs, &project.result).await.body, json!([]));
}

#[tokio::test]
async fn a_threshold_out_of_range_is_400() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let runs = format!("/projects/{}/runs", project.id);
    for threshold in [json!(0), json!(1.5), json!(-1), json!("0.8"), json!(null)] {
        let body = json!({ "threshold": threshold });
        let detail = service.call("POST", &runs, Some(&project.result), body).await.problem(400);
        assert!(detail.contains("threshold") || detail.contains("f64"), "{detail}");
    }
    service.call("POST", &runs, Some(&project.result), json!({})).await.problem(400);
}

#[tokio::test]
async fn the_status_follows_the_resource() {
    let service = Service::new();
    let project = service.create_of_type("similarity_scores").await;
    let run = service.create_run(&project).await;
    let path = format!("/projects/{}/runs/{run}/status", project.id);
    let waiting = service.get(&path, &project.result).await.body;
    assert_eq!((&waiting["state"], &waiting["stages"]), (&json!("created"), &json!(2)));
    assert_eq!(waiting["current_stage"]["description"], "waiting for CLKs");
    service.kubernetes.change("linkageruns", &run, |resource| {
        resource["status"] = json!({
            "stage": "Scoring", "startTime": "2030-01-01T00:01:00Z",
            "progress": {"comparisons": 50, "totalComparisons": 200, "percent": "25%"}
        });
    });
    let running = service.get(&path, &project.result).await.body;
    assert_eq!(
        (&running["state"], &running["time_started"]),
        (&json!("running"), &json!("2030-01-01T00:01:00.000000+00:00"))
    );
    assert_eq!(running["current_stage"]["progress"]["relative"], 0.25);
}

#[tokio::test]
async fn a_run_shows_an_error_while_a_partys_data_cannot_be_linked_and_goes_back_when_it_is_repaired() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let run = service.create_run(&project).await;
    let path = format!("/projects/{}/runs/{run}/status", project.id);
    let status = async || service.get(&path, &project.result).await.body;
    assert_eq!(status().await["state"], "created");
    assert_eq!(service.upload(&project.id, &project.update[0], clks(3, 128)).await.status, 201);
    assert_eq!(service.upload(&project.id, &project.update[1], clks(3, 64)).await.status, 201);
    let failed = status().await;
    assert_eq!((&failed["state"], &failed["current_stage"]["number"]), (&json!("error"), &json!(1)));
    assert!(failed["message"].as_str().unwrap().contains("512 bits"), "{failed}");
    let listed = service.get(&format!("/projects/{}/runs", project.id), &project.result).await.body;
    assert_eq!(listed[0]["state"], "error");
    // there may yet be a result
    let result = path.replace("/status", "/result");
    service.get(&result, &project.result).await.problem(404);

    assert_eq!(service.upload(&project.id, &project.update[1], clks(3, 128)).await.status, 201);
    assert_eq!(status().await["state"], "created");
}

#[tokio::test]
async fn a_run_made_with_kubectl_is_its_projects() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    service.kubernetes.objects().create(
        "linkageruns",
        json!({
            "apiVersion": "pprl.dev/v1alpha1", "kind": "LinkageRun", "metadata": {"name": "by-hand"},
            "spec": {"projectRef": {"name": project.id}, "threshold": 0.7}
        }),
    );
    let listed = service.get(&format!("/projects/{}/runs", project.id), &project.result).await.body;
    assert_eq!(listed[0]["run_id"], "by-hand");
}

#[tokio::test]
async fn a_run_may_use_the_pairs_of_an_earlier_one_of_its_project() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let runs = format!("/projects/{}/runs", project.id);
    let create = async |body: Value| service.call("POST", &runs, Some(&project.result), body).await;
    let earlier = create(json!({"threshold": 0.7})).await.body["run_id"].as_str().unwrap().to_owned();
    let later = create(json!({"threshold": 0.7, "from_run": earlier})).await;
    assert_eq!((later.status.as_u16(), &later.body["from_run"]), (201, &json!(earlier)));
    let id = later.body["run_id"].as_str().unwrap();
    assert_eq!(service.get(&format!("{runs}/{id}"), &project.result).await.body, later.body);

    let lower = create(json!({"threshold": 0.69, "from_run": earlier})).await.problem(400);
    assert!(lower.contains("0.69") && lower.contains("0.7 only"), "{lower}");
    let other = service.create_of_type("groups").await;
    let others = service.create_run(&other).await;
    for stranger in [others.as_str(), "no-such-run", "", "../x"] {
        let refused = create(json!({"threshold": 0.9, "from_run": stranger})).await.problem(400);
        assert!(refused.contains("no run of this project"), "{stranger}: {refused}");
    }
    create(json!({"threshold": 0.9, "from_run": 5})).await.problem(400);
    service.kubernetes.change("linkageruns", &earlier, |run| run["status"] = json!({"stage": "Failed"}));
    let failed = create(json!({"threshold": 0.9, "from_run": earlier})).await.problem(400);
    assert!(failed.contains("failed"), "{failed}");
    service.call("DELETE", &format!("{runs}/{earlier}"), Some(&project.result), Value::Null).await;
    create(json!({"threshold": 0.9, "from_run": earlier})).await.problem(400);
}

#[tokio::test]
async fn a_run_may_say_how_groups_are_formed() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let runs = format!("/projects/{}/runs", project.id);
    let create = async |body: Value| service.call("POST", &runs, Some(&project.result), body).await;
    for (solver, kept) in [
        (
            json!({"merge_threshold": 0.75, "one_to_one": false}),
            json!({"algorithm": "Greedy", "mergeThreshold": 0.75, "oneToOne": false}),
        ),
        (
            json!({"algorithm": "optimal", "max_component_records": 50}),
            json!({"algorithm": "Optimal", "maxComponentRecords": 50}),
        ),
    ] {
        let created = create(json!({"threshold": 0.8, "solver": solver})).await;
        assert_eq!(created.status, 201);
        let mut described = solver.clone();
        described["algorithm"] = solver.get("algorithm").cloned().unwrap_or(json!("greedy"));
        assert_eq!(created.body["solver"], described);
        let id = created.body["run_id"].as_str().unwrap();
        assert_eq!(service.get(&format!("{runs}/{id}"), &project.result).await.body, created.body);
        service.kubernetes.change("linkageruns", id, |run| assert_eq!(run["spec"]["solver"], kept));
    }
    for solver in
        [json!({"merge_threshold": 2}), json!({"algorithm": "best"}), json!("optimal"), json!({"x": 1})]
    {
        create(json!({"threshold": 0.8, "solver": solver})).await.problem(400);
    }
    let absent = create(json!({"threshold": 0.8, "solver": null})).await;
    assert_eq!((absent.status.as_u16(), absent.body.get("solver")), (201, None));
}

#[tokio::test]
async fn a_solver_that_makes_no_sense_for_the_project_is_400() {
    let service = Service::new();
    let refused = async |result_type: &str, solver: Value| {
        let project = service.create_of_type(result_type).await;
        let runs = format!("/projects/{}/runs", project.id);
        let body = json!({"threshold": 0.8, "solver": solver});
        service.call("POST", &runs, Some(&project.result), body).await.problem(400)
    };
    let why = refused("similarity_scores", json!({})).await;
    assert!(why.contains("solver") && why.contains("SimilarityScores"), "{why}");
    let why = refused("permutations", json!({"one_to_one": false})).await;
    assert!(why.contains("Permutations"), "{why}");
}
