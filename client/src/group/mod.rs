//! Groups: read, verified head by head, changed by signing the next one (docs/formats.md §12).
//!
//! ```text
//!   heads ─▶ signed by their writers' keys ─▶ in the key log ─▶ replayed by the rules (chain.rs) ─▶ not older than seen ─▶ Group
//!   my seal ─▶ opened ─▶ is the seed of the key in the head ─▶ older seeds unwrapped from it
//! ```
//!
//! Whom the group's key is sealed to is decided here by the roster that members signed, never by what the server says.

mod chain;
mod change;
mod compartment;
mod seals;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ticrypt_api::group::{GroupListReply, GroupReadQuery, GroupReadReply, GroupSeal, GroupView};
use ticrypt_api::node::RootView;
use ticrypt_crypto::group::GroupHeadPayload;
use ticrypt_crypto::{Digest, Signed};
use ticrypt_keyring::group::GroupSeed;
use ticrypt_types::name::Harmless;
use ticrypt_types::{Compartment, GroupId, NodeId, Operation, UserId, UserName};

pub use chain::{Chain, Generation};
pub use change::Founding;
pub use compartment::{CompartmentChain, CompartmentKey};
pub use seals::Unsealed;

use crate::error::{ClientError, Kind, Result};
use crate::session::Session;
use crate::state::SeenKind;
use crate::vault::path::digits;
use chain::lie;

/// The code of the refusal for who is a member and has no seal of the key yet.
pub const WAITING: &str = "waiting_for_key";
/// The code of the refusal for a group whose project is not in the working set.
pub const LOCKED: &str = "locked";

/// A group whose heads verified.
#[derive(Clone, Debug)]
pub struct Group {
    pub view: GroupView,
    pub chain: Arc<Chain>,
    /// Members without a seal of the newest key, as the server counts them; they are in the roster.
    pub waiting: Vec<UserId>,
    /// Those of its compartments that have a key and are not locked, as the server has it.
    pub compartments: Vec<Compartment>,
    pub(crate) root: RootView,
    seal: Option<GroupSeal>,
}

/// A member, named.
#[derive(Clone, Debug)]
pub struct Named {
    pub user: UserId,
    pub name: UserName,
}

/// The groups a person is in.
#[derive(Debug)]
pub struct Groups {
    session: Arc<Session>,
    /// What was verified in this run, so that heads are asked for from there on.
    chains: Mutex<HashMap<GroupId, Arc<Chain>>>,
    /// Each costs a key agreement.
    seeds: Mutex<HashMap<(GroupId, Compartment, u32), Arc<GroupSeed>>>,
    compartments: Mutex<HashMap<(GroupId, Compartment), Arc<CompartmentChain>>>,
}

impl Groups {
    pub fn new(session: Arc<Session>) -> Self {
        Self { session, chains: Mutex::default(), seeds: Mutex::default(), compartments: Mutex::default() }
    }

    /// As the server tells of them; nothing of it is verified.
    pub async fn list(&self) -> Result<Vec<GroupView>> {
        let reply: GroupListReply = self.session.call(Operation::GroupList, &[], &()).await?;
        Ok(reply.groups)
    }

    /// By id, by name, or by name and digits of the id; a name that several have is refused.
    pub async fn find(&self, text: &str) -> Result<GroupView> {
        let mut groups = self.list().await?;
        let exact = |view: &GroupView| view.group.to_string() == text || label(view) == text;
        if let Some(at) = groups.iter().position(exact) {
            return Ok(groups.swap_remove(at));
        }
        let mut named: Vec<GroupView> = groups.into_iter().filter(|view| view.name.as_str() == text).collect();
        match (named.pop(), named.is_empty()) {
            (Some(one), true) => Ok(one),
            (None, _) => Err(ClientError::not_found(format!("you are in no group called {}; run `ticrypt group list`", Harmless(text)))),
            (Some(last), false) => {
                let which: Vec<String> = named.iter().chain([&last]).map(label).collect();
                let which = which.join(", ");
                Err(ClientError::new(Kind::Invalid, "ambiguous", format!("several groups are called that: {which}; say which")))
            }
        }
    }

    /// Fetches what is new of a group and verifies it.
    pub async fn load(&self, group: GroupId) -> Result<Group> {
        let mut chain = self.chains().get(&group).cloned();
        loop {
            let after = chain.as_ref().map_or(0, |chain| chain.newest().counter);
            let query = GroupReadQuery { after };
            let reply: GroupReadReply =
                self.session.transport.call(Operation::GroupRead, &[&group.to_string()], &query, &()).await.map_err(named_locked)?;
            let mut next = chain.as_deref().cloned();
            for view in &reply.heads {
                let head: Signed<GroupHeadPayload> = self.session.verified_head(&view.head.0, &view.leaf).await?;
                match &mut next {
                    Some(chain) => chain.follow(head)?,
                    None => next = Some(Chain::begin(group, head)?),
                }
            }
            let next = Arc::new(next.ok_or_else(|| lie("it has no head"))?);
            self.saw(&next)?;
            self.chains().insert(group, Arc::clone(&next));
            if next.newest().counter < reply.view.counter && !reply.heads.is_empty() {
                chain = Some(next);
                continue;
            }
            return self.held(next, reply);
        }
    }

    /// What the server says beside the heads, held to them.
    fn held(&self, chain: Arc<Chain>, reply: GroupReadReply) -> Result<Group> {
        let GroupReadReply { view, seal, root, waiting, compartments, .. } = reply;
        let (newest, roster) = (chain.newest(), chain.roster());
        let fits = view.group == newest.group
            && (view.counter, view.head.0) == (newest.counter, newest.record_hash().to_bytes())
            && (view.generation, view.owner) == (newest.generation, roster.owner())
            && roster.permissions(self.session.user()) == Some(view.permissions)
            && (view.closed || !roster.is_left());
        if !fits {
            return Err(lie("the server says something else of it than its heads"));
        }
        // Nobody gets a seal for being named here.
        let waiting = waiting.into_iter().filter(|member| roster.permissions(*member).is_some()).collect();
        Ok(Group { view, chain, waiting, compartments, root, seal })
    }

    /// Refuses an older state than this device has seen, and another one in its place.
    fn saw(&self, chain: &Chain) -> Result<()> {
        let newest = chain.newest();
        self.session.seen.check_and_raise(SeenKind::Group, seen_id(newest.group), newest.counter, newest.record_hash())
    }

    /// Members by their names, each by the key it was added with.
    pub async fn members(&self, group: &Group) -> Result<Vec<Named>> {
        let mut members = Vec::with_capacity(group.chain.roster().members().len());
        for (user, member) in group.chain.roster().members() {
            let bundle = self.session.users.bundle(&Digest::new(member.bundle)).await?;
            if bundle.payload().user != *user {
                return Err(lie("a member was added with somebody else's key"));
            }
            members.push(Named { user: *user, name: bundle.payload().name.clone() });
        }
        members.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(members)
    }

    fn known_compartment(&self, group: GroupId, compartment: &Compartment) -> Option<Arc<CompartmentChain>> {
        self.compartments().get(&(group, compartment.clone())).cloned()
    }

    fn compartments(&self) -> MutexGuard<'_, HashMap<(GroupId, Compartment), Arc<CompartmentChain>>> {
        self.compartments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn chains(&self) -> MutexGuard<'_, HashMap<GroupId, Arc<Chain>>> {
        // Each entry is replaced in one step; a panic elsewhere leaves it whole.
        self.chains.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a group is called where names must not meet: its name, and digits of its id.
pub fn label(view: &GroupView) -> String {
    format!("{}~{}", view.name, digits(view.group))
}

fn unsigned() -> ClientError {
    ClientError::broken("nothing was signed; nothing was sent")
}

fn seen_id(group: GroupId) -> NodeId {
    NodeId::from_random(group.to_bytes())
}

fn named_locked(error: ClientError) -> ClientError {
    if error.code() == LOCKED {
        return ClientError::refused(
            LOCKED,
            "this group is locked: the project it is tagged with is not in your working set; see `ticrypt work`",
        );
    }
    error
}
