//! Holds the commons to account against real servers: what tests/outside/commons_*.sh run. Each command ends with
//! an error where something is not as it should be. Must never start or end a server; the scripts do.
//!
//! ```text
//! commons_check law HISTORIES        the law and its script agree
//! commons_check pace REPLICAS SECONDS USED_MIN [RATE PERCENT]   no window sees more than the law allows, or than so
//!                                      many percent of it
//! commons_check scale SECONDS USED_MIN  four replicas, then eight, then two
//! commons_check apart SECONDS USED_MIN  four replicas that come one after the other and have not met
//! commons_check share                leases, values, news
//! commons_check lead QUESTION BODY SECONDS | read QUESTION BODY
//! commons_check watch SECONDS        says when this replica is alone
//! commons_check reloads TIMES        configurations come and go, and no connection stays
//! commons_check values COUNT         no bytes in place of a value are believed
//! commons_check hostile              servers that answer badly
//! ```
//!
//! The servers are in `COMMONS_ADDRESSES`, `COMMONS_MODE` and the other variables of [`setup`]; every second replica of
//! a pace reaches them at `COMMONS_RELAYED`, if that is set.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::expect_used,
    clippy::panic,
    reason = "a check says what it saw, and ends at once where it cannot go on"
)]

mod hostile;
mod law;
mod pace;
mod share;
mod watch;

use std::time::Duration;

use commons::{Commons, Mode, Password, SealKey, Setup};

/// The end of a command: what was seen, or what is wrong.
type Seen = Result<String, String>;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let seen = match args.as_slice() {
        ["law", histories] => law::agree(number(histories)).await,
        ["pace", replicas, seconds, used_min] => {
            pace::keep(number(replicas), number(seconds), number(used_min), 100, 100).await
        }
        ["pace", replicas, seconds, used_min, rate, percent_max] => {
            let (replicas, seconds, rate) = (number(replicas), number(seconds), number(rate));
            pace::keep(replicas, seconds, number(used_min), rate, number(percent_max)).await
        }
        ["scale", seconds, used_min] => pace::scaled(number(seconds), number(used_min)).await,
        ["apart", seconds, used_min] => pace::apart(number(seconds), number(used_min)).await,
        ["share"] => share::share().await,
        ["lead", question, body, seconds] => share::lead(question, body, number(seconds)).await,
        ["read", question, body] => share::read(question, body).await,
        ["watch", seconds] => watch::watch(number(seconds)).await,
        ["reloads", times] => watch::reloads(number(times)).await,
        ["values", count] => watch::values(number(count)),
        ["hostile"] => hostile::all().await,
        _ => Err("usage: see the top of this program".to_owned()),
    };
    match seen {
        Ok(seen) => {
            println!("{seen}");
            std::process::ExitCode::SUCCESS
        }
        Err(wrong) => {
            eprintln!("wrong: {wrong}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn number(text: &str) -> u32 {
    text.parse().unwrap_or_else(|_| panic!("not a number: {text}"))
}

/// The servers, from the environment.
fn setup() -> Setup {
    let of = |name: &str| std::env::var(format!("COMMONS_{name}")).ok();
    let addresses = of("ADDRESSES").unwrap_or_default();
    let mut setup = Setup::one("", SealKey::new([7; 32]), 4);
    setup.addresses = addresses.split(',').map(str::to_owned).collect();
    setup.mode = match of("MODE").as_deref() {
        Some("sentinel") => Mode::Sentinel { primary: "main".to_owned() },
        Some("cluster") => Mode::Cluster,
        _ => Mode::One,
    };
    setup.username = of("USER");
    setup.password = of("PASSWORD_FILE").map(|path| Password::File(path.into()));
    setup.authorities =
        of("AUTHORITIES").map(|path| std::fs::read(path).expect("the file of the authorities"));
    setup.replicas_max = of("REPLICAS_MAX").map_or(setup.replicas_max, |text| number(&text));
    setup.name = of("NAME").unwrap_or(setup.name);
    setup
}

/// One more replica.
fn replica() -> Commons {
    Commons::shared(&setup()).expect("a setup that can be meant")
}

/// One more replica, which may reach the servers by the relay.
fn replica_at(is_relayed: bool) -> Commons {
    let mut setup = setup();
    if let Ok(relay) = std::env::var("COMMONS_RELAYED")
        && is_relayed
    {
        setup.addresses = vec![relay];
    }
    Commons::shared(&setup).expect("a setup that can be meant")
}

/// Waits until all replicas share and know each other. Where they are as many as they may be, each believes in their
/// number before it has heard of any other.
async fn met(replicas: &[Commons]) -> Result<(), String> {
    let count = u32::try_from(replicas.len()).unwrap_or(u32::MAX);
    for _ in 0..200 {
        let have_met = |replica: &Commons| {
            let standing = replica.standing();
            let knows_all = standing.members.len() == replicas.len();
            !standing.is_alone && standing.replicas == count && knows_all
        };
        if replicas.iter().all(have_met) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(format!("the replicas have not met: {:?}", replicas.first().map(Commons::standing)))
}
