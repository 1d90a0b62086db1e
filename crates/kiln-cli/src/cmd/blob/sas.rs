//! `kiln blob sas`: URLs that open a blob or a container without a key.

use clap::Args;
use kiln_client::blob::Permissions;

use super::place::Accounts;
use crate::failure::Failure;
use crate::length::Length;
use crate::output;

/// What the URL opens, and how far.
#[derive(Debug, Args)]
pub(crate) struct SasArgs {
    /// `az://CONTAINER/NAME`, or `az://CONTAINER` for all that is in it
    place: String,
    /// Letters of what is allowed: r(ead) a(dd) c(reate) w(rite) d(elete) l(ist) t(ags) ...
    #[arg(long, short, default_value = "r")]
    permissions: Permissions,
    /// How long it is valid, such as 30m or 24h
    #[arg(long, default_value = "1h", value_name = "LENGTH")]
    valid_for: Length,
}

pub(super) fn run(args: &SasArgs, accounts: &Accounts<'_>) -> Result<(), Failure> {
    let place = accounts.remote(&args.place)?;
    if place.container.is_empty() {
        return Err(Failure::usage("name a container or a blob, such as az://films/one.mov"));
    }
    let (client, valid_for) = (&place.client, args.valid_for.0);
    let url = if place.blob.is_empty() {
        client.container_sas_url(&place.container, &args.permissions, valid_for)?
    } else {
        client.blob_sas_url(&place.container, &place.blob, &args.permissions, valid_for)?
    };
    output::line(&url);
    Ok(())
}
