//! Applications: as the Batch service shows them, and as Kiln's own operations do.

use kiln_domain::batch::application::{Application, Package, PackageState};
use kiln_domain::time::Timestamp;
use serde_json::Value;

use super::resource::{Tree, json_of};

/// The one form of packages.
const FORMAT: &str = "zip";

/// An application as the Batch service shows it, with the packages that nodes may get.
pub fn tree(application: &Application, packages: &[Package]) -> Value {
    let active = packages.iter().filter(|it| it.life.state == PackageState::Active);
    let mut tree = Tree::empty();
    tree.set("id", application.id.as_str());
    tree.set_some("displayName", application.life.display_name.as_deref());
    tree.set("versions", active.map(|it| Value::from(it.version.as_str())).collect::<Vec<_>>());
    tree.into_value()
}

/// An application as Kiln's own operations show it, with all its packages.
pub fn own_tree(application: &Application, packages: &[Package]) -> Value {
    let life = &application.life;
    let mut tree = Tree::empty();
    tree.set("id", application.id.as_str());
    tree.set_some("displayName", life.display_name.as_deref());
    tree.set("allowUpdates", life.allows_updates);
    tree.set_some("defaultVersion", life.default_version.as_deref());
    tree.set_time("creationTime", life.created_at);
    tree.set_time("lastModified", life.modified_at);
    let packages: Vec<_> = packages.iter().map(|package| package_tree(package, None)).collect();
    tree.set("packages", packages);
    tree.into_value()
}

/// A package as Kiln's own operations show it; `link` is a URL of its file and its end.
pub fn package_tree(package: &Package, link: Option<(&str, Timestamp)>) -> Value {
    let life = &package.life;
    let mut tree = Tree::empty();
    tree.set("version", package.version.as_str());
    tree.set("state", json_of(&life.state));
    tree.set_time("lastModified", life.modified_at);
    tree.set_some("format", life.activated_at.map(|_| FORMAT));
    tree.set_time_some("lastActivationTime", life.activated_at);
    if let Some((url, expires_at)) = link {
        tree.set("storageUrl", url);
        tree.set_time("storageUrlExpiry", expires_at);
    }
    tree.into_value()
}
