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
    let endpoints = Endpoints::require(data)?;
    let chosen = choose(&Admin::open(data.path())?, choice)?;
    let Some((name, key)) = chosen.batch else {
        return Err(Failure::new("there is no Batch account")
            .hint("make one with `kiln account create batch NAME`"));
    };
    Ok(BatchClient::new(&endpoints.batch_url, Credentials::new(name, key))?)
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
