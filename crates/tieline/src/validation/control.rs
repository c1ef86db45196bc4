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
    /// Requests to control in a second, at most
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

    /// The recording. What looks like a URL that lacks its scheme is not repeated: there may be a key
    /// in it.
    pub(crate) fn file(&self) -> Result<PathBuf, Failure> {
        let name = self.control.as_deref().unwrap_or_default();
        let file = PathBuf::from(name);
        if file.exists() || name.contains(['/', '\\']) && !name.contains(['@', '?', '#']) {
            return Ok(file);
        }
        if name.contains(['@', '?', '#']) {
            return base_url("--control", name).map(PathBuf::from);
        }
        Err(Failure::usage(format_args!(
            "--control: {name}: there is no such file; a URL begins with https:// or http://"
        )))
    }

    /// Whether control is a server, not a file.
    pub(crate) fn is_live(&self) -> bool {
        self.control.as_deref().is_some_and(|control| control.contains("://"))
    }

    /// The keys of a live control, where a recording is of no use.
    pub(crate) fn live_keys(&self) -> Result<(String, Option<String>), Failure> {
        match self.is_live() {
            true => self.keys(),
            false => Err(Failure::usage(
                "--control: the URL of the legacy API is needed; only `validate` takes a recording",
            )),
        }
    }

    /// The server.
    pub(crate) fn live(&self, key: String, user_key: Option<String>) -> Result<Live, Failure> {
        let url = self.control.as_deref().unwrap_or_default();
        let base_url = base_url("--control", url)?;
        if !(RATE_MIN..=f64::MAX).contains(&self.rate) {
            return Err(Failure::usage(format_args!("--rate: must be at least {RATE_MIN}")));
        }
        let manners = Manners {
            requests_per_second_max: Some(self.rate),
            requests_max: self.requests_max,
            ..Manners::default()
        };
        let client = client_with(self.control_ca.as_deref())?;
        Ok(Live::new(client, &base_url, key, user_key, manners))
    }
}

/// Scheme and authority, and a path without a slash at its end. The URL is not repeated in an error:
/// somebody may have put a key into it.
pub(crate) fn base_url(flag: &str, url: &str) -> Result<String, Failure> {
    let wrong = || {
        Failure::usage(format_args!(
            "{flag}: must be http:// or https://, a host, and at most a path"
        ))
    };
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    let is_plain = !authority.contains('@') && uri.query().is_none() && !url.contains('#');
    match is_http && is_plain && !authority.is_empty() {
        true => Ok(url.trim_end_matches('/').to_owned()),
        false => Err(wrong()),
    }
}
