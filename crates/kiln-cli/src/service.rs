//! The service in this process: locked data, started server, published endpoints.

use std::path::PathBuf;

use kiln_server::config::Config;
use kiln_server::intercept::Surroundings;
use kiln_server::{Running, StartError};

use crate::data::{DataDirectory, DataLock};
use crate::endpoints::Endpoints;
use crate::environment::Environment;
use crate::extents;
use crate::failure::Failure;
use crate::settings::Settings;

/// The service in this process.
#[derive(Debug)]
pub(crate) struct Service {
    running: Running,
    endpoints: Endpoints,
    data: DataDirectory,
    /// Held until everything else has ended.
    _lock: DataLock,
}

impl Service {
    /// Takes `data` for a service.
    pub(crate) fn take(data: &DataDirectory) -> Result<DataLock, Failure> {
        if kiln_server::backup::is_backup(data.path()) {
            let place = data.path().display();
            return Err(Failure::new(format!("`{place}` is a backup")).hint(format!(
                "restore it to a place of its own: kiln restore {place} --data DIR"
            )));
        }
        data.create()?;
        data.lock()
    }

    /// Starts the server on `data`, which was taken, and tells client commands where it is.
    pub(crate) async fn start(
        data: &DataDirectory,
        lock: DataLock,
        settings: &Settings,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        if settings.isolation == "plain" && rustix::process::geteuid().is_root() {
            data.open_to_nodes()?;
        }
        let mut config = Config::new(data.path().to_owned(), crate::own_program()?);
        if let Some(text) = &settings.extents {
            let options = extents::options(settings.extents_options.clone(), environment);
            config.extents = Some(extents::place(text, options)?);
        }
        config.batch_listen = settings.batch_listen;
        config.blob_listen = settings.blob_listen;
        config.monitor_listen = settings.monitor_listen;
        config.durability = settings.durability;
        config.isolation.clone_from(&settings.isolation);
        config.slot_limits = settings.slot_limits;
        config.kept_files = settings.kept_files;
        config.autoscale = settings.autoscale;
        config.quotas = settings.quotas;
        config.copy_hosts.clone_from(&settings.copy_hosts);
        config.spot = settings.spot;
        config.heartbeat_deadline = settings.lost_after;
        config.hello_deadline = settings.heard_within;
        config.tokens.clone_from(&settings.tokens);
        config.surroundings = surroundings(environment);
        let running = kiln_server::start(config).await?;
        let endpoints = endpoints_of(&running);
        endpoints.publish(data)?;
        Ok(Self { running, endpoints, data: data.clone(), _lock: lock })
    }

    /// Where it is found.
    pub(crate) fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Answers the requests in work and stops; nodes go on and wait for the next server.
    pub(crate) async fn stop(self) {
        Endpoints::withdraw(&self.data);
        self.running.stop().await;
    }

    /// Stops and ends the nodes too: nothing will come back for them.
    pub(crate) async fn stop_and_forget(self) {
        Endpoints::withdraw(&self.data);
        self.running.stop_and_end_nodes().await;
    }
}

/// What the machine says about certificates and proxies.
fn surroundings(environment: &Environment) -> Surroundings {
    let own = |names: &[&str]| environment.first(names).map(ToOwned::to_owned);
    Surroundings {
        ssl_cert_file: environment.get("SSL_CERT_FILE").map(PathBuf::from),
        https_proxy: own(&["HTTPS_PROXY", "https_proxy"]),
        no_proxy: own(&["NO_PROXY", "no_proxy"]),
    }
}

fn endpoints_of(running: &Running) -> Endpoints {
    let published = running.interception();
    Endpoints {
        pid: std::process::id(),
        batch_url: reachable(running.batch_url()),
        blob_url: reachable(running.blob_url()),
        monitor_url: reachable(running.monitor_url()),
        batch_accounts: running.batch_accounts().to_vec(),
        storage_accounts: running.storage_accounts().to_vec(),
        proxy_url: published.proxy_url.clone(),
        ca_file: published.ca_file.clone(),
        trust_bundle: published.trust_bundle.clone(),
    }
}

/// Who listens on every address is reached on loopback.
fn reachable(url: &str) -> String {
    url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let hint = error.hint();
        let failure = Self::new(error.to_string());
        let failure = match std::error::Error::source(&error) {
            Some(source) => failure.because(source),
            None => failure,
        };
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::reachable;

    #[test]
    fn any_address_is_no_place_to_go() {
        assert_eq!(reachable("http://0.0.0.0:8700"), "http://127.0.0.1:8700");
        assert_eq!(reachable("http://[::]:8700"), "http://[::1]:8700");
        assert_eq!(reachable("http://10.0.0.0:8700"), "http://10.0.0.0:8700");
    }
}
