//! Shared by the readers of all sections: where a field stands, the files it names, and how it is
//! refused.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use transport::tls::ClientTls;

use crate::error::ConfigError;
use crate::files::Files;
use crate::locate::{Document, Origin, is_override};
use crate::source::Source;
use crate::step::Step;

/// The way from the file to a field.
pub(crate) type Field = Vec<Step>;

/// The field at the end of a way through tables alone.
pub(crate) fn field(steps: &[&str]) -> Field {
    steps.iter().map(|step| Step::Key((*step).to_owned())).collect()
}

/// A field of one table in a list of tables.
pub(crate) fn field_in_list(list: &[&str], index: usize, key: &str) -> Field {
    let mut at = field(list);
    at.extend([Step::Index(index), Step::Key(key.to_owned())]);
    at
}

/// See the module.
pub(crate) struct Reader<'a> {
    /// Every file that was looked into so far.
    pub(crate) files: RefCell<Files>,
    document: Document<'a>,
    folder: &'a Path,
    /// The variables of the environment.
    pub(crate) env: &'a [(String, String)],
}

impl<'a> Reader<'a> {
    /// The reader of a text, and the text as typed.
    pub(crate) fn new<T: DeserializeOwned>(
        text: &'a str,
        name: &'a str,
        folder: &'a Path,
        env: &'a [(String, String)],
    ) -> Result<(Self, T), ConfigError> {
        let (document, typed) = Document::read(text, name, env)?;
        Ok((Reader { files: RefCell::default(), document, folder, env }, typed))
    }

    /// A path that the configuration names: it begins where the configuration's file is.
    pub(crate) fn path(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }

    /// A file that is read now; remembered, so that a change of it can be noticed.
    pub(crate) fn file(&self, path: &Path) -> PathBuf {
        let path = self.path(path);
        self.files.borrow_mut().add(&path);
        path
    }

    /// The line about a field.
    pub(crate) fn line(&self, field: &Field, what: impl Into<String>) -> ConfigError {
        self.document.error(field, what.into())
    }

    /// Everything that is said, the environment included.
    pub(crate) fn table(&self) -> &toml::Table {
        &self.document.table
    }

    /// What it reads.
    pub(crate) fn source(&self) -> Source {
        let overrides = self.env.iter().filter(|(name, _)| is_override(name));
        Source {
            text: self.document.text.into(),
            name: self.document.name.into(),
            folder: self.folder.to_owned(),
            file: None,
            overrides: overrides.cloned().collect(),
        }
    }

    /// Where a value that is said comes from.
    pub(crate) fn origin(&self, field: &Field) -> Origin {
        self.document.origin(field)
    }

    /// The place of a field, for an error about another one.
    pub(crate) fn place(&self, field: &Field) -> String {
        self.line(field, "").place
    }

    pub(crate) fn refuse<T>(
        &self,
        field: &Field,
        what: impl Into<String>,
    ) -> Result<T, ConfigError> {
        Err(self.line(field, what))
    }

    /// Certificates are read now, so that a bad one is refused before any port is bound.
    pub(crate) fn client_tls(
        &self,
        at: &Field,
        ca_file: Option<&Path>,
    ) -> Result<ClientTls, ConfigError> {
        let ca_file = ca_file.map(|file| self.file(file));
        ClientTls::new(ca_file.as_deref()).map_err(|error| self.line(at, error.to_string()))
    }
}
