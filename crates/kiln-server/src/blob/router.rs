//! From a request to the function of its operation, and from that to an answer.

use std::time::Duration;

use kiln_wire::blob::error::BlobError;
use kiln_wire::blob::operation::Operation;
use kiln_wire::blob::version::ServiceVersion;

use super::answer::{Answer, Head};
use super::call::Call;
use super::cors::Page;
use super::{
    BlobService, access, account, append, bundle, change, container, copy, cors, delete, find, get,
    immutability, lease, list, page, put, query, snapshot, tags,
};
use crate::http::{Body, Request, Response};

/// Answers one request.
pub(super) async fn answer(service: &BlobService, mut request: Request) -> Response {
    let mut head = Head::of(&request, ServiceVersion::NEWEST);
    let mut body = std::mem::replace(&mut request.body, Body::from_bytes(""));
    let call = match Call::read(service, &request) {
        Ok(call) => call,
        Err(failure) => return head.complete(Err(failure)),
    };
    head.version = call.gates.version;
    let page = Page {
        account: call.target.account.clone(),
        origin: request.header("origin").map(str::to_owned),
        method: call.method.clone(),
    };
    let result = match timeout(&call) {
        Ok(None) => serve(call, &mut body).await,
        Ok(Some(limit)) => match tokio::time::timeout(limit, serve(call, &mut body)).await {
            Ok(result) => result,
            Err(_elapsed) => {
                let message = "Operation could not be completed within the specified time.";
                Err(BlobError::new(500, "OperationTimedOut", message).into())
            }
        },
        Err(error) => Err(error.into()),
    };
    page.dress(service, head.complete(result))
}

/// How long the client wants to wait, if it says so. The end of the answer may come later.
fn timeout(call: &Call) -> Result<Option<Duration>, BlobError> {
    let Some(text) = call.parameter("timeout") else { return Ok(None) };
    match text.parse::<u64>() {
        Ok(0) => Ok(None),
        Ok(seconds) => Ok(Some(Duration::from_secs(seconds))),
        Err(_not_a_number) => {
            Err(BlobError::invalid_parameter("timeout", text, "a number of seconds is expected"))
        }
    }
}

async fn serve(mut call: Call, body: &mut Body) -> Answer {
    if let Operation::Unserved(name) = call.operation {
        return Err(BlobError::not_served(name).into());
    }
    if call.operation == Operation::Preflight {
        return cors::check(&call);
    }
    call.access = access::authorize(&call).await?;
    let call = &call;
    match call.operation {
        Operation::ListContainers => list::containers(call),
        Operation::GetServiceProperties => account::properties(call),
        Operation::SetServiceProperties => account::set_properties(call, body).await,
        Operation::GetServiceStats => account::statistics(call),
        Operation::GetUserDelegationKey => account::delegation_key(call, body).await,
        Operation::Batch => bundle::run(call, body).await,
        Operation::Preflight => cors::check(call),
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
        Operation::QueryBlobContents => query::contents(call, body).await,
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
        Operation::RestoreContainer => container::restore(call).await,
        Operation::FindBlobsByTags | Operation::FindBlobsByTagsInContainer => find::by_tags(call),
        Operation::AppendBlock => append::block(call, body).await,
        Operation::SealAppendBlob => append::seal(call).await,
        Operation::PutPage => page::write(call, body).await,
        Operation::GetPageRanges => page::ranges(call),
        Operation::CopyBlobFromUrl => copy::awaited(call).await,
        Operation::IncrementalCopyBlob => copy::incremental(call).await,
        Operation::PutBlobFromUrl => copy::blob(call).await,
        Operation::PutBlockFromUrl => copy::block(call).await,
        Operation::AppendBlockFromUrl => copy::append(call).await,
        Operation::PutPageFromUrl => copy::pages(call).await,
        Operation::AbortCopyBlob => copy::abort(call).await,
        Operation::SetImmutabilityPolicy => immutability::set_policy(call).await,
        Operation::DeleteImmutabilityPolicy => immutability::delete_policy(call).await,
        Operation::SetLegalHold => immutability::set_legal_hold(call).await,
        Operation::SetExpiry => Err(BlobError::for_hierarchies("Set Blob Expiry").into()),
        Operation::Unserved(name) => Err(BlobError::not_served(name).into()),
    }
}
