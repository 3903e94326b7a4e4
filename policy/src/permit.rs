//! Permits: proof that a rule was asked, carried to the write that it allows.
//!
//! A permit names what it was decided about ([`Verb::On`]), so a write takes the id from the permit and not from the
//! request; and it remembers the state it was decided on, so the write is refused as stale when that has changed.

use std::fmt;
use std::marker::PhantomData;

use ticrypt_types::{
    BulkId, GrantId, GroupId, LevelId, NodeId, Operation, ProfileId, ProjectId, RequirementId, SessionId, TeamId, UserId, VersionId,
};

/// A verb one may be permitted, as a type without values.
pub trait Verb {
    /// What a permit for it is about.
    type On: Copy + fmt::Debug + PartialEq + Send + Sync + 'static;
    /// The operation it belongs to; its name stands in the audit row.
    const OPERATION: Operation;
}

/// Leave to do `V` once, on one thing, as things stood when it was decided.
#[must_use = "a permit is spent by the write it allows"]
pub struct Permit<V: Verb> {
    actor: UserId,
    on: V::On,
    revision: u64,
    rights: u64,
    verb: PhantomData<fn() -> V>,
}

impl<V: Verb> Permit<V> {
    /// Only rules in this crate make permits.
    pub(crate) fn new(actor: UserId, on: V::On, revision: u64, rights: u64) -> Self {
        Self { actor, on, revision, rights, verb: PhantomData }
    }

    /// Who acts. At a registration or a login: the account in question.
    pub fn actor(&self) -> UserId {
        self.actor
    }

    /// What it was decided about.
    pub fn on(&self) -> V::On {
        self.on
    }

    /// The revision of that thing; 0 where the rule does not depend on one.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The deployment's count of losses of rights (the closure counter) when the facts were read; 0 where no share matters.
    pub fn rights(&self) -> u64 {
        self.rights
    }
}

impl<V: Verb> fmt::Debug for Permit<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permit({} on {:?} by {:?} at {}/{})", V::OPERATION.name(), self.on, self.actor, self.revision, self.rights)
    }
}

impl<V: Verb> PartialEq for Permit<V> {
    fn eq(&self, other: &Self) -> bool {
        (self.actor, self.revision, self.rights) == (other.actor, other.revision, other.rights) && self.on == other.on
    }
}

/// A grant together with the node it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantOn {
    pub grant: GrantId,
    pub node: NodeId,
}

/// A move, from where the node is into another directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoveTo {
    pub node: NodeId,
    pub target: NodeId,
}

/// Somebody in a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberOn {
    pub project: ProjectId,
    pub user: UserId,
}

/// Somebody in a team, or a sub-admin it is assigned to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TeamOn {
    pub team: TeamId,
    pub user: UserId,
}

/// Somebody's certification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertificationOn {
    pub requirement: RequirementId,
    pub user: UserId,
}

macro_rules! verbs {
    ($($(#[$doc:meta])* $name:ident on $on:ty = $operation:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name {}

        impl Verb for $name {
            type On = $on;
            const OPERATION: Operation = Operation::$operation;
        }
    )+};
}

verbs! {
    /// The first account of a deployment, made by its operator at the server.
    Bootstrap on UserId = UserState;
    UserRegister on UserId = UserRegister;
    UserLookup on UserId = UserLookup;
    UserActivate on UserId = UserState;
    UserDeactivate on UserId = UserState;
    UserDisable on UserId = UserState;
    UserRank on UserId = UserState;
    /// An administrator accepts a new identity of somebody who lost theirs.
    UserReset on UserId = UserState;
    BundleRotate on UserId = BundleRotate;
    UserPermissions on UserId = UserPermissions;
    ProfileSet on ProfileId = ProfileSet;
    ProfileDelete on ProfileId = ProfileDelete;
    /// The permit's revision is the account's.
    ProfileApply on UserId = ProfileApply;

    RequirementSet on RequirementId = RequirementSet;
    RequirementDelete on RequirementId = RequirementDelete;
    LevelSet on LevelId = LevelSet;
    LevelDelete on LevelId = LevelDelete;
    ProjectCreate on ProjectId = ProjectCreate;
    ProjectChange on ProjectId = ProjectChange;
    ProjectDelete on ProjectId = ProjectDelete;
    /// The permit's revision is the membership's, 0 for none.
    MemberSet on ProjectId = MemberSet;
    BulkStart on BulkId = BulkStart;
    BulkResume on BulkId = BulkResume;
    BulkStop on BulkId = BulkStop;
    MemberRemove on MemberOn = MemberRemove;
    /// The permit's revision is that of the request before, 0 for none.
    JoinAsk on MemberOn = JoinAsk;
    JoinWithdraw on MemberOn = JoinWithdraw;
    JoinRefuse on MemberOn = JoinRefuse;
    CertificationSet on CertificationOn = CertificationSet;
    CertificationExpire on CertificationOn = CertificationExpire;
    WorkingSet on UserId = WorkingSet;

    TeamCreate on TeamId = TeamCreate;
    TeamChange on TeamId = TeamChange;
    TeamQuota on TeamId = TeamQuota;
    TeamDelete on TeamId = TeamDelete;
    /// The permit's revision is the account's: what a membership does to it depends on all of them.
    TeamAdd on TeamOn = TeamAdd;
    TeamRemove on TeamOn = TeamRemove;
    TeamManager on TeamOn = TeamManager;
    TeamAssign on TeamOn = TeamAssign;
    TeamUnassign on TeamOn = TeamUnassign;

    GroupRead on GroupId = GroupRead;
    GroupCreate on GroupId = GroupCreate;
    GroupChange on GroupId = GroupChange;
    GroupSeal on GroupId = GroupSeal;
    /// The permit's revision is the generation, 0 for none.
    CompartmentRead on GroupId = CompartmentRead;
    CompartmentRenew on GroupId = CompartmentRenew;
    CompartmentSeal on GroupId = CompartmentSeal;
    GroupRename on GroupId = GroupRename;
    GroupDelete on GroupId = GroupDelete;

    SessionLogin on UserId = SessionLogin;
    SessionEnd on SessionId = SessionEnd;

    HomeCreate on UserId = HomeCreate;
    NodeList on NodeId = NodeList;
    NodeStat on NodeId = NodeStat;
    NodeCreate on NodeId = NodeCreate;
    NodeRename on NodeId = NodeRename;
    NodeMove on MoveTo = NodeMove;
    NodeTrash on NodeId = NodeTrash;
    NodeRestore on NodeId = NodeRestore;
    NodeDelete on NodeId = NodeDelete;
    NodeRekey on NodeId = NodeRekey;
    NodeTag on NodeId = NodeTag;
    NodeHistory on NodeId = NodeHistory;
    TrashList on NodeId = TrashList;

    /// On the file, or on the directory in which a new file will be.
    UploadBegin on NodeId = UploadBegin;
    UploadAbandon on VersionId = UploadAbandon;
    ChunkWrite on VersionId = ChunkWrite;
    VersionPublish on NodeId = VersionPublish;
    VersionList on NodeId = VersionList;
    ContentOpen on NodeId = ContentOpen;
    /// Opening to keep a copy; an honest client asks for it (docs/formats.md §6).
    ContentDownload on NodeId = ContentOpen;

    GrantCreate on NodeId = GrantCreate;
    GrantRevoke on GrantOn = GrantRevoke;
    GrantLeave on GrantOn = GrantLeave;
    GrantList on NodeId = GrantList;
    AccessExplain on NodeId = AccessExplain;

    NotificationList on UserId = NotificationList;
    NotificationRead on UserId = NotificationRead;
    EventFollow on UserId = EventFollow;
}
