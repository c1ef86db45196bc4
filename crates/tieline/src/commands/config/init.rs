//! `tieline config init`: a new configuration with comments, from flags or from answers on a terminal.
//!
//! Must never write a key, only a digest of one and the place of the other; and must never overwrite a file.

use std::fs::OpenOptions;
use std::io::{BufRead, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use domain::upstream::{Credential, DIALECTS, dialect_named};
use settings::Config;

use crate::configuration::environment;
use crate::failure::Failure;
use crate::output;
use crate::validation::key::KeySource;

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tieline config init --base-url https://v4.example.com --legacy-key env:LEGACY_KEY \\
      --upstream-key env:V4_KEY --out tieline.toml

On a terminal it asks for what no flag says. The file has the digest of the legacy key, and the name of
the variable or file that has the upstream's key. A file that exists is not overwritten.
Exit codes: 0 written, 1 cannot be written, 2 wrong usage.")]
pub(super) struct Init {
    /// The new file; `-` is standard output
    #[arg(long, value_name = "FILE", default_value = "tieline.toml")]
    out: PathBuf,
    /// The API that the upstream speaks
    #[arg(long, value_name = "DIALECT")]
    dialect: Option<String>,
    /// Where the upstream is, such as `https://v4.example.com`
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Where the upstream issues access tokens, if its dialect needs them
    #[arg(long, value_name = "URL")]
    token_url: Option<String>,
    /// The name of the customization in logs and metrics
    #[arg(long, value_name = "NAME", default_value = "crm")]
    caller: String,
    /// The key that the customization sends: env:NAME, file:PATH, or its digest sha256:HEX
    #[arg(long, value_name = "KEY")]
    legacy_key: Option<String>,
    /// Where the key for the upstream will be found: env:NAME or file:PATH
    #[arg(long, value_name = "KEY")]
    upstream_key: Option<String>,
    /// Only the members and supervisors of these teams exist for the caller; without it, everybody
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    teams: Vec<String>,
}

/// Everything that the file says.
struct Answers {
    dialect: String,
    base_url: String,
    token_url: Option<String>,
    digest: String,
    /// `env` or `file`, and the name or the path.
    upstream_key: (&'static str, String),
}

/// Where answers come from that no flag gives.
struct Terminal<'a> {
    input: &'a mut dyn BufRead,
    output: &'a mut dyn Write,
}

impl Init {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let is_output = self.out == Path::new("-");
        if !is_output && self.out.symlink_metadata().is_ok() {
            return Err(self.exists());
        }
        let (stdin, mut stderr) = (std::io::stdin(), std::io::stderr());
        let has_terminal = stdin.is_terminal() && stderr.is_terminal();
        let mut input = stdin.lock();
        let terminal = Terminal { input: &mut input, output: &mut stderr };
        let text = self.text(has_terminal.then_some(terminal))?;
        if is_output {
            output::print(&text)?;
            return Ok(ExitCode::SUCCESS);
        }
        let file = OpenOptions::new().write(true).create_new(true).open(&self.out);
        let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => self.exists(),
            _ => Failure::new(format_args!("{}: cannot be written: {error}", self.out.display())),
        })?;
        let name = self.out.display();
        output::print(&format!("{name} is written; next: tieline config check --config {name}\n"))?;
        Ok(ExitCode::SUCCESS)
    }

    fn exists(&self) -> Failure {
        let name = self.out.display();
        Failure::new(format_args!(
            "{name} exists and is not overwritten: name another file with --out"
        ))
    }

    /// The text of the file, which the gateway can use as soon as the upstream's key is in its place.
    fn text(&self, terminal: Option<Terminal<'_>>) -> Result<String, Failure> {
        let answers = self.answers(terminal)?;
        let text = self.written(&answers);
        // What variables set is not written, and must not decide whether the file is good.
        let is_setting = |name: &str| name.starts_with("TIELINE_") && name.contains("__");
        let mut env = environment();
        env.retain(|(name, _)| !is_setting(name));
        if let ("env", name) = &answers.upstream_key
            && !env.iter().any(|(known, _)| known == name)
        {
            // The key may be put there later. Any key fits that has the form of an id and a secret.
            env.push((name.clone(), "stand-in:stand-in".to_owned()));
        }
        let folder = self.out.parent().unwrap_or(Path::new(""));
        match Config::shown(&text, "the new file", folder, &env) {
            Ok(_) => Ok(text),
            Err(error) => Err(Failure::usage(error.with_lines())),
        }
    }

    fn answers(&self, mut terminal: Option<Terminal<'_>>) -> Result<Answers, Failure> {
        let names: Vec<&str> = DIALECTS.iter().map(|dialect| dialect.name()).collect();
        let assumed = domain::upstream::dialect_assumed().name();
        let mut ask = |flag: &str,
                       given: &Option<String>,
                       question: &str,
                       default: Option<&str>| {
            match (given, &mut terminal, default) {
                (Some(given), _, _) => Ok(given.clone()),
                (None, Some(terminal), _) => terminal.ask(question, default),
                (None, None, Some(default)) => Ok(default.to_owned()),
                (None, None, None) => Err(Failure::usage(format_args!(
                    "{flag} is needed; on a terminal, tieline config init asks for it"
                ))),
            }
        };
        let question = format!("The API that the upstream speaks ({})", names.join(", "));
        let dialect = ask("--dialect", &self.dialect, &question, Some(assumed))?;
        let Some(known) = dialect_named(&dialect) else {
            let names = names.join(" and ");
            return Err(Failure::usage(format_args!("--dialect: this version speaks {names}")));
        };
        let question = "Where the upstream is, such as https://v4.example.com";
        let base_url = ask("--base-url", &self.base_url, question, None)?;
        let needs_token = known.credential() == Credential::Client;
        let token_url = match needs_token {
            true => {
                Some(ask("--token-url", &self.token_url, "Where access tokens are issued", None)?)
            }
            false => self.token_url.clone(),
        };
        let question =
            "The key that the customization sends: env:NAME, file:PATH or its sha256: digest";
        let legacy_key = ask("--legacy-key", &self.legacy_key, question, None)?;
        let question = "Where the key for the upstream will be: env:NAME or file:PATH";
        let upstream_key = ask("--upstream-key", &self.upstream_key, question, None)?;
        Ok(Answers {
            dialect,
            base_url,
            token_url,
            digest: digest(&legacy_key)?,
            upstream_key: place(&upstream_key)?,
        })
    }

    fn written(&self, answers: &Answers) -> String {
        let Answers { dialect, base_url, token_url, digest, upstream_key } = answers;
        let [dialect, base_url, digest, caller] =
            [dialect, base_url, digest, &self.caller].map(|text| quoted(text));
        let (kind, place) = (upstream_key.0, quoted(&upstream_key.1));
        let token = token_url.as_ref().map_or(String::new(), |url| {
            format!("# Where access tokens are issued.\ntoken_url = {}\n", quoted(url))
        });
        let id_and_secret = match token_url {
            Some(_) => " Its content is client_id:client_secret.",
            None => "",
        };
        let sees = match self.teams.as_slice() {
            [] => "\"everything\"".to_owned(),
            teams => {
                let teams: Vec<String> = teams.iter().map(|team| quoted(team)).collect();
                format!("{{ teams = [{}] }}", teams.join(", "))
            }
        };
        format!(
            "\
# The configuration of Tieline. Every setting that is left out has its default: `tieline config show` prints them all.
#
#     tieline config check --config FILE    finds mistakes, and asks nobody
#     tieline check --config FILE           asks the upstream what each caller would get
#     tieline serve --config FILE           runs the gateway
#
# Editors complete names after `tieline config schema > tieline.schema.json`, with this as the first line:
# #:schema ./tieline.schema.json

[server]
# Where customizations connect. Without tls = {{ cert = \"PATH\", key = \"PATH\" }} it speaks plain HTTP.
listen = \"127.0.0.1:8080\"

[admin]
# Health, metrics and pages for operators. Never publish it to callers.
listen = \"127.0.0.1:9090\"

[upstream.main]
dialect = {dialect}
base_url = {base_url}
{token}
# One table for each customization.
[[caller]]
# In logs and metrics.
name = {caller}
# A digest of the key that the customization sends; the key itself is stored nowhere.
legacy_key = {{ digest = {digest} }}
upstream = \"main\"
# Where the key for the upstream is found: {{ env = \"NAME\" }} or {{ file = \"PATH\" }}.{id_and_secret}
upstream_key = {{ {kind} = {place} }}
# Which users exist for it: \"everything\", or {{ teams = [..], groups = [..], users = [..] }}.
sees = {sees}
"
        )
    }
}

impl Terminal<'_> {
    /// An answer that is not empty.
    fn ask(&mut self, question: &str, default: Option<&str>) -> Result<String, Failure> {
        let failed = |error: std::io::Error| Failure::new(format_args!("cannot ask: {error}"));
        loop {
            let assumed = default.map_or(String::new(), |default| format!(" [{default}]"));
            write!(self.output, "{question}{assumed}: ").map_err(failed)?;
            self.output.flush().map_err(failed)?;
            let mut line = String::new();
            if self.input.read_line(&mut line).map_err(failed)? == 0 {
                return Err(Failure::interrupted("nothing is written"));
            }
            match (line.trim(), default) {
                ("", None) => {}
                ("", Some(default)) => return Ok(default.to_owned()),
                (answer, _) => return Ok(answer.to_owned()),
            }
        }
    }
}

/// The text as TOML has it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// The digest of the legacy key.
fn digest(key: &str) -> Result<String, Failure> {
    let hex = key.strip_prefix("sha256:");
    if hex.is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit())) {
        return Ok(key.to_owned());
    }
    match key.parse::<KeySource>() {
        // Not the key itself: others on the machine see the arguments of a process.
        Ok(source @ (KeySource::Env(_) | KeySource::File(_))) if hex.is_none() => {
            Ok(settings::key_digest(&source.read("--legacy-key")?))
        }
        _ => Err(Failure::usage(
            "--legacy-key: must be env:NAME, file:PATH, or sha256: and 64 hex digits, as \
             `tieline key digest` prints",
        )),
    }
}

/// Where the upstream's key is found.
fn place(key: &str) -> Result<(&'static str, String), Failure> {
    match key.split_once(':') {
        Some(("env", name)) if is_variable(name) => Ok(("env", name.to_owned())),
        Some(("file", path)) if !path.is_empty() => Ok(("file", path.to_owned())),
        // Not repeated: it may be the key itself.
        _ => Err(Failure::usage(
            "--upstream-key: must be env:NAME or file:PATH; the key itself never stands in the file",
        )),
    }
}

/// Whether a name is one that variables usually have: a key that was typed in its place is none.
fn is_variable(name: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_uppercase() || c == '_';
    name.starts_with(is_letter) && name.chars().all(|c| is_letter(c) || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_the_place_of_a_variable_is_refused_and_not_repeated() {
        assert!(place("env:V4_KEY").is_ok() && place("file:/run/v4.key").is_ok());
        for typed in ["env:s3cr3t-canary", "env:canary", "env:9CANARY", "env:", "canary", "file:"] {
            let told = format!("{:?}", place(typed).err());
            assert!(told.contains("--upstream-key") && !told.contains("canary"), "{told}");
        }
    }

    const DIGEST: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn asked(init: &Init, typed: &str) -> (Result<String, Failure>, String) {
        let (mut input, mut output) = (typed.as_bytes(), Vec::new());
        let text = init.text(Some(Terminal { input: &mut input, output: &mut output }));
        (text, String::from_utf8(output).unwrap_or_default())
    }

    #[test]
    fn a_terminal_is_asked_for_what_no_flag_says_and_an_empty_answer_is_the_default_or_asked_again()
    {
        let mut init = Init {
            out: PathBuf::from("-"),
            dialect: None,
            base_url: None,
            token_url: None,
            caller: "crm".to_owned(),
            legacy_key: Some(DIGEST.to_owned()),
            upstream_key: None,
            teams: Vec::new(),
        };
        let (text, questions) = asked(&init, "\n\nhttp://127.0.0.1:9\n env:INIT_NOT_SET \n");
        let text = text.map_err(|failure| failure.text().to_owned()).unwrap_or_default();
        for line in [
            "dialect = \"voiso-v4\"",
            "base_url = \"http://127.0.0.1:9\"",
            "upstream_key = { env = \"INIT_NOT_SET\" }",
        ] {
            assert!(text.lines().any(|one| one == line), "{line}: {text}");
        }
        assert_eq!(questions.matches("Where the upstream is").count(), 2, "{questions}");
        assert!(!questions.contains("customization"), "a flag says the legacy key: {questions}");
        // The end of the input ends it, and a flag is not asked for.
        init.dialect = Some("vonage-v4".to_owned());
        let (text, questions) = asked(&init, "http://127.0.0.1:9\n");
        assert!(text.is_err() && questions.contains("access tokens"), "{questions}");
        assert!(!questions.contains("The API that"), "{questions}");
    }
}
