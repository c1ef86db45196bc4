//! Pseudonyms: their shape, which are equal, which values stay, and that nothing of a person is left. All
//! people are made up.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::collections::HashSet;

use corpus::node::Node;
use corpus::pseudonym::{Document, KEY_BYTES_MIN, KeyTooShort, Pseudonyms};
use proptest::prelude::*;

fn pseudonyms() -> Pseudonyms {
    Pseudonyms::with_key(b"a key for tests, 32 bytes long..").unwrap()
}

/// The properties of each character that a text and its pseudonym share.
fn kind(c: char) -> String {
    match c {
        _ if c.is_ascii_digit() => "digit".to_owned(),
        _ if c.is_ascii_uppercase() => "capital".to_owned(),
        _ if c.is_ascii_lowercase() => "letter".to_owned(),
        _ if c.is_alphanumeric() => {
            format!("{} bytes, upper {}", c.len_utf8(), c.is_uppercase() && c.len_utf8() == 2)
        }
        _ => c.to_string(),
    }
}

proptest! {
    #[test]
    fn a_pseudonym_has_the_shape_of_its_text(text in "\\PC{0,40}|[a-zA-Z0-9@., +-]{0,30}") {
        let made = pseudonyms().text(&text);
        let kinds = |text: &str| text.chars().map(kind).collect::<Vec<_>>();
        prop_assert_eq!(kinds(&made), kinds(&text));
        prop_assert_eq!(made.len(), text.len());
    }

    #[test]
    fn a_pseudonym_is_the_same_every_time_and_another_under_another_key(text in "[a-z]{12,30}") {
        let made = pseudonyms().text(&text);
        prop_assert_eq!(&pseudonyms().text(&text), &made);
        prop_assert_ne!(&Pseudonyms::random().text(&text), &made);
        prop_assert_ne!(&made, &text);
    }

    #[test]
    fn texts_that_differ_by_case_alone_stay_so(text in "[a-zA-Zéàñжя0-9 @.]{1,30}") {
        let p = pseudonyms();
        let made = p.text(&text);
        prop_assert_eq!(p.text(&text.to_uppercase()), made.to_uppercase());
        prop_assert_eq!(p.text(&text.to_lowercase()), made.to_lowercase());
    }

    #[test]
    fn a_number_is_its_digits(digits in "[1-9][0-9]{0,17}", zero in any::<bool>()) {
        let p = pseudonyms();
        let made = p.text(&digits);
        prop_assert!(!made.starts_with('0'));
        prop_assert_eq!(p.text(&format!("+{digits}")), format!("+{made}"));
        prop_assert_eq!(p.text(&format!("({digits})")), format!("({made})"));
        let json = format!("{{\"assigned_channels\":[{{\"value\":{digits}}}]}}");
        let scrubbed = p.json(Document::Other, json.as_bytes()).unwrap();
        let expected = format!("{{\"assigned_channels\":[{{\"value\":{made}}}]}}");
        prop_assert_eq!(String::from_utf8(scrubbed).unwrap(), expected);
        if zero {
            let with_zero = p.text(&format!("0{digits}"));
            prop_assert!(with_zero.starts_with('0') && !with_zero.starts_with("00"));
        }
    }

    #[test]
    fn any_json_is_json_afterwards_with_the_same_members_in_the_same_order(
        text in "\\PC{0,20}", number in any::<u64>(), part in any::<f64>(), flag in any::<bool>()
    ) {
        let text = serde_json::to_string(&text).unwrap();
        let part = if part.is_finite() { part } else { 0.5 };
        let json = format!(
            "[{{\"b\":{text},\"a\":{number},\"b\":[{flag},null,{{}},[]],\"f\":{part:?},\"id\":{number}}}]"
        );
        let made = pseudonyms().json(Document::Other, json.as_bytes()).unwrap();
        let (before, after) = (Node::parse(json.as_bytes()).unwrap(), Node::parse(&made).unwrap());
        prop_assert_eq!(skeleton(&before), skeleton(&after));
    }
}

/// The members and kinds of a value.
fn skeleton(node: &Node) -> String {
    match node {
        Node::List(list) => {
            format!("[{}]", list.iter().map(skeleton).collect::<Vec<_>>().join(","))
        }
        Node::Object(members) => {
            let members = members.iter().map(|(name, value)| format!("{name}:{}", skeleton(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        other => other.kind().to_owned(),
    }
}

#[test]
fn different_short_texts_get_different_pseudonyms() {
    let p = pseudonyms();
    let four: HashSet<String> = (1000..10_000).map(|n| p.text(&n.to_string())).collect();
    assert_eq!(four.len(), 9000);
    assert!(four.iter().all(|text| text.len() == 4 && !text.starts_with('0')));
    let letters = || b'a'..=b'z';
    let pairs =
        letters().flat_map(|a| letters().map(move |b| format!("{}{}", a as char, b as char)));
    assert_eq!(pairs.map(|pair| p.text(&pair)).collect::<HashSet<_>>().len(), 26 * 26);
    let moved = (1000..10_000).filter(|n| p.text(&n.to_string()) != n.to_string()).count();
    assert!(moved > 8900, "{moved}");
}

#[test]
fn similar_texts_get_unrelated_pseudonyms() {
    let p = pseudonyms();
    let all: Vec<String> =
        (0..100).map(|n| p.text(&format!("agent.{n:03}@cc1.example.com"))).collect();
    for place in (0..5).chain(10..12) {
        let letters: HashSet<u8> = all.iter().map(|text| text.as_bytes()[place]).collect();
        assert!(letters.len() > 15, "place {place}: {letters:?}");
    }
}

#[test]
fn signs_and_spaces_keep_their_places() {
    let p = pseudonyms();
    for (text, signs) in [
        ("Comma, Inc.", ", ."),
        ("  two leading spaces", "    "),
        ("Bob \"Bobby\" Tables", " \"\" "),
        ("Nul \u{0} byte", " \u{0} "),
        ("Max 🎧", " 🎧"),
        ("agent.1@cc1.example.com", ".@.."),
    ] {
        let made = p.text(text);
        assert_eq!(made.replace(char::is_alphanumeric, ""), signs, "{text:?}");
        assert_ne!(made, text);
    }
    assert_eq!(p.text(" Jane Doe "), format!(" {} ", p.text("Jane Doe")));
    for text in ["", " ", "0", "🎧", ", "] {
        assert_eq!(p.text(text), text, "nothing to replace");
    }
}

#[test]
fn a_part_of_a_value_becomes_that_part_of_its_pseudonym() {
    let p = pseudonyms();
    let whole = p.text("José composed");
    assert_eq!(p.slice("name", "José composed", 0..5).as_deref(), whole.get(..5));
    assert_eq!(p.slice("filter[name]", "José composed", 6..9).as_deref(), whole.get(6..9));
    assert_eq!(p.slice("name", "José composed", 0..4), None, "cuts a character");
    assert_eq!(p.slice("name", "x", 0..4), None);
    assert_eq!(p.slice("sag", "Agent", 0..3).as_deref(), Some("Age"));
}

#[test]
fn parameters_that_are_not_about_people_keep_their_values() {
    let p = pseudonyms();
    for (name, value) in
        [("id", "10001"), ("sag", "Agent"), ("timezone", "Istanbul"), ("limit", "100")]
    {
        assert_eq!(p.value(name, value), value);
        assert_eq!(p.value(&format!("filter[{name}]"), value), value);
    }
    for name in ["name", "filter[email]", "sip_account", "extension", "caller_id", "anything"] {
        assert_eq!(p.value(name, "Jane Doe"), p.text("Jane Doe"), "{name}");
    }
    assert_eq!(p.value("key", "canary-key"), "left-out");
    assert_eq!(p.parameter("filter[name]"), "filter[name]");
    assert_ne!(p.parameter("jane@example.com"), "jane@example.com");
    assert_eq!(
        p.target("/api/v4/users?limit=100&offset=0&name=Jane%20Doe&security_access_group_id=3"),
        format!(
            "/api/v4/users?limit=100&offset=0&name={}&security_access_group_id=3",
            p.text("Jane Doe").replace(' ', "%20")
        )
    );
    let path = "/useradmin/users/by/agentDisplayId/";
    assert_eq!(p.target(&format!("{path}1204")), format!("{path}{}", p.text("1204")));
    assert_eq!(p.target("/useradmin/users/8e22b1fe-d2ea"), "/useradmin/users/8e22b1fe-d2ea");
    let keeping = pseudonyms().keeping("agentDisplayId").keeping("extension");
    assert_eq!(keeping.target(&format!("{path}1204")), format!("{path}1204"));
    assert_eq!(keeping.value("filter[extension]", "1204"), "1204");
    assert_ne!(keeping.value("name", "Jane Doe"), "Jane Doe");
}

/// Every `~x~` stands for the pseudonym of `x`.
fn filled(p: &Pseudonyms, template: &str) -> String {
    let parts = template.split('~').enumerate();
    parts.map(|(k, part)| if k % 2 == 1 { p.text(part) } else { part.to_owned() }).collect()
}

fn check(document: Document, template: &str) {
    let p = pseudonyms();
    let real = template.replace('~', "");
    let made = p.json(document, real.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(made).unwrap(), filled(&p, template));
}

#[test]
fn a_legacy_user_keeps_its_impersonal_fields() {
    check(
        Document::of_path("/api/user_management/v1/users"),
        r#"[{"id":28982,"name":"~Jane Doe~","email":"~jane@example.com~","sip_account":"~ag@cc1.email.net~","sag":"Agent","extension":"~2594~","caller_id":"~378~","timezone":"Istanbul","webrtc_ringtone":"Bells","assigned_teams":"3623, 2481","supervisor_in_teams":"Support, Team3","assigned_skills":[{"name":"Sales","value":7}],"assigned_queues":"AG Queue","employee_id":~123~,"assigned_channels":[{"type":"WhatsApp","name":"WhatsApp 2 (~18885658889~)","value":~18885658889~},{"type":"Webchat","name":"Chat","value":null}]}]"#,
    );
    check(
        Document::Other,
        r#"{"summary":"Agents parameters","description":"All of the user data","value":{"id":1,"name":"~Jane Doe~"}}"#,
    );
}

#[test]
fn teams_keep_their_names_and_deleted_agents_do_not() {
    let body = r#"[{"name":"Dayshift","id":5915}]"#;
    check(Document::of_path("/api/v2/cdr/teams"), body);
    check(
        Document::of_path("/api/v2/cdr/deleted_agents"),
        r#"[{"id":28982,"name":"~Roberta Ride~"}]"#,
    );
    check(Document::Other, r#"{"teams":[{"id":3,"name":"Dayshift"}],"metadata":{"total":1}}"#);
}

#[test]
fn a_v4_user_keeps_values_that_are_not_personal() {
    check(
        Document::Other,
        r#"{"users":[{"id":"1234","name":"~Jane Doe~","email":"~jane@example.com~","sip_account":null,"extension":"~102~","caller_id":"~12025550123~","employee_id":"~E-482~","timezone":"America/New_York","security_access_group":{"id":3,"name":"Boarding"},"teams":[{"id":3,"name":"Support"}],"supervised_teams":[],"queues":[{"id":1,"name":"Technical Support"}],"webrtc_ringtone":{"type":"ringtone","name":"Bells (Default)"},"channels":["voice","chat"],"channel_group_capacity":{"chat":3,"instant":2},"channel_profiles":[{"id":12,"channel":"whatsapp","identifier":"~18885658889~","name":"WhatsApp Main (~18885658889~)"},{"id":13,"channel":"email","identifier":"~support@example.com~","name":"Mail ~support@example.com~"}],"skills":[{"skill":{"id":1,"name":"Sales"},"value":5}],"status":"available","created_at":"2025-11-11T12:00:00.216Z","deleted_at":null,"a_new_field":"~Jane's~","a_new_number":~12025550123~,"a_new_count":37}],"metadata":{"total":100}}"#,
    );
}

#[test]
fn a_vonage_user_keeps_its_impersonal_fields() {
    check(
        Document::Other,
        r#"{"users":[{"userId":"8e22b1fe-d2ea","userId":"8e22b1fe-d2ea","username":"~jane@example.com~","name":"~Jane Doe~","email":"~jane@example.com~","lastLoginTime":"2025-11-11T12:00:00Z","active":true,"ssoExternalId":"~E-482~","userAccountConfiguration":{"role":"Admin","chargeable":true,"agentConfiguration":{"agentDisplayId":"~1204~","location":"GB","telephonyAddress":{"telephoneAddress":"~+4412345678~","telephonyExtension":"~1204~","selectedCallbackNumberId":""},"capacity":{"live":51},"associatedUsers":[{"username":"~jane_vbc~","applicationType":"VBC"}]}}}],"meta":{"page":1,"count":1,"pageCount":1,"totalCount":123456}}"#,
    );
    check(
        Document::Other,
        r#"{"meta":{},"callbackNumbers":[{"callbackNumberId":"8e22","callbackNumberName":"~Main office, day~","callbackNumberClid":"~+4812~"}]}"#,
    );
    check(
        Document::Other,
        r#"{"groups":[{"groupId":"8e22","groupName":"Dayshift","groupMaxWrapUpTime":300,"groupDisplayId":"44587"}],"users":[{"userId":"8e22","agentDisplayId":"~1204~","name":"~Jane Doe~","agentSkillLevel":"6"}]}"#,
    );
}

#[test]
fn only_known_sentences_stay() {
    check(Document::Other, r#"{"error":"Invalid User API Key"}"#);
    check(Document::Other, r#"{"error":"~refused: Bearer v4-canary~"}"#);
    check(Document::Other, r#"{"error":"~Jane Doe not found~"}"#);
    check(Document::Other, r#"{"errors":{"name":["~is odd~"]}}"#);
    check(Document::Other, r#"{"error":~12025550123~,"message":404,"id":12025550123}"#);
    let p = pseudonyms().keeping_sentence("Wrong key, sorry");
    let body = br#"{"error":"Wrong key, sorry"}"#;
    assert_eq!(p.json(Document::Other, body).unwrap(), body);
    let kept = p.json(Document::Other, br#"{"name":"Wrong key, sorry"}"#).unwrap();
    assert!(!String::from_utf8(kept).unwrap().contains("sorry"));
}

#[test]
fn a_person_in_the_name_of_a_member_is_replaced() {
    check(
        Document::Other,
        r#"{"~jane@example.com~":{"~12025550123~":1,"userId":2,"a_new_name2":3},"~jane.doe~":{"id":1},"~Jane~":[],"~jane-doe~":{},"~_jane~":0,"~josé~":true,"":1}"#,
    );
    let p = pseudonyms();
    for name in ["jane.doe", "filter[jane.doe]", "Jane", "jane-doe", "josé"] {
        assert_eq!(p.parameter(name), p.text(name));
        assert_ne!(p.parameter(name), name);
    }
}

/// The replacement of a member's number.
fn number_of(field: &str, number: &str) -> String {
    let json = format!("{{\"{field}\":{number}}}");
    let made = pseudonyms().json(Document::Other, json.as_bytes()).unwrap();
    let made = String::from_utf8(made).unwrap();
    serde_json::from_str::<serde_json::Value>(&made).unwrap();
    let front = format!("{{\"{field}\":");
    made.strip_prefix(&front).unwrap().strip_suffix('}').unwrap().to_owned()
}

#[test]
fn a_personal_number_is_replaced_in_every_spelling() {
    let p = pseudonyms();
    let phone = p.text("12025550123");
    for number in ["12025550123.0", "1.2025550123e10", "120255501230E-1"] {
        assert_eq!(number_of("caller_id", number), format!("{phone}.0"), "{number}");
        assert_eq!(number_of("caller_id", &format!("-{number}")), format!("-{phone}.0"));
        assert_eq!(number_of("a_new_field", number), format!("{phone}.0"), "{number}");
    }
    for (number, digits, rest) in [
        ("1202.5550123", "1202.5550123", ""),
        ("0.12025550123", "0.12025550123", ""),
        ("1234567890123456789012", "1.2345678901234568", "e21"),
        ("98765432109876543210", "9.876543210987654", "e19"),
        ("-1.2025550123e-40", "1.2025550123", "e-40"),
    ] {
        let made = number_of("extension", number);
        let plain = made.trim_start_matches('-').replace("e+", "e");
        let is_sound = plain.ends_with(rest) && kinds(&plain) == kinds(&format!("{digits}{rest}"));
        assert!(is_sound && plain != format!("{digits}{rest}"), "{number}: {made}");
        assert_eq!(number_of("a_new_field", number), made, "{number}");
    }
    for largest in ["1.7976931348623157e308", "9e307", "-1.5e308"] {
        number_of("caller_id", largest);
    }
    for (field, number) in
        [("id", "12025550123.0"), ("a_new_rate", "0.25"), ("a_new_rate", "1000.0")]
    {
        assert_eq!(number_of(field, number), number);
    }
}

fn kinds(text: &str) -> Vec<String> {
    text.chars().map(kind).collect()
}

#[test]
fn a_body_that_is_not_json_is_refused_without_quoting_it() {
    for body in ["<html>Jane", "{\"name\":\"Jane\"", "[1] Jane", ""] {
        let error = pseudonyms().json(Document::Other, body.as_bytes()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("Jane"));
    }
}

#[test]
fn short_keys_are_refused_and_no_key_is_printed() {
    let short = Pseudonyms::with_key(&[b'k'; KEY_BYTES_MIN - 1]);
    assert_eq!(short.err(), Some(KeyTooShort));
    assert_eq!(format!("{:?}", pseudonyms()), "Pseudonyms([redacted])");
}

#[test]
fn the_largest_number_becomes_a_number() {
    for number in [u64::MAX, u64::MAX - 1, 10_000_000_000_000_000_000] {
        let json = format!("{{\"caller_id\":{number}}}");
        let made = pseudonyms().json(Document::Other, json.as_bytes()).unwrap();
        let made: serde_json::Value = serde_json::from_slice(&made).unwrap();
        assert_eq!(made["caller_id"].as_u64().unwrap().to_string().len(), 20);
    }
}
