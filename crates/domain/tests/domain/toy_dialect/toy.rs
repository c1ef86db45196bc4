//! The dialect `toy-v1`: `GET /toy/people`, pages of 50 by offset, `count`; made up for this test.

use domain::hub::{Id, Named, State, User};
use domain::id::{PolicyName, Unnumbered};
use domain::legacy::field::FieldId;
use domain::listing::{Listing, Row};
use domain::loss::{FieldLoss, LossCode, Status};
use domain::plan::{GroupIds, UserFilter};
use domain::sweep::{Paging, Window};
use domain::upstream::{
    Context, Credential, Dialect, Facts, PageError, PageRequest, PageTail, Place, SchemaError,
    SchemaKind,
};
use serde::Deserialize;

#[derive(Debug)]
pub(crate) struct Toy;

const FACTS: Facts = Facts {
    name: "toy-v1",
    page_rows_max: 50,
    paging: Paging::Offset,
    page_bytes_max: 1 << 20,
    requests_per_minute_max: None,
    credential: Credential::Key,
    scope: "people",
    id_policies: &[PolicyName::Fail],
    unnumbered: Unnumbered::Fail,
    has_mapping: false,
    roles: &[],
};

#[derive(Deserialize)]
struct Page {
    people: Vec<Person>,
    count: u64,
}

#[derive(Deserialize)]
struct Person {
    no: u64,
    called: Option<String>,
    mail: Option<String>,
    desk: Option<String>,
    crews: Vec<(u64, String)>,
}

impl Dialect for Toy {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn loss(&self, field: FieldId) -> FieldLoss {
        match field {
            FieldId::Id | FieldId::TeamId | FieldId::DeletedUserId => {
                FieldLoss::new(Status::Exact, LossCode::SameValue, "The same number.")
            }
            FieldId::Name
            | FieldId::Email
            | FieldId::Extension
            | FieldId::TeamName
            | FieldId::DeletedUserName => {
                FieldLoss::new(Status::Renamed, LossCode::OtherPlace, "The toy calls it otherwise.")
            }
            FieldId::Teams => FieldLoss::new(Status::Derived, LossCode::Joined, "Crews, joined."),
            FieldId::SipAccount
            | FieldId::Group
            | FieldId::CallerId
            | FieldId::TimeZone
            | FieldId::Ringtone
            | FieldId::SupervisedTeams
            | FieldId::Skills
            | FieldId::Queues
            | FieldId::EmployeeId
            | FieldId::Channels
            | FieldId::CallId
            | FieldId::StopCall
            | FieldId::TemplateId
            | FieldId::TemplateName
            | FieldId::TemplateBody
            | FieldId::TemplateTeams
            | FieldId::Status => {
                FieldLoss::new(Status::Unavailable, LossCode::NoSuchField, "The toy has none.")
            }
        }
    }

    fn page_request(
        &self,
        _: &Listing,
        _: Option<&Place>,
        _: Option<&UserFilter<GroupIds>>,
        window: Window,
    ) -> PageRequest {
        let Window { offset, limit } = window;
        PageRequest {
            target: format!("/toy/people?skip={offset}&take={limit}"),
            accept: "application/json",
            is_filtered: false,
        }
    }

    fn read_page(
        &self,
        _: &Listing,
        body: &[u8],
        _: Context<'_>,
        row: &mut dyn FnMut(Row<'_, '_>),
    ) -> Result<PageTail, PageError> {
        let page: Page = serde_json::from_slice(body).map_err(|_| {
            let (path, kind) = (".".to_owned(), SchemaKind::BadSchema);
            PageError::Schema(SchemaError { path, kind })
        })?;
        for person in page.people {
            let crew =
                |(id, name): (u64, String)| Named { id: Id::Number(id), name: Some(name.into()) };
            row(Row::User(&User {
                key: person.no,
                id: person.no,
                name: person.called.map(Into::into),
                email: person.mail.map(Into::into),
                sip_account: None,
                group: None,
                extension: person.desk.map(Into::into),
                caller_id: None,
                time_zone: None,
                ringtone: None,
                teams: person.crews.into_iter().map(crew).collect(),
                supervised_teams: Vec::new(),
                skills: Vec::new(),
                queues: Vec::new(),
                employee_id: None,
                status: None,
                own_id: std::borrow::Cow::Borrowed(""),
                channels: Vec::new(),
                state: State::Live,
            }));
        }
        Ok(PageTail { total: page.count, keys: 0 })
    }

    fn may_lack(&self, listing: &Listing) -> bool {
        *listing == Listing::Teams
    }
}
