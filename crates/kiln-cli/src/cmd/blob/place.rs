//! Places on the command line: files here, and blobs of accounts.

use std::path::PathBuf;

use kiln_client::blob::BlobUrl;
use kiln_client::{Access, BlobClient, Credentials};

use crate::cmd::account;
use crate::cmd::env::AccountChoice;
use crate::data::DataDirectory;
use crate::environment::Environment;
use crate::failure::{Failure, NOT_RUNNING};

/// How places of an account at hand begin.
const SCHEME: &str = "az://";
/// Hosts of the cloud.
const CLOUD: &str = "blob.core.windows.net";

/// Where accounts are looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accounts<'a> {
    pub(super) data: &'a DataDirectory,
    pub(super) environment: &'a Environment,
    pub(super) choice: &'a AccountChoice,
}

/// A file or folder here, or a place in an account.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Local(PathBuf),
    Remote(Remote),
}

/// A container, blob or beginning of names, and a client of its account.
#[derive(Clone, Debug)]
pub(super) struct Remote {
    pub(super) client: BlobClient,
    pub(super) container: String,
    pub(super) blob: String,
    /// Of the URL, to be shown to a service that is to read it.
    pub(super) signature: Option<String>,
}

/// An account: where it is, and what opens it.
#[derive(Debug)]
struct Account {
    endpoint: String,
    access: Access,
}

impl Remote {
    /// The same, which must be a container and nothing in it.
    pub(super) fn container_only(self) -> Result<Self, Failure> {
        match (self.container.is_empty(), self.blob.is_empty()) {
            (false, true) => Ok(self),
            (true, _) => Err(Failure::usage("name a container, such as az://films")),
            (false, false) => Err(Failure::usage(format!(
                "`{}` is in a container; name the container alone",
                self.blob
            ))),
        }
    }

    /// Whether names begin here, rather than end.
    pub(super) fn is_folder(&self) -> bool {
        self.blob.is_empty() || self.blob.ends_with('/')
    }

    /// How the place is written, without a signature.
    pub(super) fn shown(&self) -> String {
        format!("{SCHEME}{}/{}", self.container, self.blob)
    }
}

impl Accounts<'_> {
    /// What `text` names, here or in an account.
    pub(super) fn place(&self, text: &str) -> Result<Place, Failure> {
        let is_remote = [SCHEME, "http://", "https://"].iter().any(|it| text.starts_with(it));
        if is_remote { self.remote(text).map(Place::Remote) } else { Ok(Place::Local(text.into())) }
    }

    /// What `text` names in an account.
    pub(super) fn remote(&self, text: &str) -> Result<Remote, Failure> {
        if let Some(rest) = text.strip_prefix(SCHEME) {
            let account = self.at_hand()?;
            let (container, blob) = rest.split_once('/').unwrap_or((rest, ""));
            return Ok(Remote {
                client: BlobClient::open(&account.endpoint, account.access)?,
                container: container.to_owned(),
                blob: blob.to_owned(),
                signature: None,
            });
        }
        if !text.starts_with("http") {
            return Err(Failure::usage(format!("`{text}` is no place of an account"))
                .hint("write az://CONTAINER/NAME, or a whole URL"));
        }
        let url = BlobUrl::parse(text)?;
        let access = match &url.signature {
            Some(signature) => Access::Signature(signature.clone()),
            None => self.access_to(&url)?,
        };
        Ok(Remote {
            client: BlobClient::open(&url.endpoint, access)?,
            container: url.container,
            blob: url.blob,
            signature: url.signature,
        })
    }

    /// What opens the account of a URL without a signature: the key of the same account at
    /// hand, or nothing, for it may be public.
    fn access_to(&self, url: &BlobUrl) -> Result<Access, Failure> {
        match self.at_hand() {
            Ok(account) if account.endpoint == url.endpoint => Ok(account.access),
            Ok(_) => Ok(Access::Public),
            Err(failure) if failure.is_code(NOT_RUNNING) => Ok(Access::Public),
            Err(failure) => Err(failure),
        }
    }

    /// The account at hand: of the environment, or of the running Kiln.
    fn at_hand(&self) -> Result<Account, Failure> {
        let is_chosen = self.choice.storage_account.is_some();
        match self.of_environment()? {
            Some(account) if !is_chosen => Ok(account),
            Some(_) | None => self.of_kiln(),
        }
    }

    fn of_environment(&self) -> Result<Option<Account>, Failure> {
        if let Some(text) = self.environment.get("AZURE_STORAGE_CONNECTION_STRING") {
            return connection(text).map(Some);
        }
        let Some(name) = self.environment.get("AZURE_STORAGE_ACCOUNT") else { return Ok(None) };
        let endpoint = self
            .environment
            .first(&["AZURE_STORAGE_BLOB_ENDPOINT", "AZURE_STORAGE_SERVICE_ENDPOINT"])
            .map_or_else(|| format!("https://{name}.{CLOUD}"), str::to_owned);
        let key = self.environment.get("AZURE_STORAGE_KEY");
        let token = self.environment.get("AZURE_STORAGE_SAS_TOKEN");
        Ok(Some(account(name, &endpoint, key, token)))
    }

    fn of_kiln(&self) -> Result<Account, Failure> {
        let (endpoints, chosen) = account::of_running(self.data, self.choice)?;
        let Some((name, key)) = chosen.storage else {
            return Err(Failure::new("there is no storage account")
                .hint("make one with `kiln account create storage NAME`"));
        };
        Ok(account(&name, &endpoints.blob_url_of(&name), Some(&key), None))
    }
}

fn account(name: &str, endpoint: &str, key: Option<&str>, token: Option<&str>) -> Account {
    let access = match (key, token) {
        (Some(key), _) => Access::Key(Credentials::new(name, key)),
        (None, Some(token)) => Access::Signature(token.trim_start_matches('?').to_owned()),
        (None, None) => Access::Public,
    };
    let endpoint = endpoint.trim_end_matches('/').to_owned();
    Account { endpoint, access }
}

/// Reads a connection string as Azure's tools write it.
fn connection(text: &str) -> Result<Account, Failure> {
    let parts: Vec<(&str, &str)> = text.split(';').filter_map(|it| it.split_once('=')).collect();
    let part = |name: &str| {
        let found = parts.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| *value).filter(|value| !value.is_empty())
    };
    let name = part("AccountName").unwrap_or_default();
    let scheme = part("DefaultEndpointsProtocol").unwrap_or("https");
    let suffix = part("EndpointSuffix").map(|it| format!("blob.{it}"));
    let endpoint = match part("BlobEndpoint") {
        Some(endpoint) => endpoint.to_owned(),
        None if name.is_empty() => {
            return Err(Failure::usage("AZURE_STORAGE_CONNECTION_STRING names no account"));
        }
        None => format!("{scheme}://{name}.{}", suffix.as_deref().unwrap_or(CLOUD)),
    };
    Ok(account(name, &endpoint, part("AccountKey"), part("SharedAccessSignature")))
}

#[cfg(test)]
mod tests {
    use kiln_client::Access;

    use super::{Accounts, Place};
    use crate::cmd::env::AccountChoice;
    use crate::data::DataDirectory;
    use crate::environment::Environment;

    /// Where a place ends up, and what opens it, with these variables.
    fn check(variables: &[(&str, &str)], text: &str, expected: &str) {
        let data = DataDirectory::at("/nonexistent/kiln".into());
        let (environment, choice) = (Environment::of(variables), AccountChoice::default());
        let accounts = Accounts { data: &data, environment: &environment, choice: &choice };
        let found = match accounts.place(text) {
            Ok(Place::Local(path)) => format!("file {}", path.display()),
            Ok(Place::Remote(it)) => {
                let how = match it.client.access() {
                    Access::Key(_) => "key",
                    Access::Signature(_) => "signature",
                    Access::Public => "public",
                };
                format!("{} {} {} {how}", it.client.endpoint(), it.container, it.blob)
            }
            Err(failure) => {
                failure.lines().first().map(|(_, it)| (*it).to_owned()).unwrap_or_default()
            }
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn places_are_found() {
        let key = [("AZURE_STORAGE_ACCOUNT", "pics"), ("AZURE_STORAGE_KEY", "a2V5")];
        let cloud = "https://pics.blob.core.windows.net";
        check(&key, "az://c/a/b", &format!("{cloud} c a/b key"));
        check(&key, "./a/b", "file ./a/b");
        check(&key, &format!("{cloud}/c/x"), &format!("{cloud} c x key"));
        check(
            &key,
            "https://other.blob.core.windows.net/c",
            "https://other.blob.core.windows.net c  public",
        );
        check(&key, &format!("{cloud}/c/x?sv=1&sig=2"), &format!("{cloud} c x signature"));
        let token = [("AZURE_STORAGE_ACCOUNT", "pics"), ("AZURE_STORAGE_SAS_TOKEN", "?sig=2")];
        check(&token, "az://c", &format!("{cloud} c  signature"));
        let string = "AccountName=dev;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:1/dev/;";
        let string = [("AZURE_STORAGE_CONNECTION_STRING", string)];
        check(&string, "az://c/b", "http://127.0.0.1:1/dev c b key");
        check(&[], "az://c/b", "no Kiln runs on `/nonexistent/kiln`");
    }
}
