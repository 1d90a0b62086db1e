//! Certificates.

use kiln_domain::batch::certificate::{Certificate, CertificateFile, CertificateLife};
use rusqlite::{OptionalExtension, Row, params};

use super::life::Json;
use crate::{StoreError, Tx, View};

const COLUMNS: &str = "key, account, thumbprint, life";

fn from_row(row: &Row<'_>) -> Result<Certificate, rusqlite::Error> {
    let Json(life) = row.get(3)?;
    Ok(Certificate { key: row.get(0)?, account: row.get(1)?, thumbprint: row.get(2)?, life })
}

impl View<'_> {
    /// A certificate by its thumbprint, which is in lower case.
    pub fn certificate(
        &self,
        account: &str,
        thumbprint: &str,
    ) -> Result<Option<Certificate>, StoreError> {
        let sql =
            format!("SELECT {COLUMNS} FROM certificate WHERE account = ?1 AND thumbprint = ?2");
        Ok(self.statement(&sql)?.query_row(params![account, thumbprint], from_row).optional()?)
    }

    /// A certificate by its key.
    pub fn certificate_by_key(&self, key: i64) -> Result<Option<Certificate>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM certificate WHERE key = ?1");
        Ok(self.statement(&sql)?.query_row(params![key], from_row).optional()?)
    }

    /// What a certificate is made of.
    pub fn certificate_file(&self, key: i64) -> Result<Option<CertificateFile>, StoreError> {
        let sql = "SELECT bytes, password FROM certificate WHERE key = ?1";
        let file =
            |row: &Row<'_>| Ok(CertificateFile { bytes: row.get(0)?, password: row.get(1)? });
        Ok(self.statement(sql)?.query_row(params![key], file).optional()?)
    }

    /// Certificates of an account in the order of their thumbprints: at most `limit` whose
    /// thumbprint comes after `after`.
    pub fn certificates_after(
        &self,
        account: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Certificate>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM certificate
             WHERE account = ?1 AND thumbprint > ?2 ORDER BY thumbprint LIMIT ?3"
        );
        let mut statement = self.statement(&sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![account, after, limit], from_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The keys of all certificates, of all accounts.
    pub fn all_certificate_keys(&self) -> Result<Vec<i64>, StoreError> {
        let mut statement = self.statement("SELECT key FROM certificate ORDER BY key")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Tx<'_> {
    /// Keeps a new certificate; one of the same thumbprint is a duplicate.
    pub fn insert_certificate(
        &mut self,
        account: &str,
        thumbprint: &str,
        life: &CertificateLife,
        file: &CertificateFile,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO certificate (account, thumbprint, life, password, bytes)
                   VALUES (?1, ?2, ?3, ?4, ?5)";
        let values = params![account, thumbprint, Json(life), file.password, file.bytes];
        self.statement(sql)?.execute(values)?;
        Ok(())
    }

    /// Keeps what has become of a certificate.
    pub fn update_certificate(
        &mut self,
        key: i64,
        life: &CertificateLife,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE certificate SET life = ?2 WHERE key = ?1";
        self.statement(sql)?.execute(params![key, Json(life)])?;
        Ok(())
    }

    /// Removes a certificate.
    pub fn delete_certificate(&mut self, key: i64) -> Result<(), StoreError> {
        self.statement("DELETE FROM certificate WHERE key = ?1")?.execute(params![key])?;
        Ok(())
    }
}
