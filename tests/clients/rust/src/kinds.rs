//! What blobs of one kind have: blocks, appended blocks, pages.

use azure_core::http::StatusCode;
use azure_storage_blob::models::{
    AppendBlobClientAppendBlockResultHeaders as _, BlockListType, BlockLookupList, HttpRange,
    PageBlobClientSetSequenceNumberOptions, PageBlobClientSetSequenceNumberResultHeaders as _,
    SequenceNumberActionType,
};
use futures::TryStreamExt;

use crate::{Result, World, body, content, expect, refused};

const PAGE: u64 = 512;

pub(crate) async fn blocks(world: &World) -> Result {
    let container = world.container("rust-blocks").await?;
    let blob = container.blob_client("b");
    let blocks = blob.block_blob_client();
    blocks.stage_block(b"1", 4, body(b"one "), None).await?;
    let source = container.blob_client("source");
    source.upload(body(b"two"), None).await?;
    blocks.stage_block_from_url(b"2", 0, source.url().as_str().to_owned(), None).await?;
    let staged = blocks.get_block_list(BlockListType::All, None).await?.into_model()?;
    expect(staged.uncommitted_blocks.map(|blocks| blocks.len()), Some(2))?;
    let latest = Some(vec![b"1".to_vec(), b"2".to_vec()]);
    let list = BlockLookupList { committed: None, latest, uncommitted: None };
    blocks.commit_block_list(list.try_into()?, None).await?;
    expect(content(&blob).await?, b"one two".to_vec())
}

pub(crate) async fn appends(world: &World) -> Result {
    let container = world.container("rust-appends").await?;
    let blob = container.blob_client("a");
    let appends = blob.append_blob_client();
    appends.create(None).await?;
    appends.append_block(body(b"one "), 4, None).await?;
    let appended = appends.append_block(body(b"two "), 4, None).await?;
    expect(appended.blob_append_offset()?.as_deref(), Some("4"))?;
    let source = container.blob_client("source");
    source.upload(body(b"three"), None).await?;
    appends.append_block_from_url(source.url().as_str().to_owned(), 0, None).await?;
    expect(content(&blob).await?, b"one two three".to_vec())?;
    appends.seal(None).await?;
    let more = appends.append_block(body(b"x"), 1, None).await;
    refused(more, StatusCode::Conflict, "BlobIsSealed")
}

pub(crate) async fn pages(world: &World) -> Result {
    let container = world.container("rust-pages").await?;
    let blob = container.blob_client("p");
    let pages = blob.page_blob_client();
    pages.create(8 * PAGE, None).await?;
    let two = vec![b'x'; 1024];
    pages.upload_pages(body(&two), 2 * PAGE, HttpRange::new(2 * PAGE, 2 * PAGE), None).await?;
    pages.clear_pages(HttpRange::new(3 * PAGE, PAGE), None).await?;
    let source = container.blob_client("source");
    source.upload(body(&[b's'; 512]), None).await?;
    let url = source.url().as_str().to_owned();
    let (from, to) = (HttpRange::new(0, PAGE), HttpRange::new(5 * PAGE, PAGE));
    pages.upload_pages_from_url(url, from, 0, to, None).await?;
    let mut found = Vec::new();
    let mut listed = pages.list_page_ranges(None)?;
    while let Some(page) = listed.try_next().await? {
        let ranges = page.into_model()?.page_ranges;
        found.extend(ranges.into_iter().map(|range| (range.start, range.end)));
    }
    let range = |start: i64| (Some(start * 512), Some(start * 512 + 511));
    expect(found, vec![range(2), range(5)])?;
    pages.resize(4 * PAGE, None).await?;
    let options = PageBlobClientSetSequenceNumberOptions {
        blob_sequence_number: Some(7),
        ..Default::default()
    };
    let action = SequenceNumberActionType::Update;
    let numbered = pages.set_sequence_number(action, Some(options)).await?;
    expect(numbered.blob_sequence_number()?, Some(7))
}
