//! `kiln env`: the variables with which programs reach the running Kiln.

use clap::Args;

use super::account::{self, Chosen};
use crate::data::DataDirectory;
use crate::endpoints::Endpoints;
use crate::failure::Failure;
use crate::output::{self, shell};

const EXAMPLE: &str = "\
The output holds account keys: they are the reason this command exists.

Examples:
  eval \"$(kiln env)\"
  kiln env --format dotenv > .env
  kiln env --format json | jq -r .AZURE_STORAGE_CONNECTION_STRING";

/// Print the variables with which programs reach the running Kiln.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct EnvArgs {
    /// Who reads the variables
    #[arg(long, value_enum, default_value_t = shell::Format::Sh)]
    format: shell::Format,
    /// Which accounts, where there are several
    #[command(flatten)]
    accounts: AccountChoice,
}

/// Which accounts a program is given.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct AccountChoice {
    /// Batch account [default: kilndev, or the oldest]
    #[arg(long, value_name = "NAME")]
    pub(crate) batch_account: Option<String>,
    /// Storage account [default: devstoreaccount1, or the oldest]
    #[arg(long, value_name = "NAME")]
    pub(crate) storage_account: Option<String>,
}

pub(crate) fn run(args: &EnvArgs, data: &DataDirectory) -> Result<(), Failure> {
    let (endpoints, chosen) = account::of_running(data, &args.accounts)?;
    output::line(&shell::render(&variables(&endpoints, &chosen), args.format)?);
    Ok(())
}

/// The variables that Azure's own tools read, and the ones of its samples.
pub(crate) fn variables(endpoints: &Endpoints, chosen: &Chosen) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    let mut add = |name: &str, value: &str| variables.push((name.to_owned(), value.to_owned()));
    if let Some((name, key)) = &chosen.batch {
        add("AZURE_BATCH_ACCOUNT", name);
        add("AZURE_BATCH_ACCESS_KEY", key);
        add("AZURE_BATCH_ENDPOINT", &endpoints.batch_url);
    }
    if let Some((name, key)) = &chosen.storage {
        let blob = endpoints.blob_url_of(name);
        let scheme = blob.split("://").next().unwrap_or("http");
        add("AZURE_STORAGE_ACCOUNT", name);
        add("AZURE_STORAGE_KEY", key);
        add(
            "AZURE_STORAGE_CONNECTION_STRING",
            &format!(
                "DefaultEndpointsProtocol={scheme};AccountName={name};AccountKey={key};\
                 BlobEndpoint={blob};"
            ),
        );
        add("AZURE_STORAGE_BLOB_ENDPOINT", &blob);
        add("AZURE_STORAGE_SERVICE_ENDPOINT", &blob);
    }
    variables
}
