//! Checksums of content as the service spells them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::error::BlobError;
use super::headers::Headers;

/// The header that tells a CRC64 of a body.
pub const CRC64_HEADER: &str = "x-ms-content-crc64";

/// A CRC-64/NVME being computed.
#[derive(Default)]
pub struct Crc64(crc64fast_nvme::Digest);

impl std::fmt::Debug for Crc64 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crc64").finish_non_exhaustive()
    }
}

impl Crc64 {
    /// Takes in more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    /// The checksum of all bytes so far.
    pub fn value(&self) -> u64 {
        self.0.sum64()
    }

    /// The checksum of `bytes`.
    pub fn of(bytes: &[u8]) -> u64 {
        let mut crc = Self::default();
        crc.update(bytes);
        crc.value()
    }
}

/// A checksum as headers show it: the bytes, lowest first, in base64.
pub fn crc64_text(crc: u64) -> String {
    STANDARD.encode(crc.to_le_bytes())
}

/// What a client says of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// `Content-MD5`.
    pub md5: Option<[u8; 16]>,
    /// `x-ms-content-crc64`.
    pub crc64: Option<u64>,
}

impl Told {
    /// Reads the headers of a request; one checksum is enough, and two are refused.
    pub fn read(headers: Headers<'_>) -> Result<Self, BlobError> {
        let told = Self { md5: headers.md5("Content-MD5")?, crc64: crc64(headers, CRC64_HEADER)? };
        if told.md5.is_some() && told.crc64.is_some() {
            let message = "The headers Content-MD5 and x-ms-content-crc64 may not both be given.";
            return Err(BlobError::new(400, "InvalidInput", message));
        }
        Ok(told)
    }

    /// Decides whether a body with this CRC64 is what the client meant.
    pub fn check_crc64(&self, computed: u64) -> Result<(), BlobError> {
        match self.crc64 {
            Some(told) if told != computed => Err(crc64_mismatch(told, computed)),
            Some(_) | None => Ok(()),
        }
    }
}

/// The CRC64 that a header tells.
pub fn crc64(headers: Headers<'_>, name: &str) -> Result<Option<u64>, BlobError> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let decoded: Option<[u8; 8]> =
        STANDARD.decode(value).ok().and_then(|bytes| bytes.try_into().ok());
    match decoded {
        Some(bytes) => Ok(Some(u64::from_le_bytes(bytes))),
        None => Err(BlobError::invalid_header(name, value)),
    }
}

fn crc64_mismatch(told: u64, computed: u64) -> BlobError {
    let message = "The CRC64 value specified in the request did not match with the CRC64 value \
                   calculated by the server.";
    BlobError::new(400, "Crc64Mismatch", message)
        .with_detail("UserSpecifiedCrc", crc64_text(told))
        .with_detail("ServerCalculatedCrc", crc64_text(computed))
}

#[cfg(test)]
mod tests {
    use super::{Crc64, Headers, Told, crc64_text};

    #[test]
    fn the_check_value_of_the_algorithm() {
        assert_eq!(Crc64::of(b"123456789"), 0xAE8B_1486_0A79_9888);
        assert_eq!(Crc64::of(b""), 0);
        let mut pieces = Crc64::default();
        for piece in [b"1234".as_slice(), b"", b"56789"] {
            pieces.update(piece);
        }
        assert_eq!(pieces.value(), Crc64::of(b"123456789"));
    }

    #[test]
    fn one_checksum_is_told() {
        let check = |pairs: &[(&str, &str)], expected: &str| {
            let pairs: Vec<(String, String)> =
                pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            let found = match Told::read(Headers(&pairs)) {
                Ok(told) => told.crc64.map_or_else(|| "none".to_owned(), crc64_text),
                Err(error) => error.code.to_owned(),
            };
            assert_eq!(found, expected, "{pairs:?}");
        };
        let (md5, crc) = ("1B2M2Y8AsgTpgAmY7PhCfg==", "iJh5CoYUi64=");
        check(&[("content-md5", md5)], "none");
        check(&[("x-ms-content-crc64", crc)], crc);
        check(&[("x-ms-content-crc64", crc), ("content-md5", md5)], "InvalidInput");
        check(&[("x-ms-content-crc64", md5)], "InvalidHeaderValue");
        check(&[("x-ms-content-crc64", "no base64")], "InvalidHeaderValue");
        check(&[("content-md5", crc)], "InvalidMd5");
        let told = Told { crc64: Some(Crc64::of(b"a")), ..Told::default() };
        assert_eq!(told.check_crc64(Crc64::of(b"a")), Ok(()));
        assert_eq!(told.check_crc64(1).expect_err("another").code, "Crc64Mismatch");
    }
}
