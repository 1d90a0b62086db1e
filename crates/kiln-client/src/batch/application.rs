//! Applications and their packages: operations of Kiln itself.

use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::{BatchClient, JSON};
use crate::ClientError;

/// An application.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Application {
    /// Its name in the account.
    pub id: String,
    /// A name for people.
    pub display_name: Option<String>,
    /// The version that references mean which name none.
    pub default_version: Option<String>,
    /// Its packages, by version.
    pub packages: Vec<Package>,
}

/// One version of an application.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Package {
    /// Its version.
    pub version: String,
    /// `pending` or `active`.
    pub state: String,
    /// When it last became active (ISO 8601).
    pub last_activation_time: Option<String>,
    /// Opens its file, where it was asked for alone; to write as long as it is pending.
    pub storage_url: Option<String>,
}

impl std::fmt::Debug for Package {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL is a secret.
        f.debug_struct("Package")
            .field("version", &self.version)
            .field("state", &self.state)
            .field("last_activation_time", &self.last_activation_time)
            .finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Nothing {}

impl BatchClient {
    /// All applications of the account.
    ///
    /// # Errors
    /// When the service refuses, as Azure's does, or can not be reached.
    pub async fn applications(&self) -> Result<Vec<Application>, ClientError> {
        #[derive(Deserialize)]
        struct List {
            value: Vec<Application>,
        }
        let list: List = self.get(&["kiln", "applications"]).await?;
        Ok(list.value)
    }

    /// Makes an application unless there is one of this name.
    ///
    /// # Errors
    /// When the service refuses (`InvalidPropertyValue`) or can not be reached.
    pub async fn put_application(&self, id: &str) -> Result<(), ClientError> {
        self.own(Method::PUT, &["kiln", "applications", id], &Nothing {}).await.map(drop)
    }

    /// Lets references that name no version mean this one.
    ///
    /// # Errors
    /// When the service refuses (`RequestedDefaultVersionNotActive`) or can not be reached.
    pub async fn set_default_version(&self, id: &str, version: &str) -> Result<(), ClientError> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Settings<'a> {
            default_version: &'a str,
        }
        let body = Settings { default_version: version };
        self.own(Method::PATCH, &["kiln", "applications", id], &body).await.map(drop)
    }

    /// Removes an application, which must have no packages.
    ///
    /// # Errors
    /// When the service refuses (`ApplicationPackagesNotEmpty`) or can not be reached.
    pub async fn delete_application(&self, id: &str) -> Result<(), ClientError> {
        self.delete(&["kiln", "applications", id]).await
    }

    /// Makes a package, or lets one be uploaded again; its URL may be written to.
    ///
    /// # Errors
    /// When the service refuses (`ApplicationNotFound`) or can not be reached.
    pub async fn put_package(&self, id: &str, version: &str) -> Result<Package, ClientError> {
        let path = ["kiln", "applications", id, "versions", version];
        let response = self.own(Method::PUT, &path, &Nothing {}).await?;
        self.transport.json(response).await
    }

    /// Lets nodes get a package that was uploaded.
    ///
    /// # Errors
    /// When the service refuses (`ApplicationPackageBlobNotFound`) or can not be reached.
    pub async fn activate_package(&self, id: &str, version: &str) -> Result<Package, ClientError> {
        let path = ["kiln", "applications", id, "versions", version, "activate"];
        let response = self.own(Method::POST, &path, &Nothing {}).await?;
        self.transport.json(response).await
    }

    /// Removes a package and its file.
    ///
    /// # Errors
    /// When the service refuses (`ApplicationPackageIsDefaultVersion`) or can not be reached.
    pub async fn delete_package(&self, id: &str, version: &str) -> Result<(), ClientError> {
        self.delete(&["kiln", "applications", id, "versions", version]).await
    }

    async fn own<T: Serialize>(
        &self,
        method: Method,
        segments: &[&str],
        body: &T,
    ) -> Result<reqwest::Response, ClientError> {
        let call = Self::call(method, segments).header("content-type", JSON);
        let body = serde_json::to_vec(body).expect("a small structure is always JSON");
        self.transport.send(call.body(body)).await
    }
}
