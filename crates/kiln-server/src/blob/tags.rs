//! The tags of one blob.

use kiln_domain::blob::tags::Tags;
use kiln_store::Tx;
use kiln_wire::blob::xml::{self, Writer};

use super::answer::{self, Answer};
use super::call::Call;
use super::failure::Failure;
use super::guard::Guard;
use super::{read, receive};
use crate::http::{Body, Response};

/// Bytes of a document with tags.
const TAGS_BYTES_MAX: usize = 64 * 1024;

/// `GET /CONTAINER/BLOB?comp=tags`.
pub(super) fn get(call: &Call) -> Answer {
    let (_, blob) = read::load(call)?;
    let mut document = Writer::new();
    xml::write_tags(&mut document, &blob.tags);
    Ok(answer::xml(document.finish()))
}

/// `PUT /CONTAINER/BLOB?comp=tags`: replaces all; the entity tag stays.
pub(super) async fn set(call: &Call, body: &mut Body) -> Answer {
    let (spot, guard) = (call.spot(), Guard::of(call)?);
    let document = receive::document(body, TAGS_BYTES_MAX).await?;
    let tags = Tags::admit(xml::tags(&document)?)?;
    let op = move |tx: &mut Tx<'_>| -> Result<(), Failure> {
        let (key, mut blob) = read::find(tx, &spot)?;
        guard.admit_change(&blob)?;
        blob.tags = tags;
        Ok(tx.update_blob(key, &blob)?)
    };
    call.service.store.write(op).await?;
    Ok(Response::new(204))
}
