//! Applications and their packages: zip files that nodes unpack before tasks run.

use serde::{Deserialize, Serialize};

use crate::rejection::Rejection;
use crate::time::Timestamp;
use crate::{id, limits};

/// A package that a pool or a task wants on its nodes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PackageReference {
    /// The application.
    pub application_id: String,
    /// Which version of it; its default version when absent.
    pub version: Option<String>,
}

/// An application of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// The store's key.
    pub key: i64,
    /// The Batch account.
    pub account: String,
    /// Name within the account, as its owner spelled it.
    pub id: String,
    /// What is known of it.
    pub life: ApplicationLife,
}

/// What is known of an application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplicationLife {
    /// A name for people.
    pub display_name: Option<String>,
    /// The version that references mean which name none.
    pub default_version: Option<String>,
    /// Whether a version may be uploaded again.
    pub allows_updates: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub modified_at: Timestamp,
}

/// One version of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// The store's key of its application.
    pub application_key: i64,
    /// Its name within the application.
    pub version: String,
    /// What has become of it.
    pub life: PackageLife,
}

/// Whether nodes may get a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PackageState {
    /// It is to be uploaded, then activated.
    Pending,
    /// They may.
    Active,
}

/// What has become of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageLife {
    /// Whether nodes may get it; written by [`step`] alone.
    pub state: PackageState,
    /// When a client last changed it.
    pub modified_at: Timestamp,
    /// Where its zip file is.
    pub blob: PackageBlob,
    /// When it last became active.
    pub activated_at: Option<Timestamp>,
    /// The directory that nodes unpack it to, below theirs for applications; another one for
    /// each activation.
    pub directory: Option<String>,
}

/// Where the zip file of a package is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageBlob {
    /// The storage account.
    pub account: String,
    /// The container.
    pub container: String,
    /// The blob.
    pub name: String,
}

/// What can happen to a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackageFact {
    /// A client is about to upload it, for the first time or again.
    UploadAsked,
    /// A client says that it is uploaded; whether its blob is there.
    Uploaded {
        /// Whether its blob is there.
        is_there: bool,
    },
}

impl ApplicationLife {
    /// The life of an application that was just made.
    pub fn new(now: Timestamp) -> Self {
        Self {
            display_name: None,
            default_version: None,
            allows_updates: true,
            created_at: now,
            modified_at: now,
        }
    }
}

impl PackageLife {
    /// The life of a package that is about to be uploaded for the first time.
    pub fn new(blob: PackageBlob, now: Timestamp) -> Self {
        Self {
            state: PackageState::Pending,
            modified_at: now,
            blob,
            activated_at: None,
            directory: None,
        }
    }
}

/// Whether an application may be called so.
///
/// # Errors
/// When it may not.
pub fn check_id(id: &str) -> Result<(), Rejection> {
    id::check("applicationId", id)
}

/// Whether a version may be called so: like an id, with dots.
///
/// # Errors
/// When it may not.
pub fn check_version(version: &str) -> Result<(), Rejection> {
    let is_valid =
        id::is_valid(&version.replace('.', "_")) && !version.trim_matches('.').is_empty();
    if is_valid {
        return Ok(());
    }
    let reason = "A version has 1 to 64 characters: letters, digits, dots, hyphens and underscores";
    Err(Rejection::property("version", version, reason))
}

/// What becomes of a package when `fact` happens; the only place that writes its state.
///
/// # Errors
/// When the package does not allow it where it stands; nothing changes then.
pub fn step(
    application: &Application,
    package: &Package,
    fact: PackageFact,
    now: Timestamp,
) -> Result<PackageLife, Rejection> {
    use {PackageFact as F, PackageState as S};
    let life = package.life.clone();
    let (application_id, version) = (application.id.clone(), package.version.clone());
    match (life.state, fact) {
        (S::Active, F::UploadAsked) if !application.life.allows_updates => {
            Err(Rejection::PackageUpdatesOff { application: application_id })
        }
        (S::Pending | S::Active, F::UploadAsked) => {
            Ok(PackageLife { state: S::Pending, modified_at: now, ..life })
        }
        (S::Pending, F::Uploaded { is_there: false }) => {
            Err(Rejection::PackageNotUploaded { application: application_id, version })
        }
        (S::Pending, F::Uploaded { is_there: true }) => Ok(PackageLife {
            state: S::Active,
            modified_at: now,
            activated_at: Some(now),
            directory: Some(directory(&application_id, &version, now, life.directory.as_deref())),
            ..life
        }),
        // Said again, by a client that missed the answer.
        (S::Active, F::Uploaded { .. }) => Ok(life),
    }
}

/// `blender+2.9+` and the minute; something more when that was the `last` one's. No name of an
/// application or version has a plus sign, so no two packages share a directory.
fn directory(application: &str, version: &str, now: Timestamp, last: Option<&str>) -> String {
    let minute = now.to_iso().get(..16).unwrap_or_default().replace(['T', ':'], "-");
    let name = format!("{application}+{version}+{minute}");
    match last.and_then(|last| last.strip_prefix(&name)) {
        None => name,
        Some(counted) => {
            let count = counted.trim_start_matches('-').parse::<u32>().unwrap_or(1);
            format!("{name}-{}", count.saturating_add(1))
        }
    }
}

/// Whether an application may have `version` as its default.
///
/// # Errors
/// When there is no such package, or nodes may not get it yet.
pub fn check_default(
    application: &Application,
    version: &str,
    package: Option<&Package>,
) -> Result<(), Rejection> {
    if package.is_some_and(|package| package.life.state == PackageState::Active) {
        return Ok(());
    }
    let (application, version) = (application.id.clone(), version.to_owned());
    Err(Rejection::DefaultVersionNotActive { application, version })
}

/// Whether a package may go.
///
/// # Errors
/// When references without a version mean it.
pub fn check_removal(application: &Application, package: &Package) -> Result<(), Rejection> {
    let default = application.life.default_version.as_deref();
    if default.is_some_and(|default| default.eq_ignore_ascii_case(&package.version)) {
        let (application, version) = (application.id.clone(), package.version.clone());
        return Err(Rejection::PackageIsDefault { application, version });
    }
    Ok(())
}

/// Whether a pool or task may want so many packages.
///
/// # Errors
/// When it wants too many.
pub fn check_count(references: &[PackageReference]) -> Result<(), Rejection> {
    let limit = limits::PACKAGE_REFERENCES_MAX;
    if references.len() <= limit {
        return Ok(());
    }
    let reason = format!("There are at most {limit} references");
    Err(Rejection::property("applicationPackageReferences", references.len(), reason))
}

/// The names of the variable by which tasks find a package: as it is spelled, and in upper case.
pub fn variable_names(reference: &PackageReference) -> Vec<String> {
    let mut name = format!("AZ_BATCH_APP_PACKAGE_{}", reference.application_id);
    if let Some(version) = &reference.version {
        name.push('_');
        name.push_str(version);
    }
    let name = name.replace(['.', '-', '#'], "_");
    let upper = name.to_ascii_uppercase();
    if upper == name { vec![name] } else { vec![name, upper] }
}

#[cfg(test)]
mod tests {
    use super::{
        Application, ApplicationLife, Package, PackageBlob, PackageFact, PackageLife,
        PackageReference, check_default, check_removal, check_version, directory, step,
        variable_names,
    };
    use crate::span::Span;
    use crate::time::Timestamp;

    fn application(allows_updates: bool) -> Application {
        let life = ApplicationLife { allows_updates, ..ApplicationLife::new(Timestamp(0)) };
        Application { key: 1, account: "a".to_owned(), id: "blender".to_owned(), life }
    }

    fn package() -> Package {
        let (account, container, name) = ("s".to_owned(), "c".to_owned(), "2.9".to_owned());
        let life = PackageLife::new(PackageBlob { account, container, name }, Timestamp(0));
        Package { application_key: 1, version: "2.9".to_owned(), life }
    }

    #[track_caller]
    fn check(allows_updates: bool, facts: &[PackageFact], expected: &str) {
        let (application, mut package) = (application(allows_updates), package());
        let mut said = Vec::new();
        for (second, fact) in (0..).zip(facts) {
            let now = Timestamp(0).plus(Span::seconds(second));
            match step(&application, &package, *fact, now) {
                Ok(life) => {
                    said.push(format!(
                        "{:?} {}",
                        life.state,
                        life.directory.as_deref().unwrap_or("-")
                    ));
                    package.life = life;
                }
                Err(rejection) => said.push(rejection.to_string()),
            }
        }
        assert_eq!(said.join(", "), expected);
    }

    #[test]
    fn lives_of_packages() {
        use PackageFact as F;
        let (there, missing) = (F::Uploaded { is_there: true }, F::Uploaded { is_there: false });
        check(
            true,
            &[F::UploadAsked, missing, there, there],
            "Pending -, the file of package `2.9` of application `blender` was not uploaded, \
             Active blender+2.9+1970-01-01-00-00, Active blender+2.9+1970-01-01-00-00",
        );
        check(
            true,
            &[there, F::UploadAsked, there, F::UploadAsked, there],
            "Active blender+2.9+1970-01-01-00-00, Pending blender+2.9+1970-01-01-00-00, \
             Active blender+2.9+1970-01-01-00-00-2, Pending blender+2.9+1970-01-01-00-00-2, \
             Active blender+2.9+1970-01-01-00-00-3",
        );
        check(
            false,
            &[F::UploadAsked, there, F::UploadAsked],
            "Pending -, Active blender+2.9+1970-01-01-00-00, \
             packages of application `blender` may not be uploaded again",
        );
    }

    #[test]
    fn no_two_packages_share_a_directory() {
        let at = |application, version| directory(application, version, Timestamp(0), None);
        assert_ne!(at("app", "12"), at("app1", "2"));
        assert_ne!(at("a", "1-1970"), at("a-1", "1970"));
    }

    #[test]
    fn only_an_active_package_is_a_default() {
        let (mut application, mut package) = (application(true), package());
        assert!(check_default(&application, "2.9", Some(&package)).is_err());
        assert!(check_default(&application, "2.9", None).is_err());
        let fact = PackageFact::Uploaded { is_there: true };
        package.life = step(&application, &package, fact, Timestamp(0)).expect("uploaded");
        assert!(check_default(&application, "2.9", Some(&package)).is_ok());
        assert!(check_removal(&application, &package).is_ok());
        application.life.default_version = Some("2.9".to_owned());
        assert!(check_removal(&application, &package).is_err());
    }

    #[test]
    fn versions_have_dots() {
        for version in ["1", "2.9", "v1.0-beta_2", &"1".repeat(64)] {
            assert!(check_version(version).is_ok(), "{version}");
        }
        for version in ["", ".", "..", "1/2", "1 2", "ä", &"1".repeat(65)] {
            assert!(check_version(version).is_err(), "{version}");
        }
    }

    #[test]
    fn tasks_find_packages_by_variables() {
        let names = |id: &str, version: Option<&str>| {
            let (application_id, version) = (id.to_owned(), version.map(str::to_owned));
            variable_names(&PackageReference { application_id, version }).join(" ")
        };
        assert_eq!(
            names("my-App", Some("1.0-b#2")),
            "AZ_BATCH_APP_PACKAGE_my_App_1_0_b_2 AZ_BATCH_APP_PACKAGE_MY_APP_1_0_B_2"
        );
        assert_eq!(names("BLENDER", None), "AZ_BATCH_APP_PACKAGE_BLENDER");
    }
}
