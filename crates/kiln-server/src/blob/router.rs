//! From a request to the function of its operation, and from that to an answer.

use kiln_wire::blob::error::BlobError;
use kiln_wire::blob::operation::Operation;
use kiln_wire::blob::version::ServiceVersion;

use super::answer::{Answer, Head};
use super::call::Call;
use super::{
    BlobService, access, account, change, container, copy, delete, get, lease, list, put, snapshot,
    tags,
};
use crate::http::{Body, Request, Response};

/// Characters of a client's request id that are echoed.
const CLIENT_REQUEST_ID_LENGTH_MAX: usize = 1024;

/// Answers one request.
pub(super) async fn answer(service: &BlobService, mut request: Request) -> Response {
    let mut head = Head {
        request_id: request.request_id.to_string(),
        client_request_id: request
            .header("x-ms-client-request-id")
            .filter(|id| id.len() <= CLIENT_REQUEST_ID_LENGTH_MAX)
            .map(str::to_owned),
        version: ServiceVersion::NEWEST,
        received_at: request.received_at,
        is_head: request.method == http::Method::HEAD,
    };
    let mut body = std::mem::replace(&mut request.body, Body::from_bytes(""));
    let result = match Call::read(service, &request) {
        Ok(call) => {
            head.version = call.gates.version;
            serve(call, &mut body).await
        }
        Err(failure) => Err(failure),
    };
    head.complete(result)
}

async fn serve(mut call: Call, body: &mut Body) -> Answer {
    if let Operation::Unserved(name) = call.operation {
        return Err(BlobError::not_served(name).into());
    }
    call.access = access::authorize(&call)?;
    let call = &call;
    match call.operation {
        Operation::ListContainers => list::containers(call),
        Operation::GetServiceProperties => account::properties(call),
        Operation::GetAccountInformation => account::information(call),
        Operation::CreateContainer => container::create(call).await,
        Operation::GetContainerProperties => container::properties(call),
        Operation::SetContainerMetadata => container::set_metadata(call).await,
        Operation::GetContainerAcl => container::acl(call),
        Operation::SetContainerAcl => container::set_acl(call, body).await,
        Operation::DeleteContainer => container::delete(call).await,
        Operation::ListBlobs => list::blobs(call),
        Operation::PutBlob => put::blob(call, body).await,
        Operation::PutBlock => put::block(call, body).await,
        Operation::PutBlockList => put::block_list(call, body).await,
        Operation::GetBlockList => get::block_list(call),
        Operation::GetBlob => get::content(call).await,
        Operation::GetBlobProperties => get::properties(call),
        Operation::GetBlobMetadata => get::metadata(call),
        Operation::SetBlobMetadata => change::set_metadata(call).await,
        Operation::SetBlobProperties => change::set_properties(call).await,
        Operation::DeleteBlob => delete::delete(call).await,
        Operation::UndeleteBlob => delete::undelete(call).await,
        Operation::SnapshotBlob => snapshot::take(call).await,
        Operation::LeaseBlob => lease::of_blob(call).await,
        Operation::LeaseContainer => lease::of_container(call).await,
        Operation::SetBlobTier => change::set_tier(call).await,
        Operation::GetBlobTags => tags::get(call),
        Operation::SetBlobTags => tags::set(call, body).await,
        Operation::CopyBlob => copy::start(call).await,
        Operation::AbortCopyBlob => copy::abort(call).await,
        Operation::Unserved(name) => Err(BlobError::not_served(name).into()),
    }
}
