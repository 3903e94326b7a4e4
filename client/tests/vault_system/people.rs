//! People with homes on this machine, who register, are activated and log in through the library.

use std::sync::Arc;

use ticrypt_client::account::{self, Registration};
use ticrypt_client::deployment::Candidate;
use ticrypt_client::keys::Unlocked;
use ticrypt_client::transport::Options;
use ticrypt_client::users::StateChange;
use ticrypt_client::vault::Vault;
use ticrypt_client::{Deployment, Home, Keys, Session, Transport};
use ticrypt_crypto::Digest;
use ticrypt_crypto::bundle::Fingerprint;
use ticrypt_crypto::statement::Action;
use ticrypt_keyring::{Identity, SystemRandom};
use ticrypt_types::{Timestamp, UserId};

/// The people of one deployment.
pub struct People {
    /// The deployment file.
    file: Vec<u8>,
    /// Makes the first of them the super-admin.
    code: String,
    admin: Option<Arc<Session>>,
}

/// A person with a home on this machine and an open session.
pub struct Person {
    pub home: tempfile::TempDir,
    pub session: Arc<Session>,
    pub vault: Vault,
    pub keys: Arc<Unlocked>,
}

impl People {
    pub fn new(file: Vec<u8>, code: String) -> Self {
        Self { file, code, admin: None }
    }

    /// The super-admin's session, once there is somebody else.
    #[allow(dead_code, reason = "shared by several test programs")]
    pub fn admin(&self) -> Arc<Session> {
        self.admin.clone().expect("the first other person makes the super-admin")
    }

    /// Somebody new, activated; the first person is the super-admin.
    pub async fn enrol(&mut self, name: &str) -> Person {
        self.enrol_via(name, None).await
    }

    /// The same, reaching the server at another address, which stands in a copy of the deployment file.
    pub async fn enrol_via(&mut self, name: &str, url: Option<&str>) -> Person {
        if self.admin.is_none() && name != "root" {
            let root = Box::pin(self.enrol_via("root", None)).await;
            // The home must outlive the session.
            std::mem::forget(root.home);
            self.admin = Some(root.session);
        }
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path().join("home")).unwrap();
        let deployment = import(&home, &self.file, url);
        let transport = Transport::new(&deployment, Options::default()).unwrap();
        let user = UserId::from_random(ticrypt_keyring::random::public(&SystemRandom::new()).unwrap());
        let identity = Identity::generate(&SystemRandom::new(), deployment.id(), user, name.parse().unwrap()).unwrap();
        let bundle = identity.bundle(Timestamp::from_millis(1_700_000_000_000)).unwrap();
        let keys = Arc::new(Unlocked::new(identity, bundle).unwrap());
        let code = (name == "root").then(|| self.code.clone());
        account::register(&transport, &deployment, &*keys, Registration { token: None, code }).await.unwrap();
        if let Some(admin) = &self.admin {
            let view = admin.users.find(&name.parse().unwrap()).await.unwrap();
            let compared = Fingerprint(Digest::new(view.fingerprint.0));
            let change = StateChange { view, action: Action::Activate, reason: String::new(), new_bundle: None };
            admin.users.change_state(&*admin.keys, change, Some(compared)).await.unwrap();
        }
        let session = login(&home, &deployment, &transport, keys.clone()).await;
        Person { home: dir, vault: Vault::new(Arc::clone(&session)), session, keys }
    }
}

async fn login(home: &Home, deployment: &Deployment, transport: &Transport, keys: Arc<dyn Keys>) -> Arc<Session> {
    let logged_in = account::login(home, transport, deployment, Arc::clone(&keys), "test").await.unwrap();
    Arc::new(Session::assemble(home.clone(), deployment.clone(), logged_in.transport, keys).unwrap())
}

fn import(home: &Home, bytes: &[u8], url: Option<&str>) -> Deployment {
    let mut bytes = bytes.to_vec();
    if let Some(url) = url {
        let mut file: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        file["urls"] = serde_json::json!([url]);
        bytes = serde_json::to_vec(&file).unwrap();
    }
    let candidate = Candidate::read(home, bytes).unwrap();
    let fingerprint = candidate.deployment().fingerprint();
    candidate.accept(home, fingerprint).unwrap()
}

impl Person {
    /// Logs in once more: what was gained counts from then on.
    #[allow(dead_code, reason = "shared by several test programs")]
    pub async fn login_again(&mut self) {
        let (home, deployment) = (Home::open(self.home.path().join("home")).unwrap(), self.session.deployment.clone());
        let transport = Transport::new(&deployment, Options::default()).unwrap();
        self.session = login(&home, &deployment, &transport, self.keys.clone()).await;
        self.vault = Vault::new(Arc::clone(&self.session));
    }

    /// A second view with nothing remembered but what is on the disk.
    pub fn fresh_view(&self) -> Vault {
        Vault::new(Arc::clone(&self.session))
    }
}
