//! `[cors]`: which pages of other origins may ask.

use std::time::Duration;

use http::{HeaderValue, Uri};
use serde::Deserialize;

use crate::error::ConfigError;
use crate::reader::{Reader, field};
use crate::value::check::time;

/// `[cors]`, with at least one origin.
#[derive(Debug, Clone)]
pub struct Cors {
    /// Exact origins, or none for any.
    pub origins: Option<Vec<HeaderValue>>,
    /// Whether browsers may add cookies.
    pub allow_credentials: bool,
    /// How long a browser may believe a preflight's answer.
    pub max_age: Duration,
}

/// `[cors]` as typed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TypedCors {
    allow_origins: Vec<String>,
    allow_credentials: bool,
    #[serde(deserialize_with = "time")]
    max_age: Duration,
}

impl Default for TypedCors {
    fn default() -> Self {
        TypedCors {
            allow_origins: Vec::new(),
            allow_credentials: false,
            max_age: Duration::from_secs(600),
        }
    }
}

impl TypedCors {
    /// What it means; nothing where no origin is named.
    pub(crate) fn read(&self, reader: &Reader<'_>) -> Result<Option<Cors>, ConfigError> {
        let at = field(&["cors", "allow_origins"]);
        let is_any = self.allow_origins.iter().any(|origin| origin == "*");
        if is_any && self.allow_origins.len() > 1 {
            return reader.refuse(&at, "holds \"*\" beside origins; say which of the two");
        }
        if is_any && self.allow_credentials {
            return reader.refuse(&at, "\"*\" and allow_credentials do not go together");
        }
        let named = self.allow_origins.iter().filter(|_| !is_any);
        let Some(origins) = named.map(|origin| origin_value(origin)).collect() else {
            let what = "must be origins such as \"https://app.example\", without a path";
            return reader.refuse(&at, what);
        };
        Ok((!self.allow_origins.is_empty()).then_some(Cors {
            origins: (!is_any).then_some(origins),
            allow_credentials: self.allow_credentials,
            max_age: self.max_age,
        }))
    }
}

/// An origin as browsers send it: scheme, host, and a port that is not the scheme's own.
fn origin_value(text: &str) -> Option<HeaderValue> {
    let uri = text.parse::<Uri>().ok()?;
    let authority = uri.authority()?.as_str();
    let own_port = match uri.scheme_str()? {
        "http" => ":80",
        "https" => ":443",
        _ => return None,
    };
    let is_exact = text == format!("{}://{authority}", uri.scheme_str()?)
        && !authority.contains('@')
        && !authority.ends_with(own_port)
        && *text == text.to_ascii_lowercase();
    is_exact.then(|| HeaderValue::from_str(text).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_a_browser_sends() {
        for good in ["https://app.example", "http://localhost:3000", "https://app.example:8443"] {
            assert!(origin_value(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "app.example",
            "https://app.example/",
            "https://App.example",
            "https://app.example:443",
            "http://app.example:80",
            "ftp://app.example",
            "https://u@app.example",
            "https://*.example/x",
            "null",
        ] {
            assert!(origin_value(bad).is_none(), "{bad}");
        }
    }
}
