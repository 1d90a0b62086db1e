//! Operations that give a blob its content.

use std::sync::PoisonError;

use kiln_domain::blob::block::{self, Staged};
use kiln_domain::blob::content::{
    Blob, BlobDetails, Block, ContentProperties, CopyRecord, PieceListId,
};
use kiln_domain::blob::history::Cause;
use kiln_domain::blob::immutability::Protection;
use kiln_domain::blob::kind::BlobKind;
use kiln_domain::blob::metadata::Metadata;
use kiln_domain::blob::name::check_blob;
use kiln_domain::blob::rejection::BlobRejection;
use kiln_domain::blob::tags::Tags;
use kiln_domain::blob::tier::{Tier, TierState};
use kiln_domain::time::Timestamp;
use kiln_store::{ContainerKey, ExtentUses, Tx, View};
use kiln_wire::blob::checksum::{CRC64_HEADER, Crc64, Told, crc64_text};
use kiln_wire::blob::error::BlobError;
use kiln_wire::blob::gates::Gates;
use kiln_wire::blob::headers::{DEFAULT_CONTENT_TYPE, check_block_id, md5_text};
use kiln_wire::blob::{structured, xml};

use super::answer::{Answer, with_encryption, with_face};
use super::call::{Call, Spot};
use super::failure::Failure;
use super::guard::Guard;
use super::receive::{self, INLINE_BYTES_MAX, Received};
use super::{BlobService, REMOVALS_MAX, Stamps, append, history, page};
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
    pub(super) guard: Guard,
    pub(super) allows_overwrite: bool,
    pub(super) properties: ContentProperties,
    pub(super) metadata: Metadata,
    pub(super) tags: Tags,
    pub(super) tier: Option<Tier>,
    pub(super) protection: Protection,
    pub(super) copy: Option<CopyRecord>,
    pub(super) stamps: Stamps,
}

/// The content that a blob is to have.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pub(super) kind: BlobKind,
    pub(super) size_bytes: u64,
    /// Of a block blob.
    pub(super) blocks: Vec<Block>,
    /// Of another blob; their extents are counted as used already.
    pub(super) pieces: Option<PieceListId>,
    pub(super) sequence_number: u64,
    pub(super) n_appended: u32,
    pub(super) is_sealed: bool,
    pub(super) incremental: Option<Timestamp>,
}

impl Content {
    pub(super) fn of_blocks(blocks: Vec<Block>) -> Self {
        let size_bytes = blocks.iter().map(|block| block.size_bytes).sum();
        Self { size_bytes, blocks, ..Self::default() }
    }
}

/// What a write came to.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) modified_at: Timestamp,
    pub(super) version_at: Option<Timestamp>,
    /// Of a page blob.
    pub(super) sequence_number: Option<u64>,
    /// Files that nothing uses any longer.
    pub(super) freed: Vec<u64>,
}

impl Written {
    pub(super) fn of(blob: &Blob) -> Self {
        let number = blob.details.sequence_number;
        Self {
            modified_at: blob.modified_at,
            version_at: blob.details.version_at,
            sequence_number: Some(number).filter(|_| blob.kind == BlobKind::Page),
            freed: Vec::new(),
        }
    }
}

/// The entity tag, time and version of what was written.
pub(super) fn with_written(response: Response, written: &Written, gates: &Gates) -> Response {
    let response = with_face(response, written.modified_at, gates);
    match written.version_at {
        Some(at) => response.with_header("x-ms-version-id", at.to_iso_seven()),
        None => response,
    }
}

impl Replacement {
    pub(super) fn new(call: &Call, properties: ContentProperties) -> Result<Self, Failure> {
        let spot = call.spot();
        check_blob(&spot.blob)?;
        Ok(Self {
            spot,
            guard: Guard::of(call)?,
            allows_overwrite: call.access.allows_overwrite(),
            properties,
            metadata: call.headers().metadata()?,
            tags: call.headers().tags()?,
            tier: call.headers().tier()?,
            protection: call.headers().protection(call.received_at)?,
            copy: None,
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
        self.guard.admit_put(&self.spot.blob, present.as_ref())?;
        if let Some(blob) = &present {
            blob.expect_online()?;
        }
        Ok((container.key, present))
    }

    /// Puts `content` in place of that of `present`, and drops staged blocks.
    pub(super) fn commit(
        self,
        tx: &mut Tx<'_>,
        key: ContainerKey,
        present: Option<Blob>,
        content: Content,
    ) -> Result<Written, Failure> {
        let now = self.stamps.next();
        if let Some(tier) = self.tier {
            tier.check(content.kind)?;
        }
        let mut uses = ExtentUses::default();
        for block in &content.blocks {
            uses.add(block.extent);
        }
        for block in tx.take_staged_blocks(key, &self.spot.blob)? {
            uses.remove(block.extent);
        }
        let settings = tx.storage_settings(&self.spot.account)?;
        let (mut created_at, mut lease) = (now, None);
        match present {
            Some(blob) => {
                created_at = blob.created_at;
                lease = self.guard.lease_left(blob.lease.clone());
                history::retire(tx, key, blob, &settings, (Cause::Overwritten, now), &mut uses)?;
            }
            None => history::bury(tx, key, &self.spot.blob)?,
        }
        let blob = Blob {
            created_at,
            size_bytes: content.size_bytes,
            properties: self.properties,
            metadata: self.metadata,
            tags: self.tags,
            lease,
            details: BlobDetails {
                tier: self.tier.map(|tier| TierState { tier, changed_at: now }),
                copy: self.copy,
                sequence_number: content.sequence_number,
                n_appended: content.n_appended,
                is_sealed: content.is_sealed,
                version_at: settings.keeps_versions.then_some(now),
                incremental: content.incremental,
                encryption: self.guard.encryption,
                protection: self.protection,
            },
            pieces: content.pieces,
            ..Blob::new(self.spot.blob, content.kind, now)
        };
        tx.put_blob(key, &blob, &content.blocks)?;
        Ok(Written { freed: tx.apply_extent_uses(uses)?, ..Written::of(&blob) })
    }
}

/// `PUT /CONTAINER/BLOB`: the whole content at once.
pub(super) async fn blob(call: &Call, body: &mut Body) -> Answer {
    match call.headers().get("x-ms-blob-type") {
        Some("BlockBlob") => {}
        Some("PageBlob") => return page::create(call).await,
        Some("AppendBlob") => return append::create(call).await,
        Some(other) => return Err(BlobError::invalid_header("x-ms-blob-type", other).into()),
        None => return Err(BlobError::missing_header("x-ms-blob-type").into()),
    }
    let kept_md5 = call.headers().md5("x-ms-blob-content-md5")?;
    let told = Told::read(call.headers())?;
    let mut replacement = Replacement::new(call, call.headers().properties_of_put())?;
    // What is in memory soon is decided by its commit alone; the rest is not sent in vain.
    if receive::announced(call).is_none_or(|length| length > INLINE_BYTES_MAX) {
        call.service.store.read(|view| replacement.decide(view))?;
    }
    let limit_bytes = call.gates.put_blob_bytes_max;
    let received = receive::content(call, body, limit_bytes, INLINE_BYTES_MAX).await?;
    received.check(&told)?;
    receive::check_md5(kept_md5, received.md5)?;
    let md5 = md5_text(received.md5);
    replacement.properties.md5 = Some(md5.clone());
    let (size_bytes, crc64) = (received.size_bytes, received.crc64);
    let op = move |tx: &mut Tx<'_>| -> Result<Written, Failure> {
        let (key, present) = replacement.decide(tx)?;
        let extent = received.keep(tx)?;
        let block = Block { id: String::new(), extent, offset: 0, size_bytes };
        replacement.commit(tx, key, present, Content::of_blocks(vec![block]))
    };
    let written = call.service.commit(op).await?;
    let mut response =
        with_written(Response::new(201), &written, &call.gates).with_header("Content-MD5", md5);
    if call.gates.has_crc64() {
        response = response.with_header(CRC64_HEADER, crc64_text(crc64));
    }
    Ok(with_encryption(with_structure(call, response), &call.gates))
}

/// That a body came in a frame, as it was said.
pub(super) fn with_structure(call: &Call, response: Response) -> Response {
    match call.headers().get(structured::HEADER) {
        Some(form) => response.with_header(structured::HEADER, form),
        None => response,
    }
}

/// `PUT /CONTAINER/BLOB?comp=block&blockid=ID`: one block, to be listed later.
pub(super) async fn block(call: &Call, body: &mut Body) -> Answer {
    let Some(id) = call.parameter("blockid").map(str::to_owned) else {
        return Err(BlobError::missing_parameter("blockid").into());
    };
    check_block_id(&id)?;
    let spot = call.spot();
    check_blob(&spot.blob)?;
    let told = Told::read(call.headers())?;
    let guard = Guard::of(call)?;
    let staged = call.service.store.read(|view| admit(view, &spot, &guard, &id))?;
    let is_inline = staged.as_ref().is_none_or(|staged| staged.n_blocks < INLINE_BLOCKS_MAX);
    let inline_bytes_max = if is_inline { INLINE_BYTES_MAX } else { 0 };
    let limit_bytes = call.gates.put_block_bytes_max;
    let received = receive::content(call, body, limit_bytes, inline_bytes_max).await?;
    if received.size_bytes == 0 {
        let sent = call.headers().get("Content-Length").unwrap_or("0");
        return Err(BlobError::invalid_header("Content-Length", sent).into());
    }
    received.check(&told)?;
    let response = received.confirm(Response::new(201), &told, &call.gates);
    let freed = stage(call, spot, guard, id, received).await?;
    call.service.remove_files(freed).await;
    Ok(with_encryption(with_structure(call, response), &call.gates))
}

/// Stages a block that was taken in; answers with files set free.
pub(super) async fn stage(
    call: &Call,
    spot: Spot,
    guard: Guard,
    id: String,
    received: Received,
) -> Result<Vec<u64>, Failure> {
    let (size_bytes, stamps) = (received.size_bytes, call.service.stamps.clone());
    let op = move |tx: &mut Tx<'_>| -> Result<Vec<u64>, Failure> {
        admit(tx, &spot, &guard, &id)?;
        let container = spot.container(tx)?;
        let extent = received.keep(tx)?;
        let mut uses = ExtentUses::default();
        uses.add(extent);
        let block = Block { id, extent, offset: 0, size_bytes };
        let (encryption, now) = (guard.encryption.as_ref(), stamps.next());
        if let Some(replaced) =
            tx.put_staged_block(container.key, &spot.blob, &block, (encryption, now))?
        {
            uses.remove(replaced);
        }
        Ok(tx.apply_extent_uses(uses)?)
    };
    call.service.store.write(op).await
}

/// Decides whether the block `id` may be staged; a lease counts, conditions wait for the list.
pub(super) fn admit(
    view: &View<'_>,
    spot: &Spot,
    guard: &Guard,
    id: &str,
) -> Result<Option<Staged>, Failure> {
    let container = spot.container(view)?;
    if let Some(blob) = view.blob(container.key, &spot.blob)? {
        guard.admit_lease(blob.lease.as_ref())?;
        blob.kind.expect(BlobKind::Block)?;
        blob.expect_online()?;
    }
    let staged = view.staged(container.key, &spot.blob)?;
    block::admit(id, guard.encryption.as_ref(), staged.as_ref())?;
    Ok(staged)
}

/// `PUT /CONTAINER/BLOB?comp=blocklist`: makes the blob of the listed blocks.
pub(super) async fn block_list(call: &Call, body: &mut Body) -> Answer {
    let told = Told::read(call.headers())?;
    call.headers().md5("x-ms-blob-content-md5")?;
    let mut properties = call.headers().properties();
    properties.content_type.get_or_insert_with(|| DEFAULT_CONTENT_TYPE.to_owned());
    let replacement = Replacement::new(call, properties)?;
    let document = receive::document(body, BLOCK_LIST_BYTES_MAX).await?;
    let md5: [u8; 16] = fast_md5::digest(&document);
    let crc64 = Crc64::of(&document);
    receive::check_md5(told.md5, md5)?;
    told.check_crc64(crc64)?;
    let list = xml::block_list(&document)?;
    for (_, id) in &list {
        check_block_id(id)?;
    }
    let op = move |tx: &mut Tx<'_>| -> Result<Written, Failure> {
        let (key, present) = replacement.decide(tx)?;
        if let Some(blob) = &present {
            blob.kind.expect(BlobKind::Block)?;
        }
        let committed = tx.blob_blocks(key, &replacement.spot.blob, None)?;
        let staged = tx.staged_blocks(key, &replacement.spot.blob)?;
        let blocks = block::commit(&list, &committed, &staged)?;
        let upload = tx.staged(key, &replacement.spot.blob)?;
        let written_with = (
            present.as_ref().and_then(|blob| blob.details.encryption.as_ref()),
            upload.as_ref().and_then(|upload| upload.encryption.as_ref()),
        );
        let given = replacement.guard.encryption.as_ref();
        block::admit_list(&list, given, written_with, &staged)?;
        replacement.commit(tx, key, present, Content::of_blocks(blocks))
    };
    let written = call.service.commit(op).await?;
    let response = with_written(Response::new(201), &written, &call.gates);
    let response = receive::confirm(response, &told, (md5, crc64), &call.gates);
    Ok(with_encryption(response, &call.gates))
}

impl BlobService {
    /// Commits a write and removes the files that it freed.
    pub(super) async fn commit(
        &self,
        op: impl FnOnce(&mut Tx<'_>) -> Result<Written, Failure> + Send + 'static,
    ) -> Result<Written, Failure> {
        let mut written = self.store.write(op).await?;
        self.remove_files(std::mem::take(&mut written.freed)).await;
        Ok(written)
    }

    /// Removes files that a commit freed, beside the answer: a large one takes a while.
    pub(crate) async fn remove_files(&self, files: Vec<u64>) {
        if files.is_empty() {
            return;
        }
        let this = self.clone();
        let removal = async move { this.remove_now(files).await };
        {
            let mut removing = self.removing.lock().unwrap_or_else(PoisonError::into_inner);
            while removing.try_join_next().is_some() {}
            if removing.len() < REMOVALS_MAX {
                drop(removing.spawn(removal));
                return;
            }
        }
        removal.await;
    }

    /// The commit is on the disk before: if it were lost, names would stand without their bytes.
    async fn remove_now(&self, files: Vec<u64>) {
        if let Err(cause) = self.store.flush().await {
            let cause = &cause as &dyn std::error::Error;
            tracing::error!(cause, "files that nothing names are left for later");
            self.extents.entrust(files.into_iter().map(FileId));
            return;
        }
        self.extents.remove(files.into_iter().map(FileId).collect()).await;
    }
}
