//! What holds for every endpoint.

use reqwest::Method;
use serde_json::json;
use tests::Story;

use super::{Project, Service, assert_fields, completed};

const NO_TOKEN: &str = "000000000000000000000000000000000000000000000000";

pub(super) async fn hold_everywhere(service: &Service) -> Story {
    let project = service.create(json!({})).await?;
    service.fill(&project).await?;
    let run = service.create_run(&project, 0.9).await?;
    completed(service, &project, &run).await?;
    tokens_are_asked_for(service, &project, &run).await?;
    slashes_collapse(service, &project).await?;
    chunked_requests_are_taken(service).await?;
    the_service_tells_of_itself(service).await
}

/// A missing header is 400; whatever is wrong with the token or unknown is 403, so that nobody can probe for names.
async fn tokens_are_asked_for(service: &Service, project: &Project, run: &str) -> Story {
    let other = service.create(json!({})).await?;
    let endpoints = [
        (Method::GET, String::new()),
        (Method::DELETE, String::new()),
        (Method::GET, "/authorize-external-upload".into()),
        (Method::POST, "/clks".into()),
        (Method::POST, "/binaryclks".into()),
        (Method::GET, "/runs".into()),
        (Method::POST, "/runs".into()),
        (Method::GET, format!("/runs/{run}")),
        (Method::DELETE, format!("/runs/{run}")),
        (Method::GET, format!("/runs/{run}/status")),
        (Method::GET, format!("/runs/{run}/result")),
    ];
    for (method, rest) in endpoints {
        let request = |project: &str| service.request(method.clone(), &format!("projects/{project}{rest}"));
        let say = |status: u16| format!("{method} {rest} should be {status}");
        let missing = Service::send(request(&project.id)).await?;
        assert_eq!(missing.status, 400, "{}", say(400));
        missing.expect(400);
        let wrong = [
            NO_TOKEN,
            "",
            "short",
            &project.result_token[..47],
            &format!("Bearer {}", project.result_token),
            // tokens of another project, of both roles
            &other.result_token,
            &other.update_tokens[0],
        ];
        for token in wrong {
            let answer = Service::send(request(&project.id).header("Authorization", token)).await?;
            assert_eq!(answer.status, 403, "{} with {token:?}", say(403));
            answer.expect(403);
        }
        for unknown in [NO_TOKEN, "none", "a%2fb", "%00", "%ff"] {
            let answer =
                Service::send(request(unknown).header("Authorization", &project.result_token)).await?;
            assert_eq!(answer.status, 403, "{} of project {unknown}", say(403));
        }
    }
    // a token of the wrong role
    let [update, result] = [&project.update_tokens[0], &project.result_token];
    for (method, path, token) in [
        (Method::GET, project.path.clone(), update),
        (Method::DELETE, project.path.clone(), update),
        (Method::GET, format!("{}/runs/{run}/result", project.path), update),
        (Method::POST, format!("{}/clks", project.path), result),
        (Method::POST, format!("{}/binaryclks", project.path), result),
    ] {
        let request = service.request(method, &path).header("Authorization", token.as_str());
        Service::send(request).await?.expect(403);
    }
    for rest in ["", "/status", "/result"] {
        let path = format!("{}/runs/{NO_TOKEN}{rest}", project.path);
        service.get(&path, &project.result_token).await?.expect(403);
    }
    Ok(())
}

async fn slashes_collapse(service: &Service, project: &Project) -> Story {
    for path in ["/projects", "//status", "///version"] {
        let request = service.client.get(format!("{}//api/v1/{path}", service.address));
        Service::send(request).await?.expect(200);
    }
    service.get(&format!("//projects///{}//runs", project.id), &project.result_token).await?.expect(200);
    Ok(())
}

async fn chunked_requests_are_taken(service: &Service) -> Story {
    let project = service.create(json!({})).await?;
    let pieces = [r#"{"clks": ["AAAAAA"#, r#"AAAAA=", "AAAAAAA"#, r#"AAAA="]}"#].map(Ok::<_, std::io::Error>);
    let body = reqwest::Body::wrap_stream(futures::stream::iter(pieces));
    let path = format!("{}/clks", project.path);
    service.post_text(&path, &project.update_tokens[0], body).await?.expect(201);
    Ok(())
}

async fn the_service_tells_of_itself(service: &Service) -> Story {
    let status = Service::send(service.request(Method::GET, "status")).await?.expect(200);
    assert_eq!(status["status"], "ok");
    assert!(status["project_count"].is_u64() && status["rate"].as_u64() >= Some(1), "{status}");
    let version = Service::send(service.request(Method::GET, "version")).await?.expect(200);
    assert_fields(&version, &["anonlink", "entityservice", "python"]);
    assert!(
        version.as_object().is_some_and(|all| all.values().all(serde_json::Value::is_string)),
        "{version}"
    );
    Ok(())
}
