//! The histogram of scores: told in the same order as the result, and to the result token alone.

use crds::tokens::Role;
use serde_json::{Value, json};

use crate::service::Service;

fn complete(service: &Service, run: &str, scores: Option<&Value>) {
    let key = format!("runs/{run}/result/scores.json");
    if let Some(scores) = scores {
        let file = service.store.path().join(&key);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, scores.to_string()).unwrap();
    }
    let scores = scores.map(|_| {
        json!({"floor": 0.6, "binWidth": 0.01, "counts": [1], "exactFrom": 0.8, "sampledShare": 0.02, "key": key})
    });
    service.kubernetes.change("linkageruns", run, |resource| {
        resource["status"] = json!({"stage": "Complete", "scores": scores});
    });
}

#[tokio::test]
async fn it_is_for_the_result_token_once_the_run_is_complete() {
    let service = Service::new();
    for result_type in ["groups", "similarity_scores", "permutations"] {
        let (project, run, path) = service.project_with_run(result_type, "histogram").await;
        service.tells_the_state_to_holders_of_tokens(&project, &run, &path).await;
        let scores =
            json!({"threshold": 0.8, "floor": 0.6, "bin_width": 0.01, "histograms": [], "estimates": []});
        complete(&service, &run, Some(&scores));
        for token in ["wrong", &project.update[0], &service.token(&project.id, Role::Receipt("party-1"))] {
            service.get(&path, token).await.problem(403);
        }
        let answer = service.get(&path, &project.result).await;
        assert_eq!((answer.status.as_u16(), &answer.body), (200, &scores));
        assert_eq!(answer.headers["content-type"], "application/json");
    }
}

#[tokio::test]
async fn a_run_without_one_says_so() {
    let service = Service::new();
    let (project, run, path) = service.project_with_run("groups", "histogram").await;
    complete(&service, &run, None);
    let detail = service.get(&path, &project.result).await.problem(404);
    assert!(detail.contains("histogram"), "{detail}");
}
