//! `GET /useradmin/users`: the list that churn changes and that most faults affect.

use crate::Simulator;
use crate::answer::Answer;
use crate::fault::Plan;
use crate::fault::spoil::{self, UsersPage};
use crate::legacy::is_deleted;
use crate::object::Object;
use crate::people::record::User;
use crate::voiso;
use crate::vonage::identity::vonage_user_id;
use crate::vonage::paging::Paging;
use crate::vonage::{Shape, json, message, user};

pub(crate) fn page(
    simulator: &Simulator,
    parameters: &[(String, String)],
    paging: Paging,
    shape: Shape,
    plan: &Plan,
) -> Answer {
    let active = |user: &User| !is_deleted(user);
    let wanted: Option<&dyn Fn(&User) -> bool> = match voiso::last(parameters, "include") {
        None | Some("Active") => Some(&active),
        Some("Archived") => Some(&is_deleted),
        Some("All") => None,
        Some(_) => return message(400, "include must be Active, Archived or All"),
    };
    let paging = paging.capped(plan.faults.page_cap.unwrap_or(u64::MAX));
    let mut start = 0;
    let (total, rows) = simulator.page(wanted, |total| {
        let window = plan.window(paging.offset(), paging.limit, total);
        start = window.start as u64;
        window
    });
    if shape == Shape::Flat {
        let rows: Vec<Object> = rows.iter().map(|user| user::flat(user)).collect();
        let mut body = Vec::new();
        spoil::write(&mut body, &rows);
        return json(200, body);
    }
    let page = Enveloped { paging, count: rows.len() };
    json(200, spoil::users_page(&page, &rows, start, total as u64, plan))
}

struct Enveloped {
    paging: Paging,
    count: usize,
}

impl UsersPage for Enveloped {
    const ID: &'static str = "userId";

    fn id(&self, user: &User) -> String {
        vonage_user_id(user.id)
    }

    fn write_row(&self, body: &mut Vec<u8>, user: &User) {
        spoil::write(body, &user::documented(user));
    }

    fn foot(&self, total: u64, text: Option<&str>) -> String {
        let mut foot = format!("\"meta\":{}", self.paging.meta(self.count, total).to_json());
        // The total comes last, so only it has to be replaced.
        if let Some(at) = foot.find(",\"totalCount\":") {
            foot.truncate(at);
        }
        match text {
            Some(text) => format!("{foot},\"totalCount\":{text}}}"),
            None => foot + "}",
        }
    }
}
