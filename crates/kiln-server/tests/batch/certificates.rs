//! Certificates, in the api-versions that have them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kiln_domain::batch::certificate::CertificateFormat;
use serde_json::{Value, json};

use crate::rig::{Ask, Rig, pool_body};

const OLD: &str = "2016-07-01.3.1";
const LATER: &str = "2019-08-01.10.0";
const LAST: &str = "2024-07-01.20.0";
const THUMBPRINT: &str = "04a6545d2a5f35e09c94383e6c38fdd06bba3a1e";
const CERTIFICATE: &[u8] = include_bytes!("../certificates/certificate.cer");
const PFX: &[u8] = include_bytes!("../certificates/new.pfx");

fn path_of(thumbprint: &str) -> String {
    format!("/certificates(thumbprintAlgorithm=sha1,thumbprint={thumbprint})")
}

fn cer() -> Value {
    json!({
        "thumbprint": THUMBPRINT.to_ascii_uppercase(),
        "thumbprintAlgorithm": "sha1",
        "data": STANDARD.encode(CERTIFICATE),
        "certificateFormat": "cer",
    })
}

fn pfx() -> Value {
    json!({
        "thumbprint": THUMBPRINT,
        "thumbprintAlgorithm": "sha1",
        "data": STANDARD.encode(PFX),
        "password": "hush",
    })
}

fn add(rig: &Rig, body: &Value) -> Ask {
    rig.post("/certificates", body).version(LATER)
}

fn cancel(rig: &Rig) -> Ask {
    rig.post(&format!("{}/canceldelete", path_of(THUMBPRINT)), &json!({})).version(LATER)
}

fn get(rig: &Rig) -> Ask {
    rig.get(&path_of(THUMBPRINT)).version(LATER)
}

fn delete(rig: &Rig) -> Ask {
    rig.delete(&path_of(THUMBPRINT)).version(LATER)
}

/// Asks for the certificate until `holds` is true of its state; gone is `gone`.
async fn until_state(rig: &Rig, state: &str) -> Value {
    let path = format!("{}?api-version={LATER}", path_of(THUMBPRINT));
    let holds = |reply: &crate::rig::Reply| match state {
        "gone" => reply.status == 404,
        state => reply.body["state"] == state,
    };
    rig.until(&path, holds).await.body
}

fn pool(id: &str, nodes: usize) -> Value {
    let mut body = pool_body(id, nodes);
    body["certificateReferences"] = json!([{
        "thumbprint": THUMBPRINT.to_ascii_uppercase(),
        "thumbprintAlgorithm": "sha1",
        "storeLocation": "localMachine",
        "storeName": "Root",
        "visibility": ["task", "startTask"],
    }]);
    body
}

#[tokio::test]
async fn certificates_answer_as_recorded() {
    let rig = Rig::start().await;
    let base = rig.url();
    let added = add(&rig, &cer()).send().await.expect(201);
    let location = format!("{base}/certificates(ThumbprintAlgorithm=sha1,Thumbprint={THUMBPRINT})");
    assert_eq!(added.header("location"), Some(location.as_str()));
    assert_eq!(added.header("dataserviceid"), Some(location.as_str()));
    assert_eq!((added.header("etag"), added.header("last-modified")), (None, None));
    let mut listed = rig.get("/certificates").version(OLD).send().await.expect(200).body;
    assert!(listed["value"][0]["stateTransitionTime"].take().is_string());
    let certificate = json!({
        "thumbprint": THUMBPRINT,
        "thumbprintAlgorithm": "sha1",
        "url": format!("{base}{}", path_of(THUMBPRINT)),
        "state": "active",
        "stateTransitionTime": null,
        "publicData": STANDARD.encode(CERTIFICATE),
    });
    let metadata = format!("{base}/$metadata#certificates");
    assert_eq!(listed, json!({ "odata.metadata": metadata, "value": [certificate] }));
    let mut got = get(&rig).send().await.expect(200).body;
    assert!(got["stateTransitionTime"].take().is_string());
    let mut expected = certificate;
    expected["odata.metadata"] = json!(format!("{metadata}/@Element"));
    assert_eq!(got, expected);
    add(&rig, &cer()).send().await.refuses(409, "CertificateExists");
    cancel(&rig).send().await.refuses(409, "CertificateStateActive");
    let deleted = delete(&rig).send().await.expect(202);
    assert_eq!(deleted.header("dataserviceid"), None);
    // As recorded, a moment after the deletion.
    let refused = cancel(&rig).send().await.refuses(409, "CertificateBeingDeleted");
    let message = refused.body["message"]["value"].as_str().expect("a message");
    assert!(message.starts_with(
        "The specified certificate has been marked for deletion and is being deleted.\n"
    ));
    delete(&rig).send().await.refuses(409, "CertificateBeingDeleted");
    add(&rig, &cer()).send().await.refuses(409, "CertificateBeingDeleted");
    until_state(&rig, "gone").await;
    get(&rig).send().await.refuses(404, "CertificateNotFound");
    add(&rig, &cer()).send().await.expect(201);
}

#[tokio::test]
async fn secrets_of_certificates_are_never_shown() {
    let rig = Rig::start().await;
    add(&rig, &pfx()).send().await.expect(201);
    for version in [OLD, LATER, LAST] {
        for path in ["/certificates".to_owned(), path_of(THUMBPRINT)] {
            let shown = rig.get(&path).version(version).send().await.expect(200);
            let text = shown.body.to_string();
            assert!(text.contains(&STANDARD.encode(CERTIFICATE)), "the public part is shown");
            assert!(!text.contains("hush") && !text.contains(&STANDARD.encode(PFX)), "{text}");
        }
    }
    // Nor when they are refused.
    let mut wrong = pfx();
    wrong["password"] = json!("this-opens-nothing");
    wrong["thumbprint"] = json!(THUMBPRINT.replace('0', "1"));
    let refused = add(&rig, &wrong).send().await.refuses(400, "InvalidPropertyValue");
    assert_eq!(refused.value("PropertyName"), "password");
    assert!(!refused.body.to_string().contains("opens-nothing"));
}

#[tokio::test]
async fn a_certificate_is_what_its_thumbprint_says() {
    let rig = Rig::start().await;
    for (name, value, property) in [
        ("thumbprint", json!(THUMBPRINT.replace('0', "1")), "thumbprint"),
        ("thumbprint", json!("ff"), "thumbprint"),
        ("thumbprintAlgorithm", json!("md5"), "thumbprintAlgorithm"),
        ("data", json!("not base64!"), "data"),
        ("data", json!(STANDARD.encode("no certificate")), "data"),
        ("data", json!(STANDARD.encode(vec![0x30; 11 * 1024])), "data"),
        ("password", json!("hush"), "password"),
        ("certificateFormat", json!("pem"), "certificateFormat"),
    ] {
        let mut body = cer();
        body[name] = value;
        let refused = add(&rig, &body).send().await.refuses(400, "InvalidPropertyValue");
        assert_eq!(refused.value("PropertyName"), property, "{name}");
    }
    let mut body = cer();
    body.as_object_mut().expect("members").remove("data");
    add(&rig, &body).send().await.refuses(400, "MissingRequiredProperty");
    // The newest version has no certificates at all.
    assert_eq!(rig.post("/certificates", &cer()).send().await.status, 400);
}

#[tokio::test]
async fn a_certificate_in_use_stays() {
    let mut rig = Rig::start().await;
    add(&rig, &pfx()).send().await.expect(201);
    rig.post("/pools", &pool("p", 1)).version(LATER).send().await.expect(201);
    let mut agents = rig.ready(1).await;
    delete(&rig).send().await.expect(202);
    let failed = until_state(&rig, "deletefailed").await;
    assert_eq!(failed["previousState"], "deleting");
    assert_eq!(
        failed["deleteCertificateError"],
        json!({
            "code": "PoolsReferencingCertificate",
            "message": "The specified certificate is being used by the below mentioned pool(s)",
            "values": [{ "name": "Pools", "value": "p" }],
        })
    );
    let filter = rig.get("/certificates").query("$filter", "state eq 'deleteFailed'");
    let found = filter.version(LATER).send().await.expect(200).body;
    assert_eq!(found["value"].as_array().map(Vec::len), Some(1));
    cancel(&rig).send().await.expect(204);
    assert_eq!(get(&rig).send().await.expect(200).body["state"], "active");
    // The pool lets go of it, but its node has it until it boots again.
    let body = json!({ "certificateReferences": [] });
    rig.patch("/pools/p", &body).version(LATER).send().await.expect(200);
    delete(&rig).send().await.expect(202);
    let failed = until_state(&rig, "deletefailed").await;
    let values = &failed["deleteCertificateError"]["values"];
    assert_eq!(*values, json!([{ "name": "Nodes", "value": agents[0].node_id() }]));
    rig.delete("/pools/p").send().await.expect(202);
    agents.remove(0).leave().await;
    rig.until("/pools/p", |reply| reply.status == 404).await;
    delete(&rig).send().await.expect(202);
    until_state(&rig, "gone").await;
}

#[tokio::test]
async fn a_deletion_goes_on_after_a_restart() {
    let mut rig = Rig::start().await;
    add(&rig, &cer()).send().await.expect(201);
    delete(&rig).send().await.expect(202);
    rig.stop_server().await;
    rig.start_server().await;
    until_state(&rig, "gone").await;
}

#[tokio::test]
async fn pools_bring_certificates_to_their_nodes() {
    let mut rig = Rig::start().await;
    let refused = rig.post("/pools", &pool("p", 1)).version(LATER).send().await;
    refused.refuses(409, "InvalidCertificateReferences");
    add(&rig, &pfx()).send().await.expect(201);
    rig.post("/pools", &pool("p", 1)).version(LATER).send().await.expect(201);
    let mut agent = rig.agent().await;
    let path = format!("/pools/p/nodes/{}?api-version={LATER}", agent.node_id());
    let prepare = agent.boot().await;
    let content = prepare.certificates[0].content.clone().expect("a certificate");
    assert_eq!(
        (content.format, content.password.as_deref()),
        (CertificateFormat::Pfx, Some("hush"))
    );
    assert_eq!(STANDARD.decode(&content.data).expect("base64"), PFX);
    assert!(!format!("{prepare:?}").contains("hush"), "secrets are not printed");
    let shown = rig.get("/pools/p").version(LATER).send().await.expect(200).body;
    let references = json!([{
        "thumbprint": THUMBPRINT,
        "thumbprintAlgorithm": "sha1",
        "storeLocation": "LocalMachine",
        "storeName": "Root",
        "visibility": ["task", "starttask"],
    }]);
    assert_eq!(shown["certificateReferences"], references);
    let node = rig.get(&path).send().await.expect(200).body;
    assert_eq!(node["certificateReferences"], references);
    // Who does not know of certificates sees none, and takes none away.
    let newest = rig.get("/pools/p").send().await.expect(200).body;
    assert_eq!(newest["certificateReferences"], Value::Null);
    let metadata = json!({ "metadata": [{ "name": "a", "value": "b" }] });
    rig.patch("/pools/p", &metadata).send().await.expect(200);
    let shown = rig.get("/pools/p").version(LATER).send().await.expect(200).body;
    assert_eq!(shown["certificateReferences"], references);
    drop(agent);
}
