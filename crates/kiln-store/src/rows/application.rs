//! Applications and their packages.

use kiln_domain::batch::application::{Application, ApplicationLife, Package, PackageLife};
use rusqlite::{OptionalExtension, Row, params};

use super::life::Json;
use crate::{StoreError, Tx, View};

fn from_row(row: &Row<'_>) -> Result<Application, rusqlite::Error> {
    let Json(life) = row.get(3)?;
    Ok(Application { key: row.get(0)?, account: row.get(1)?, id: row.get(2)?, life })
}

fn package_from_row(row: &Row<'_>) -> Result<Package, rusqlite::Error> {
    let Json(life) = row.get(2)?;
    Ok(Package { application_key: row.get(0)?, version: row.get(1)?, life })
}

impl View<'_> {
    /// An application by its id, which compares without case.
    pub fn application(&self, account: &str, id: &str) -> Result<Option<Application>, StoreError> {
        let sql = "SELECT key, account, id, life FROM application WHERE account = ?1 AND id = ?2";
        Ok(self.statement(sql)?.query_row(params![account, id], from_row).optional()?)
    }

    /// Applications of an account in id order: at most `limit` whose id comes after `after`.
    pub fn applications_after(
        &self,
        account: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Application>, StoreError> {
        let sql = "SELECT key, account, id, life FROM application
                   WHERE account = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
        let mut statement = self.statement(sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![account, after, limit], from_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// A package by its version, which compares without case.
    pub fn package(
        &self,
        application_key: i64,
        version: &str,
    ) -> Result<Option<Package>, StoreError> {
        let sql = "SELECT application_key, version, life FROM package
                   WHERE application_key = ?1 AND version = ?2";
        let key = params![application_key, version];
        Ok(self.statement(sql)?.query_row(key, package_from_row).optional()?)
    }

    /// The packages of an application, by version.
    pub fn packages(&self, application_key: i64) -> Result<Vec<Package>, StoreError> {
        let sql = "SELECT application_key, version, life FROM package
                   WHERE application_key = ?1 ORDER BY version";
        let mut statement = self.statement(sql)?;
        let rows = statement.query_map(params![application_key], package_from_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Tx<'_> {
    /// Keeps a new application and gives its key; one of the same id is a duplicate.
    pub fn insert_application(
        &mut self,
        account: &str,
        id: &str,
        life: &ApplicationLife,
    ) -> Result<i64, StoreError> {
        let sql = "INSERT INTO application (account, id, life) VALUES (?1, ?2, ?3)";
        Ok(self.statement(sql)?.insert(params![account, id, Json(life)])?)
    }

    /// Keeps what is known of an application.
    pub fn update_application(
        &mut self,
        key: i64,
        life: &ApplicationLife,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE application SET life = ?2 WHERE key = ?1";
        self.statement(sql)?.execute(params![key, Json(life)])?;
        Ok(())
    }

    /// Removes an application, whose packages must be gone.
    pub fn delete_application(&mut self, key: i64) -> Result<(), StoreError> {
        self.statement("DELETE FROM application WHERE key = ?1")?.execute(params![key])?;
        Ok(())
    }

    /// Keeps a package, in place of one of the same version.
    pub fn put_package(
        &mut self,
        application_key: i64,
        version: &str,
        life: &PackageLife,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO package (application_key, version, life) VALUES (?1, ?2, ?3)
                   ON CONFLICT (application_key, version) DO UPDATE SET life = excluded.life";
        self.statement(sql)?.execute(params![application_key, version, Json(life)])?;
        Ok(())
    }

    /// Removes a package.
    pub fn delete_package(&mut self, package: &Package) -> Result<(), StoreError> {
        let sql = "DELETE FROM package WHERE application_key = ?1 AND version = ?2";
        self.statement(sql)?.execute(params![package.application_key, package.version])?;
        Ok(())
    }
}
