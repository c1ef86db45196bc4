//! The control: the live legacy API.

use std::path::PathBuf;

use clap::Args;
use corpus::source::{Live, Manners};
use http::Uri;

use crate::failure::Failure;
use crate::validation::candidate::client_with;
use crate::validation::key::KeySource;

/// A request in a quarter of an hour; what is slower ends nowhere.
const RATE_MIN: f64 = 0.001;

/// How control is reached.
#[derive(Args, Clone, Debug)]
pub(crate) struct ControlArgs {
    /// The real legacy API, such as `https://cc-ams03.voiso.com`; `validate` takes a recording too
    #[arg(long, value_name = "URL|FILE")]
    pub(crate) control: Option<String>,
    /// Its contact center key: env:NAME, file:PATH, or the key itself (others may see it then)
    #[arg(long, value_name = "KEY")]
    pub(crate) control_key: Option<KeySource>,
    /// The user key of v2 and v3, where it is another one
    #[arg(long, value_name = "KEY")]
    pub(crate) control_user_key: Option<KeySource>,
    /// Certificates to trust beside the well-known ones, as PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) control_ca: Option<PathBuf>,
    /// Requests to control in a second, at most; without a control, questions to Tieline
    #[arg(long, value_name = "N", default_value_t = 10.0)]
    pub(crate) rate: f64,
    /// Requests to control in all, at most; what is left then is undecided
    #[arg(long, value_name = "N")]
    pub(crate) requests_max: Option<u64>,
}

impl ControlArgs {
    /// The keys: of the contact center, and of a user.
    pub(crate) fn keys(&self) -> Result<(String, Option<String>), Failure> {
        let key = match (&self.control_key, &self.control_user_key) {
            (Some(key), _) => key.read("--control-key")?,
            (None, Some(key)) => key.read("--control-user-key")?,
            (None, None) => {
                return Err(Failure::usage(
                    "control needs its legacy key: --control-key env:NAME, or file:PATH",
                ));
            }
        };
        let user_key = self.control_user_key.as_ref();
        let user_key = user_key.map(|key| key.read("--control-user-key")).transpose()?;
        Ok((key, user_key))
    }

    /// The same where some may be given and none is needed.
    pub(crate) fn keys_if_any(&self) -> Result<Option<(String, Option<String>)>, Failure> {
        let is_any = self.control_key.is_some() || self.control_user_key.is_some();
        is_any.then(|| self.keys()).transpose()
    }

    /// The recording.
    pub(crate) fn file(&self) -> Result<PathBuf, Failure> {
        let name = self.control.as_deref().unwrap_or_default();
        let file = PathBuf::from(name);
        match file.exists() {
            true => Ok(file),
            // A file that is not there is no mistake in what was typed.
            false => Err(without_scheme("--control", name).unwrap_or_else(|| {
                Failure::new(format_args!("--control: {name}: file not found"))
            })),
        }
    }

    /// Whether control is a server, not a file.
    pub(crate) fn is_live(&self) -> bool {
        self.control.as_deref().is_some_and(|control| control.contains("://"))
    }

    /// The keys of a live control, where a recording is of no use.
    pub(crate) fn live_keys(&self) -> Result<(String, Option<String>), Failure> {
        match self.is_live() {
            true => self.keys(),
            false => {
                let name = self.control.as_deref().unwrap_or_default();
                let is_file = name.is_empty() || PathBuf::from(name).exists();
                let forgotten = if is_file { None } else { without_scheme("--control", name) };
                Err(forgotten.unwrap_or_else(|| {
                    Failure::usage(
                        "--control: must be the URL of the legacy API, such as \
                         https://cc-ams03.voiso.com; only `validate` takes a recording",
                    )
                }))
            }
        }
    }

    /// Requests in a second, at most.
    pub(crate) fn rate(&self) -> Result<f64, Failure> {
        match (RATE_MIN..=f64::MAX).contains(&self.rate) {
            true => Ok(self.rate),
            false => Err(Failure::usage(format_args!("--rate: must be at least {RATE_MIN}"))),
        }
    }

    /// The server.
    pub(crate) fn live(&self, key: String, user_key: Option<String>) -> Result<Live, Failure> {
        let url = self.control.as_deref().unwrap_or_default();
        let base_url = base_url("--control", url)?;
        let manners = Manners {
            requests_per_second_max: Some(self.rate()?),
            requests_max: self.requests_max,
            ..Manners::default()
        };
        let client = client_with(self.control_ca.as_deref())?;
        Ok(Live::new(client, &base_url, key, user_key, manners))
    }
}

/// The usual end of the name of a recording.
const RECORDING: &str = ".corpus";

/// What to write if a URL lacks its scheme; `None` if the text does not look like a URL. A text that may have a
/// key in it is not repeated.
fn without_scheme(flag: &str, text: &str) -> Option<Failure> {
    if text.ends_with(RECORDING) {
        return None;
    }
    let is_misspelt = ["http:", "https:"].iter().any(|scheme| text.starts_with(scheme));
    if is_misspelt || text.contains(['@', '?', '#']) {
        return Some(wrong_url(flag));
    }
    let host = text.split('/').next().unwrap_or_default();
    let name = host.split(':').next().unwrap_or_default();
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let is_host = (name.contains('.') || host.contains(':') || name == "localhost")
        && name.trim_end_matches('.').split('.').all(is_label);
    let is_local = name == "localhost" || name.starts_with("127.");
    let scheme = if is_local { "http" } else { "https" };
    is_host.then(|| {
        Failure::usage(format_args!(
            "{flag}: {text} has no scheme. A URL is written {scheme}://{text}"
        ))
    })
}

fn wrong_url(flag: &str) -> Failure {
    Failure::usage(format_args!("{flag}: must be http:// or https://, a host, and at most a path"))
}

/// Whether two base URLs are one address, however they are spelled.
pub(crate) fn is_one_address(one: &str, other: &str) -> bool {
    let address = |url: &str| {
        let uri: Uri = url.parse().ok()?;
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        let host = uri.host()?.trim_end_matches('.').to_ascii_lowercase();
        let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
        let path: Vec<String> =
            uri.path().split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        Some((scheme, host, port, path))
    };
    address(one).is_some_and(|one| Some(one) == address(other))
}

/// Scheme and authority, and a path without a slash at its end. The URL is not repeated in an error:
/// somebody may have put a key into it.
pub(crate) fn base_url(flag: &str, url: &str) -> Result<String, Failure> {
    if !url.contains("://")
        && let Some(forgotten) = without_scheme(flag, url)
    {
        return Err(forgotten);
    }
    let wrong = || wrong_url(flag);
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    let is_plain = !authority.contains('@') && uri.query().is_none() && !url.contains('#');
    match is_http && is_plain && !authority.is_empty() {
        true => Ok(url.trim_end_matches('/').to_owned()),
        false => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_is_recognized_in_every_spelling() {
        let one = "https://api.example.com/legacy";
        for same in [
            one,
            "https://api.example.com/legacy/",
            "https://API.Example.com:443/legacy",
            "HTTPS://api.example.com.//legacy",
        ] {
            assert!(is_one_address(one, same), "{same}");
        }
        for other in [
            "http://api.example.com/legacy",
            "https://api.example.com",
            "https://api.example.com/Legacy",
            "https://api.example.com:8443/legacy",
            "https://apis.example.com/legacy",
        ] {
            assert!(!is_one_address(one, other), "{other}");
        }
        assert!(is_one_address("http://127.0.0.1", "http://127.0.0.1:80/"));
    }

    #[test]
    fn a_forgotten_scheme_is_told_and_a_file_or_a_key_is_not_repeated_as_a_url() {
        for (text, url) in [
            ("api.example.com", Some("https://api.example.com")),
            ("api.example.com/legacy", Some("https://api.example.com/legacy")),
            ("localhost:8081", Some("http://localhost:8081")),
            ("127.0.0.1:8081", Some("http://127.0.0.1:8081")),
            ("corpora/legacy.corpus", None),
            ("./legacy.corpus", None),
            ("/tmp/legacy.corpus", None),
            ("legacy", None),
        ] {
            let told = without_scheme("--control", text).map(|failure| failure.text().to_owned());
            match url {
                Some(url) => assert!(told.is_some_and(|told| told.contains(url)), "{text}"),
                None => assert_eq!(told, None, "{text}"),
            }
        }
        let told = without_scheme("--control", "user:sesame@api.example.com").unwrap();
        assert!(!told.text().contains("sesame"));
    }
}
