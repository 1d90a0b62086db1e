//! What differs between versions of the service.

use super::version::ServiceVersion;

const MIB: u64 = 1024 * 1024;

/// What differs between versions of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gates {
    /// Bytes of one Put Blob.
    pub put_blob_bytes_max: u64,
    /// Bytes of one Put Block.
    pub put_block_bytes_max: u64,
    /// Bytes of one Append Block.
    pub append_block_bytes_max: u64,
    /// Features, by the version they came with.
    pub version: ServiceVersion,
}

impl Gates {
    /// The gates of `version`.
    pub fn of(version: ServiceVersion) -> Self {
        let (blob, block) = if version.is_since("2019-12-12") {
            (5000 * MIB, 4000 * MIB)
        } else if version.is_since("2016-05-31") {
            (256 * MIB, 100 * MIB)
        } else {
            (64 * MIB, 4 * MIB)
        };
        Self {
            put_blob_bytes_max: blob,
            put_block_bytes_max: block,
            append_block_bytes_max: if version.is_since("2022-11-02") {
                100 * MIB
            } else {
                4 * MIB
            },
            version,
        }
    }

    /// Whether blobs are queried.
    pub fn has_queries(&self) -> bool {
        self.version.is_since("2019-12-12")
    }

    /// An entity tag as headers show it: in quotes, since there are headers that say so.
    pub fn etag(&self, etag: &str) -> String {
        if self.version.is_since("2011-08-18") { format!("\"{etag}\"") } else { etag.to_owned() }
    }

    /// Whether a ranged read tells the checksum of the whole in a header of its own.
    pub fn has_blob_md5_on_ranges(&self) -> bool {
        self.version.is_since("2016-05-31")
    }

    /// Whether reads tell when the blob came to be.
    pub fn has_creation_time(&self) -> bool {
        self.version.is_since("2017-11-09")
    }

    /// Whether the properties of a container tell its public access level.
    pub fn has_public_access_header(&self) -> bool {
        self.version.is_since("2016-05-31")
    }

    /// Whether writes tell that they are kept encrypted.
    pub fn has_encryption_headers(&self) -> bool {
        self.version.is_since("2015-12-11")
    }

    /// Whether reads tell the access tier.
    pub fn has_tier(&self) -> bool {
        self.version.is_since("2017-04-17")
    }

    /// Whether lists escape names that XML cannot hold.
    pub fn has_encoded_names(&self) -> bool {
        self.version.is_since("2021-02-12")
    }

    /// Whether metrics are told by the hour and by the minute, and rules for browsers at all.
    pub fn has_minute_metrics(&self) -> bool {
        self.version.is_since("2013-08-15")
    }

    /// Whether it is told how long deleted blobs are kept.
    pub fn has_delete_retention(&self) -> bool {
        self.version.is_since("2017-07-29")
    }

    /// Whether it is told how a website is served.
    pub fn has_static_website(&self) -> bool {
        self.version.is_since("2018-03-28")
    }

    /// Whether CRC64 checksums are known.
    pub fn has_crc64(&self) -> bool {
        self.version.is_since("2019-02-02")
    }

    /// Whether bearer tokens are known.
    pub fn has_bearer_tokens(&self) -> bool {
        self.version.is_since("2017-11-09")
    }

    /// Whether it is told if an account has real directories.
    pub fn has_hierarchy_header(&self) -> bool {
        self.version.is_since("2019-07-07")
    }

    /// Whether lists of page ranges come in pages.
    pub fn has_pages_of_ranges(&self) -> bool {
        self.version.is_since("2020-10-02")
    }

    /// Whether a request without any right is asked to log in.
    pub fn has_login_challenge(&self) -> bool {
        self.version.is_since("2019-12-12")
    }
}

#[cfg(test)]
mod tests {
    use super::{Gates, MIB, ServiceVersion};

    #[test]
    fn sizes_by_version() {
        for (version, blob_mib, block_mib) in [
            ("2014-02-14", 64, 4),
            ("2015-12-11", 64, 4),
            ("2016-05-31", 256, 100),
            ("2019-07-07", 256, 100),
            ("2019-12-12", 5000, 4000),
            ("2026-10-06", 5000, 4000),
        ] {
            let gates = Gates::of(ServiceVersion::nearest(version).expect("a date"));
            assert_eq!(gates.put_blob_bytes_max, blob_mib * MIB, "{version}");
            assert_eq!(gates.put_block_bytes_max, block_mib * MIB, "{version}");
        }
    }
}
