//! Put Blob, Put Block, Append Block and Put Page with content from an address.

use kiln_domain::blob::content::{Block, ContentProperties, slices};
use kiln_domain::blob::kind::BlobKind;
use kiln_domain::blob::limits::PAGE_WRITE_BYTES_MAX;
use kiln_domain::blob::metadata::Metadata;
use kiln_domain::blob::name::check_blob;
use kiln_domain::blob::tags::Tags;
use kiln_store::{ExtentUses, Tx, View};
use kiln_wire::blob::checksum::Told;
use kiln_wire::blob::error::BlobError;
use kiln_wire::blob::headers::{check_block_id, md5_text};
use kiln_wire::blob::range::{Part, Range};

use super::super::answer::{Answer, with_encryption};
use super::super::call::{Call, Spot};
use super::super::failure::Failure;
use super::super::guard::Guard;
use super::super::page::PageWrite;
use super::super::put::{Content, Replacement, Written, with_written};
use super::super::receive::{self, INLINE_BYTES_MAX, Received};
use super::super::{append, page, put};
use super::remote;
use super::source::{self, Source};
use crate::http::Response;

/// `PUT /CONTAINER/BLOB` of a block blob with `x-ms-copy-source`.
pub(in crate::blob) async fn blob(call: &Call) -> Answer {
    append::expect_empty(call)?;
    let limit_bytes = call.gates.put_blob_bytes_max;
    let written = whole(call, limit_bytes, None).await?;
    let mut response = with_written(Response::new(201), &written.written, &call.gates);
    if let Some(md5) = &written.md5 {
        response = response.with_header("Content-MD5", md5.as_str());
    }
    Ok(with_encryption(response, &call.gates))
}

/// What a copy that was waited for came to.
pub(super) struct Whole {
    pub(super) written: Written,
    pub(super) md5: Option<String>,
}

/// Puts the whole content of the source in place of a block blob's; `copy_id` names the copy
/// that the blob is to remember.
pub(super) async fn whole(
    call: &Call,
    limit_bytes: u64,
    copy_id: Option<String>,
) -> Result<Whole, Failure> {
    let source = source::of(call)?;
    let replacement = Replacement::new(call, call.headers().properties())?;
    call.service.store.read(|view| replacement.decide(view))?;
    let wishes = Wishes::of(call, copy_id)?;
    match &source {
        Source::Local(spot) if wishes.told == Told::default() => {
            shared(call, spot.clone(), replacement, limit_bytes, wishes).await
        }
        Source::Local(_) | Source::Remote(_) => {
            copied(call, &source, replacement, limit_bytes, wishes).await
        }
    }
}

/// What a request wants of the source besides its content.
struct Wishes {
    copy_id: Option<String>,
    address: String,
    copies_properties: bool,
    copies_tags: bool,
    told: Told,
}

impl Wishes {
    fn of(call: &Call, copy_id: Option<String>) -> Result<Self, Failure> {
        let headers = call.headers();
        let name = "x-ms-copy-source-tag-option";
        let copies_tags = match headers.get(name) {
            None => false,
            Some(word) if word.eq_ignore_ascii_case("REPLACE") => false,
            Some(word) if word.eq_ignore_ascii_case("COPY") => true,
            Some(other) => return Err(BlobError::invalid_header(name, other).into()),
        };
        let copies_properties = headers.get("x-ms-copy-source-blob-properties") != Some("false");
        Ok(Self {
            copy_id,
            address: headers.get("x-ms-copy-source").unwrap_or_default().to_owned(),
            copies_properties,
            copies_tags,
            told: source::told(call)?,
        })
    }

    /// Takes over what the source has and the request does not say.
    fn fill(
        &self,
        replacement: &mut Replacement,
        properties: ContentProperties,
        metadata: Metadata,
        tags: Tags,
    ) {
        if self.copies_properties {
            let own = std::mem::replace(&mut replacement.properties, properties);
            let kept = &mut replacement.properties;
            kept.content_type = own.content_type.or_else(|| kept.content_type.take());
            kept.encoding = own.encoding.or_else(|| kept.encoding.take());
            kept.language = own.language.or_else(|| kept.language.take());
            kept.disposition = own.disposition.or_else(|| kept.disposition.take());
            kept.cache_control = own.cache_control.or_else(|| kept.cache_control.take());
        }
        if replacement.metadata.is_empty() {
            replacement.metadata = metadata;
        }
        if self.copies_tags {
            replacement.tags = tags;
        }
    }

    fn record(&self, replacement: &mut Replacement, size_bytes: u64) {
        if let Some(id) = &self.copy_id {
            let (id, source) = (id.clone(), self.address.clone());
            let now = replacement.stamps.next();
            replacement.copy = Some(super::done(id, source, size_bytes, now));
        }
    }
}

/// The blob gets the same extents as its source.
async fn shared(
    call: &Call,
    spot: Spot,
    mut replacement: Replacement,
    limit_bytes: u64,
    wishes: Wishes,
) -> Result<Whole, Failure> {
    let guard = Guard::of_source(call)?;
    let op = move |tx: &mut Tx<'_>| -> Result<(Written, Option<String>), Failure> {
        let (source_key, blob) = source::load(tx, &spot, &guard)?;
        if blob.kind != BlobKind::Block {
            return Err(source::invalid_kind(&blob));
        }
        if blob.size_bytes > limit_bytes {
            return Err(BlobError::body_too_large(limit_bytes).into());
        }
        let (key, present) = replacement.decide(tx)?;
        let nameless = |block: Block| Block { id: String::new(), ..block };
        let blocks = tx.blob_blocks(source_key, &blob.name, blob.edition.moment())?;
        let blocks = blocks.into_iter().map(nameless).collect();
        wishes.record(&mut replacement, blob.size_bytes);
        let md5 = blob.properties.md5.clone();
        wishes.fill(&mut replacement, blob.properties, blob.metadata, blob.tags);
        replacement.properties.md5.clone_from(&md5);
        Ok((replacement.commit(tx, key, present, Content::of_blocks(blocks))?, md5))
    };
    let (mut written, md5) = call.service.store.write(op).await?;
    call.service.remove_files(std::mem::take(&mut written.freed)).await;
    Ok(Whole { written, md5 })
}

/// The content is taken in and kept once more.
async fn copied(
    call: &Call,
    source: &Source,
    mut replacement: Replacement,
    limit_bytes: u64,
    wishes: Wishes,
) -> Result<Whole, Failure> {
    let received = match source {
        Source::Local(spot) => {
            let guard = Guard::of_source(call)?;
            let (_, blob) = call.service.store.read(|view| source::load(view, spot, &guard))?;
            wishes.fill(&mut replacement, blob.properties, blob.metadata, blob.tags);
            source::take(call, source, None, (limit_bytes, INLINE_BYTES_MAX)).await?
        }
        Source::Remote(place) => {
            let conditions = remote::conditions(call);
            let mut found = call.service.remote.get(place, None, conditions).await?;
            wishes.fill(&mut replacement, found.properties, found.metadata, Tags::default());
            let limits = (limit_bytes, INLINE_BYTES_MAX);
            let extents = &call.service.extents;
            let received = receive::take(extents, &mut found.body, found.length, limits).await?;
            received.check(&wishes.told)?;
            received
        }
    };
    let md5 = md5_text(received.md5);
    replacement.properties.md5 = Some(md5.clone());
    wishes.record(&mut replacement, received.size_bytes);
    let op = move |tx: &mut Tx<'_>| -> Result<Written, Failure> {
        let (key, present) = replacement.decide(tx)?;
        let size_bytes = received.size_bytes;
        let extent = received.keep(tx)?;
        let block = Block { id: String::new(), extent, offset: 0, size_bytes };
        replacement.commit(tx, key, present, Content::of_blocks(vec![block]))
    };
    let written = call.service.commit(op).await?;
    Ok(Whole { written, md5: Some(md5) })
}

/// `PUT /CONTAINER/BLOB?comp=block&blockid=ID` with `x-ms-copy-source`.
pub(in crate::blob) async fn block(call: &Call) -> Answer {
    append::expect_empty(call)?;
    let Some(id) = call.parameter("blockid").map(str::to_owned) else {
        return Err(BlobError::missing_parameter("blockid").into());
    };
    check_block_id(&id)?;
    let (spot, guard) = (call.spot(), Guard::of(call)?);
    check_blob(&spot.blob)?;
    let (source, range) = (source::of(call)?, source::range(call)?);
    call.service.store.read(|view| put::admit(view, &spot, &guard, &id))?;
    let limit_bytes = call.gates.put_block_bytes_max;
    let told = source::told(call)?;
    if let Source::Local(from) = &source
        && told == Told::default()
        && let Some(freed) = share_block(call, from.clone(), range, limit_bytes, &id).await?
    {
        call.service.remove_files(freed).await;
        return Ok(with_encryption(Response::new(201), &call.gates));
    }
    let received = source::take(call, &source, range, (limit_bytes, INLINE_BYTES_MAX)).await?;
    let response = received.confirm(Response::new(201), &told, &call.gates);
    stage(call, &id, received).await?;
    Ok(with_encryption(response, &call.gates))
}

/// Stages a part of an extent that is there already; `None` when the wanted bytes are not in
/// one.
async fn share_block(
    call: &Call,
    from: Spot,
    range: Option<Range>,
    limit_bytes: u64,
    id: &str,
) -> Result<Option<Vec<u64>>, Failure> {
    let (spot, guard, source_guard) = (call.spot(), Guard::of(call)?, Guard::of_source(call)?);
    let (stamps, id) = (call.service.stamps.clone(), id.to_owned());
    let op = move |tx: &mut Tx<'_>| -> Result<Option<Vec<u64>>, Failure> {
        let Some(block) = part(tx, &from, &source_guard, range)? else { return Ok(None) };
        if block.size_bytes > limit_bytes {
            return Err(BlobError::body_too_large(limit_bytes).into());
        }
        put::admit(tx, &spot, &guard, &id)?;
        let container = spot.container(tx)?;
        let mut uses = ExtentUses::default();
        uses.add(block.extent);
        let block = Block { id, ..block };
        let now = stamps.next();
        if let Some(replaced) = tx.put_staged_block(
            container.key,
            &spot.blob,
            &block,
            (guard.encryption.as_ref(), now),
        )? {
            uses.remove(replaced);
        }
        Ok(Some(tx.apply_extent_uses(uses)?))
    };
    call.service.store.write(op).await
}

/// The one part of an extent that holds the wanted bytes.
fn part(
    view: &View<'_>,
    from: &Spot,
    guard: &Guard,
    range: Option<Range>,
) -> Result<Option<Block>, Failure> {
    let (key, blob) = source::load(view, from, guard)?;
    if blob.kind != BlobKind::Block {
        return Ok(None);
    }
    let (start, length) = match range.map(|range| range.of(blob.size_bytes)) {
        None => (0, blob.size_bytes),
        Some(Part::Bytes { start, length }) => (start, length),
        Some(Part::Unsatisfiable) => return Err(BlobError::invalid_range(blob.size_bytes).into()),
    };
    let blocks = view.blob_blocks(key, &blob.name, blob.edition.moment())?;
    Ok(match slices(&blocks, start, length).as_slice() {
        [only] => Some(Block {
            id: String::new(),
            extent: only.extent,
            offset: only.offset,
            size_bytes: only.length,
        }),
        _ => None,
    })
}

async fn stage(call: &Call, id: &str, received: Received) -> Result<(), Failure> {
    if received.size_bytes == 0 {
        return Err(BlobError::invalid_header("x-ms-source-range", "").into());
    }
    let freed = put::stage(call, call.spot(), Guard::of(call)?, id.to_owned(), received).await?;
    call.service.remove_files(freed).await;
    Ok(())
}

/// `PUT /CONTAINER/BLOB?comp=appendblock` with `x-ms-copy-source`.
pub(in crate::blob) async fn append(call: &Call) -> Answer {
    append::expect_empty(call)?;
    let appending = append::Appending::of(call)?;
    let (source, range) = (source::of(call)?, source::range(call)?);
    call.service.store.read(|view| appending.decide(view, 0))?;
    let limits = (call.gates.append_block_bytes_max, INLINE_BYTES_MAX);
    let received = source::take(call, &source, range, limits).await?;
    if received.size_bytes == 0 {
        return Err(BlobError::invalid_header("x-ms-source-range", "").into());
    }
    let response = received.confirm(Response::new(201), &source::told(call)?, &call.gates);
    let appended = appending.commit(call, received).await?;
    Ok(append::answer(call, &appended, response))
}

/// `PUT /CONTAINER/BLOB?comp=page` with `x-ms-copy-source`.
pub(in crate::blob) async fn pages(call: &Call) -> Answer {
    append::expect_empty(call)?;
    let write = PageWrite::of(call)?;
    let source = source::of(call)?;
    let Some(range) = source::range(call)? else {
        return Err(BlobError::missing_header("x-ms-source-range").into());
    };
    call.service.store.read(|view| write.decide(view))?;
    let limits = (PAGE_WRITE_BYTES_MAX, INLINE_BYTES_MAX);
    let received = source::take(call, &source, Some(range), limits).await?;
    if received.size_bytes != write.span.length() {
        let sent = call.headers().get("x-ms-source-range").unwrap_or_default();
        return Err(BlobError::invalid_header("x-ms-source-range", sent).into());
    }
    let response = received.confirm(Response::new(201), &source::told(call)?, &call.gates);
    let written = write.commit(call, Some(received)).await?;
    Ok(page::answer(call, &written, response))
}
