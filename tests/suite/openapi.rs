//! The document says what the server does.

use reqwest::Method;
use serde_json::{Value, json};
use tessera::http::{openapi, permissions};

use crate::support::{Engine, TestApp, both_engines};

both_engines!(every_operation_is_there, the_viewer_comes_from_us);

fn operations(document: &Value) -> Vec<(String, String)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone()))
        })
        .collect()
}

async fn every_operation_is_there(engine: Engine) {
    let app = TestApp::new(engine).await;
    let document: Value =
        app.http.get(format!("{}/openapi.json", app.base)).send().await.unwrap().json().await.unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let operations = operations(&document);
    assert!(operations.len() > 50);
    for (method, path) in &operations {
        let url = format!("{}{}", app.base, path.replace(['{', '}'], ""));
        let call = app.http.request(Method::from_bytes(method.as_bytes()).unwrap(), url);
        let answer = call.json(&json!({})).send().await.unwrap();
        let (status, body) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_client_error() && status != 405, "{method} {path}: {status} {body}");
        assert!(!body.contains("there is nothing at this address"), "{method} {path}");
    }
    // Whatever takes an admin key is documented.
    for endpoint in permissions::ENDPOINTS {
        let known = (endpoint.method.to_string(), endpoint.path.to_owned());
        assert!(operations.contains(&known), "{known:?} is not in the document");
    }
}

#[test]
fn operations_have_names_of_their_own() {
    let document = openapi::document();
    let items =
        document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
    let mut names: Vec<&str> = items.map(|operation| operation["operationId"].as_str().unwrap()).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}

async fn the_viewer_comes_from_us(engine: Engine) {
    let app = TestApp::new(engine).await;
    let page = app.http.get(format!("{}/docs/", app.base)).send().await.unwrap();
    assert_eq!(page.status(), 200);
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("script-src 'self';") && policy.contains("frame-ancestors 'none'"), "{policy}");
    let page = page.text().await.unwrap();
    assert!(page.contains("swagger-ui") && !page.contains("//cdn"), "{page}");
    let script = app.http.get(format!("{}/docs/swagger-initializer.js", app.base)).send().await.unwrap();
    assert!(script.text().await.unwrap().contains("/openapi.json"));
    let moved = app.http.get(format!("{}/docs", app.base)).send().await.unwrap();
    assert_eq!(moved.headers()["location"], "/docs/");
    let nothing = app.http.get(format!("{}/docs/nothing", app.base)).send().await.unwrap();
    assert_eq!(nothing.status(), 404);
}
