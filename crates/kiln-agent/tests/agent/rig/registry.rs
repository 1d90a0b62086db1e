//! A registry of images on loopback, with one image in it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::web::{Answer, Web};

/// Where a machine has a shell that needs no libraries.
const BUSYBOX: &str = "/bin/busybox";
/// What the shell in the image is called by.
const PROGRAMS: [&str; 9] = ["sh", "cat", "env", "id", "ls", "sleep", "true", "head", "tail"];

/// A registry.
pub(crate) struct Registry {
    pub(crate) web: Web,
}

impl Registry {
    /// One that has the image `tool:1`, which prints where it came from.
    pub(crate) async fn start() -> Self {
        let web = Web::start().await;
        let busybox = std::fs::read(BUSYBOX).expect("busybox-static is installed");
        let mut layer = Vec::new();
        entry(&mut layer, "bin/busybox", b'0', 0o755, &busybox, "");
        for program in PROGRAMS {
            entry(&mut layer, &format!("bin/{program}"), b'2', 0o777, b"", "busybox");
        }
        entry(&mut layer, "etc/image", b'0', 0o644, b"from the image\n", "");
        entry(&mut layer, "etc/passwd", b'0', 0o644, b"root:x:0:0::/:/bin/sh\n", "");
        entry(&mut layer, "home/", b'5', 0o755, b"", "");
        layer.resize(layer.len() + 1024, 0);
        let layer_digest = digest(&layer);
        let config = format!(
            r#"{{"architecture":"{}","os":"linux","config":{{"Cmd":["/bin/cat","/etc/image"],
                "WorkingDir":"/home","Env":["PATH=/bin","FROM_IMAGE=yes"]}},
                "rootfs":{{"type":"layers","diff_ids":["{layer_digest}"]}}}}"#,
            if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
        );
        let of = |kind: &str, bytes: &[u8]| {
            format!(
                r#"{{"mediaType":"application/vnd.oci.image.{kind}","digest":"{}","size":{}}}"#,
                digest(bytes),
                bytes.len()
            )
        };
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"{kind}","config":{},"layers":[{}]}}"#,
            of("config.v1+json", config.as_bytes()),
            of("layer.v1.tar", &layer)
        );
        web.answer("/v2/", 200, "{}");
        let typed = |kind: &str, body: Vec<u8>| Answer {
            status: 200,
            headers: vec![("Content-Type", kind.to_owned())],
            body,
        };
        for name in ["1", "latest"] {
            let body = manifest.clone().into_bytes();
            web.give(&format!("/v2/tool/manifests/{name}"), typed(kind, body));
        }
        for body in [config.into_bytes(), layer] {
            let path = format!("/v2/tool/blobs/{}", digest(&body));
            web.give(&path, typed("application/octet-stream", body));
        }
        Self { web }
    }

    /// Lets in who knows this.
    pub(crate) fn protect(&self, user: &str, password: &str) {
        let word = STANDARD.encode(format!("{user}:{password}"));
        self.web.protect(&format!("Basic {word}"));
    }

    /// Its name in names of images.
    pub(crate) fn host(&self) -> String {
        self.web.address.trim_start_matches("http://").to_owned()
    }

    /// The name of its image.
    pub(crate) fn image(&self) -> String {
        format!("{}/tool:1", self.host())
    }

    /// How often somebody asked for what the image is made of.
    pub(crate) fn n_pulls(&self) -> usize {
        // The configuration and one layer.
        self.web.requests("GET", "/v2/tool/blobs/").len() / 2
    }
}

fn digest(bytes: &[u8]) -> String {
    let digits = Sha256::digest(bytes);
    let digits: String = digits.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}

/// Adds an entry to a tape archive.
fn entry(archive: &mut Vec<u8>, name: &str, kind: u8, mode: u32, content: &[u8], aim: &str) {
    let mut head = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| {
        for (place, byte) in head.iter_mut().skip(at).zip(bytes) {
            *place = *byte;
        }
    };
    put(0, name.as_bytes());
    put(100, format!("{mode:07o}\0{:07o}\0{:07o}\0", 0, 0).as_bytes());
    put(124, format!("{:011o}\0{:011o}\0", content.len(), 0).as_bytes());
    put(148, b"        ");
    put(156, &[kind]);
    put(157, aim.as_bytes());
    put(257, b"ustar\x0000");
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    for (place, byte) in head.iter_mut().skip(148).zip(format!("{sum:06o}\0 ").bytes()) {
        *place = byte;
    }
    archive.extend_from_slice(&head);
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(512), 0);
}
