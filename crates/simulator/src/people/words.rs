//! The word lists of the data set: names that have broken parsers, and plain ones.
//!
//! Lists only; no logic. The order is part of the data set, so append, never insert.

#[rustfmt::skip]
pub(crate) const FIRST: &[&str] = &[
    "Jane", "John", "Maria", "Ahmed", "Priya", "Wei", "Fatima", "Carlos", "Olena", "Tom",
    "Grace", "David", "Sofia", "Liam", "Emma", "Noah", "Ana", "Peter", "Lucy", "Mark", "José",
    "Zoë", "Şükrü", "Иван", "Ольга", "小龙", "さくら", "محمد", "שרה", "Renée",
];

#[rustfmt::skip]
pub(crate) const LAST: &[&str] = &[
    "Smith", "Doe", "Garcia", "Kumar", "Chen", "Johnson", "Williams", "Brown", "Ivanova",
    "Petrov", "Tanaka", "Nguyen", "Okafor", "Santos", "Rossi", "Novak", "O'Brien", "Müller",
    "Öztürk", "Łukasik", "Шевченко", "王", "Al-Farsi", "van der Berg", "الفارسي", "כהן",
];

/// Names that break naive parsers, each for a different reason.
pub(crate) const HARD_NAMES: &[&str] = &[
    "Bob \"Bobby\" Tables",
    "Back\\slash \\u0041",
    "</script><script>alert(1)</script>",
    "Nul \u{0} byte",
    "Esc \u{1b}[31mred\u{1b}[0m",
    "Line\nbreak\r\n",
    "Tab\there",
    "  two leading spaces",
    "trailing space ",
    "Comma, Inc.",
    "Smith/Jones",
    "Max 🎧",
    "👩‍👩‍👧‍👦 Family",
    "Jose\u{301} combining",
    "José composed",
    "محمد الفارسي",
    "\u{202e}override\u{202c}",
    "王小龙",
    "𝒜stral 𠜎",
    "İstanbul ışık ẞ",
    "percent%20plus+amp&eq=",
    "null",
    "0",
    "\u{feff}bom first",
    "separator\u{2028}line",
    "\u{7f}delete\u{85}next",
    "noncharacter \u{ffff}",
    "Jane Doe",
    "Jane Doe",
    "jane doe",
    "[object Object]",
    "{\"id\":1}",
];

/// Security access groups: `(id, name)`. Two share one name on purpose.
pub(crate) const GROUPS: &[(u64, &str)] = &[
    (1, "Agent"),
    (2, "Supervisor"),
    (3, "Boarding"),
    (4, "Admin"),
    (5, "Analyst"),
    (6, "Hardware phone"),
    (7, "QA, Training & Audit"),
    (8, "Équipe Nuit"),
    (9, "技术支持组"),
    (10, "Team \"A\" \\ B"),
    (12, "Agent"),
    (15, "agent"),
    (31, " Read only "),
    (1007, "دعم العملاء"),
];

/// Teams: the id is `2401 + 7 * index`, near the ids of the legacy sample.
#[rustfmt::skip]
pub(crate) const TEAMS: &[&str] = &[
    "Multilingual Support", "Support", "Team3", "Sales EMEA", "Sales LATAM", "Retention",
    "Onboarding", "Billing", "Équipe Paris", "技术支持", "Night shift", "VIP", "Escalations \"L2\"",
    "Dayshift", "Nightshift", "Comma, Team", "فريق", "Refunds", "Back office", "Pilot 🚀",
    "Support", "Fraud", "Collections", "Field", "Web", "Chat", "Mail", "Trainees", "Partners",
    "Wholesale", "Retail", "Public sector", "Nordics", "DACH", "Iberia", "Benelux", "Balkans",
    "Baltics", "Türkiye", "India",
];

/// Teams without members and supervisors; their ids follow those of the others.
pub(crate) const EMPTY_TEAMS: &[&str] = &["Reserve", "Comma, \"empty\""];

/// Queues: the id is `index + 1`.
#[rustfmt::skip]
pub(crate) const QUEUES: &[&str] = &[
    "Technical Support", "AG Queue", "Billing", "Sales, inbound", "VIP line", "Überlauf",
    "Callback", "Overflow – night", "Spanish", "Chat/Web", "Refunds", "Outbound \"warm\"",
    "Trailing, ", "技术", "Tab\tqueue", "", "Complaints", "Orders", "Returns", "Warranty",
    "Loans", "Cards", "Claims", "Renewals", "Password", "Level 2", "Level 3", "Emergency",
    "Test", "Голос", "قائمة", "a,b", "Fax",
];

/// Skills: the id is `index + 1`.
#[rustfmt::skip]
pub(crate) const SKILLS: &[&str] = &[
    "Sales", "Skill1", "Skill2", "Skill3", "Spanish", "German", "Billing", "Tier 2", "Türkçe",
    "Closing", "CRM", "C++ \"expert\"", "日本語", "Empathy", "Typing", "Law", "Medical", "Fraud",
    "Linux", "Networks", "Routers", "Phones", "Apps", "Web", "Mail", "Chat", "Voice", "Video",
    "Retention", "Debt", "Loyalty",
];

/// Time zones as v4 may hold them: mapped, ambiguous, without a Rails name, and Rails names.
#[rustfmt::skip]
pub(crate) const ZONES: &[&str] = &[
    "America/New_York", "Europe/London", "Europe/Istanbul", "Asia/Kolkata", "Europe/Kiev",
    "Europe/Kyiv", "America/Sao_Paulo", "Europe/Berlin", "UTC", "Etc/UTC", "Asia/Tokyo",
    "Australia/Sydney", "Africa/Lome", "America/Mexico_City", "Pacific/Midway", "Asia/Muscat",
    "Istanbul", "Eastern Time (US & Canada)", "Edinburgh", "Australia/Melbourne",
    "Europe/Zurich", "Europe/Moscow", "America/Lima", "Asia/Bangkok", "Asia/Dhaka",
    "Asia/Karachi", "Pacific/Auckland", "America/St_Johns", "Asia/Kathmandu",
    "Antarctica/Troll",
];

pub(crate) const RINGTONES: &[&str] =
    &["Bells (Default)", "Classic", "Marimba", "Digital", "Silent ♪", "Ring \"loud\""];

/// How many of [`STATUSES`], from the first, are live ones.
pub(crate) const STATUSES_LIVE: usize = 6;

/// Statuses of a user who is not deleted.
pub(crate) const STATUSES: &[&str] = &[
    "available",
    "unavailable",
    "inbound",
    "outbound",
    "dialer",
    "postcall",
    "offline",
    "on_break",
];

/// Digital channels: slug, form of the identifier, a name.
pub(crate) const CHANNELS: &[(&str, Shape, &str)] = &[
    ("whatsapp", Shape::Phone, "WhatsApp Main"),
    ("whatsapp", Shape::PlusPhone, "WhatsApp +"),
    ("chat", Shape::Nothing, "Webchat Support"),
    ("webchat", Shape::Phone, "Webchat with a number"),
    ("viber", Shape::Phone, "Viber \"Support\""),
    ("telegram", Shape::Handle, "Telegram bot"),
    ("facebook", Shape::LongId, "Página FB"),
    ("instagram", Shape::LongId, "Instagram 📷"),
    ("sms", Shape::ZeroPhone, "SMS, local"),
    ("sms", Shape::PlusPhone, "SMS"),
    ("email", Shape::Address, "Support mail"),
    ("line", Shape::Handle, "LINE ライン"),
    ("apple_business", Shape::Handle, "Apple"),
    ("rcs", Shape::Digits18, "RCS"),
    ("WhatsApp", Shape::Digits19, "Slug in capitals"),
    ("viber", Shape::Empty, "Viber without a number"),
    ("sms", Shape::TwoPluses, "SMS ++"),
    ("whatsapp", Shape::Spaced, "WhatsApp spaced"),
];

/// The form of a channel's identifier.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// `18885658889`
    Phone,
    /// `+18885658889`
    PlusPhone,
    /// `++18885658889`
    TwoPluses,
    /// `0888565888`
    ZeroPhone,
    /// 15 digits, the usual length of a page id.
    LongId,
    /// The longest identifier that is printed as a number.
    Digits18,
    /// One digit longer than that.
    Digits19,
    /// `@bot_7`
    Handle,
    /// An e-mail address.
    Address,
    /// `1 888 565 8889`
    Spaced,
    /// An empty text.
    Empty,
    /// null
    Nothing,
}
