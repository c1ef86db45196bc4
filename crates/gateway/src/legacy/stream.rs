//! The answer to a whole list that is too large to be buffered: it is sent while the list is read, in chunks and
//! without a tag. A list that fails behind its first rows cuts the connection. Must never end an answer politely
//! unless its list was judged whole, nor keep, share or compare it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::legacy::Lists;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response};
use limits::whose;
use tokio::sync::oneshot;
use tokio::time::timeout_at;
use transport::body::{self, Body};

use super::answer::{Answer, JSON};
use crate::cache::answers::Given;
use crate::caller::Caller;
use crate::error::Error;
use crate::layer::call::{Call, Listed};
use crate::layer::outlet::{Outlet, Oversize};
use crate::layer::rope;
use crate::observe::account::Source;
use crate::observe::metrics::Metrics;

/// See the module.
pub(crate) struct Streaming {
    /// Answers that are no larger are buffered, as all are without this.
    pub(crate) bytes_max: u64,
    pub(crate) metrics: Metrics,
}

/// What of a request decides how it is answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asks {
    /// Only the head of the answer is wanted.
    pub(crate) is_head: bool,
    /// The answer may come in chunks.
    pub(crate) takes_chunks: bool,
}

/// How a list was answered.
pub(crate) enum Answered {
    /// As a whole.
    Whole(Given),
    /// Its head was, or is all there is to it.
    Begun(Answer),
}

impl Streaming {
    /// Whether an answer may be streamed: every user is asked for, in the order of the upstream, and what stands
    /// before the records does not depend on them.
    pub(crate) fn fits(&self, call: &Call) -> bool {
        let open = |rows| call.endpoint.envelope(&call.quirks, rows).0;
        matches!(call.endpoint.lists(), Lists::Users(_))
            && call.plan.filter.is_everyone()
            && open(0) == open(1)
            && open(1) == open(2)
    }

    /// The answer to such a call: whole if it can be buffered, or begun.
    pub(crate) async fn answer(
        &self,
        caller: &Arc<Caller>,
        call: Call,
        Asks { is_head, takes_chunks }: Asks,
    ) -> Result<Answered, Error> {
        let line = &caller.line;
        if !takes_chunks || line.streams.are_buffered() {
            return self.buffered(caller, call).await;
        }
        // The last list of the caller tells which way is likely to be the right one.
        if is_head || !line.streams.has_streamed() {
            let oversize = Some(Oversize::Refused { bytes_max: self.bytes_max });
            match line.call(Call { oversize, ..call.clone() }).await {
                Err(Error::Oversize) => {}
                given => return given.map(Answered::Whole),
            }
        }
        if is_head {
            call.behalf.account.note(|account| account.is_streamed = true);
            return Ok(Answered::Begun(head(body::empty())));
        }
        match self.begun(caller, call.clone()).await {
            // It has become short, or may not be sent before it was read.
            Err(Error::Oversize) => self.buffered(caller, call).await,
            begun => begun.map(|body| Answered::Begun(head(body))),
        }
    }

    /// The answer as if nothing were ever streamed.
    async fn buffered(&self, caller: &Caller, call: Call) -> Result<Answered, Error> {
        let line = &caller.line;
        match line.call(Call { oversize: None, ..call.clone() }).await {
            // It was shared with a reading that ends at large lists.
            Err(Error::Oversize) => {}
            given => return given.map(Answered::Whole),
        }
        let account = call.behalf.account.clone();
        let whole = Arc::new(line.read(Call { oversize: None, ..call }).await?);
        let given = Given { whole, source: Source::Read, age: Duration::ZERO };
        account.note(|account| account.source = Some(given.source));
        self.metrics.answer(given.source);
        Ok(Answered::Whole(given))
    }

    /// The body of an answer whose first rows are there.
    async fn begun(&self, caller: &Arc<Caller>, call: Call) -> Result<Body, Error> {
        let (open, _) = call.endpoint.envelope(&call.quirks, 0);
        let (outlet, taken) = Outlet::new(Bytes::from(open), self.bytes_max);
        let account = call.behalf.account.clone();
        let (tell, told) = oneshot::channel();
        let reading =
            Reading { caller: Arc::clone(caller), outlet, metrics: self.metrics.clone(), tell };
        tokio::spawn(whose::of_the_same(Box::pin(reading.run(call))));
        if taken.begun.await.is_err() {
            return Err(told.await.unwrap_or(Error::Internal));
        }
        caller.line.streams.note_begun();
        self.metrics.list_streamed();
        self.metrics.answer(Source::Read);
        account.note(|account| {
            account.is_streamed = true;
            account.source = Some(Source::Read);
        });
        Ok(taken.body)
    }
}

/// A list that is read for the one client that takes its rows meanwhile.
struct Reading {
    caller: Arc<Caller>,
    outlet: Arc<Outlet>,
    metrics: Metrics,
    /// Who waits for the beginning.
    tell: oneshot::Sender<Error>,
}

impl Reading {
    async fn run(self, call: Call) {
        let Reading { caller, outlet, metrics, tell } = self;
        let account = call.behalf.account.clone();
        let sent = tokio::select! {
            biased;
            sent = timeout_at(call.deadline, sent(&caller, &outlet, &metrics, call)) => sent,
            // While it waited for its turn, for room or for what is joined.
            () = outlet.left() => return,
        };
        let Err(error) = sent.unwrap_or(Err(Error::Deadline)) else { return };
        if !outlet.has_begun() {
            match outlet.is_unfit() {
                true => caller.line.streams.buffer(),
                false => caller.line.streams.note_short(),
            }
            // It is answered like any other error, before the outlet is dropped; the client may have left.
            let _ = tell.send(error);
            return;
        }
        if outlet.has_left() {
            return;
        }
        if matches!(error, Error::List(_) | Error::TenantLimit | Error::Overloaded) {
            // Read in another way it may be a list, or have room; sent like this it would be cut each time.
            caller.line.streams.buffer();
        }
        metrics.list_cut();
        account.note(|account| account.error = Some(error.slug()));
        let name = &*caller.name;
        tracing::warn!(caller = name, err = error.slug(), "a list was cut that was being sent");
    }
}

/// Reads a list and sends it, from its first row to its end.
async fn sent(
    caller: &Caller,
    outlet: &Arc<Outlet>,
    metrics: &Metrics,
    call: Call,
) -> Result<(), Error> {
    let (endpoint, quirks) = (call.endpoint, Arc::clone(&call.quirks));
    let account = call.behalf.account.clone();
    let oversize = Some(Oversize::Streamed(Arc::clone(outlet)));
    let listed = caller.line.listed(Call { oversize, ..call }).await?;
    let Listed { list, holding: _holding, .. } = listed;
    if list.rows > 0 {
        metrics.answered(endpoint, caller.line.upstream.dialect, &caller.tally);
    }
    account.note(|account| account.rows = list.rows);
    let (_, close) = endpoint.envelope(&quirks, list.rows);
    outlet.begin();
    for part in list.parts {
        outlet.room().await?.put(rope::shared(part));
    }
    Ok(outlet.end(Bytes::from(close)).await?)
}

/// An answer of unknown length.
fn head(body: Body) -> Answer {
    let mut response = Response::new(body);
    let headers: &mut HeaderMap = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Answer { response, plain: None }
}
