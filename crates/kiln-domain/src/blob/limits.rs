//! Every limit of Blob that does not depend on the service version, with its unit.

/// Characters in a container name, least and most.
pub const CONTAINER_NAME_LENGTH: std::ops::RangeInclusive<usize> = 3..=63;
/// Characters in a blob name.
pub const BLOB_NAME_LENGTH_MAX: usize = 1024;
/// Parts between slashes in a blob name.
pub const BLOB_NAME_SEGMENTS_MAX: usize = 254;
/// Bytes of all metadata names and values together.
pub const METADATA_BYTES_MAX: usize = 8 * 1024;
/// Items on one page of a list, and the default.
pub const PAGE_ITEMS_MAX: usize = 5000;
/// Stored access policies of one container.
pub const POLICIES_MAX: usize = 5;
/// Characters in the id of a stored access policy.
pub const POLICY_ID_LENGTH_MAX: usize = 64;
/// Bytes of a decoded block id.
pub const BLOCK_ID_BYTES_MAX: usize = 64;
/// Blocks one blob is made of.
pub const BLOCKS_COMMITTED_MAX: usize = 50_000;
/// Blocks staged for one blob.
pub const BLOCKS_STAGED_MAX: usize = 100_000;
/// Days after which blocks that were never committed are dropped.
pub const STAGED_BLOCKS_KEPT_DAYS: i64 = 7;
/// Bytes of a range for which a checksum of its own may be asked.
pub const RANGE_CHECKSUM_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Index tags of one blob.
pub const TAGS_MAX: usize = 10;
/// Characters in the key of an index tag, least and most.
pub const TAG_KEY_LENGTH: std::ops::RangeInclusive<usize> = 1..=128;
/// Characters in the value of an index tag.
pub const TAG_VALUE_LENGTH_MAX: usize = 256;
/// Seconds that a lease with an end lasts, least and most.
pub const LEASE_SECONDS: std::ops::RangeInclusive<i64> = 15..=60;
/// Seconds that a lease may take to break.
pub const LEASE_BREAK_SECONDS_MAX: i64 = 60;
/// Blocks that may be appended to one blob.
pub const BLOCKS_APPENDED_MAX: u32 = 50_000;
/// Bytes of a page; page blobs and ranges of them are whole numbers of pages.
pub const PAGE_BYTES: u64 = 512;
/// Bytes of a page blob.
pub const PAGE_BLOB_BYTES_MAX: u64 = 8 * 1024 * 1024 * 1024 * 1024;
/// Bytes of pages written in one request.
pub const PAGE_WRITE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Days for which deleted blobs and containers may be kept, least and most.
pub const RETENTION_DAYS: std::ops::RangeInclusive<u32> = 1..=365;
/// Bytes of a copy that is waited for.
pub const SYNC_COPY_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Columns that a query may name in what it selects; `*` has all.
pub const QUERY_COLUMNS_MAX: usize = 49;
/// Bytes of a part into which a query may ask a blob to be split.
pub const QUERY_SPLIT_BYTES_MIN: u64 = 10 * 1024 * 1024;
/// Bytes of one record that a query reads, and of one that it answers.
pub const QUERY_RECORD_BYTES_MAX: usize = 4 * 1024 * 1024;
