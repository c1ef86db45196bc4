//! Placing a call, in hub words: the parameters of the legacy request, and what an upstream said of it. A call
//! is the only request with an effect, so it must be sent once only.
//!
//! Source: the vendor's "Click to call" pages; of v4 the "Start call" page and a public client of it.

use crate::asked::params::Params;

/// A longer text is no agent, number, id or system.
const TEXT_BYTES_MAX: usize = 256;

/// Digits of the longest number (E.164 has 15; some countries dial more).
const DIGITS_MAX: usize = 20;

/// The word of the legacy API for the end of a call. A request that says it must not place another one.
pub(crate) const STOP: &str = "stopcall";

/// A call that a client wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedCall {
    /// An extension or a sign-in e-mail.
    pub agent: String,
    /// Digits, without a plus.
    pub number: String,
    /// The client's own id of the one who is called.
    pub account_id: Option<String>,
    /// The client's name for its system.
    pub system: Option<String>,
    /// Whether the answer is to have the id of the call.
    pub wants_id: bool,
    /// Names of parameters that are not known, sorted.
    pub ignored: Vec<String>,
}

/// Why a request asks for no call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// A parameter has two values.
    Contradiction,
    /// There is no agent.
    NoAgent,
    /// There is no number, or what is there is none.
    BadNumber,
    /// A call is to be stopped, which nothing here does.
    Stop,
    /// The client's id of the one who is called, or the name of its system, is too long.
    TooLong,
}

impl WantedCall {
    /// Reads the parameters of query and body together. What both say must be the same; an empty value says
    /// nothing.
    pub fn of(mut params: Params) -> Result<Self, Unfit> {
        if params.says(STOP) {
            return Err(Unfit::Stop);
        }
        let mut given = |name: &str| -> Vec<String> {
            let given = params.take_filter(name).into_iter().map(|text| text.trim().to_owned());
            given.filter(|text| !text.is_empty()).collect()
        };
        let (agent, number) = (agreed(given("agent"))?, given("number"));
        let (account_id, system) = (agreed(given("account_id"))?, agreed(given("crm"))?);
        let wants_id = given("get_call_id").into_iter();
        let wants_id =
            agreed(wants_id.map(|word| matches!(&*word.to_ascii_lowercase(), "true" | "1")))?;
        let is_long = |text: &String| text.len() > TEXT_BYTES_MAX;
        if account_id.as_ref().is_some_and(is_long) || system.as_ref().is_some_and(is_long) {
            return Err(Unfit::TooLong);
        }
        let agent = agent.filter(|agent| !is_long(agent)).ok_or(Unfit::NoAgent)?;
        let numbers: Option<Vec<String>> = number.iter().map(|text| digits(text)).collect();
        let number = agreed(numbers.ok_or(Unfit::BadNumber)?)?.ok_or(Unfit::BadNumber)?;
        let (wants_id, ignored) = (wants_id.unwrap_or_default(), params.finish());
        Ok(WantedCall { agent, number, account_id, system, wants_id, ignored })
    }

    /// Whether the agent can only be an e-mail address: no extension has such a sign.
    pub fn is_by_email(&self) -> bool {
        self.agent.contains('@')
    }
}

/// The one value that all say, as it is used.
fn agreed<T: PartialEq>(given: impl IntoIterator<Item = T>) -> Result<Option<T>, Unfit> {
    let mut given = given.into_iter();
    let first = given.next();
    match given.all(|other| Some(&other) == first.as_ref()) {
        true => Ok(first),
        false => Err(Unfit::Contradiction),
    }
}

/// The digits of a number behind a plus that need not be there.
fn digits(text: &str) -> Option<String> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let is_number = (1..=DIGITS_MAX).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.to_owned())
}

/// The request that places a call: a POST of JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRequest {
    /// Below the base URL.
    pub target: &'static str,
    /// JSON.
    pub body: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str) -> Result<WantedCall, Unfit> {
        WantedCall::of(Params::parse(query))
    }

    #[test]
    fn the_parameters_of_a_call_are_read_from_everywhere_and_must_agree() {
        let call = of("agent=101&number=%2B31201234567&crm=x&account_id=7&get_call_id=true&page=1");
        let call = call.unwrap();
        assert_eq!((&*call.agent, &*call.number), ("101", "31201234567"));
        assert_eq!((call.account_id.as_deref(), call.system.as_deref()), (Some("7"), Some("x")));
        assert!(call.wants_id && !call.is_by_email());
        assert_eq!(call.ignored, ["page"]);
        for (more, wants_id) in
            [("1", true), ("TRUE", true), ("false", false), ("", false), ("0", false)]
        {
            let call = of(&format!("agent=a@b&number=1&get_call_id={more}")).unwrap();
            assert_eq!((call.wants_id, call.is_by_email()), (wants_id, true), "{more}");
        }
        let mut params = Params::parse("agent=101&number=1");
        params.put_beside(Params::of_json(br#"{"agent":101,"number":"1","crm":null}"#).unwrap());
        assert!(WantedCall::of(params).is_ok(), "said twice alike");
        for alike in ["number=%2B1&number=1", "number=1&get_call_id=1&get_call_id=true"] {
            assert!(of(&format!("agent=101&{alike}")).is_ok(), "{alike}");
        }
        for (query, why) in [
            ("agent=101&agent=102&number=1", Unfit::Contradiction),
            ("agent=101&number=1&number=2", Unfit::Contradiction),
            ("agent=101&number=1&number=%2B2", Unfit::Contradiction),
            ("agent=101&number=1&crm=a&crm=b", Unfit::Contradiction),
            (&*format!("agent=101&number=1&crm={}", "c".repeat(257)), Unfit::TooLong),
            (&*format!("agent=101&number=1&account_id={}", "7".repeat(257)), Unfit::TooLong),
            ("agent=101&number=1&number=x", Unfit::BadNumber),
            ("agent=101&number=1&get_call_id=true&get_call_id=false", Unfit::Contradiction),
            ("agent=101&number=1&action=StopCall", Unfit::Stop),
            ("agent=101&number=1&stopcall", Unfit::Stop),
            ("agent=101&number=1&filter[stopcall][]=1", Unfit::Stop),
            ("number=1", Unfit::NoAgent),
            ("agent=&number=1", Unfit::NoAgent),
            ("agent=101", Unfit::BadNumber),
            ("agent=101&number=%2B", Unfit::BadNumber),
            ("agent=101&number=12a", Unfit::BadNumber),
            ("agent=101&number=0x12", Unfit::BadNumber),
            ("agent=101&number=123456789012345678901", Unfit::BadNumber),
        ] {
            assert_eq!(of(query), Err(why), "{query}");
        }
        assert_eq!(
            of("agent=101&number=+1").unwrap().number,
            "1",
            "a plus that a form made a space"
        );
    }
}
