//! Files of tasks and nodes: their list items and their headers.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::node::FileInfo;

/// What a URL within a URL keeps as it is.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// An item of a list of files; `files_url` ends with `/files`.
pub fn tree(info: &FileInfo, files_url: &str) -> Value {
    let url = format!("{files_url}/{}", info.name);
    if info.is_directory {
        return json!({ "name": info.name, "url": url, "isDirectory": true });
    }
    json!({
        "name": info.name,
        "url": url,
        "isDirectory": false,
        "properties": {
            "lastModified": info.modified_at.to_iso(),
            "contentLength": info.length_bytes.to_string(),
            "contentType": content_type(&info.name),
            "fileMode": file_mode(info),
        },
    })
}

/// The headers of one file or directory, but for its length. Only Windows nodes tell when a
/// file was made.
pub fn headers(info: &FileInfo, url: &str) -> Vec<(&'static str, String)> {
    let is_directory = if info.is_directory { "True" } else { "False" };
    vec![
        ("Last-Modified", info.modified_at.to_rfc1123()),
        ("ocp-batch-file-isdirectory", is_directory.to_owned()),
        ("ocp-batch-file-url", utf8_percent_encode(url, KEPT).to_string()),
        ("ocp-batch-file-mode", file_mode(info)),
        ("Content-Type", content_type(&info.name).to_owned()),
    ]
}

/// Parses `bytes=first-last` of `ocp-range`; `None` when it is not of that form, which asks
/// for the whole file.
pub fn parse_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (first, last) = text.trim().strip_prefix("bytes=")?.split_once('-')?;
    let first = first.parse().ok()?;
    let last = if last.is_empty() { None } else { Some(last.parse().ok()?) };
    last.is_none_or(|last| last >= first).then_some((first, last))
}

fn file_mode(info: &FileInfo) -> String {
    format!("0o{:o}", info.mode)
}

fn content_type(name: &str) -> &'static str {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    match ending.to_ascii_lowercase().as_str() {
        "txt" | "log" => "text/plain",
        "json" => "application/json",
        "xml" => "application/xml",
        "html" | "htm" => "text/html",
        "csv" => "text/csv",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::parse_range;

    #[test]
    fn ranges() {
        assert_eq!(parse_range("bytes=0-99"), Some((0, Some(99))));
        assert_eq!(parse_range("bytes=5-"), Some((5, None)));
        for text in ["bytes=9-5", "bytes=-5", "0-5", "bytes=a-b", ""] {
            assert_eq!(parse_range(text), None, "{text}");
        }
    }
}
