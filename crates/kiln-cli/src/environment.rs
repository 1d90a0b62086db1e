//! The variables of this process, read once.

use std::collections::BTreeMap;
use std::ffi::OsString;

/// The variables of this process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    variables: BTreeMap<OsString, OsString>,
}

impl Environment {
    /// Reads them.
    pub(crate) fn read() -> Self {
        Self { variables: std::env::vars_os().collect() }
    }

    /// A set of variables that is not this process's.
    #[cfg(test)]
    pub(crate) fn of(variables: &[(&str, &str)]) -> Self {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        Self { variables: variables.collect() }
    }

    /// The value of a variable that is set, not empty and text.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let value = self.variables.get(&OsString::from(name))?.to_str()?;
        (!value.is_empty()).then_some(value)
    }

    /// The variables whose names begin with one of `prefixes`, and whose values are text.
    pub(crate) fn beginning_with(&self, prefixes: &[&str]) -> impl Iterator<Item = (&str, &str)> {
        let named = self.variables.iter().filter_map(|(name, value)| {
            let value = value.to_str().filter(|value| !value.is_empty())?;
            Some((name.to_str()?, value))
        });
        named.filter(move |(name, _)| prefixes.iter().any(|prefix| name.starts_with(prefix)))
    }

    /// The first of `names` that is set: `HTTPS_PROXY` has two spellings.
    pub(crate) fn first(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.get(name))
    }
}
