//! The Kiln that a command works with: the running one, or one of its own.

use kiln_server::admin::Admin;
use tempfile::TempDir;

use crate::cmd::account::{self, Chosen};
use crate::cmd::env::AccountChoice;
use crate::data::DataDirectory;
use crate::endpoints::Endpoints;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::service::Service;
use crate::settings::Settings;

/// The Kiln that a command works with.
pub(crate) struct Session {
    endpoints: Endpoints,
    data: DataDirectory,
    own: Option<Own>,
}

/// A Kiln that lives as long as the command.
struct Own {
    service: Service,
    directory: TempDir,
}

impl Session {
    /// The Kiln that serves `data`, or a new one in a directory of its own.
    pub(crate) async fn find_or_start(
        data: &DataDirectory,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        if let Some(endpoints) = Endpoints::find(data)? {
            return Ok(Self { endpoints, data: data.clone(), own: None });
        }
        let directory = tempfile::Builder::new()
            .prefix("kiln-")
            .tempdir()
            .map_err(|cause| Failure::new("cannot make a temporary directory").because(cause))?;
        let data = DataDirectory::at(directory.path().to_owned());
        let service =
            Service::start(&data, Service::take(&data)?, &Settings::temporary(), environment)
                .await?;
        let endpoints = service.endpoints().clone();
        Ok(Self { endpoints, data, own: Some(Own { service, directory }) })
    }

    /// Where it is found.
    pub(crate) fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Where its state is.
    pub(crate) fn data(&self) -> &DataDirectory {
        &self.data
    }

    /// Whether it ends with this command.
    pub(crate) fn is_temporary(&self) -> bool {
        self.own.is_some()
    }

    /// Its accounts for a program.
    pub(crate) fn chosen(&self, choice: &AccountChoice) -> Result<Chosen, Failure> {
        account::choose(&Admin::open(self.data.path())?, choice)
    }

    /// Ends and removes it, if it was started for this command.
    pub(crate) async fn end(self) {
        if let Some(own) = self.own {
            own.service.stop_and_forget().await;
            if let Err(error) = own.directory.close() {
                tracing::warn!(%error, "the temporary Kiln was not removed");
            }
        }
    }
}
