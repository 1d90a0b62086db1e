//! A small web server for resource files.
#![expect(clippy::indexing_slicing, reason = "a list of answers is never empty")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Answers by path and query; the last one of a list is given again and again.
pub(crate) struct Web {
    pub(crate) address: String,
    answers: Answers,
    _work: JoinSet<()>,
}

type Answers = Arc<Mutex<BTreeMap<String, Vec<(u16, String)>>>>;

impl Web {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let answers = Answers::default();
        let mut work = JoinSet::new();
        let given = Arc::clone(&answers);
        work.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&given)));
            }
        });
        Self { address, answers, _work: work }
    }

    pub(crate) fn answer(&self, path: &str, status: u16, body: &str) {
        let mut answers = self.answers.lock().expect("not poisoned");
        answers.entry(path.to_owned()).or_default().push((status, body.to_owned()));
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }
}

async fn serve(stream: TcpStream, answers: Answers) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut request = String::new();
        if stream.read_line(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
        let mut header = String::new();
        while stream.read_line(&mut header).await.unwrap_or(0) > 2 {
            header.clear();
        }
        let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
        let (status, body) = {
            let mut answers = answers.lock().expect("not poisoned");
            match answers.get_mut(&path) {
                Some(list) if list.len() > 1 => list.remove(0),
                Some(list) => list[0].clone(),
                None => (404, String::new()),
            }
        };
        let head = if status == 302 {
            format!("HTTP/1.1 302 Found\r\nLocation: {body}\r\nContent-Length: 0\r\n\r\n")
        } else {
            format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        };
        if stream.write_all(head.as_bytes()).await.is_err() {
            return;
        }
    }
}
