//! Operations that give a blob its content.

use kiln_domain::blob::block::{self, Staged};
use kiln_domain::blob::condition::Conditions;
use kiln_domain::blob::content::{Blob, Block, ContentProperties};
use kiln_domain::blob::metadata::Metadata;
use kiln_domain::blob::name::check_blob;
use kiln_domain::blob::rejection::BlobRejection;
use kiln_domain::time::Timestamp;
use kiln_store::{ContainerKey, ExtentUses, Tx, View};
use kiln_wire::blob::error::BlobError;
use kiln_wire::blob::headers::{DEFAULT_CONTENT_TYPE, check_block_id, md5_text};
use kiln_wire::blob::xml;
use md5::{Digest, Md5};

use super::answer::{Answer, with_encryption, with_face};
use super::call::{Call, Spot};
use super::failure::Failure;
use super::receive::{self, INLINE_BYTES_MAX};
use super::{BlobService, Stamps};
use crate::http::{Body, Response};
use kiln_extents::FileId;

/// Bytes of a block list: room for 50,000 of the longest ids.
const BLOCK_LIST_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Blocks of one blob that may stay in their rows; the others get files, so that a read of
/// many small blocks does not have to hold them all.
const INLINE_BLOCKS_MAX: usize = 64;

/// What it takes to replace the content of a blob, apart from the content.
#[derive(Clone, Debug)]
pub(super) struct Replacement {
    pub(super) spot: Spot,
    pub(super) conditions: Conditions,
    pub(super) allows_overwrite: bool,
    pub(super) properties: ContentProperties,
    pub(super) metadata: Metadata,
    pub(super) stamps: Stamps,
}

impl Replacement {
    pub(super) fn new(call: &Call, properties: ContentProperties) -> Result<Self, Failure> {
        let spot = call.spot();
        check_blob(&spot.blob)?;
        Ok(Self {
            spot,
            conditions: call.conditions()?,
            allows_overwrite: call.access.allows_overwrite(),
            properties,
            metadata: call.headers().metadata()?,
            stamps: call.service.stamps.clone(),
        })
    }

    /// Decides whether it may happen, and finds the container and the blob there is now.
    pub(super) fn decide(&self, view: &View<'_>) -> Result<(ContainerKey, Option<Blob>), Failure> {
        let container = self.spot.container(view)?;
        let present = view.blob(container.key, &self.spot.blob)?;
        if let Some(blob) = &present
            && !self.allows_overwrite
        {
            return Err(BlobRejection::OverwriteNotPermitted { name: blob.name.clone() }.into());
        }
        self.conditions.decide_put(&self.spot.blob, present.as_ref().map(Blob::face))?;
        Ok((container.key, present))
    }

    /// Puts `blocks` in place of what `present` was made of, and drops staged blocks. Answers
    /// with the time of it and the files that nothing uses any longer.
    pub(super) fn commit(
        self,
        tx: &mut Tx<'_>,
        key: ContainerKey,
        present: Option<Blob>,
        blocks: &[Block],
    ) -> Result<(Timestamp, Vec<u64>), Failure> {
        let mut uses = ExtentUses::default();
        for block in blocks {
            uses.add(block.extent);
        }
        for block in tx.blob_blocks(key, &self.spot.blob)? {
            uses.remove(block.extent);
        }
        for block in tx.take_staged_blocks(key, &self.spot.blob)? {
            uses.remove(block.extent);
        }
        let modified_at = self.stamps.next();
        let blob = Blob {
            name: self.spot.blob,
            created_at: present.map_or(modified_at, |blob| blob.created_at),
            modified_at,
            size_bytes: blocks.iter().map(|block| block.size_bytes).sum(),
            properties: self.properties,
            metadata: self.metadata,
        };
        tx.put_blob(key, &blob, blocks)?;
        Ok((modified_at, tx.apply_extent_uses(uses)?))
    }
}

/// `PUT /CONTAINER/BLOB`: the whole content at once.
pub(super) async fn blob(call: &Call, body: &mut Body) -> Answer {
    match call.headers().get("x-ms-blob-type") {
        Some("BlockBlob") => {}
        Some("PageBlob") => return Err(BlobError::not_served("Put Blob (PageBlob)").into()),
        Some("AppendBlob") => return Err(BlobError::not_served("Put Blob (AppendBlob)").into()),
        Some(other) => return Err(BlobError::invalid_header("x-ms-blob-type", other).into()),
        None => return Err(BlobError::missing_header("x-ms-blob-type").into()),
    }
    let kept_md5 = call.headers().md5("x-ms-blob-content-md5")?;
    let sent_md5 = call.headers().md5("Content-MD5")?.or(kept_md5);
    let mut replacement = Replacement::new(call, call.headers().properties_of_put())?;
    call.service.store.read(|view| replacement.decide(view))?;
    let limit_bytes = call.gates.put_blob_bytes_max;
    let received = receive::content(call, body, limit_bytes, INLINE_BYTES_MAX).await?;
    received.check_md5(sent_md5)?;
    let md5 = md5_text(received.md5);
    replacement.properties.md5 = Some(md5.clone());
    let size_bytes = received.size_bytes;
    let op = move |tx: &mut Tx<'_>| -> Result<(Timestamp, Vec<u64>), Failure> {
        let (key, present) = replacement.decide(tx)?;
        let extent = received.keep(tx)?;
        let block = Block { id: String::new(), extent, size_bytes };
        replacement.commit(tx, key, present, &[block])
    };
    let (modified_at, freed) = call.service.store.write(op).await?;
    call.service.remove_files(freed).await;
    let response = with_face(Response::new(201), modified_at, &call.gates);
    Ok(with_encryption(response.with_header("Content-MD5", md5), &call.gates))
}

/// `PUT /CONTAINER/BLOB?comp=block&blockid=ID`: one block, to be listed later.
pub(super) async fn block(call: &Call, body: &mut Body) -> Answer {
    let Some(id) = call.parameter("blockid").map(str::to_owned) else {
        return Err(BlobError::missing_parameter("blockid").into());
    };
    check_block_id(&id)?;
    let spot = call.spot();
    check_blob(&spot.blob)?;
    let sent_md5 = call.headers().md5("Content-MD5")?;
    let staged = call.service.store.read(|view| admit(view, &spot, &id))?;
    let is_inline = staged.is_none_or(|staged| staged.n_blocks < INLINE_BLOCKS_MAX);
    let inline_bytes_max = if is_inline { INLINE_BYTES_MAX } else { 0 };
    let limit_bytes = call.gates.put_block_bytes_max;
    let received = receive::content(call, body, limit_bytes, inline_bytes_max).await?;
    if received.size_bytes == 0 {
        let sent = call.headers().get("Content-Length").unwrap_or("0");
        return Err(BlobError::invalid_header("Content-Length", sent).into());
    }
    received.check_md5(sent_md5)?;
    let md5 = md5_text(received.md5);
    let (size_bytes, stamps) = (received.size_bytes, call.service.stamps.clone());
    let op = move |tx: &mut Tx<'_>| -> Result<Vec<u64>, Failure> {
        admit(tx, &spot, &id)?;
        let container = spot.container(tx)?;
        let extent = received.keep(tx)?;
        let mut uses = ExtentUses::default();
        uses.add(extent);
        let block = Block { id, extent, size_bytes };
        if let Some(replaced) =
            tx.put_staged_block(container.key, &spot.blob, &block, stamps.next())?
        {
            uses.remove(replaced);
        }
        Ok(tx.apply_extent_uses(uses)?)
    };
    let freed = call.service.store.write(op).await?;
    call.service.remove_files(freed).await;
    let response = Response::new(201).with_header("Content-MD5", md5);
    Ok(with_encryption(response, &call.gates))
}

fn admit(view: &View<'_>, spot: &Spot, id: &str) -> Result<Option<Staged>, Failure> {
    let container = spot.container(view)?;
    let staged = view.staged(container.key, &spot.blob)?;
    block::admit(id, staged)?;
    Ok(staged)
}

/// `PUT /CONTAINER/BLOB?comp=blocklist`: makes the blob of the listed blocks.
pub(super) async fn block_list(call: &Call, body: &mut Body) -> Answer {
    let sent_md5 = call.headers().md5("Content-MD5")?;
    call.headers().md5("x-ms-blob-content-md5")?;
    let mut properties = call.headers().properties();
    properties.content_type.get_or_insert_with(|| DEFAULT_CONTENT_TYPE.to_owned());
    let replacement = Replacement::new(call, properties)?;
    let document = receive::document(body, BLOCK_LIST_BYTES_MAX).await?;
    let md5: [u8; 16] = Md5::digest(&document).into();
    if let Some(sent) = sent_md5
        && sent != md5
    {
        return Err(BlobError::md5_mismatch(&md5_text(sent), &md5_text(md5)).into());
    }
    let list = xml::block_list(&document)?;
    for (_, id) in &list {
        check_block_id(id)?;
    }
    let op = move |tx: &mut Tx<'_>| -> Result<(Timestamp, Vec<u64>), Failure> {
        let (key, present) = replacement.decide(tx)?;
        let committed = tx.blob_blocks(key, &replacement.spot.blob)?;
        let staged = tx.staged_blocks(key, &replacement.spot.blob)?;
        let blocks = block::commit(&list, &committed, &staged)?;
        replacement.commit(tx, key, present, &blocks)
    };
    let (modified_at, freed) = call.service.store.write(op).await?;
    call.service.remove_files(freed).await;
    let response = with_face(Response::new(201), modified_at, &call.gates);
    Ok(with_encryption(response.with_header("Content-MD5", md5_text(md5)), &call.gates))
}

impl BlobService {
    /// Removes files that a commit freed.
    pub(crate) async fn remove_files(&self, files: Vec<u64>) {
        self.extents.remove(files.into_iter().map(FileId).collect()).await;
    }
}
