//! Applications and their packages.

use kiln_domain::batch::task::FailureInfo;
use kiln_wire::node::{Outcome, Report};
use serde_json::{Value, json};

use crate::rig::{Rig, blob, pool_body};

const OLD: &str = "2016-07-01.3.1";

/// Makes an application with these packages, uploaded and activated.
async fn application(rig: &Rig, id: &str, versions: &[&str]) {
    let path = format!("/kiln/applications/{id}");
    rig.put(&path, &json!({})).send().await.expect(200);
    for version in versions {
        let path = format!("{path}/versions/{version}");
        let pending = rig.put(&path, &json!({})).send().await.expect(200).body;
        let url = pending["storageUrl"].as_str().expect("a URL");
        blob(url, Some(version.as_bytes())).await.expect(201);
        let active = rig.post(&format!("{path}/activate"), &json!({ "format": "zip" }));
        active.send().await.expect(200);
    }
}

#[tokio::test]
async fn a_package_is_uploaded_then_activated() {
    let rig = Rig::start().await;
    let path = "/kiln/applications/Blender_3/versions/2.9";
    rig.put(path, &json!({})).send().await.refuses(404, "ApplicationNotFound");
    let made = rig.put("/kiln/applications/Blender_3", &json!({ "displayName": "Blender" }));
    let made = made.send().await.expect(200).body;
    assert_eq!((&made["displayName"], &made["allowUpdates"]), (&json!("Blender"), &json!(true)));
    let pending = rig.put(path, &json!({})).send().await.expect(200).body;
    assert_eq!((&pending["state"], &pending["format"]), (&json!("pending"), &Value::Null));
    let url = pending["storageUrl"].as_str().expect("a URL");
    assert!(url.contains("/devstoreaccount1/app-blender-3-"), "{url}");
    assert!(url.contains("/2.9?") && url.contains("sp=rw"), "{url}");
    let activate = || rig.post(&format!("{path}/activate"), &json!({ "format": "zip" })).send();
    activate().await.refuses(409, "ApplicationPackageBlobNotFound");
    blob(url, Some(b"PK")).await.expect(201);
    let active = activate().await.expect(200).body;
    assert_eq!((&active["state"], &active["format"]), (&json!("active"), &json!("zip")));
    assert!(active["lastActivationTime"].is_string());
    let again = activate().await.expect(200).body;
    assert_eq!(again["lastActivationTime"], active["lastActivationTime"]);
    // What is active can be read by its new URL, but not written.
    let readable = rig.get(path).send().await.expect(200).body;
    let url = readable["storageUrl"].as_str().expect("a URL");
    assert_eq!(blob(url, None).await.expect(200).bytes.as_ref(), b"PK");
    assert_eq!(blob(url, Some(b"other")).await.status, 403);
}

#[tokio::test]
async fn clients_see_active_packages_only() {
    let rig = Rig::start().await;
    application(&rig, "my_application_id", &["1.0"]).await;
    let pending = rig.put("/kiln/applications/my_application_id/versions/2.0", &json!({}));
    pending.send().await.expect(200);
    application(&rig, "another", &[]).await;
    let base = rig.url();
    // As recorded.
    let one = json!({ "id": "my_application_id", "versions": ["1.0"] });
    for version in [OLD, "2019-08-01.10.0", "2025-06-01"] {
        let listed = rig.get("/applications").version(version).send().await.expect(200);
        assert_eq!(
            listed.body,
            json!({
                "odata.metadata": format!("{base}/$metadata#listapplicationsummariesresponses"),
                "value": [{ "id": "another", "versions": [] }, one],
            })
        );
        let got = rig.get("/applications/My_Application_Id").version(version).send().await;
        let mut expected = one.clone();
        let kind = "getapplicationsummaryresponse/@Element";
        expected["odata.metadata"] = json!(format!("{base}/$metadata#{kind}"));
        assert_eq!(got.expect(200).body, expected);
    }
    let page = rig.get("/applications").query("maxresults", "1").send().await.expect(200);
    assert_eq!(page.ids(), ["another"]);
    let next = page.body["odata.nextLink"].as_str().expect("a link").to_owned();
    assert_eq!(rig.get(&next).send().await.expect(200).ids(), ["my_application_id"]);
    rig.get("/applications/none").send().await.refuses(404, "ApplicationNotFound");
}

#[tokio::test]
async fn a_default_version_is_active_and_stays() {
    let rig = Rig::start().await;
    application(&rig, "app", &["1", "2"]).await;
    let path = "/kiln/applications/app";
    rig.put(&format!("{path}/versions/3"), &json!({})).send().await.expect(200);
    let default = |version: &str| rig.patch(path, &json!({ "defaultVersion": version })).send();
    for version in ["3", "4"] {
        default(version).await.refuses(409, "RequestedDefaultVersionNotActive");
    }
    assert_eq!(default("2").await.expect(200).body["defaultVersion"], "2");
    let version = |version: &str| rig.delete(&format!("{path}/versions/{version}")).send();
    version("2").await.refuses(409, "ApplicationPackageIsDefaultVersion");
    rig.delete(path).send().await.refuses(409, "ApplicationPackagesNotEmpty");
    default("1").await.expect(200);
    version("2").await.expect(200);
    version("2").await.refuses(404, "ApplicationPackageNotFound");
    let shown = rig.get("/kiln/applications").send().await.expect(200).body;
    assert_eq!(shown["value"][0]["packages"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_package_goes_with_its_file() {
    let rig = Rig::start().await;
    application(&rig, "app", &["1"]).await;
    let path = "/kiln/applications/app/versions/1";
    let url = rig.get(path).send().await.expect(200).body["storageUrl"].clone();
    let url = url.as_str().expect("a URL");
    blob(url, None).await.expect(200);
    rig.delete(path).send().await.expect(200);
    assert_eq!(blob(url, None).await.status, 404);
    rig.delete("/kiln/applications/app").send().await.expect(200);
    rig.delete("/kiln/applications/app").send().await.refuses(404, "ApplicationNotFound");
}

#[tokio::test]
async fn packages_that_may_not_be_updated_stay_as_they_are() {
    let rig = Rig::start().await;
    application(&rig, "app", &["1"]).await;
    let path = "/kiln/applications/app/versions/1";
    // Uploaded again, it is pending again.
    let again = rig.put(path, &json!({})).send().await.expect(200).body;
    assert_eq!(again["state"], "pending");
    let seen = rig.get("/applications/app").send().await.expect(200).body;
    assert_eq!(seen["versions"], json!([]));
    rig.post(&format!("{path}/activate"), &json!({})).send().await.expect(200);
    let off = rig.patch("/kiln/applications/app", &json!({ "allowUpdates": false }));
    off.send().await.expect(200);
    rig.put(path, &json!({})).send().await.refuses(409, "ApplicationUpdatesNotAllowed");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_by_name() {
    let rig = Rig::start().await;
    application(&rig, "app", &[]).await;
    let named = |path: &str| rig.put(path, &json!({})).send();
    let refused = named("/kiln/applications/a%20b").await.refuses(400, "InvalidPropertyValue");
    assert_eq!(refused.value("PropertyName"), "applicationId");
    let refused = named("/kiln/applications/app/versions/..").await;
    refused.refuses(400, "InvalidPropertyValue");
    let body = json!({ "defaultversion": "1" });
    let refused = rig.patch("/kiln/applications/app", &body).send().await;
    refused.refuses(400, "InvalidRequestBody");
    let unsigned = rig.get("/kiln/applications").signed_by("kilndev", "bm90IGEga2V5");
    assert_eq!(unsigned.send().await.status, 403);
}

/// References to packages, as bodies hold them.
fn references(references: &[(&str, Option<&str>)]) -> Value {
    let list = references.iter().map(|(id, version)| match version {
        Some(version) => json!({ "applicationId": id, "version": version }),
        None => json!({ "applicationId": id }),
    });
    json!({ "applicationPackageReferences": list.collect::<Vec<_>>() })
}

fn with(mut body: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().expect("members") {
        body[name] = value.clone();
    }
    body
}

#[tokio::test]
async fn references_must_lead_to_active_packages() {
    let rig = Rig::start().await;
    application(&rig, "app", &["1"]).await;
    rig.put("/kiln/applications/app/versions/2", &json!({})).send().await.expect(200);
    rig.job("j", "p").await;
    let pool = |id: &str, more: &Value| rig.post("/pools", &with(pool_body(id, 0), more)).send();
    let task = |id: &str, more: &Value| {
        let body = with(json!({ "id": id, "commandLine": "true" }), more);
        rig.post("/jobs/j/tasks", &body).send()
    };
    for wrong in [("none", None), ("none", Some("1")), ("app", Some("2")), ("app", Some("3"))] {
        let wrong = references(&[("app", Some("1")), wrong]);
        pool("p", &wrong).await.refuses(409, "InvalidApplicationPackageReferences");
        task("t", &wrong).await.refuses(409, "InvalidApplicationPackageReferences");
    }
    // A reference without a version needs a default version: at once in a pool, later in a task.
    let without = references(&[("app", None)]);
    pool("p", &without).await.refuses(409, "InvalidApplicationPackageReferences");
    task("recorded", &without).await.expect(201);
    let shown =
        rig.get("/jobs/j/tasks/recorded").version("2019-08-01.10.0").send().await.expect(200);
    assert_eq!(shown.body["applicationPackageReferences"], json!([{ "applicationId": "app" }]));
    let default = json!({ "defaultVersion": "1" });
    rig.patch("/kiln/applications/app", &default).send().await.expect(200);
    pool("p", &without).await.expect(201);
    let many: Vec<_> = (0..11).map(|_| ("app", Some("1"))).collect();
    let refused = pool("q", &references(&many)).await.refuses(400, "InvalidPropertyValue");
    assert_eq!(refused.value("PropertyName"), "applicationPackageReferences");
    // A change is looked at; what it leaves alone is not.
    let path = "/pools/p";
    let wrong = references(&[("none", None)]);
    rig.patch(path, &wrong).send().await.refuses(409, "InvalidApplicationPackageReferences");
    rig.patch(path, &references(&[("app", Some("1"))])).send().await.expect(200);
}

#[tokio::test]
async fn nodes_are_told_where_packages_are() {
    let mut rig = Rig::start().await;
    application(&rig, "app", &["1", "2"]).await;
    let default = json!({ "defaultVersion": "2" });
    rig.patch("/kiln/applications/app", &default).send().await.expect(200);
    let body = with(pool_body("p", 1), &references(&[("APP", None)]));
    rig.post("/pools", &body).send().await.expect(201);
    let mut agent = rig.agent().await;
    let prepare = agent.boot().await;
    let source = prepare.packages[0].source.clone().expect("a place");
    assert!(source.directory.starts_with("app+2+"), "{source:?}");
    assert_eq!(blob(&source.url, None).await.expect(200).bytes.as_ref(), b"2");
    assert!(!format!("{prepare:?}").contains("sig="), "signatures are not printed");
    rig.job("j", "p").await;
    rig.task("j", "t", references(&[("app", Some("1")), ("app", None)])).await;
    let run = agent.run().await;
    let places: Vec<_> =
        run.packages.iter().map(|it| it.source.clone().expect("a place")).collect();
    assert!(places[0].directory.starts_with("app+1+") && places[1].directory.starts_with("app+2+"));
    assert_eq!(blob(&places[0].url, None).await.expect(200).bytes.as_ref(), b"1");
    agent.end(&run.attempt, Outcome::Exited { exit_code: 0 }).await;
    // Gone meanwhile: the node hears that there is none, and says what that means.
    rig.delete("/kiln/applications/app/versions/1").send().await.expect(200);
    rig.task("j", "late", references(&[("app", None)])).await;
    let default = agent.run().await;
    assert!(default.packages[0].source.is_some());
    agent.end(&default.attempt, Outcome::Exited { exit_code: 0 }).await;
}

#[tokio::test]
async fn a_node_says_why_it_lacks_a_package() {
    let mut rig = Rig::start().await;
    rig.post("/pools", &pool_body("p", 1)).send().await.expect(201);
    let mut agent = rig.agent().await;
    let boot = agent.prepare().await.boot;
    let failure = FailureInfo::user_error("ApplicationPackageError", "no package");
    let FailureInfo { code, message, details, .. } = failure.with_detail("Message", "app 1: 404");
    agent.report(Report::BootFailed { boot, message, code: Some(code), details }).await;
    let path = format!("/pools/p/nodes/{}", agent.node_id());
    let node = rig.until_state(&path, "unusable").await;
    assert_eq!(
        node["errors"],
        json!([{
            "code": "ApplicationPackageError",
            "message": "no package",
            "errorDetails": [{ "name": "Message", "value": "app 1: 404" }],
        }])
    );
}
