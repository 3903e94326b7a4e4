//! The vault in a browser on one's own machine. Keys stay in this program; the page holds none and can only ask.
//!
//! ```text
//!  tab ──HTTP, loopback──▶ door ──▶ page or action ──▶ desk: client library, agent ──TLS──▶ backend
//!   ▲    cookie + token      │ host, site, cookie, token: refused before anything is read
//!   └──── fragments, events ─┘            one stream of events for all tabs of a browser
//!  preview frame ──HTTP, another port──▶ one file, one use, sandboxed, no cookie
//! ```
//!
//! A request flows one way: [`door`] (who asks) → [`serve`] (which page) → `pages` (one file for each noun) → [`desk`] (what is unlocked)
//! → the client library. What pages are made of is in [`ui`] and [`table`]; long work is in [`transfer`] and tells the [`hub`].

mod assets;
pub mod clocks;
pub mod desk;
pub mod door;
pub mod fields;
mod headers;
pub mod hub;
pub mod launch;
mod notice;
mod pages;
mod preview;
mod serve;
pub mod table;
pub mod ticket;
pub mod transfer;
pub mod trouble;
pub mod ui;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;
use ticrypt_client::{Home, entropy};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clocks::Clocks;
use crate::desk::Desk;
use crate::hub::Hub;
use crate::launch::Launch;
use crate::preview::Previews;
use crate::trouble::{Result, Trouble};

/// How connect is started.
#[derive(Clone, Debug)]
pub struct Config {
    pub home: Home,
    pub runtime_dir: Option<PathBuf>,
    /// 0 lets the system choose.
    pub port: u16,
    /// Without anybody there for so long, everything is locked.
    pub idle: Duration,
    /// `127.0.0.1` instead of a name drawn for this run: for browsers that do not find names below `localhost`.
    pub plain_host: bool,
    pub clocks: Arc<dyn Clocks>,
    /// Whether the memory of this process is kept from swap.
    pub memory_locked: bool,
}

/// What every request may need.
pub struct App {
    pub(crate) keys: door::Keys,
    pub(crate) cookie: String,
    pub(crate) launch: Launch,
    pub desk: Arc<Desk>,
    pub hub: Arc<Hub>,
    pub(crate) previews: Previews,
    pub(crate) end: CancellationToken,
}

pub(crate) type Shared = Arc<App>;

/// A running connect; dropping it does not end it.
pub struct Running {
    pub app: Arc<App>,
    pub address: SocketAddr,
    end: CancellationToken,
    tasks: TaskTracker,
}

impl Running {
    /// A link that opens the page, once.
    pub fn link(&self) -> Result<String> {
        self.app.link()
    }

    /// The file that leads to the link; only this user can read it.
    pub fn launch_file(&self) -> PathBuf {
        self.app.launch.file()
    }

    /// Locks everything, closes every connection, and waits for what is under way.
    pub async fn stop(self) {
        self.end.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.app.launch.remove();
    }
}

impl App {
    pub(crate) fn link(&self) -> Result<String> {
        self.launch.link(&self.keys.origin())
    }
}

/// Listens, and serves until stopped.
pub async fn start(config: Config) -> Result<Running> {
    let listener = listen(config.port).await?;
    let preview_listener = listen(0).await?;
    let address = listener.local_addr().map_err(io)?;
    let preview_address = preview_listener.local_addr().map_err(io)?;
    let host = |port: u16| -> Result<String> {
        if config.plain_host {
            return Ok(format!("127.0.0.1:{port}"));
        }
        Ok(format!("{}.localhost:{port}", HEXLOWER.encode(&entropy::bytes::<10>()?)))
    };
    let keys = door::Keys::draw(host(address.port())?)?;
    let end = CancellationToken::new();
    let tasks = TaskTracker::new();
    let hub = Arc::new(Hub::default());
    let desk = Desk::new(config.home.clone(), config.runtime_dir, config.idle, config.clocks, Arc::clone(&hub), config.memory_locked);
    let app = Arc::new(App {
        cookie: door::cookie_name(address.port()),
        launch: Launch::new(&config.home)?,
        previews: Previews::new(host(preview_address.port())?),
        desk: Arc::new(desk),
        keys,
        hub,
        end: end.clone(),
    });
    app.launch.write(&app.link()?)?;
    tasks.spawn(Arc::clone(&app.desk).watch(end.clone()));
    tasks.spawn(launch::answer(Arc::clone(&app), app.launch.control()?, end.clone()));
    for (listener, router) in [(listener, serve::router(&app)?), (preview_listener, preview::router(&app))] {
        let end = end.clone();
        tasks.spawn(async move {
            let served = axum::serve(listener, router).with_graceful_shutdown(end.cancelled_owned()).await;
            if let Err(error) = served {
                tracing::warn!(%error, "the listener ended");
            }
        });
    }
    Ok(Running { app, address, end, tasks })
}

async fn listen(port: u16) -> Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| {
        Trouble::broken(format!("port {port} of this machine cannot be used: {error}; choose another with --port, or 0 for a free one"))
    })
}

fn io(error: std::io::Error) -> Trouble {
    Trouble::broken(format!("the listener has no address: {error}"))
}
