//! One exchange over a pool: the request, the interim answers of the upstream, and the checks of the
//! answer's head. Must never wait for an upstream that says nothing but 1xx answers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Weak};

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::sync::oneshot;

use super::pool::{Outgoing, Pool};
use super::{ClientError, INFORMATIONAL_MAX};
use crate::body::Body;

/// Sends a request; `continued` is told of the first `100 Continue`. `body` tells the pool whether the request's body
/// still exists.
pub(super) async fn exchange<B: Outgoing>(
    pool: &Pool<B>,
    mut request: Box<Request<B>>,
    continued: Option<oneshot::Sender<()>>,
    body: Option<Weak<()>>,
) -> Result<Response<Body>, ClientError> {
    let (babble, babbles) = oneshot::channel();
    let (continued, babble) = (Mutex::new(continued), Mutex::new(Some(babble)));
    let count = AtomicUsize::new(0);
    hyper::ext::on_informational(&mut request, move |early| {
        if early.status() == StatusCode::CONTINUE {
            tell(&continued);
        }
        if count.fetch_add(1, Ordering::Relaxed) >= INFORMATIONAL_MAX {
            tell(&babble);
        }
    });
    let answer = tokio::select! {
        biased;
        answer = pool.send(request, body) => answer?,
        Ok(()) = babbles => return Err(ClientError::BadFraming),
    };
    Ok(answer.map(|body| body.boxed_unsync()))
}

/// Tells once. A client that has left does not listen any more.
fn tell(once: &Mutex<Option<oneshot::Sender<()>>>) {
    let once = once.lock().ok().and_then(|mut once| once.take());
    once.map(|once| once.send(()));
}
