//! Files of tasks and nodes, as their agents tell of them.

use kiln_domain::time::Timestamp;
use kiln_wire::node::{
    FileAnswer, FileInfo, FileRefusal, FileRequest, FromAgent, Outcome, ToAgent,
};
use serde_json::json;

use crate::rig::{Agent, Ask, Reply, Rig};

fn file(name: &str, length_bytes: u64) -> FileInfo {
    let modified_at = Timestamp::parse_rfc1123("Mon, 05 Aug 2019 19:41:20 GMT").expect("a date");
    FileInfo {
        name: name.to_owned(),
        is_directory: false,
        length_bytes,
        modified_at,
        mode: 0o100_770,
    }
}

/// Sends a request while the agent answers one question; gives both.
async fn ask(
    agent: &mut Agent,
    ask: Ask,
    answer: Result<FileAnswer, FileRefusal>,
    bytes: &[u8],
) -> (Reply, FileRequest) {
    let answering = async {
        let (stream, request) = agent
            .expect("a question about files", |message| {
                if let ToAgent::Files { stream, request } = message {
                    Some((*stream, request.clone()))
                } else {
                    None
                }
            })
            .await;
        agent.say(&[FromAgent::Files { stream, answer }]).await;
        if !bytes.is_empty() {
            agent.say_bytes(stream, bytes).await;
        }
        request
    };
    tokio::join!(ask.send(), answering)
}

#[tokio::test]
async fn files_of_a_task_are_those_of_its_node() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    let agent = &mut agents[0];
    rig.job("j", "p").await;
    rig.task("j", "t", json!({})).await;
    agent.run_to(Outcome::Exited { exit_code: 0 }).await;
    let url = format!("{}/jobs/j/tasks/t/files", rig.url());

    let mut directory = file("wd", 0);
    directory.is_directory = true;
    let files = vec![file("stdout.txt", 13), directory];
    let list = rig.get("/jobs/j/tasks/t/files").query("recursive", "true");
    let (list, asked) = ask(agent, list, Ok(FileAnswer::List { files }), &[]).await;
    assert!(
        matches!(&asked, FileRequest::List { path, recursive: true } if path == "workitems/j/job-1/t")
    );
    let list = list.expect(200).body;
    assert_eq!(list["odata.metadata"], format!("{}/$metadata#files", rig.url()));
    assert_eq!(list["value"][0]["url"], format!("{url}/stdout.txt"));
    assert_eq!(list["value"][0]["properties"]["contentLength"], "13");
    assert_eq!(list["value"][0]["properties"]["contentType"], "text/plain");
    assert_eq!(list["value"][0]["properties"]["lastModified"], "2019-08-05T19:41:20Z");
    assert_eq!(
        list["value"][1],
        json!({ "name": "wd", "url": format!("{url}/wd"), "isDirectory": true })
    );

    let info = file("wd/a b.txt", 5);
    let path = "/jobs/j/tasks/t/files/wd%2Fa%20b.txt";
    let stat = FileAnswer::Stat { info: info.clone() };
    let (head, asked) = ask(agent, rig.head(path), Ok(stat), &[]).await;
    assert!(
        matches!(&asked, FileRequest::Stat { path } if path == "workitems/j/job-1/t/wd/a b.txt")
    );
    let head = head.expect(200);
    assert_eq!(head.header("content-length"), Some("5"));
    assert_eq!(head.header("last-modified"), Some("Mon, 05 Aug 2019 19:41:20 GMT"));
    assert_eq!(head.header("ocp-batch-file-isdirectory"), Some("False"));
    let shown = head.header("ocp-batch-file-url").expect("a URL");
    assert!(shown.starts_with("http%3A%2F%2F") && shown.contains("%2Fwd%2F"), "{shown}");

    let read = FileAnswer::Bytes { info, length_bytes: 5 };
    let (get, _) = ask(agent, rig.get(path), Ok(read), b"hello").await;
    let get = get.expect(200);
    assert_eq!((&get.bytes[..], get.header("content-type")), (&b"hello"[..], Some("text/plain")));
    let part = rig.get(path).header("ocp-range", "bytes=1-2");
    let read = FileAnswer::Bytes { info: file("wd/a b.txt", 5), length_bytes: 2 };
    let (part, asked) = ask(agent, part, Ok(read), b"el").await;
    assert!(matches!(asked, FileRequest::Read { first: 1, last: Some(2), .. }), "{asked:?}");
    assert_eq!(&part.expect(200).bytes[..], b"el");

    let (removed, _) = ask(agent, rig.delete(path), Ok(FileAnswer::Removed), &[]).await;
    removed.expect(200);
    for (refusal, status, code) in [
        (FileRefusal::NotFound, 404, "FileNotFound"),
        (FileRefusal::Outside, 404, "FileNotFound"),
        (FileRefusal::OutOfRange { length_bytes: 5 }, 416, "InvalidRange"),
    ] {
        let (refused, _) = ask(agent, rig.get(path), Err(refusal), &[]).await;
        refused.refuses(status, code);
    }
}

#[tokio::test]
async fn files_of_a_node_need_its_agent() {
    let mut rig = Rig::start().await;
    let mut agents = rig.pool("p", 1, json!({})).await;
    let agent = &mut agents[0];
    let path = format!("/pools/p/nodes/{}/files", agent.node_id());
    let answer = Ok(FileAnswer::List { files: Vec::new() });
    let (list, asked) = ask(agent, rig.get(&path), answer, &[]).await;
    assert!(matches!(&asked, FileRequest::List { path, recursive: false } if path.is_empty()));
    assert_eq!(list.expect(200).body["value"], json!([]));
    // A link that breaks leaves no question unanswered.
    let broken = async {
        agent.expect("a question", |it| matches!(it, ToAgent::Files { .. }).then_some(())).await;
        agent.unlink();
    };
    let (reply, ()) = tokio::join!(rig.get(&path).send(), broken);
    assert_eq!(reply.status, 409, "{}", reply.body);
    let again = rig.get(&path).send().await;
    assert_eq!((again.status, &again.body["code"]), (409, &reply.body["code"]));
}
