//! One page of the templates of text messages, from the upstream's whole list of messages. An upstream without
//! such a list is not asked.

use std::sync::Arc;

use domain::legacy::{Counts, Lists, TemplatePage, TemplateRecord};
use domain::listing::Listing;
use domain::sweep::{List, Part};
use domain::teams::number;
use domain::upstream::{SchemaError, SchemaKind};
use domain::visibility::Visibility;

use crate::error::Error;
use crate::layer::call::{Ask, ListCall, Listed, RowsAsk};
use crate::layer::{Answering, Around, Below};
use crate::line::upstream::Upstream;

/// See the module.
pub(crate) struct Templates {
    pub(crate) upstream: Arc<Upstream>,
    /// What the caller sees.
    pub(crate) visibility: Visibility,
}

impl<S: Below<ListCall, Listed>> Around<S, ListCall> for Templates {
    type Response = Listed;

    fn call<'a>(&'a self, inner: &'a S, call: ListCall) -> Answering<'a, Listed> {
        match &call.ask {
            Ask::Rows(rows) => match rows.lists {
                Lists::Templates(record) => {
                    let rows = Arc::clone(rows);
                    Box::pin(self.listed(inner, call, rows, record))
                }
                _ => inner.ask(call),
            },
            _ => inner.ask(call),
        }
    }
}

impl Templates {
    async fn listed<S: Below<ListCall, Listed>>(
        &self,
        inner: &S,
        call: ListCall,
        rows: Arc<RowsAsk>,
        record: TemplateRecord,
    ) -> Result<Listed, Error> {
        let dialect = self.upstream.dialect;
        if !dialect.has(&Listing::Messages) {
            return Err(Error::NotOffered);
        }
        let slice = rows.plan.slice.ok_or(Error::Internal)?;
        let account = call.behalf.account.clone();
        let listed = inner.ask(ListCall { ask: Ask::Items, ..call }).await?;
        let (items, story) = (listed.list.items, listed.list.story);
        account.note(|account| account.story = story);
        let page =
            record.page(&items, slice, &self.visibility, &|id| number(id, &self.upstream.rules));
        let TemplatePage { bytes, rows, total } =
            page.map_err(|place| bad_id(dialect.name(), place))?;
        let list = List { parts: vec![Part::of(bytes)], rows, story, ..List::default() };
        let counts = Some(Counts { rows, total, page: slice.page });
        Ok(Listed { list, counts, ..Listed::default() })
    }
}

fn bad_id(dialect: &'static str, row: usize) -> Error {
    let error = SchemaError { path: format!("messages[{row}].id"), kind: SchemaKind::BadId };
    Error::Schema { dialect, listing: "messages", error }
}
