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
        let origins: Result<Vec<_>, _> = named.map(|origin| origin_value(origin)).collect();
        let origins = origins.map_err(|what| {
            let what = format!("must be origins such as \"https://app.example\", {what}");
            reader.line(&at, what)
        })?;
        Ok((!self.allow_origins.is_empty()).then_some(Cors {
            origins: (!is_any).then_some(origins),
            allow_credentials: self.allow_credentials,
            max_age: self.max_age,
        }))
    }
}

/// An origin as browsers send it: scheme, host, and a port that is not the scheme's own. The error says
/// in which way it must be another.
fn origin_value(text: &str) -> Result<HeaderValue, &'static str> {
    const SCHEME: &str = "with http:// or https:// in front";
    const PATH: &str = "without a path, and without a slash at the end";
    let uri = text.parse::<Uri>().map_err(|_| SCHEME)?;
    let authority = uri.authority().ok_or(SCHEME)?.as_str();
    let (scheme, own_port) = match uri.scheme_str() {
        Some("http") => ("http", ":80"),
        Some("https") => ("https", ":443"),
        _ => return Err(SCHEME),
    };
    if authority.contains('@') {
        return Err("without a user");
    }
    if *text != text.to_ascii_lowercase() {
        return Err("in lower case, as browsers send them");
    }
    if authority.ends_with(own_port) {
        return Err(match scheme {
            "http" => "without \":80\", which browsers leave out",
            _ => "without \":443\", which browsers leave out",
        });
    }
    if text != format!("{scheme}://{authority}") {
        return Err(PATH);
    }
    HeaderValue::from_str(text).map_err(|_| PATH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_send_it() {
        for good in ["https://app.example", "http://localhost:3000", "https://app.example:8443"] {
            assert!(origin_value(good).is_ok(), "{good}");
        }
        for (bad, told) in [
            ("", "with http:// or"),
            ("app.example", "with http:// or"),
            ("https://app.example/", "without a slash"),
            ("https://App.example", "in lower case"),
            ("https://app.example:443", "without \":443\""),
            ("https://app.example:443/", "without \":443\""),
            ("http://app.example:80", "without \":80\""),
            ("ftp://app.example", "with http:// or"),
            ("https://u@app.example", "without a user"),
            ("https://*.example/x", "without a path"),
            ("null", "with http:// or"),
        ] {
            assert!(origin_value(bad).unwrap_err().contains(told), "{bad}");
        }
    }
}
