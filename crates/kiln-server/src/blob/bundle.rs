//! Blob Batch: deletions or changes of tier of many blobs in one request.

use std::net::SocketAddr;

use futures_util::future::join_all;
use http::Method;
use kiln_wire::blob::batch::{self, BATCH_BYTES_MAX, Part, PartAnswer};
use kiln_wire::blob::error::BlobError;
use kiln_wire::blob::operation::Operation;

use super::answer::{Answer, Head};
use super::call::Call;
use super::failure::Failure;
use super::{access, change, delete, receive};
use crate::clock;
use crate::http::{Asked, Body, Headers, Request, Response, ResponseBody};

/// `POST /?comp=batch` or `POST /CONTAINER?restype=container&comp=batch`. Each part says for
/// itself who asks; all are done side by side, so that they share commits.
pub(super) async fn run(call: &Call, body: &mut Body) -> Answer {
    let content_type = call.headers().get("Content-Type").unwrap_or_default().to_owned();
    let document = receive::document(body, BATCH_BYTES_MAX).await?;
    let parts = batch::read(&content_type, &document).map_err(BlobError::from)?;
    let calls: Vec<(Option<String>, Head, Result<Call, Failure>)> =
        parts.into_iter().map(|part| read_part(call, part)).collect();
    check_operations(call, &calls)?;
    let answers = calls.into_iter().map(|(content_id, head, part)| async move {
        let result = match part {
            Ok(part) => serve(part).await,
            Err(failure) => Err(failure),
        };
        part_answer(content_id, head.complete(result))
    });
    let answers = join_all(answers).await;
    let boundary = format!("batchresponse_{}", clock::new_id());
    Ok(Response::new(202)
        .with_header("Content-Type", format!("multipart/mixed; boundary={boundary}"))
        .with_body(batch::write(&boundary, &answers)))
}

/// One request of the batch, as if it had come alone to the same place.
fn read_part(call: &Call, part: Part) -> (Option<String>, Head, Result<Call, Failure>) {
    let (path, query) = part.target.split_once('?').unwrap_or((&part.target, ""));
    let mut headers = Headers::default();
    for (name, value) in &part.headers {
        headers.push(name, value);
    }
    let request = Request {
        method: Method::from_bytes(part.method.as_bytes()).unwrap_or(Method::TRACE),
        raw_path: path.to_owned(),
        raw_query: query.to_owned(),
        query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
        headers,
        host: call.host.clone(),
        is_tls: call.scheme == "https",
        peer: call.peer.map(|peer| SocketAddr::new(peer, 0)),
        body: Body::from_bytes(""),
        received_at: call.received_at,
        request_id: clock::new_id(),
        asked: Asked::default(),
    };
    let head = Head::of(&request, call.gates.version);
    let read = Call::read_in(&call.service, &request, Some(call.gates.version));
    (part.content_id, head, read)
}

/// All parts ask for the same, and for something that batches are for, in the same place.
fn check_operations(
    call: &Call,
    parts: &[(Option<String>, Head, Result<Call, Failure>)],
) -> Result<(), BlobError> {
    let mut first: Option<Operation> = None;
    for (number, (_, _, part)) in parts.iter().enumerate() {
        let Ok(part) = part else { continue };
        let wrong = |what: &str| {
            let message = "One of the request inputs is not valid.";
            let reason = format!("part {} of the batch {what}", number + 1);
            Err(BlobError::new(400, "InvalidInput", message).with_detail("Reason", reason))
        };
        if !matches!(part.operation, Operation::DeleteBlob | Operation::SetBlobTier) {
            return wrong("neither deletes a blob nor sets its tier");
        }
        if *first.get_or_insert(part.operation) != part.operation {
            return wrong("asks for something else than the parts before");
        }
        let is_inside = part.target.account == call.target.account
            && call
                .target
                .container
                .as_ref()
                .is_none_or(|own| part.target.container.as_ref() == Some(own));
        if !is_inside {
            return wrong("is about another account or container than the batch");
        }
    }
    Ok(())
}

async fn serve(mut call: Call) -> Answer {
    call.access = access::authorize(&call).await?;
    // Nothing else gets as far as here.
    if call.operation == Operation::DeleteBlob {
        delete::delete(&call).await
    } else {
        change::set_tier(&call).await
    }
}

fn part_answer(content_id: Option<String>, response: Response) -> PartAnswer {
    let body = match response.body {
        ResponseBody::Bytes(bytes) => bytes.to_vec(),
        ResponseBody::Empty
        | ResponseBody::HeadOnly { .. }
        | ResponseBody::Stream { .. }
        | ResponseBody::Pieces { .. }
        | ResponseBody::Upgrade(_) => Vec::new(),
    };
    let mut headers: Vec<(String, String)> =
        response.headers.into_iter().map(|(name, value)| (name.into_owned(), value)).collect();
    headers.push(("Content-Length".to_owned(), body.len().to_string()));
    PartAnswer { content_id, status: response.status, headers, body }
}
