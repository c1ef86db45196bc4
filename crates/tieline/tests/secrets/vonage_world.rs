//! A world of Vonage vendors with everything wrong with them, each behind a tap, and a gateway's
//! configuration in front of them all whose every secret is a canary. Must print none of them.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::net::TcpListener;
use std::sync::MutexGuard;

use super::echo::{ANSWERS, Tap, echo};
use crate::common::canary::{Search, canary};
use crate::common::process::Process;
use crate::common::{much_memory, vendor_with};
use tests::config::{self, TOKEN};
use tests::folder::Folder;

/// The finest log there is.
pub(crate) const TRACE: (&str, &str) = ("TIELINE_LOG", "trace");
/// A name that a vendor gives to one user; it belongs in lists and in the roster, nowhere else.
pub(crate) const NAME: &str = "Wilhelmina Quackenbush-Featherstonehaugh";

/// The secrets of one world; the client's id counts as one.
pub(crate) struct Keys {
    /// By caller: one that is plain, one that a form escapes.
    pub(crate) clients: [(String, String); 2],
    /// What the vendors give for tokens, good and bad.
    pub(crate) tokens: [String; 4],
    pub(crate) legacy: Vec<String>,
    /// Keys of no caller.
    pub(crate) wrong: [String; 2],
    /// The name of the roster's file: a folder may be called after a person.
    pub(crate) place: String,
}

impl Keys {
    pub(crate) fn new(callers: u64) -> Keys {
        let hard = format!("{}+/:{}&={}%41", canary(201, 14), canary(202, 16), canary(203, 12));
        Keys {
            clients: [(canary(204, 24), canary(205, 40)), (canary(206, 24), hard)],
            tokens: [canary(207, 64), canary(208, 48), canary(209, 40), canary(210, 32)],
            legacy: (0..callers).map(|n| canary(300 + n, 40)).collect(),
            wrong: [canary(211, 40), format!("{}/+{}=", canary(212, 20), canary(213, 20))],
            place: canary(214, 24),
        }
    }

    pub(crate) fn client(&self, n: usize) -> String {
        let (id, secret) = &self.clients[n % 2];
        format!("{id}:{secret}")
    }

    /// All of them, and the tokens that were really used.
    pub(crate) fn search(&self, tokens: &[String]) -> Search {
        let (ids, secrets): (Vec<_>, Vec<_>) = self.clients.iter().cloned().unzip();
        let groups: [(&str, &[String]); 7] = [
            ("client id", &ids),
            ("client secret", &secrets),
            ("raw token", &self.tokens),
            ("token", tokens),
            ("legacy key", &self.legacy),
            ("wrong key", &self.wrong),
            ("roster's place", std::slice::from_ref(&self.place)),
        ];
        let named = groups.iter().flat_map(|(name, texts)| {
            texts.iter().enumerate().map(move |(n, text)| (format!("{name} {n}"), text.clone()))
        });
        Search::new(&named.collect::<Vec<_>>())
    }
}

/// How many vendors, the first ones, give whole lists.
pub(crate) const WELL: usize = 3;

/// What is wrong with each vendor that is a process; the first ones still give whole lists.
fn faults(keys: &Keys) -> Vec<Vec<String>> {
    let secret = &keys.clients[0].1;
    let [good, spaced, typed, plain] = &keys.tokens;
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let with = |flag: &str, value: String| vec![flag.to_owned(), value];
    let of_token = |text: &str| words(&format!("--only-under {TOKEN} {text}"));
    vec![
        with("--bad-field", format!("name=\"{NAME}\"")),
        words("--page-limit-max 5000 --no-skills-list"),
        words("--expire-tokens-after 3"),
        words("--keys-unauthorized *"),
        words("--keys-forbidden *"),
        words("--redirect"),
        words("--html-login-page"),
        words("--not-json"),
        words("--error-in-200"),
        words("--gzip-unasked --fail 422"),
        words("--stall"),
        words("--truncate-body-at 0"),
        words("--bare-array"),
        with("--fail", format!("429,{secret}")),
        with("--fail", format!("503,{secret}")),
        with("--users-raw", format!("\"{good}\"")),
        with("--total-raw", format!("\"{good}\"")),
        with("--bad-field", format!("active=\"{secret}\"")),
        with("--bad-field", format!("userAccountConfiguration={{\"{secret}\":1}}")),
        of_token("--redirect"),
        of_token("--html-login-page"),
        of_token("--not-json"),
        of_token("--error-in-200"),
        of_token("--gzip-unasked"),
        of_token("--stall"),
        of_token("--fail 400"),
        of_token("--fail 404"),
        of_token("--fail 500"),
        [of_token("--fail"), vec![format!("429,{secret}")]].concat(),
        with("--token-raw", format!("{{\"access_token\":\"{good}\",\"expires_in\":3600}}")),
        with("--token-raw", format!("{{\"access_token\":\"{spaced} x\",\"expires_in\":3600}}")),
        with("--token-raw", format!("{{\"access_token\":\"{spaced}\\u0001\"}}")),
        with("--token-raw", format!("{{\"access_token\":\"x\",\"expires_in\":\"{typed}\"}}")),
        with("--token-raw", format!("{{\"{plain}\":1,\"error_description\":\"{secret}\"}}")),
        with("--token-raw", format!("{plain} {secret}")),
        // One that does not know the caller's client.
        vec![],
    ]
}

/// A vendor process and the taps before its lists and before its tokens.
pub(crate) struct Vendor {
    pub(crate) process: Process,
    pub(crate) lists: Tap,
    pub(crate) tokens: Tap,
}

/// The vendors, the configuration of a gateway in front of them all, and its secrets.
pub(crate) struct World {
    pub(crate) folder: Folder,
    pub(crate) vendors: Vec<Vendor>,
    pub(crate) keys: Keys,
    environment: Vec<(String, String)>,
    callers: String,
    _much_memory: MutexGuard<'static, ()>,
}

impl World {
    pub(crate) fn new() -> World {
        let turn = much_memory();
        let count = faults(&Keys::new(0)).len() + 2 * ANSWERS.len() + 1;
        let (folder, keys) = (Folder::new(), Keys::new(count as u64));
        let (mut vendors, mut upstreams) = (Vec::new(), Vec::new());
        let all = faults(&keys);
        for (n, fault) in all.iter().enumerate() {
            // The first client of a vendor is printed, for pasting; no secret is one of them.
            let client = if fault.is_empty() { "a:b".to_owned() } else { keys.client(n) };
            let mut arguments = vec!["--dialect", "vonage-v4", "--users", "120"];
            arguments.extend(["--client", "printed:p", "--client", &client]);
            arguments.push("--echo-key-in-error");
            arguments.extend(fault.iter().map(String::as_str));
            let (process, base) = vendor_with(&arguments, &[TRACE]);
            let (lists, base_url) = Tap::before(&base);
            let (tokens, token_url) = Tap::before(&base);
            vendors.push(Vendor { process, lists, tokens });
            upstreams.push((base_url, token_url + TOKEN));
        }
        let (echo, good) = (echo(), upstreams[0].1.clone());
        for n in 0..ANSWERS.len() {
            upstreams.push((echo.clone(), format!("{echo}/{n}/token")));
            // The token is good here: the caller's client is one that this vendor knows.
            upstreams.push((format!("{echo}/{n}"), good.clone()));
        }
        // A port that nobody listens on.
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        upstreams.push((format!("http://{closed}"), format!("http://{closed}{TOKEN}")));
        let environment = vec![(TRACE.0.to_owned(), TRACE.1.to_owned())];
        let mut world = World {
            folder,
            vendors,
            keys,
            environment,
            callers: String::new(),
            _much_memory: turn,
        };
        world.configure(&upstreams, &good);
        world
    }

    /// Every way to hold a key is some caller's.
    fn configure(&mut self, upstreams: &[(String, String)], good: &str) {
        for (n, (base, token)) in upstreams.iter().enumerate() {
            let legacy = &self.keys.legacy[n];
            let legacy = match n % 3 {
                0 => config::digest(legacy),
                1 => {
                    self.environment.push((format!("LEGACY_{n}"), legacy.clone()));
                    config::env(format!("LEGACY_{n}"))
                }
                _ => config::file(self.folder.file(&format!("{n}.key"), legacy)),
            };
            let client = self.keys.client(if token == good { 0 } else { n });
            let key = match n % 4 {
                0 | 3 => {
                    self.environment.push((format!("CLIENT_{n}"), client));
                    config::env(format!("CLIENT_{n}"))
                }
                _ => config::file(self.folder.file(&format!("{n}.client"), client)),
            };
            let auth = if n % 3 == 1 { "basic" } else { "form" };
            // A busy machine makes a good answer late; a vendor that says nothing costs this much each time.
            let patience = if n < WELL { "3s" } else { "500ms" };
            let more = format!(
                "token_auth = \"{auth}\"\nattempts_max = 2\nattempt_timeout = \"{patience}\"\n\
                 retry_after_max = \"1s\""
            );
            let (caller, upstream) = (format!("caller{n}"), format!("up{n}"));
            self.callers += &config::vonage_with(&upstream, base, token, &more);
            self.callers += &config::caller(&caller, &upstream, &legacy, &key, "explain = true");
        }
    }

    pub(crate) fn file(&self) -> String {
        let (ports, place) = (config::ports(""), &self.keys.place);
        let limits = "[limits]\nrequest_deadline = \"4s\"";
        let text =
            format!("{ports}{limits}\n[roster]\nfile = \"{place}.sqlite\"\n{}", self.callers);
        self.folder.file("tieline.toml", text)
    }

    pub(crate) fn environment(&self) -> Vec<(&str, &str)> {
        self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// Every token that any vendor gave to the gateway or the check.
    pub(crate) fn tokens(&self) -> Vec<String> {
        let mut all: Vec<String> = self.vendors.iter().flat_map(|v| v.tokens.tokens()).collect();
        all.retain(|token| token.len() == 64);
        all.sort();
        all.dedup();
        all
    }
}
