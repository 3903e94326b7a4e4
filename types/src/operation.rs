//! The closed list of everything the system can be asked to do.
//!
//! Endpoints, audit names, span names and permissions all read this table, and so will bulk actions. It is append-only: a name that
//! has stood in an audit log keeps its meaning. An operation enters together with its handler; docs/adding-an-operation.md says how.

/// Whether an operation leaves a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Reads what the actor may read; no audit row.
    Reads,
    /// Hands out something that opens data, or evidence about people: an audit row is durable before the answer.
    HandsOut,
    /// Changes state: an opening row is durable before the work, a closing row tells the outcome.
    Changes,
}

/// Who can come as far as the permit; the permit itself is decided in `ticrypt-policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Anyone who reaches the port.
    Anyone,
    /// A person with a session.
    Session,
    /// The server itself, by the clock: no endpoint asks for it.
    System,
}

macro_rules! operations {
    ($($(#[$doc:meta])* $variant:ident $name:literal $effect:ident $caller:ident;)+) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Operation { $($(#[$doc])* $variant),+ }

        impl Operation {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The dotted name: in audit rows, spans, metrics and the API's operation ids.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            pub const fn effect(self) -> Effect {
                match self { $(Self::$variant => Effect::$effect),+ }
            }

            pub const fn caller(self) -> Caller {
                match self { $(Self::$variant => Caller::$caller),+ }
            }

            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

operations! {
    // the deployment
    DeploymentRead "deployment.read" Reads Anyone;
    ApiDescribe "api.describe" Reads Anyone;

    // people and their sessions
    UserRegister "user.register" Changes Anyone;
    SessionChallenge "session.challenge" Reads Anyone;
    SessionLogin "session.login" Changes Anyone;
    SessionLogout "session.logout" Changes Session;
    SessionList "session.list" Reads Session;
    SessionEnd "session.end" Changes Session;
    UserSelf "user.self" Reads Session;
    UserLookup "user.lookup" Reads Session;
    UserList "user.list" Reads Session;
    UserState "user.state" Changes Session;
    BundleRotate "bundle.rotate" Changes Session;
    BundleRead "bundle.read" Reads Session;
    /// A client tells that a pinned key no longer matches.
    PinReport "pin.report" Changes Session;

    /// What an administrator lets somebody do.
    UserPermissions "user.permissions" Changes Session;
    ProfileList "profile.list" Reads Session;
    /// Makes a profile, or changes one; whoever it was applied to keeps what they have.
    ProfileSet "profile.set" Changes Session;
    ProfileDelete "profile.delete" Changes Session;
    /// Gives somebody the permissions of a profile, all of them and no others.
    ProfileApply "profile.apply" Changes Session;

    // projects, what they ask for, who is in them
    RequirementList "requirement.list" Reads Session;
    RequirementSet "requirement.set" Changes Session;
    RequirementDelete "requirement.delete" Changes Session;
    LevelList "level.list" Reads Session;
    LevelSet "level.set" Changes Session;
    LevelDelete "level.delete" Changes Session;
    ProjectList "project.list" Reads Session;
    ProjectCreate "project.create" Changes Session;
    ProjectChange "project.change" Changes Session;
    ProjectDelete "project.delete" Changes Session;
    /// The signed heads of who is in it.
    ProjectHeads "project.heads" Reads Session;
    MemberList "member.list" Reads Session;
    /// A new signed head: who is in a project, on which terms, who is its principal investigator.
    MemberSet "member.set" Changes Session;
    /// Out of a project without a head: oneself, or by who administrates projects.
    MemberRemove "member.remove" Changes Session;
    CertificationList "certification.list" Reads Session;
    /// Gives or renews one.
    CertificationSet "certification.set" Changes Session;
    CertificationExpire "certification.expire" Changes Session;
    /// Somebody asks to be taken into a project.
    JoinAsk "join.ask" Changes Session;
    JoinWithdraw "join.withdraw" Changes Session;
    /// By who may add people; granting one is a head of the project.
    JoinRefuse "join.refuse" Changes Session;
    JoinList "join.list" Reads Session;
    /// The projects a person works in, in all sessions.
    WorkingSet "working.set" Changes Session;

    // teams: people who share quotas
    TeamList "team.list" Reads Session;
    TeamCreate "team.create" Changes Session;
    /// Name and description.
    TeamChange "team.change" Changes Session;
    TeamQuota "team.quota" Changes Session;
    TeamDelete "team.delete" Changes Session;
    TeamMembers "team.members" Reads Session;
    TeamAdd "team.add" Changes Session;
    /// Who is in no team any more by it is inactive.
    TeamRemove "team.remove" Changes Session;
    /// Makes members managers of the team, or plain members again.
    TeamManager "team.manager" Changes Session;
    /// Puts a team in the care of a sub-admin, for a time.
    TeamAssign "team.assign" Changes Session;
    TeamUnassign "team.unassign" Changes Session;

    // groups: who is in them, their keys
    GroupList "group.list" Reads Session;
    /// One group with its signed records, and its key as it is sealed to the caller.
    GroupRead "group.read" HandsOut Session;
    GroupCreate "group.create" Changes Session;
    /// A new signed head: members, permissions, owner, a new generation of the key.
    GroupChange "group.change" Changes Session;
    /// Seals the newest key to members who have none.
    GroupSeal "group.seal" Changes Session;
    /// The heads of one compartment of a group, and its key as it is sealed to the caller.
    CompartmentRead "compartment.read" HandsOut Session;
    /// A new generation of its key.
    CompartmentRenew "compartment.renew" Changes Session;
    CompartmentSeal "compartment.seal" Changes Session;
    GroupRename "group.rename" Changes Session;
    GroupDelete "group.delete" Changes Session;

    /// Who reaches a file or a directory, and why.
    AccessExplain "access.explain" HandsOut Session;
    /// What people would lose, of all that is one's own, if they lost a membership or a certification.
    AccessLosses "access.losses" HandsOut Session;

    // many at once
    /// Stores a list of requests of one operation, and carries them out one by one.
    BulkStart "bulk.start" Changes Session;
    BulkList "bulk.list" Reads Session;
    BulkRead "bulk.read" Reads Session;
    /// What is not done of it.
    BulkResume "bulk.resume" Changes Session;
    BulkStop "bulk.stop" Changes Session;

    // directories and files
    HomeCreate "home.create" Changes Session;
    VaultRoots "vault.roots" HandsOut Session;
    NodeList "node.list" HandsOut Session;
    NodeStat "node.stat" HandsOut Session;
    NodeCreate "node.create" Changes Session;
    NodeRename "node.rename" Changes Session;
    NodeMove "node.move" Changes Session;
    NodeTrash "node.trash" Changes Session;
    NodeRestore "node.restore" Changes Session;
    NodeDelete "node.delete" Changes Session;
    NodeRekey "node.rekey" Changes Session;
    NodeTag "node.tag" Changes Session;
    NodeHistory "node.history" HandsOut Session;
    TrashList "trash.list" HandsOut Session;

    // contents
    UploadBegin "upload.begin" Changes Session;
    UploadStatus "upload.status" Reads Session;
    UploadAbandon "upload.abandon" Changes Session;
    VersionPublish "version.publish" Changes Session;
    VersionList "version.list" HandsOut Session;
    ContentOpen "content.open" HandsOut Session;
    /// Under a ticket, whose hand-out was audited.
    ChunkWrite "chunk.write" Reads Session;
    ChunkRead "chunk.read" Reads Session;

    // shares
    GrantCreate "grant.create" Changes Session;
    GrantRevoke "grant.revoke" Changes Session;
    GrantLeave "grant.leave" Changes Session;
    GrantList "grant.list" HandsOut Session;
    /// Shares past their time end, and their nodes close.
    GrantExpire "grant.expire" Changes System;

    // what people are told
    NotificationList "notification.list" Reads Session;
    /// Up to where one has read them.
    NotificationRead "notification.read" Changes Session;
    /// People are told of what ends soon.
    ReminderSend "reminder.send" Changes System;
    /// The same as they come, for as long as the session lasts.
    EventFollow "event.follow" Reads Session;

    // the logs
    LogCheckpoint "log.checkpoint" Reads Anyone;
    LogTile "log.tile" Reads Anyone;
    AuditEntries "audit.entries" HandsOut Session;
    KeyLeaves "key.leaves" HandsOut Session;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_dotted_unique_and_lead_back() {
        let names: HashSet<_> = Operation::ALL.iter().map(|op| op.name()).collect();
        assert_eq!(names.len(), Operation::ALL.len());
        for op in Operation::ALL {
            let (noun, verb) = op.name().split_once('.').unwrap();
            assert!(noun.chars().chain(verb.chars()).all(|c| c.is_ascii_lowercase()), "{}", op.name());
            assert_eq!(Operation::from_name(op.name()), Some(*op));
        }
    }
}
