//! The legacy face against the vendor's page of `GET /api/user_management/v1/users`.

use crate::common::{LEGACY, V4, call, ids, legacy, send};
use serde_json::{Value, json};
use simulator::{ChannelProfile, Named, Settings, Simulator, SkillLevel, User};

fn with(edit: impl FnOnce(&mut User)) -> Simulator {
    let simulator = Simulator::new(Settings { users: 0, ..Settings::default() });
    simulator.insert_with(|user| {
        *user = User::documented_sample();
        edit(user);
    });
    simulator
}

#[tokio::test]
async fn the_documented_v4_user_gives_this_record() {
    let expected = concat!(
        r#"[{"id":1234,"name":"Jane Doe","email":"jane.doe@example.com","#,
        r#""sip_account":"jane.doe@sip.example.com","sag":"Boarding","extension":"102","#,
        r#""caller_id":"12025550123","timezone":"Eastern Time (US & Canada)","#,
        r#""webrtc_ringtone":"Bells (Default)","assigned_teams":"3","supervisor_in_teams":"3","#,
        r#""assigned_skills":[{"name":"Sales","value":5}],"assigned_queues":"Technical Support","#,
        r#""employee_id":"E-482","assigned_channels":[{"type":"WhatsApp","#,
        r#""name":"WhatsApp Main (18885658889)","value":18885658889}]}]"#,
    );
    let reply = legacy(&with(|_| ()), "").await;
    assert_eq!((reply.status, reply.text()), (200, expected));
    assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
}

#[tokio::test]
async fn the_documented_legacy_user_has_a_v4_form() {
    let channel = |channel: &'static str, identifier: &'static str, name: &'static str| {
        let identifier = Some(identifier.into());
        ChannelProfile { id: 1, channel: channel.into(), identifier, name: name.into() }
    };
    let skill =
        |name: &'static str, value| SkillLevel { skill: Named { id: 1, name: name.into() }, value };
    let team = |id| Named { id, name: "any".into() };
    let simulator = with(|user| {
        user.id = 28982;
        user.name = "AG D".into();
        user.security_access_group = Some(Named { id: 1, name: "Agent".into() });
        user.extension = Some("2594".into());
        user.caller_id = Some("378".into());
        user.timezone = Some("Europe/Istanbul".into());
        user.webrtc_ringtone = None;
        user.teams = vec![team(3623), team(2481)];
        user.supervised_teams = vec![];
        user.skills = vec![skill("Skill1", 4), skill("Skill2", 3), skill("Skill3", 5)];
        user.queues = vec![Named { id: 1, name: "AG Queue".into() }];
        user.employee_id = Some("123".into());
        user.channel_profiles = vec![
            channel("whatsapp", "1234567890", "WhatsApp Support 1"),
            channel("chat", "+9876543210", "Webchat Support"),
            channel("viber", "01122334455", "Viber Support"),
        ];
    });
    let expected = json!({
        "id": 28982, "name": "AG D",
        "email": "jane.doe@example.com", "sip_account": "jane.doe@sip.example.com",
        "sag": "Agent", "extension": "2594", "caller_id": "378", "timezone": "Istanbul",
        "webrtc_ringtone": null, "assigned_teams": "3623, 2481", "supervisor_in_teams": "",
        "assigned_skills": [
            {"name": "Skill1", "value": 4}, {"name": "Skill2", "value": 3},
            {"name": "Skill3", "value": 5}],
        "assigned_queues": "AG Queue", "employee_id": "123",
        "assigned_channels": [
            {"type": "WhatsApp", "name": "WhatsApp Support 1", "value": 1234567890},
            {"type": "Webchat", "name": "Webchat Support", "value": 9876543210u64},
            {"type": "Viber", "name": "Viber Support", "value": null}],
    });
    assert_eq!(simulator.legacy_users(&[]), [expected]);
}

#[tokio::test]
async fn missing_values_are_null_or_empty() {
    let simulator = with(|user| {
        user.sip_account = None;
        user.security_access_group = None;
        user.extension = None;
        user.caller_id = None;
        user.timezone = None;
        user.webrtc_ringtone = None;
        user.employee_id = None;
        user.teams.clear();
        user.queues.clear();
        user.skills.clear();
        user.channel_profiles.clear();
    });
    let user = &simulator.legacy_users(&[])[0];
    for field in ["sip_account", "sag", "extension", "caller_id", "timezone", "employee_id"] {
        assert!(user[field].is_null());
    }
    assert_eq!((&user["assigned_teams"], &user["assigned_queues"]), (&json!(""), &json!("")));
    assert_eq!((&user["assigned_skills"], &user["assigned_channels"]), (&json!([]), &json!([])));
}

#[tokio::test]
async fn zones_have_the_documented_names() {
    for (zone, shown) in [
        ("Europe/London", "London"),
        ("America/Mexico_City", "Mexico City"),
        ("America/Lima", "Lima"),
        ("Asia/Kolkata", "Kolkata"),
        ("Asia/Tokyo", "Tokyo"),
        ("Asia/Muscat", "Muscat"),
        ("Asia/Karachi", "Karachi"),
        ("Asia/Dhaka", "Dhaka"),
        ("Asia/Bangkok", "Bangkok"),
        ("Australia/Melbourne", "Melbourne"),
        ("Europe/Moscow", "Moscow"),
        ("Europe/Zurich", "Zurich"),
        ("Pacific/Auckland", "Auckland"),
        ("Pacific/Midway", "Midway Island"),
        ("Etc/UTC", "UTC"),
        ("UTC", "UTC"),
        ("Africa/Lome", "Africa/Lome"),
        ("Edinburgh", "Edinburgh"),
    ] {
        let simulator = with(|user| user.timezone = Some(zone.into()));
        assert_eq!(simulator.legacy_users(&[])[0]["timezone"], shown, "{zone}");
    }
}

#[tokio::test]
async fn channels_have_display_names_and_numbers() {
    for (slug, shown) in [
        ("whatsapp", "WhatsApp"),
        ("chat", "Webchat"),
        ("webchat", "Webchat"),
        ("sms", "SMS"),
        ("line", "LINE"),
        ("email", "Email"),
        ("rcs", "rcs"),
    ] {
        let simulator = with(|user| user.channel_profiles[0].channel = slug.into());
        assert_eq!(simulator.legacy_users(&[])[0]["assigned_channels"][0]["type"], shown);
    }
    for (identifier, value) in [
        (Some("+18885658889"), json!(18885658889u64)),
        (Some("100000000000001"), json!(100000000000001u64)),
        (Some("999999999999999999"), json!(999999999999999999u64)),
        (Some("1000000000000000000"), json!(null)),
        (Some("++1"), json!(null)),
        (Some("01"), json!(null)),
        (Some("+"), json!(null)),
        (Some(""), json!(null)),
        (Some("1 2"), json!(null)),
        (Some("@bot"), json!(null)),
        (Some("١٢"), json!(null)),
        (None, json!(null)),
    ] {
        let simulator = with(|user| {
            user.channel_profiles[0].identifier = identifier.map(Into::into);
        });
        let user = &simulator.legacy_users(&[])[0];
        assert_eq!(user["assigned_channels"][0]["value"], value, "{identifier:?}");
    }
}

#[tokio::test]
async fn deleted_users_are_not_listed_unless_they_are_at_work() {
    for (status, deleted, listed) in [
        (Some("available"), true, true),
        (Some("postcall"), true, true),
        (Some("offline"), true, false),
        (Some("archived"), true, false),
        (None, true, false),
        (Some("offline"), false, true),
        (None, false, true),
    ] {
        let simulator = with(|user| {
            user.status = status.map(Into::into);
            if !deleted {
                user.deleted_at = None;
            }
        });
        assert_eq!(simulator.legacy_users(&[]).len(), usize::from(listed), "{status:?}");
    }
}

#[tokio::test]
async fn filters_are_exact_and_combine() {
    let simulator = Simulator::new(Settings { users: 400, ..Settings::default() });
    let all = simulator.legacy_users(&[]);
    assert!(all.len() < 400);
    for field in ["name", "email", "sip_account", "sag", "extension", "caller_id", "timezone"] {
        let value = all.iter().find_map(|u| u[field].as_str().filter(|v| !v.is_empty())).unwrap();
        let query =
            form_urlencoded::Serializer::new(String::new()).append_pair(field, value).finish();
        let found = legacy(&simulator, &query).await.json();
        let expected: Vec<&Value> = all.iter().filter(|u| u[field] == value).collect();
        assert_eq!(found.as_array().unwrap().iter().collect::<Vec<_>>(), expected, "{field}");
    }
    assert_eq!(ids(&legacy(&simulator, "id=10001").await.json()), ["10001"]);
    for none in ["id=x", "id=10001x", "id=-1", "id=99999999999999999999", "sag=AGENT", "name=jane"]
    {
        assert_eq!(legacy(&simulator, none).await.text(), "[]", "{none}");
    }
    let whole = legacy(&simulator, "").await;
    for ignored in ["id=&name=&sag=", "page=2&limit=1&status=offline"] {
        assert_eq!(legacy(&simulator, ignored).await.bytes(), whole.bytes());
    }
    let both = legacy(&simulator, "id=10001&name=nobody").await;
    assert_eq!(both.text(), "[]");
}

#[tokio::test]
async fn a_zone_filter_takes_any_spelling_of_the_zone() {
    let simulator = with(|user| user.timezone = Some("Europe/London".into()));
    for zone in ["London", "Edinburgh", "Europe/London"] {
        assert_eq!(legacy(&simulator, &format!("timezone={zone}")).await.json()[0]["id"], 1234);
    }
    assert_eq!(legacy(&simulator, "timezone=Dublin").await.text(), "[]");
    assert_eq!(legacy(&simulator, "timezone=london").await.text(), "[]");
}

#[tokio::test]
async fn two_groups_with_one_name_are_both_found() {
    let simulator = Simulator::new(Settings { users: 400, ..Settings::default() });
    let found = ids(&legacy(&simulator, "sag=Agent").await.json());
    let groups: std::collections::BTreeSet<String> = simulator
        .users()
        .iter()
        .filter(|u| found.contains(&u["id"].as_str().unwrap().to_owned()))
        .map(|u| u["security_access_group"]["id"].to_string())
        .collect();
    assert_eq!(groups.into_iter().collect::<Vec<_>>(), ["1", "12"]);
}

#[tokio::test]
async fn the_key_is_accepted_as_bearer_or_as_parameter_but_not_twice() {
    let simulator = with(|_| ());
    for path in ["/api/user_management/v1/users", "/user_management/v1/users"] {
        assert_eq!(call(&simulator, path, Some(LEGACY)).await.status, 200);
        let with_key = format!("{path}?key=legacy-demo-key");
        assert_eq!(call(&simulator, &with_key, None).await.status, 200);
        for (uri, credential) in [
            (path, None),
            (path, Some(V4)),
            (path, Some("Bearer wrong")),
            (with_key.as_str(), Some(LEGACY)),
        ] {
            let reply = call(&simulator, uri, credential).await;
            let expected = (401, r#"{"error":"Invalid User API Key"}"#);
            assert_eq!((reply.status, reply.text()), expected);
        }
    }
}

#[tokio::test]
async fn a_request_in_another_form_is_the_same_request() {
    let simulator = Simulator::new(Settings { users: 30, ..Settings::default() });
    let name = simulator.records()[4].name.to_string();
    let users = "/api/user_management/v1/users";
    let plain = legacy(&simulator, &format!("name={}", escaped(&name))).await;
    assert_eq!(plain.json().as_array().unwrap().len(), 1);
    let get = |path: &str| http::Request::get(path).header("authorization", LEGACY);
    let bodiless = |path: &str| get(path).body(transport::body::empty()).unwrap();
    let query = format!("name={}", escaped(&name));
    let mut same = vec![
        bodiless(&format!("/{users}?{query}")),
        bodiless(&format!("/api//user_management/v1/users/?{query}")),
        bodiless(&format!("{users}.json?{query}")),
        bodiless(&format!("/api/user%5Fmanagement/v1/user%73?{query}")),
        bodiless(&format!("{users}?name[0]={}", escaped(&name))),
        bodiless(&format!("{users}?key=&{query}")),
        http::Request::get(format!("{users}?{query}&key=legacy-demo-key"))
            .header("authorization", "Basic eDp5")
            .body(transport::body::empty())
            .unwrap(),
    ];
    let json = json!({ "name": name }).to_string();
    for (kind, body) in
        [("application/json; charset=utf-8", json), ("application/x-www-form-urlencoded", query)]
    {
        let path = format!("{users}?name=Nobody");
        let request = get(&path).header("content-type", kind);
        same.push(request.body(transport::body::full(body)).unwrap());
    }
    for request in same {
        let shown = format!("{} {:?}", request.uri(), request.headers());
        assert_eq!(send(&simulator, request).await.bytes(), plain.bytes(), "{shown}");
    }
    for path in ["/API/v2/cdr/teams", "/api/v2/cdr%2Fteams", "/api/v2/cdr/teams.xml"] {
        assert_eq!(send(&simulator, bodiless(path)).await.status, 404, "{path}");
    }
    let broken = get(users).header("content-type", "application/json");
    let broken = broken.body(transport::body::full("{")).unwrap();
    assert_eq!(send(&simulator, broken).await.status, 400);
    let other = get(users).header("content-type", "text/plain");
    let other = other.body(transport::body::full("name=Nobody")).unwrap();
    assert!(send(&simulator, other).await.json().as_array().unwrap().len() > 20);
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
