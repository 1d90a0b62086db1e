//! The images that pools may name, and the node agents that go with them.
//!
//! A local node shows this machine's own root, whatever image its pool names: the images are
//! there because clients look for one they know before they add a pool.

/// An image that pools may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// Who publishes it.
    pub publisher: &'static str,
    /// Its family.
    pub offer: &'static str,
    /// Its member of the family.
    pub sku: &'static str,
    /// The node agent that goes with it.
    pub node_agent_sku_id: &'static str,
    /// `linux` or `windows`.
    pub os_type: &'static str,
    /// What it can do beyond running commands.
    pub capabilities: &'static [&'static str],
}

const fn linux(
    publisher: &'static str,
    offer: &'static str,
    sku: &'static str,
    node_agent_sku_id: &'static str,
    capabilities: &'static [&'static str],
) -> Image {
    Image { publisher, offer, sku, node_agent_sku_id, os_type: "linux", capabilities }
}

/// The images, those that old samples look for first.
pub const IMAGES: &[Image] = &[
    linux("Canonical", "UbuntuServer", "16.04-LTS", "batch.node.ubuntu 16.04", &[]),
    linux("Canonical", "UbuntuServer", "18.04-LTS", "batch.node.ubuntu 18.04", &[]),
    linux("canonical", "0001-com-ubuntu-server-focal", "20_04-lts", "batch.node.ubuntu 20.04", &[]),
    linux("canonical", "0001-com-ubuntu-server-jammy", "22_04-lts", "batch.node.ubuntu 22.04", &[]),
    linux("canonical", "ubuntu-24_04-lts", "server", "batch.node.ubuntu 24.04", &[]),
    linux("debian", "debian-11", "11", "batch.node.debian 11", &[]),
    linux("debian", "debian-12", "12", "batch.node.debian 12", &[]),
    linux("almalinux", "almalinux-x86_64", "9-gen2", "batch.node.el 9", &[]),
    linux("microsoft-dsvm", "ubuntu-hpc", "2004", "batch.node.ubuntu 20.04", &["DockerCompatible"]),
    linux("microsoft-dsvm", "ubuntu-hpc", "2204", "batch.node.ubuntu 22.04", &["DockerCompatible"]),
    linux("microsoft-dsvm", "ubuntu-hpc", "2404", "batch.node.ubuntu 24.04", &["DockerCompatible"]),
    linux(
        "microsoft-azure-batch",
        "ubuntu-server-container",
        "20-04-lts",
        "batch.node.ubuntu 20.04",
        &["DockerCompatible"],
    ),
];
