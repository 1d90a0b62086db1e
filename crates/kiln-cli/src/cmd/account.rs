//! `kiln account`: accounts and their keys.

use clap::{Args, Subcommand, ValueEnum};
use kiln_client::{BatchClient, Credentials};
use kiln_server::accounts::{DEV_BATCH_ACCOUNT, DEV_STORAGE_ACCOUNT, is_well_known};
use kiln_server::admin::{Account, AccountKind, Admin, AdminError, WhichKey};

use super::env::AccountChoice;
use crate::data::DataDirectory;
use crate::endpoints::Endpoints;
use crate::failure::Failure;
use crate::output::{self, table};

const EXAMPLE: &str = "\
Works while Kiln runs, which notices within a second, and while it does not.

Examples:
  kiln account create batch renderfarm
  kiln account create storage pictures
  kiln account keys storage pictures
  kiln account link renderfarm pictures
  kiln account set pictures --versions on --blob-retention 7
  kiln account remove batch kilndev";

/// Make, show and remove accounts and their keys.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct AccountArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make an account with two new keys
    Create(Named),
    /// Show all accounts, without their keys
    List,
    /// Remove an account
    Remove(Named),
    /// Put a storage account behind a Batch account: packages lie there, and containers of which
    /// only the name is given
    Link {
        /// The Batch account
        batch: String,
        /// The storage account
        storage: String,
    },
    /// Print the two keys of an account
    Keys(Named),
    /// Change what holds for a whole storage account, and show it
    Set(SetArgs),
    /// Replace one key of an account by a new one
    Regenerate {
        #[command(flatten)]
        named: Named,
        /// Which of the two
        #[arg(long, value_enum, default_value_t = Which::Primary)]
        key: Which,
    },
}

#[derive(Debug, Args)]
struct Named {
    /// What it is for
    kind: Kind,
    /// Its name: 3 to 24 lower-case letters and digits
    name: String,
}

#[derive(Debug, Args)]
struct SetArgs {
    /// The storage account
    name: String,
    /// Whether blobs that are changed or deleted leave a version behind
    #[arg(long, value_name = "WHETHER")]
    versions: Option<Switch>,
    /// Days for which deleted blobs can be brought back, 1 to 365; 0 is not at all
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(0..=365))]
    blob_retention: Option<u32>,
    /// Whether snapshots and versions that were deleted may be removed before their time
    #[arg(long, value_name = "WHETHER")]
    permanent_delete: Option<Switch>,
    /// Days for which deleted containers can be brought back, 1 to 365; 0 is not at all
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(0..=365))]
    container_retention: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

impl Switch {
    const fn is_on(self) -> bool {
        matches!(self, Self::On)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Pools, jobs and tasks
    Batch,
    /// Containers and blobs
    Storage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    Primary,
    Secondary,
}

impl From<Kind> for AccountKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Batch => Self::Batch,
            Kind::Storage => Self::Storage,
        }
    }
}

pub(crate) fn run(args: AccountArgs, data: &DataDirectory) -> Result<(), Failure> {
    data.create()?;
    let admin = Admin::open(data.path())?;
    let runtime = crate::runtime()?;
    match args.verb {
        Verb::Create(it) => {
            let made = runtime.block_on(admin.create(it.kind.into(), &it.name))?;
            output::line(&format!("made the {} account `{}`", made.kind.as_str(), made.name));
            output::line(&format!(
                "its keys: `kiln account keys {} {}`",
                made.kind.as_str(),
                made.name
            ));
        }
        Verb::List => output::line(&listing(&admin.all()?)),
        Verb::Remove(it) => {
            runtime.block_on(admin.remove(it.kind.into(), &it.name))?;
            output::line(&format!("removed the account `{}`", it.name));
        }
        Verb::Link { batch, storage } => {
            runtime.block_on(admin.link(&batch, &storage))?;
            output::line(&format!("put `{storage}` behind `{batch}`"));
        }
        Verb::Set(it) => set(&runtime, &admin, it)?,
        Verb::Keys(it) => print_keys(&admin.get(it.kind.into(), &it.name)?),
        Verb::Regenerate { named, key } => {
            let which = match key {
                Which::Primary => WhichKey::Primary,
                Which::Secondary => WhichKey::Secondary,
            };
            let changed =
                runtime.block_on(admin.regenerate(named.kind.into(), &named.name, which))?;
            print_keys(&changed);
        }
    }
    Ok(())
}

fn set(runtime: &tokio::runtime::Runtime, admin: &Admin, args: SetArgs) -> Result<(), Failure> {
    let SetArgs { name, versions, blob_retention, permanent_delete, container_retention } = args;
    let settings = runtime.block_on(admin.change_settings(&name, move |settings| {
        if let Some(versions) = versions {
            settings.keeps_versions = versions.is_on();
        }
        if let Some(days) = blob_retention {
            settings.blobs_kept_days = Some(days).filter(|days| *days > 0);
        }
        if let Some(permanent_delete) = permanent_delete {
            settings.allows_permanent_delete = permanent_delete.is_on();
        }
        if let Some(days) = container_retention {
            settings.containers_kept_days = Some(days).filter(|days| *days > 0);
        }
    }))?;
    let switch = |is_on| if is_on { "on" } else { "off" };
    output::line(&format!("versions             {}", switch(settings.keeps_versions)));
    output::line(&format!("blob-retention       {}", settings.blobs_kept_days.unwrap_or(0)));
    output::line(&format!("permanent-delete     {}", switch(settings.allows_permanent_delete)));
    output::line(&format!("container-retention  {}", settings.containers_kept_days.unwrap_or(0)));
    Ok(())
}

fn print_keys(account: &Account) {
    let [primary, secondary] = &account.keys;
    output::line(&format!("primary    {primary}"));
    output::line(&format!("secondary  {secondary}"));
}

fn listing(accounts: &[Account]) -> String {
    let row = |account: &Account| {
        let is_published = account.keys.iter().any(|key| is_well_known(key));
        [
            account.kind.as_str().to_owned(),
            account.name.clone(),
            account.created_at.to_iso(),
            if is_published { "published key: loopback only" } else { "" }.to_owned(),
        ]
    };
    table::render(["kind", "name", "made", ""], accounts.iter().map(row).collect())
}

/// The accounts a program is given: name and first key of each.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) batch: Option<(String, String)>,
    pub(crate) storage: Option<(String, String)>,
}

impl std::fmt::Debug for Chosen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chosen").finish_non_exhaustive()
    }
}

/// A client of the running Kiln for the chosen Batch account.
pub(crate) fn batch_client(
    data: &DataDirectory,
    choice: &AccountChoice,
) -> Result<BatchClient, Failure> {
    let (endpoints, chosen) = of_running(data, choice)?;
    let Some((name, key)) = chosen.batch else {
        return Err(Failure::new("there is no Batch account")
            .hint("make one with `kiln account create batch NAME`"));
    };
    Ok(BatchClient::new(&endpoints.batch_url, Credentials::new(name, key))?)
}

/// Where the running Kiln is, and its chosen accounts.
pub(crate) fn of_running(
    data: &DataDirectory,
    choice: &AccountChoice,
) -> Result<(Endpoints, Chosen), Failure> {
    let endpoints = Endpoints::require(data)?;
    Ok((endpoints, choose(&Admin::open(data.path())?, choice)?))
}

/// Picks the named accounts, or else the development ones, or else the oldest.
pub(crate) fn choose(admin: &Admin, choice: &AccountChoice) -> Result<Chosen, Failure> {
    let all = admin.all()?;
    let batch = choice.batch_account.as_deref();
    let storage = choice.storage_account.as_deref();
    Ok(Chosen {
        batch: pick(&all, AccountKind::Batch, batch, DEV_BATCH_ACCOUNT)?,
        storage: pick(&all, AccountKind::Storage, storage, DEV_STORAGE_ACCOUNT)?,
    })
}

fn pick(
    all: &[Account],
    kind: AccountKind,
    named: Option<&str>,
    usual: &str,
) -> Result<Option<(String, String)>, Failure> {
    let of_kind: Vec<&Account> = all.iter().filter(|account| account.kind == kind).collect();
    let find = |name: &str| of_kind.iter().find(|account| account.name == name).copied();
    let found = match named {
        Some(name) => Some(find(name).ok_or_else(|| {
            Failure::from(AdminError::NotFound { kind, name: name.to_owned() })
                .hint("`kiln account list` shows all accounts")
        })?),
        None => {
            let oldest = || of_kind.iter().min_by_key(|account| account.created_at).copied();
            find(usual).or_else(oldest)
        }
    };
    let name_and_key = |account: &Account| {
        let [primary, _] = &account.keys;
        (account.name.clone(), primary.clone())
    };
    Ok(found.map(name_and_key))
}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Self {
        let failure = Self::new(error.to_string());
        match std::error::Error::source(&error) {
            Some(source) => failure.because(source),
            None => failure,
        }
    }
}
