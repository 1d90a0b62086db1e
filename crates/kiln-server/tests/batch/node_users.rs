//! What the server asks of agents for clients: users of nodes, uploads of logs.

use kiln_domain::span::Span;
use kiln_wire::node::{NodeAnswer, NodeRefusal, NodeRequest};
use serde_json::{Value, json};

use crate::rig::{Agent, Reply, Rig, now, pool_body};

async fn one_node(rig: &mut Rig) -> (Agent, String) {
    let agent = rig.pool("p", 1, json!({})).await.remove(0);
    let path = format!("/pools/p/nodes/{}", agent.node_id());
    (agent, path)
}

/// Asks the server for something, and answers what it asks the agent for.
async fn through(
    ask: crate::rig::Ask,
    agent: &mut Agent,
    answer: Result<NodeAnswer, NodeRefusal>,
) -> (Reply, NodeRequest) {
    let answered = async {
        let (number, request) = agent.requested().await;
        agent.answer(number, answer).await;
        request
    };
    tokio::join!(ask.send(), answered)
}

fn ann() -> Value {
    json!({ "name": "ann", "isAdmin": true, "password": "hush" })
}

#[tokio::test]
async fn a_user_is_added_by_the_agent_of_its_node() {
    let mut rig = Rig::start().await;
    let (mut agent, path) = one_node(&mut rig).await;
    let users = format!("{path}/users");
    let done = Ok(NodeAnswer::Done);
    let (added, request) = through(rig.post(&users, &ann()), &mut agent, done).await;
    let added = added.expect(201);
    for header in ["location", "dataserviceid"] {
        assert!(added.header(header).is_some_and(|it| it.ends_with("/users/ann")), "{header}");
    }
    assert_eq!(added.header("etag"), None);
    let NodeRequest::AddUser { user } = request else { unreachable!("{request:?}") };
    assert_eq!((user.name.as_str(), user.is_admin, &user.ssh_public_key), ("ann", true, &None));
    let hash = user.password_hash.expect("a hash");
    assert!(hash.starts_with("$6$rounds=") && !hash.contains("hush"), "{hash}");
    let day = user.expires_at.span_since(now());
    assert!(day > Span::minutes(23 * 60) && day <= Span::days(1), "{day}");
    let again = Err(NodeRefusal::UserExists);
    let (again, _) = through(rig.post(&users, &ann()), &mut agent, again).await;
    again.refuses(409, "NodeUserExists");
}

#[tokio::test]
async fn an_updated_user_has_what_the_request_says() {
    let mut rig = Rig::start().await;
    let (mut agent, path) = one_node(&mut rig).await;
    let body = json!({ "sshPublicKey": "ssh-rsa AAA", "expiryTime": "2100-01-01T00:00:00Z" });
    let user = format!("{path}/users/ann");
    let done = Ok(NodeAnswer::Done);
    let (updated, request) = through(rig.put(&user, &body), &mut agent, done).await;
    let updated = updated.expect(200);
    assert!(updated.header("dataserviceid").is_some_and(|it| it.ends_with("/users/ann")));
    let NodeRequest::ChangeUser { user: told } = request else { unreachable!("{request:?}") };
    assert_eq!((told.name.as_str(), &told.password_hash), ("ann", &None));
    assert_eq!(told.ssh_public_key.as_deref(), Some("ssh-rsa AAA"));
    assert_eq!(told.expires_at.to_iso(), "2100-01-01T00:00:00Z");
    let missing = Err(NodeRefusal::UserNotFound);
    let (missing, _) = through(rig.put(&user, &body), &mut agent, missing).await;
    missing.refuses(404, "NodeUserNotFound");
    let (deleted, request) = through(rig.delete(&user), &mut agent, Ok(NodeAnswer::Done)).await;
    assert_eq!(deleted.expect(200).header("dataserviceid"), None);
    assert_eq!(request, NodeRequest::RemoveUser { name: "ann".to_owned() });
    let missing = Err(NodeRefusal::UserNotFound);
    let (missing, _) = through(rig.delete(&user), &mut agent, missing).await;
    missing.refuses(404, "NodeUserNotFound");
}

#[tokio::test]
async fn users_need_a_node_that_can_make_them() {
    let mut rig = Rig::start().await;
    rig.post("/pools", &pool_body("p", 1)).send().await.expect(201);
    let life = rig.started().await;
    let nodes = rig.get("/pools/p/nodes").send().await.expect(200);
    let users = format!("/pools/p/nodes/{}/users", nodes.ids()[0]);
    rig.post(&users, &ann()).send().await.refuses(409, "NodeBeingCreated");
    let mut agent = Agent::link(life).await;
    agent.boot().await;
    let bad = rig.post(&users, &json!({ "name": "a b", "password": "x" })).send().await;
    assert_eq!(bad.refuses(400, "InvalidPropertyValue").value("PropertyName"), "name");
    let empty = rig.post(&users, &json!({ "name": "ann" })).send().await;
    empty.refuses(400, "MissingRequiredProperty");
    let reason = "no users".to_owned();
    let plain = Err(NodeRefusal::Unsupported { reason });
    let (plain, _) = through(rig.post(&users, &ann()), &mut agent, plain).await;
    plain.refuses(409, "OperationNotValidOnNode");
    let failed = Err(NodeRefusal::Failed { message: "no disk".to_owned() });
    let (failed, _) = through(rig.post(&users, &ann()), &mut agent, failed).await;
    failed.refuses(500, "InternalError");
    // A link that breaks answers at once.
    let broken = async {
        agent.requested().await;
        agent.unlink();
    };
    let (asked, ()) = tokio::join!(rig.post(&users, &ann()).send(), broken);
    asked.refuses(409, "NodeNotReady");
}

#[tokio::test]
async fn logs_go_where_the_answer_says() {
    let mut rig = Rig::start().await;
    let (mut agent, path) = one_node(&mut rig).await;
    let upload = format!("{path}/uploadbatchservicelogs");
    let body = json!({
        "containerUrl": "https://x.blob.core.windows.net/c?sig=hush",
        "startTime": "2030-01-02T03:04:05Z",
    });
    let uploading = Ok(NodeAnswer::Uploading { n_files: 4 });
    let (uploaded, request) = through(rig.post(&upload, &body), &mut agent, uploading).await;
    let uploaded = uploaded.expect(200);
    let id = uploaded.header("request-id").expect("an id");
    let expected = format!("/p/{}/{id}", agent.node_id());
    let directory = uploaded.body["virtualDirectoryName"].as_str().expect("a name");
    assert!(directory.starts_with("kilndev-") && directory.ends_with(&expected), "{directory}");
    let mark = directory.split(['-', '/']).nth(1).expect("a mark");
    assert!(mark.len() == 16 && mark.bytes().all(|it| it.is_ascii_hexdigit()), "{mark}");
    assert_eq!(uploaded.body["numberOfFilesUploaded"], 4);
    let metadata = uploaded.body["odata.metadata"].as_str().expect("metadata");
    let kind = "$metadata#Microsoft.Azure.Batch.Protocol.Entities.UploadBatchServiceLogsResult";
    assert!(metadata.ends_with(kind), "{metadata}");
    let NodeRequest::UploadLogs { container_url, directory: told, from, until } = request else {
        unreachable!("{request:?}")
    };
    assert_eq!(container_url.0, "https://x.blob.core.windows.net/c?sig=hush");
    assert_eq!((told.as_str(), until), (directory, None));
    assert_eq!(from.to_iso(), "2030-01-02T03:04:05Z");
    let partial = rig.post(&upload, &json!({ "containerUrl": "https://x" })).send().await;
    partial.refuses(400, "MissingRequiredProperty");
}
