//! `kiln application`: applications and their packages.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kiln_client::BatchClient;
use kiln_client::batch::Application;
use kiln_client::blob::{UploadError, upload_to_url};

use super::account;
use super::env::AccountChoice;
use crate::data::DataDirectory;
use crate::failure::Failure;
use crate::output::{self, table};

const EXAMPLE: &str = "\
A package is a zip file; nodes unpack it before the tasks that ask for it. A task finds it by
the variable AZ_BATCH_APP_PACKAGE_<application>_<version>, with _ for each dot and hyphen, or
without the version when it asks for the default one.

Examples:
  kiln application add blender 2.9 blender.zip --default
  kiln application list
  kiln application remove blender 2.9";

/// Upload, show and remove packages of applications.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct ApplicationArgs {
    #[command(subcommand)]
    verb: Verb,
    /// Which accounts, where there are several
    #[command(flatten)]
    accounts: AccountChoice,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show all applications and their packages
    List,
    /// Upload a zip file as a package, and let nodes get it
    Add {
        #[command(flatten)]
        named: Named,
        /// The zip file
        file: PathBuf,
        /// Let references without a version mean this one
        #[arg(long)]
        default: bool,
        /// Leave it pending: nodes do not get it before `kiln application activate`
        #[arg(long, conflicts_with = "default")]
        pending: bool,
    },
    /// Let nodes get a package that was left pending
    Activate(Named),
    /// Let references without a version mean this one
    Default(Named),
    /// Remove a package, or an application that has none
    Remove {
        /// The application
        application: String,
        /// The package's version
        version: Option<String>,
    },
}

#[derive(Debug, Args)]
struct Named {
    /// The application
    application: String,
    /// The package's version
    version: String,
}

pub(crate) fn run(args: &ApplicationArgs, data: &DataDirectory) -> Result<(), Failure> {
    let batch = account::batch_client(data, &args.accounts)?;
    crate::runtime()?.block_on(run_on(&batch, &args.verb))
}

async fn run_on(batch: &BatchClient, verb: &Verb) -> Result<(), Failure> {
    match verb {
        Verb::List => output::line(&listing(&batch.applications().await?)),
        Verb::Add { named, file, default, pending } => {
            let Named { application, version } = named;
            add(batch, named, file).await?;
            if *pending {
                output::line(&format!("uploaded `{application}` {version}; it is pending"));
                return Ok(());
            }
            batch.activate_package(application, version).await?;
            if *default {
                batch.set_default_version(application, version).await?;
            }
            output::line(&format!("`{application}` {version} is active"));
        }
        Verb::Activate(Named { application, version }) => {
            batch.activate_package(application, version).await?;
            output::line(&format!("`{application}` {version} is active"));
        }
        Verb::Default(Named { application, version }) => {
            batch.set_default_version(application, version).await?;
            output::line(&format!("the default version of `{application}` is {version}"));
        }
        Verb::Remove { application, version: Some(version) } => {
            batch.delete_package(application, version).await?;
            output::line(&format!("removed `{application}` {version}"));
        }
        Verb::Remove { application, version: None } => {
            batch.delete_application(application).await?;
            output::line(&format!("removed the application `{application}`"));
        }
    }
    Ok(())
}

/// Uploads a file as a package, which is pending then.
async fn add(batch: &BatchClient, named: &Named, file: &Path) -> Result<(), Failure> {
    let unreadable =
        |cause| Failure::new(format!("cannot read `{}`", file.display())).because(cause);
    let content = tokio::fs::File::open(file).await.map_err(unreadable)?;
    let size_bytes = content.metadata().await.map_err(unreadable)?.len();
    check_is_zip(file).map_err(unreadable)?;
    batch.put_application(&named.application).await?;
    let package = batch.put_package(&named.application, &named.version).await?;
    let url = package.storage_url.unwrap_or_default();
    let progress = progress_of(size_bytes);
    let uploaded = upload_to_url(&url, content, |n_bytes| progress.inc(n_bytes)).await;
    progress.finish_and_clear();
    Ok(uploaded?)
}

/// A file that no node could unpack is better refused here.
fn check_is_zip(file: &Path) -> std::io::Result<()> {
    let content = std::io::BufReader::new(std::fs::File::open(file)?);
    zip::ZipArchive::new(content).map(drop).map_err(std::io::Error::other)
}

fn progress_of(size_bytes: u64) -> ProgressBar {
    let template = "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(size_bytes), ProgressDrawTarget::stderr()).with_style(style)
}

fn listing(applications: &[Application]) -> String {
    let mut rows = Vec::new();
    for application in applications {
        let default = application.default_version.as_deref();
        let is_default = |version: &str| default.is_some_and(|it| it.eq_ignore_ascii_case(version));
        if application.packages.is_empty() {
            rows.push([application.id.clone(), String::new(), String::new(), String::new()]);
        }
        for package in &application.packages {
            let mut version = package.version.clone();
            if is_default(&version) {
                version.push_str(" (default)");
            }
            let activated = package.last_activation_time.clone().unwrap_or_default();
            rows.push([application.id.clone(), version, package.state.clone(), activated]);
        }
    }
    table::render(["application", "version", "state", "activated"], rows)
}

impl From<UploadError> for Failure {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Client(error) => error.into(),
            UploadError::Read(_) | UploadError::TooLarge => {
                let failure = Self::new(error.to_string());
                match std::error::Error::source(&error) {
                    Some(source) => failure.because(source),
                    None => failure,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use kiln_client::batch::{Application, Package};

    use super::listing;

    #[test]
    fn the_default_version_is_marked() {
        let package = |version: &str, state: &str| Package {
            version: version.to_owned(),
            state: state.to_owned(),
            ..Package::default()
        };
        let blender = Application {
            id: "blender".to_owned(),
            default_version: Some("2.9".to_owned()),
            packages: vec![package("2.8", "pending"), package("2.9", "active")],
            ..Application::default()
        };
        let empty = Application { id: "none".to_owned(), ..Application::default() };
        let lines = listing(&[blender, empty]);
        let words: Vec<Vec<&str>> =
            lines.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(
            words,
            [
                vec!["application", "version", "state", "activated"],
                vec!["blender", "2.8", "pending"],
                vec!["blender", "2.9", "(default)", "active"],
                vec!["none"],
            ]
        );
    }
}
