//! A small web server for files that come and go.
#![expect(clippy::indexing_slicing, reason = "a list of answers is never empty")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Answers by path and query; the last one of a list is given again and again.
pub(crate) struct Web {
    pub(crate) address: String,
    state: Arc<Mutex<State>>,
    _work: JoinSet<()>,
}

#[derive(Default)]
struct State {
    answers: BTreeMap<String, Vec<Answer>>,
    requests: Vec<Request>,
    /// Beginnings of paths below which everything may be put.
    open: Vec<String>,
    /// What every request must be authorized by.
    authorization: Option<String>,
}

/// What is answered to a request for a path.
#[derive(Clone, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) headers: Vec<(&'static str, String)>,
}

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// By name in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Web {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let state = Arc::<Mutex<State>>::default();
        let mut work = JoinSet::new();
        let given = Arc::clone(&state);
        work.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&given)));
            }
        });
        Self { address, state, _work: work }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("not poisoned")
    }

    pub(crate) fn answer(&self, path: &str, status: u16, body: &str) {
        self.give(path, Answer { status, body: body.into(), ..Answer::default() });
    }

    pub(crate) fn give(&self, path: &str, answer: Answer) {
        self.state().answers.entry(path.to_owned()).or_default().push(answer);
    }

    /// Lets everything be put below a path.
    pub(crate) fn open(&self, path: &str) {
        self.state().open.push(path.to_owned());
    }

    /// Wants to know who asks, from here on.
    pub(crate) fn protect(&self, authorization: &str) {
        self.state().authorization = Some(authorization.to_owned());
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// The requests so far of a method, for paths that begin so.
    pub(crate) fn requests(&self, method: &str, path: &str) -> Vec<Request> {
        let state = self.state();
        let all = state.requests.iter();
        all.filter(|it| it.method == method && it.path.starts_with(path)).cloned().collect()
    }
}

async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream).await {
        let answer = {
            let mut state = state.lock().expect("not poisoned");
            let is_open = state.open.iter().any(|path| request.path.starts_with(path));
            let mut answer = match state.answers.get_mut(&request.path) {
                Some(list) if list.len() > 1 => list.remove(0),
                Some(list) => list[0].clone(),
                None if request.method == "PUT" && is_open => {
                    Answer { status: 201, ..Answer::default() }
                }
                None => Answer { status: 404, ..Answer::default() },
            };
            let given = request.headers.get("authorization");
            if state.authorization.is_some() && given != state.authorization.as_ref() {
                let headers = vec![("WWW-Authenticate", "Basic realm=\"here\"".to_owned())];
                answer = Answer { status: 401, headers, ..Answer::default() };
            }
            let etag = answer.headers.iter().find(|(name, _)| *name == "ETag");
            if etag.is_some_and(|(_, etag)| request.headers.get("if-none-match") == Some(etag)) {
                answer = Answer { status: 304, ..Answer::default() };
            }
            state.requests.push(request);
            answer
        };
        let Answer { status, body, headers } = answer;
        let headers: String =
            headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let answer = if status == 302 {
            let place = String::from_utf8_lossy(&body);
            format!("HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n").into()
        } else {
            let length = body.len();
            let head = format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\n\r\n");
            [head.into_bytes(), body].concat()
        };
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

/// The next request; `None` when the connection is closed.
async fn read(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut first = String::new();
    if stream.read_line(&mut first).await.unwrap_or(0) == 0 {
        return None;
    }
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let mut words = first.split(' ').map(str::to_owned);
    Some(Request { method: words.next()?, path: words.next()?, headers, body })
}
