//! What happens, told to every open page: one stream for each browser, which its tabs share.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt, stream};
use serde::Serialize;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

/// Events a slow page may be behind before it is told to load anew.
const BEHIND: usize = 256;
const HEARTBEAT: Duration = Duration::from_secs(10);

/// One thing that happened. Pages know the names.
#[derive(Clone, Debug)]
pub struct Happened {
    pub name: &'static str,
    /// JSON.
    pub data: String,
}

#[derive(Debug)]
pub struct Hub {
    sender: broadcast::Sender<Happened>,
}

impl Default for Hub {
    fn default() -> Self {
        Self { sender: broadcast::channel(BEHIND).0 }
    }
}

impl Hub {
    /// Tells all; nobody need be there.
    pub fn tell(&self, name: &'static str, data: &impl Serialize) {
        if let Ok(data) = serde_json::to_string(data) {
            let _ = self.sender.send(Happened { name, data });
        }
    }

    /// How many streams are open.
    pub fn listeners(&self) -> usize {
        self.sender.receiver_count()
    }

    /// A stream of all that happens from now on, until the program ends.
    pub fn listen(&self, first: Vec<Happened>, end: CancellationToken) -> Sse<impl Stream<Item = Result<Event, Infallible>> + use<>> {
        let receiver = self.sender.subscribe();
        let next = stream::unfold(receiver, async |mut receiver| match receiver.recv().await {
            Ok(happened) => Some((happened, receiver)),
            Err(broadcast::error::RecvError::Lagged(_)) => Some((Happened { name: "behind", data: "null".to_owned() }, receiver)),
            Err(broadcast::error::RecvError::Closed) => None,
        });
        let all = stream::iter(first).chain(next).take_until(end.cancelled_owned());
        let events = all.map(|happened| Ok(Event::default().event(happened.name).data(happened.data)));
        Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT))
    }
}
