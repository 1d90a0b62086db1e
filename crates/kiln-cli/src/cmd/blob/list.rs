//! `kiln blob list`: containers, and blobs and folders of a container.

use clap::Args;
use indicatif::BinaryBytes;
use kiln_client::blob::BlobItem;
use serde_json::json;

use super::place::{Accounts, Remote};
use crate::failure::Failure;
use crate::output::{self, table};

/// What to list.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// `az://CONTAINER/PREFIX`; all containers when absent
    #[arg(default_value = "az://")]
    place: String,
    /// Also what is in folders
    #[arg(long, short)]
    recursive: bool,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &ListArgs, accounts: &Accounts<'_>) -> Result<(), Failure> {
    let place = accounts.remote(&args.place)?;
    if place.container.is_empty() {
        return containers(&place, args.json).await;
    }
    let delimiter = if args.recursive { "" } else { "/" };
    let (mut folders, mut blobs, mut marker) = (Vec::new(), Vec::new(), None::<String>);
    loop {
        let asked =
            place.client.blob_page(&place.container, &place.blob, delimiter, marker.as_deref());
        let page = asked.await?;
        folders.extend(page.prefixes);
        blobs.extend(page.blobs);
        marker = page.next_marker;
        if marker.is_none() {
            break;
        }
    }
    let text = if args.json { as_json(&folders, &blobs)? } else { as_table(&folders, &blobs) };
    output::line(&text);
    Ok(())
}

async fn containers(place: &Remote, is_json: bool) -> Result<(), Failure> {
    let found = place.client.containers("").await?;
    let text = if is_json {
        let all: Vec<_> = found
            .iter()
            .map(|it| json!({ "name": it.name, "lastModified": it.modified }))
            .collect();
        output::json(&json!({ "containers": all }))?
    } else {
        let rows = found.into_iter().map(|it| [it.name, it.modified]).collect();
        table::render(["container", "modified"], rows)
    };
    output::line(&text);
    Ok(())
}

fn as_table(folders: &[String], blobs: &[BlobItem]) -> String {
    let folder =
        |name: &String| [name.clone(), String::new(), String::new(), String::new(), String::new()];
    let blob = |it: &BlobItem| {
        let kind = it.kind.strip_suffix("Blob").unwrap_or(&it.kind).to_lowercase();
        let size = BinaryBytes(it.length_bytes).to_string();
        [it.name.clone(), size, it.modified.clone(), kind, it.tier.clone()]
    };
    let mut rows: Vec<_> = folders.iter().map(folder).chain(blobs.iter().map(blob)).collect();
    rows.sort_by(|[one, ..], [other, ..]| one.cmp(other));
    table::render(["name", "size", "modified", "kind", "tier"], rows)
}

fn as_json(folders: &[String], blobs: &[BlobItem]) -> Result<String, Failure> {
    let blob = |it: &BlobItem| {
        json!({
            "name": it.name,
            "sizeBytes": it.length_bytes,
            "lastModified": it.modified,
            "blobType": it.kind,
            "accessTier": it.tier,
            "contentMd5": it.content_md5,
        })
    };
    let blobs: Vec<_> = blobs.iter().map(blob).collect();
    output::json(&json!({ "folders": folders, "blobs": blobs }))
}

#[cfg(test)]
mod tests {
    use kiln_client::blob::BlobItem;

    use super::as_table;

    #[test]
    fn folders_and_blobs_are_in_one_order() {
        let blob = |name: &str, length_bytes| BlobItem {
            name: name.to_owned(),
            length_bytes,
            kind: "BlockBlob".to_owned(),
            ..BlobItem::default()
        };
        let table = as_table(&["b/".to_owned()], &[blob("a", 2048), blob("c", 1)]);
        let words: Vec<Vec<&str>> =
            table.lines().map(|line| line.split_whitespace().collect()).collect();
        let expected: [&[&str]; 4] = [
            &["name", "size", "modified", "kind", "tier"],
            &["a", "2.00", "KiB", "block"],
            &["b/"],
            &["c", "1", "B", "block"],
        ];
        assert_eq!(words, expected);
    }
}
