//! What replicas of one gateway share: a pace, pauses and refusals, readings, and values that outlive a restart.
//!
//! The crate knows opaque scopes and bytes. It must never know a caller's name, an endpoint or a dialect, and no
//! verb of it can fail a request: where the server does not answer within 20 ms, the answer is what one replica by
//! itself would do. `law.rs` says how places are given out; `scripts/take.lua` says it a second time.
//!
//! # Places in a pace
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! use std::time::Duration;
//! use commons::{Ask, Commons, Rate, Taken};
//! use tokio::time::{Instant, sleep_until};
//!
//! let commons = Commons::one();
//! let pace = commons.pace(b"account 17", Rate::sustained(120, Duration::from_secs(15)));
//! // Several places may be asked for at once.
//! let ask = Ask::places(8, Instant::now() + Duration::from_secs(25));
//! match commons.take(&pace, ask).await {
//!     Taken::Places(places) => {
//!         for place in places {
//!             sleep_until(place).await; // .. and send
//!         }
//!     }
//!     Taken::Full(wait) => println!("429, retry after {wait:?}"),
//! }
//! # }
//! ```
//!
//! # One reading for all
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! use std::time::Duration;
//! use commons::{Begun, Commons, Finish, Wish};
//! use tokio::time::Instant;
//!
//! let commons = Commons::one();
//! let scope = commons.scope(b"caller 3 at upstream 1, fingerprint 8c1f");
//! let question = commons.question(&scope, &[b"groups"]);
//! let deadline = Instant::now() + Duration::from_secs(25);
//! let wish = Wish { fresh_for: Duration::from_secs(60), deadline };
//! let body = match commons.begin(&question, wish).await {
//!     Begun::Kept { body, .. } => body,
//!     Begun::Failed(slug) => return println!("failed a moment ago: {slug:?}"),
//!     Begun::Lead(lease) => {
//!         let body = b"read from the upstream".to_vec();
//!         let keep_for = Duration::from_secs(60);
//!         commons.finish(lease, Finish::Whole { body: body.clone(), keep_for });
//!         body
//!     }
//!     Begun::Alone => b"read from the upstream".to_vec(),
//! };
//! # assert_eq!(body, b"read from the upstream");
//! # }
//! ```
//!
//! # News for all, and how it stands
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! use std::time::Duration;
//! use commons::{Commons, News};
//!
//! let commons = Commons::one();
//! let scope = commons.scope(b"caller 3 at upstream 1");
//! let epoch = scope.epoch();
//! // After a 429: here at once, at every other replica within a second.
//! commons.tell(&scope, News::Pause(Duration::from_secs(5)));
//! assert!(scope.paused_until().is_some());
//! // After a 401: whatever was read with the key counts no more.
//! commons.tell(&scope, News::Refusal(Duration::from_secs(60)));
//! assert!(scope.refused_until().is_some() && scope.epoch() != epoch);
//! // A floor of repeats for each replica.
//! let floor = (30 / commons.replicas()).max(3);
//! # assert_eq!(floor, 30);
//! # }
//! ```

mod connect;
mod examine;
mod faults;
mod law;
mod lease;
mod link;
mod local;
mod members;
mod names;
mod news;
mod outlook;
mod places;
#[doc(hidden)]
pub mod properties;
mod roll;
mod scripts;
mod seal;
mod shapes;
mod share;
mod shared;
mod stream;
mod turns;
mod valkey;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use zeroize::Zeroizing;

pub use examine::{Examined, examine};
pub use lease::{Begun, Lease};
use local::Local;
use names::{About, Names};
use news::Scopes;
pub use outlook::Outlook;
pub use places::Pace;
pub use seal::SealKey;
pub use shapes::{
    Ask, BadSetup, Finish, Member, Mode, News, Password, Question, Rate, Scope, Setup, Standing,
    Taken, Uses, Wish,
};
use valkey::Valkey;

/// What is shared. Clones are the same one; the last one to be dropped ends its connections.
#[derive(Clone)]
pub struct Commons {
    inner: Arc<Inner>,
}

struct Inner {
    names: Arc<Names>,
    scopes: Arc<Scopes>,
    sharing: Sharing,
}

/// With whom.
enum Sharing {
    /// Nobody: there is one process.
    Local(Local),
    /// All replicas that use the same servers, name and key.
    Valkey(Box<Valkey>),
}

impl Commons {
    /// For one process: nothing runs beside it, and nothing is sent anywhere.
    pub fn one() -> Self {
        let (names, scopes) = (Names::new("one", &rand::random::<[u8; 32]>()), Arc::default());
        Commons {
            inner: Arc::new(Inner {
                names: Arc::new(names),
                scopes,
                sharing: Sharing::Local(Local),
            }),
        }
    }

    /// For replicas that share servers. It does not wait for them: until they answer, each replica keeps to its own
    /// share. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// If the setup cannot be meant.
    pub fn shared(setup: &Setup) -> Result<Self, BadSetup> {
        setup.check()?;
        // The oldest key makes the names, so that replicas before and after a rotation keep one pace.
        let oldest = setup.seal_keys_before.last().unwrap_or(&setup.seal_key);
        let secret: Zeroizing<[u8; 32]> = oldest.names_secret();
        let (names, scopes) = (Arc::new(Names::new(&setup.name, &*secret)), Arc::default());
        let valkey = Valkey::new(setup, Arc::clone(&names), Arc::clone(&scopes))?;
        Ok(Commons {
            inner: Arc::new(Inner { names, scopes, sharing: Sharing::Valkey(Box::new(valkey)) }),
        })
    }

    /// The pace of a scope, which is an account or a key in any bytes. The code that asks for places keeps the pace.
    pub fn pace(&self, scope: &[u8], rate: Rate) -> Pace {
        let code = self.inner.names.code(About::Pace, &[scope]);
        let key = self.inner.names.key(&names::hex(&code), "n");
        Pace::new(key, rate.law())
    }

    /// The scope of any bytes. Everybody who asks for the same bytes gets the same one. They must hold everything
    /// that shapes its answers, so that another configuration shares nothing with this one.
    pub fn scope(&self, bytes: &[u8]) -> Scope {
        self.inner.scopes.of(self.inner.names.code(About::Scope, &[bytes]))
    }

    /// A question within a scope, by parts of any bytes.
    pub fn question(&self, scope: &Scope, parts: &[&[u8]]) -> Question {
        let all: Vec<&[u8]> =
            std::iter::once(&scope.0.code[..]).chain(parts.iter().copied()).collect();
        let code = names::hex(&self.inner.names.code(About::Question, &all));
        let before = self.inner.names.key(&scope.0.tag, "");
        Question { scope: scope.clone(), before, code }
    }

    /// Takes places in a pace, or says after how long there is one.
    pub async fn take(&self, pace: &Pace, ask: Ask) -> Taken {
        match &self.inner.sharing {
            Sharing::Local(local) => local.take(pace, ask),
            Sharing::Valkey(valkey) => valkey.shared.take(pace, ask).await,
        }
    }

    /// When the next places of a pace are, if nothing is sent before `start`. It takes none. What the server said less
    /// than `known_for` ago will do; a second at most.
    pub async fn look(&self, pace: &Pace, start: Instant, known_for: Duration) -> Outlook {
        let ask = Ask { not_before: Some(start), only_look: true, ..Ask::places(1, start) };
        match &self.inner.sharing {
            Sharing::Local(local) => local.look(pace, ask),
            Sharing::Valkey(valkey) => valkey.shared.outlook(pace, ask, known_for).await,
        }
    }

    /// Begins a question: the answer that is kept, or that another replica reads just now, or a lease. It waits for
    /// another replica for half of the time until the deadline at most.
    pub async fn begin(&self, question: &Question, wish: Wish) -> Begun {
        match &self.inner.sharing {
            Sharing::Local(local) => local.begin(),
            Sharing::Valkey(valkey) => valkey.shared.begin(question, wish).await,
        }
    }

    /// Ends a reading. It returns at once; what there is to store is stored in the background.
    pub fn finish(&self, lease: Lease, how: Finish) {
        match how {
            Finish::Nothing => lease.give_up(),
            how => self.finish_with(lease, Uses::Later, || how),
        }
    }

    /// Like [`finish`](Self::finish), but `make` runs in the background, and only if a replica can use the result.
    pub fn finish_with(
        &self,
        lease: Lease,
        uses: Uses,
        make: impl FnOnce() -> Finish + Send + 'static,
    ) {
        lease.finish(uses, make);
    }

    /// Tells all replicas. It is known here at once, and everywhere within a second.
    pub fn tell(&self, scope: &Scope, news: News) {
        match &self.inner.sharing {
            Sharing::Local(local) => local.tell(scope, news),
            Sharing::Valkey(valkey) => {
                match news {
                    News::Pause(lasts) => scope.0.pause(lasts.min(news::LASTS_MAX)),
                    News::Refusal(lasts) => scope.0.refuse(lasts.min(news::LASTS_MAX), true),
                }
                valkey.shared.outbox.put(scope.clone(), news);
            }
        }
    }

    /// What this replica says of itself, at most 128 bytes. All replicas read it as [`Member::word`]. The owner of the
    /// server can read it as well.
    pub fn describe(&self, word: &[u8]) {
        if let Sharing::Valkey(valkey) = &self.inner.sharing {
            valkey.shared.members.describe(word);
        }
    }

    /// How many replicas there are, at least one: the highest count of the last five seconds of answers. At first it is
    /// [`Setup::replicas_max`].
    pub fn replicas(&self) -> u32 {
        match &self.inner.sharing {
            Sharing::Local(_) => 1,
            Sharing::Valkey(valkey) => valkey.shared.roll.replicas(),
        }
    }

    /// How many replicas there are, whether this one is alone, and what went wrong so far.
    pub fn standing(&self) -> Standing {
        match &self.inner.sharing {
            Sharing::Local(local) => local.standing(),
            Sharing::Valkey(valkey) => valkey.shared.standing(),
        }
    }
}

impl std::fmt::Debug for Commons {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Commons")
    }
}
