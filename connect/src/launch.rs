//! How a browser is let in: a file that only this user can read leads to a link, and the link dies on first use.
//!
//! A second start finds the first one by a socket beside the file and asks it for a new link.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ticrypt_client::{Home, home};
use ticrypt_types::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use crate::App;
use crate::door;
use crate::trouble::{Result, Trouble};

const FILE: &str = "launch.html";
const SOCKET: &str = "connect.sock";
const LINK_MAX_BYTES: u64 = 1_024;
const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// Links that were given out and not used; a few, because somebody may have asked twice.
const LINKS_MAX: usize = 8;

#[derive(Debug)]
pub struct Launch {
    folder: PathBuf,
    links: Mutex<Vec<Secret<String>>>,
    _lock: home::Lock,
}

impl Launch {
    /// One connect for each home.
    pub fn new(home: &Home) -> Result<Self> {
        let folder = home.path().join("connect");
        home::make_private(&folder)?;
        let lock = home::Lock::try_acquire(&folder, "lock")?;
        let lock = lock.ok_or_else(|| Trouble::invalid("ticrypt-connect runs already for this home; end it first"))?;
        Ok(Self { folder, links: Mutex::default(), _lock: lock })
    }

    pub fn file(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    /// A new link. Its key is behind `#`: no server log and no proxy ever sees it.
    pub fn link(&self, origin: &str) -> Result<String> {
        let key = door::draw()?;
        let link = format!("{origin}/open#{}", key.expose());
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.push(key);
        if links.len() > LINKS_MAX {
            links.remove(0);
        }
        Ok(link)
    }

    /// Whether this is the key of a link; afterwards it is not.
    pub fn spend(&self, shown: &str) -> bool {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let found = links.iter().position(|key| door::shows(key, Some(shown)));
        found.map(|at| links.remove(at)).is_some()
    }

    /// Writes the file that leads to a link.
    pub fn write(&self, link: &str) -> Result<()> {
        // The link is made of letters of base64 and of a host name; nothing in it means anything to HTML.
        let page = format!("<!doctype html>\n<meta http-equiv=\"refresh\" content=\"0; url={link}\">\n<title>ticrypt</title>\n");
        Ok(home::write_atomic(&self.file(), page.as_bytes())?)
    }

    pub fn remove(&self) {
        for name in [FILE, SOCKET] {
            let _ = std::fs::remove_file(self.folder.join(name));
        }
    }

    /// Listens for later starts.
    pub fn control(&self) -> Result<UnixListener> {
        let path = self.folder.join(SOCKET);
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).map_err(|e| home::io_error("listen at", &path, e))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(|e| home::io_error("protect", &path, e))?;
        Ok(listener)
    }
}

/// Gives a new link to whoever of this very user asks.
pub async fn answer(app: Arc<App>, listener: UnixListener, end: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = end.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((mut stream, _)) = accepted else { continue };
        let mine = stream.peer_cred().is_ok_and(|peer| peer.uid() == rustix::process::getuid().as_raw());
        let Ok(link) = app.link() else { continue };
        if mine && app.launch.write(&link).is_ok() {
            let _ = tokio::time::timeout(ANSWER_WAIT, stream.write_all(link.as_bytes())).await;
        }
    }
}

/// Asks a connect that runs already for a new link; `None` if none runs.
pub async fn ask(home: &Home) -> Result<Option<(String, PathBuf)>> {
    let folder = home.path().join("connect");
    let Some(stream) = dial(&folder.join(SOCKET)).await else { return Ok(None) };
    let mut link = String::new();
    let read = tokio::time::timeout(ANSWER_WAIT, stream.take(LINK_MAX_BYTES).read_to_string(&mut link)).await;
    match read {
        Ok(Ok(length)) if length > 0 => Ok(Some((link, folder.join(FILE)))),
        _ => Err(Trouble::broken("the ticrypt-connect that runs already does not answer; end it and start it again")),
    }
}

async fn dial(socket: &Path) -> Option<UnixStream> {
    let stream = UnixStream::connect(socket).await.ok()?;
    let peer = stream.peer_cred().ok()?;
    (peer.uid() == rustix::process::getuid().as_raw()).then_some(stream)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_link_is_good_once_and_the_file_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path().join("home")).unwrap();
        let launch = Launch::new(&home).unwrap();
        let link = launch.link("http://a.localhost:1").unwrap();
        let key = link.split_once('#').unwrap().1.to_owned();
        assert!(!launch.spend("") && !launch.spend(&key[1..]));
        assert!(launch.spend(&key));
        assert!(!launch.spend(&key));
        launch.write(&link).unwrap();
        let mode = std::fs::metadata(launch.file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(std::fs::read_to_string(launch.file()).unwrap().contains(&link));
        assert!(Launch::new(&home).unwrap_err().message().contains("runs already"));
    }
}
