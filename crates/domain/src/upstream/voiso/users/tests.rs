//! The quick way beside the strict one.

use super::*;

/// The keys of a user as the vendor orders them.
const ORDER: [&str; 23] = [
    "id",
    "name",
    "email",
    "sip_account",
    "extension",
    "caller_id",
    "employee_id",
    "timezone",
    "security_access_group",
    "teams",
    "supervised_teams",
    "queues",
    "supervised_queues",
    "webrtc_ringtone",
    "channels",
    "channel_group_capacity",
    "channel_profiles",
    "speech_language",
    "skills",
    "status",
    "created_at",
    "updated_at",
    "deleted_at",
];

/// The user of the vendor's page, as the vendor sends it, with odd texts.
fn row() -> String {
    const DOCUMENTED: &str =
        include_str!("../../../../golden/v1_users/voiso-v4__documented_user/page_1.json");
    let compact = DOCUMENTED.replace('\n', "").replace("\": ", "\":").replace(", \"", ",\"");
    let (_, rest) = compact.split_once('[').unwrap();
    let (row, _) = rest.rsplit_once(']').unwrap();
    row.replace("Jane Doe", r#"Jane \"J\u00e9\ud83e\udd9c\/\" Doe"#)
}

/// A row by the strict way, and by the quick way if that does not give up.
fn both(row: &str) -> (Option<User<'_>>, Option<User<'_>>) {
    let rules = Rules::default();
    let mut strict = Scan::new(row);
    let by_strict = WireUser::read_strictly(&mut strict).ok().map(|wire| hub_user(wire, &rules));
    let (mut quick, mut user) = (Scan::new(row), User::default());
    let is_read = quick.goes_on(|quick| quick_user(quick, &mut user, &rules));
    if is_read {
        assert_eq!(quick.end().is_ok(), strict.end().is_ok(), "{row}");
    }
    (by_strict, is_read.then_some(user))
}

#[test]
fn a_documented_user_is_read_by_the_quick_way() {
    let row = row();
    let (strict, quick) = both(&row);
    assert!(quick.is_some() && quick == strict, "{quick:?} {strict:?}");
    assert_eq!(quick.unwrap().name.as_deref(), Some("Jane \"J\u{e9}\u{1f99c}/\" Doe"));
    // Nothing of the user before is left.
    let rules = Rules::default();
    let mut user = hub_user(WireUser::read_strictly(&mut Scan::new(&row)).unwrap(), &rules);
    let lists = ["teams", "supervised_teams", "queues", "skills", "channel_profiles"];
    let member = |key: &str| {
        let value = if lists.contains(&key) { "[]" } else { "null" };
        format!("\"{key}\":{}", if key == "id" { "\"1\"" } else { value })
    };
    let bare = format!("{{{}}}", ORDER.map(member).join(","));
    assert!(Scan::new(&bare).goes_on(|quick| quick_user(quick, &mut user, &rules)));
    assert_eq!(user, User { own_id: "1".into(), ..User::default() });
    let mut known = [KEYS, UNREAD].concat();
    known.sort_unstable();
    let mut ordered = ORDER;
    ordered.sort_unstable();
    assert_eq!(known, ordered, "the quick way has every key of the strict one");
}

#[test]
fn the_quick_way_takes_nothing_that_the_strict_way_refuses_or_reads_otherwise() {
    const PIECES: &[&str] = &[
        "",
        " ",
        "\"",
        "\\",
        ",",
        ":",
        "{",
        "}",
        "[",
        "]",
        "0",
        "1",
        "-",
        ".",
        "e",
        "n",
        "null",
        "\u{1}",
        "\u{e9}",
        "\\u00e9",
        "\\ud83e",
        "[]",
        "{}",
        "\"id\":1,",
        "\"a\",",
        ",\"x\":1",
        ",\"x\":[{\"name\":[]}]",
        ",\"name\":\"x\"",
        ",\"\\u006eame\":\"x\"",
        ",\"channels\":[]",
    ];
    let row = row();
    let (mut read, mut refused) = (0, 0);
    for at in 0..=row.len() {
        for cut in 0..=1 {
            let Some(behind) = row.get(at + cut..) else { continue };
            for piece in PIECES {
                let odd = [&row[..at], piece, behind].concat();
                let (strict, quick) = both(&odd);
                if quick.is_some() {
                    assert_eq!(quick, strict, "{odd}");
                    read += 1;
                } else {
                    refused += u32::from(strict.is_none());
                }
            }
        }
    }
    assert!(read > 5_000 && refused > 20_000, "{read} {refused}");
}

#[test]
fn fields_that_the_vendor_adds_stop_no_quick_way() {
    let row = row();
    for behind in ["\"102\"", "\"available\"", "\"deleted_at\":\"2025-11-11T12:00:00.216Z\""] {
        let with = |member: &str| row.replacen(behind, &format!("{behind}{member}"), 1);
        let odd = with(",\"new\":{\"name\":[1]},\"newer\":\"\\u00e9\"");
        assert_ne!(odd, row);
        assert_eq!(both(&odd), both(&row));
        assert!(both(&odd).1.is_some());
        assert_eq!(both(&with(",\"email\":\"twice\"")), (None, None));
    }
}

#[test]
fn numbers_are_read_by_the_quick_way_as_by_the_strict_one() {
    let with = |id: &str| {
        row().replace("\"teams\":[", &format!("\"teams\":[{{\"id\":{id},\"name\":null}},"))
    };
    for (id, is_quick) in [
        ("0", true),
        ("7", true),
        ("28982", true),
        ("9999999999999999999", true),
        ("10000000000000000000", false),
        ("18446744073709551616", false),
        ("00", false),
        ("07", false),
        ("-0", false),
        ("1.0", false),
        ("1e3", false),
        ("1a", false),
        ("", false),
    ] {
        let row = with(id).replace(",]", "]");
        let (strict, quick) = both(&row);
        assert_eq!(quick.is_some(), is_quick, "{id}");
        assert!(quick.is_none() || quick == strict, "{id}");
    }
}

#[test]
fn a_text_may_be_a_mebibyte_long_and_no_longer() {
    use crate::upstream::FIELD_BYTES_MAX;
    for (bytes, is_read) in [(FIELD_BYTES_MAX, true), (FIELD_BYTES_MAX + 1, false)] {
        for text in ["x".repeat(bytes), format!("\\n{}", "x".repeat(bytes - 1))] {
            let row = row().replace("Multilingual Support", &text);
            assert!(row.len() > bytes);
            let (strict, quick) = both(&row);
            assert_eq!((strict.is_some(), quick.is_some()), (is_read, is_read), "{bytes}");
            assert_eq!(strict, quick);
        }
    }
}
