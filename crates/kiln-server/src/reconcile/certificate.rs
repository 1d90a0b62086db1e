//! Removes certificates that are to go, or says why they can not.

use std::sync::Arc;

use kiln_domain::batch::certificate::{self, CertificateFact, Uses};
use kiln_domain::time::Timestamp;
use kiln_store::{StoreError, Tx};
use tracing::error;

use super::deadlines::Deadlines;
use crate::batch::certificate_uses;
use crate::clock;
use crate::server::Server;

/// Looks at certificates until it is dropped.
pub async fn run(server: Arc<Server>) {
    let mut deadlines = Deadlines::default();
    loop {
        let keys = tokio::select! {
            biased;
            () = deadlines.next() => deadlines.take_due(clock::now()),
            keys = server.signals.certificates().take() => keys,
        };
        for key in keys {
            match settle(&server, key).await {
                Ok(at) => deadlines.set(key, at),
                Err(cause) => {
                    error!(
                        error = %crate::chain(&cause),
                        certificate_key = key,
                        "a certificate could not be removed"
                    );
                    clock::pause(clock::AFTER_FAILURE).await;
                    server.signals.certificates().mark(key);
                }
            }
        }
    }
}

/// Looks at a certificate; says when to look again.
async fn settle(server: &Server, key: i64) -> Result<Option<Timestamp>, StoreError> {
    let found = server.store.read(|view| view.certificate_by_key(key))?;
    let goes_at = found.and_then(|certificate| certificate.life.goes_at());
    let now = clock::now();
    if goes_at.is_some_and(|at| at <= now) {
        server.store.write(move |tx| remove(tx, key, now)).await?;
        return Ok(None);
    }
    Ok(goes_at)
}

fn remove(tx: &mut Tx<'_>, key: i64, now: Timestamp) -> Result<(), StoreError> {
    let Some(certificate) = tx.certificate_by_key(key)? else { return Ok(()) };
    if certificate.life.goes_at().is_none_or(|at| at > now) {
        return Ok(());
    }
    let uses = certificate_uses(tx, &certificate)?;
    if uses == Uses::default() {
        return tx.delete_certificate(key);
    }
    match certificate::step(&certificate, CertificateFact::InUse(uses), now) {
        Ok(life) => tx.update_certificate(key, &life),
        Err(_rejection) => Ok(()),
    }
}
