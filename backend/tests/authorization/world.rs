//! The people and things of the table: one tree with an owner, shared with one person to view, and everybody else.

use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;
use ticrypt_api::access::{AccessExplainRequest, AccessLossesRequest, SupposedLoss};
use ticrypt_api::bulk::{BulkReadReply, BulkResumeRequest, BulkView};
use ticrypt_api::certification::{CertificationExpireRequest, CertificationSetReply};
use ticrypt_api::endpoint::Codec;
use ticrypt_api::grant::{GrantCreateRequest, GrantFilter, GrantLeaveRequest, GrantListRequest, GrantRevokeRequest, NewGrant};
use ticrypt_api::group::{
    CompartmentReadRequest, CompartmentRenewRequest, CompartmentSealRequest, GroupChangeRequest, GroupRenameRequest, GroupReply,
    GroupSealRequest,
};
use ticrypt_api::join::{JoinAskRequest, JoinRefuseRequest};
use ticrypt_api::log::EntriesRequest;
use ticrypt_api::node::*;
use ticrypt_api::notification::NotificationReadRequest;
use ticrypt_api::profile::ProfileApplyRequest;
use ticrypt_api::project::{MemberSetReply, ProjectChangeRequest, ProjectCreateRequest, ProjectListReply, WorkingSetRequest};
use ticrypt_api::session::{ChallengeReply, ChallengeRequest};
use ticrypt_api::team::{
    TeamAddRequest, TeamAssignRequest, TeamChangeRequest, TeamListReply, TeamManagerRequest, TeamQuotaRequest, TeamRemoveReply,
};
use ticrypt_api::upload::{NewUpload, UploadBeginReply, UploadBeginRequest};
use ticrypt_api::user::{BundleRotateRequest, PermissionsRequest, PinReportRequest, UserStateRequest};
use ticrypt_api::version::{OpenItem, OpenReply, OpenRequest, PublishRequest, VersionListRequest};
use ticrypt_api::{Blob, Endpoint, Hash, wire};
use ticrypt_crypto::grant::GrantPayload;
use ticrypt_crypto::group::GroupHeadPayload;
use ticrypt_crypto::statement::Action;
use ticrypt_crypto::working_set::WorkingSetPayload;
use ticrypt_crypto::{Digest, Envelope};
use ticrypt_types::bulk::BulkState;
use ticrypt_types::{
    BulkId, Compartment, GroupPermissions, LevelId, NodeId, NodeKind, Operation, Permission, Permissions, ProfileId, ProjectId, Quotas,
    Rank, RequirementId, SessionId, TeamId, Timestamp, UserId, Verbs, VersionId,
};

use crate::people::{change, log_in, register, registration, statement, try_log_in};
use crate::records::{
    self, Content, Directory, Person, grant, hash_of, new_directory, new_node, new_version, random_vec, revocation, sealed, small_file,
};
use crate::support::eventually;
use crate::support::{Server, Wire};
use crate::things::{about, certification, founding, joining, new_level, new_profile, new_requirement, new_team, pointless, roster};

pub const SUBJECTS: [&str; 8] = ["nobody", "pending", "inactive", "stranger", "grantee (view)", "owner", "admin", "super-admin"];
const NOBODY: usize = 0;
const PENDING: usize = 1;
const INACTIVE: usize = 2;
const GRANTEE: usize = 4;
const OWNER: usize = 5;
const ADMIN: usize = 6;
const ROOT: usize = 7;

struct Subject {
    person: Person,
    wire: Wire,
    /// The session of the wire.
    session: Option<SessionId>,
}

/// A file as its owner remembers it.
struct File {
    node: NodeId,
    version: VersionId,
    manifest: Digest,
}

pub struct World {
    server: Server,
    subjects: Vec<Subject>,
    friend: Person,
    docs: Directory,
    other: Directory,
    file: File,
    rekeyed: File,
    moved: NodeId,
    trashed: NodeId,
    restored: NodeId,
    deleted: NodeId,
    large: NodeId,
    upload: VersionId,
    view_grant: GrantPayload,
    leave_grant: GrantPayload,
    friends_grant: GrantPayload,
    spare_session: SessionId,
    /// The owner's, who manages it; the grantee is a member.
    project: ProjectId,
    /// The project asks for it.
    requirement: RequirementId,
    /// The owner manages it; the grantee is a member.
    team: TeamId,
    count: u32,
}

/// What is sent, and the owner's view of the directories if it is accepted.
#[derive(Default)]
struct Attempt {
    parameters: Vec<String>,
    query: &'static str,
    body: Vec<u8>,
    ticket: Option<Blob>,
    docs: Option<Directory>,
    other: Option<Directory>,
}

impl World {
    pub async fn new() -> Self {
        let server = Server::start().await;
        let names = ["nobody", "pending", "inactive", "stranger", "grantee", "owner", "admin", "root"];
        let people: Vec<Person> = names.iter().map(|name| Person::new(server.deployment(), name)).collect();
        let mut wire = server.wire().await;
        let friend = Person::new(server.deployment(), "friend");
        let root = &people[ROOT];
        let code = server.running.code.as_ref().unwrap().expose().clone();
        register(&mut wire, root, Some((code, root.sign(&statement(&server, root, root, Action::Bootstrap))))).await;
        let (mut root_wire, _) = log_in(&server, root).await;
        for person in people[PENDING..ROOT].iter().chain([&friend]) {
            register(&mut wire, person, None).await;
            if person.name.as_str() != "pending" {
                change(&server, &mut root_wire, root, person, Action::Activate).await;
            }
        }
        change(&server, &mut root_wire, root, &people[ADMIN], Action::Role(Rank::Admin)).await;
        // Somebody to assign teams to.
        change(&server, &mut root_wire, root, &friend, Action::Role(Rank::SubAdmin)).await;
        let mut spare_session = None;
        let mut subjects = Vec::new();
        for (index, person) in people.into_iter().enumerate() {
            let (wire, session) = match index {
                NOBODY | PENDING => (server.wire().await, None),
                _ => {
                    let (wire, session) = log_in(&server, &person).await;
                    (wire, Some(session))
                }
            };
            if index == OWNER {
                spare_session = Some(log_in(&server, &person).await.1);
            }
            subjects.push(Subject { person, wire, session });
        }
        let inactive = &subjects[INACTIVE];
        change(&server, &mut root_wire, &subjects[ROOT].person, &inactive.person, Action::Deactivate).await;
        // Their connection was cut; the old token comes over another.
        let token = subjects[INACTIVE].wire.token.clone();
        subjects[INACTIVE].wire = server.wire().await;
        subjects[INACTIVE].wire.token = token;

        let spare_session = spare_session.unwrap();
        Self::furnish(server, subjects, friend, spare_session).await
    }

    /// The owner's tree and its shares.
    async fn furnish(server: Server, mut subjects: Vec<Subject>, friend: Person, spare_session: SessionId) -> Self {
        let mut at_home = subjects.remove(OWNER);
        let Subject { person: owner, wire, .. } = &mut at_home;
        let owner = &*owner;
        let grantee = &subjects[GRANTEE].person;
        let mut home = Directory::new(new_node(), None, owner.user);
        let own = grant(owner, owner, home.node, NodeKind::Directory, owner.user, Verbs::ALL);
        let request =
            HomeCreateRequest { grant: NewGrant { grant: owner.sign(&own), sealed: sealed(Verbs::ALL) }, head: home.advance(owner) };
        let _: HeadReply = wire.ask(Operation::HomeCreate, &[], &request).await.unwrap();
        let (mut docs, docs_node) = new_directory(owner, &mut home, "docs");
        let (other, other_node) = new_directory(owner, &mut home, "other");
        let (left, left_node) = new_directory(owner, &mut home, "left");
        let request = CreateRequest { directory: home.node, head: home.advance(owner), nodes: vec![docs_node, other_node, left_node] };
        let _: HeadReply = wire.ask(Operation::NodeCreate, &[], &request).await.unwrap();

        // A large file, so that there is a ticket to read with.
        let large = new_node();
        let content = Content::new(100_000);
        let upload = |version, file, directory, size_bytes| UploadBeginRequest {
            uploads: vec![NewUpload { file, directory, version, content_wrap: Blob(random_vec(60)), size_bytes }],
        };
        let begun: UploadBeginReply =
            wire.ask(Operation::UploadBegin, &[], &upload(content.version, large, Some(docs.node), content.size)).await.unwrap();
        wire.ticket = Some(BASE64URL_NOPAD.encode(&begun.tickets[0].ticket.0));
        let stored = wire.send(Operation::ChunkWrite, &[&content.version.to_string(), "0"], "", content.chunks[0].clone()).await;
        assert_eq!(stored.status, 200, "{stored:?}");
        wire.ticket = None;

        let names = ["file", "rekeyed", "moved", "trashed", "restored", "deleted"];
        let (ids, mut nodes): (Vec<NodeId>, Vec<NewNode>) = names.iter().map(|name| small_file(owner, &mut docs, name, 100)).unzip();
        let remember = |at: usize, nodes: &[NewNode]| {
            let content = nodes[at].content.as_ref().unwrap();
            File { node: ids[at], version: content.version, manifest: Envelope::parse(&content.manifest.0).unwrap().record_hash() }
        };
        let (file, rekeyed) = (remember(0, &nodes), remember(1, &nodes));
        let entry = docs.put(&docs.entry(large, NodeKind::File, 1, "large"));
        let manifest = owner.sign(&content.manifest(owner, large, 1, None));
        nodes.push(NewNode { entry, head: None, content: Some(content.wire(manifest, false)) });
        let request = CreateRequest { directory: docs.node, head: docs.advance(owner), nodes };
        let _: HeadReply = wire.ask(Operation::NodeCreate, &[], &request).await.unwrap();
        for node in [ids[4], ids[5]] {
            docs.entries.remove(&node);
        }
        let request = TrashRequest { directory: docs.node, head: docs.advance(owner), nodes: vec![ids[4], ids[5]] };
        let _: HeadReply = wire.ask(Operation::NodeTrash, &[], &request).await.unwrap();
        let unfinished = new_version();
        let _: UploadBeginReply = wire.ask(Operation::UploadBegin, &[], &upload(unfinished, file.node, None, 200_000)).await.unwrap();

        let view_grant = grant(owner, grantee, docs.node, NodeKind::Directory, owner.user, Verbs::VIEW);
        let leave_grant = grant(owner, grantee, left.node, NodeKind::Directory, owner.user, Verbs::VIEW);
        // All grants of a node commit to the same keys.
        let friends_grant = GrantPayload {
            list_commitment: view_grant.list_commitment,
            tree_commitment: view_grant.tree_commitment,
            ..grant(owner, &friend, docs.node, NodeKind::Directory, owner.user, Verbs::VIEW)
        };
        for given in [&view_grant, &leave_grant, &friends_grant] {
            let request = GrantCreateRequest { grants: vec![NewGrant { grant: owner.sign(given), sealed: sealed(Verbs::VIEW) }] };
            let () = wire.ask(Operation::GrantCreate, &[], &request).await.unwrap();
        }
        subjects.insert(OWNER, at_home);
        let (project, requirement) = Self::project(&mut subjects, server.now()).await;
        let team = Self::team(&mut subjects, friend.user).await;
        Self {
            project,
            requirement,
            team,
            server,
            subjects,
            friend,
            docs,
            other,
            file,
            rekeyed,
            moved: ids[2],
            trashed: ids[3],
            restored: ids[4],
            deleted: ids[5],
            large,
            upload: unfinished,
            view_grant,
            leave_grant,
            friends_grant,
            spare_session,
            count: 0,
        }
    }

    /// One more profile.
    async fn profile(&mut self) -> ProfileId {
        let profile = ProfileId::from_random(records::random());
        let root = &mut self.subjects[ROOT].wire;
        let () = root.ask(Operation::ProfileSet, &[&profile.to_string()], &new_profile()).await.unwrap();
        profile
    }

    fn compartment(&self) -> Compartment {
        Compartment::of([self.project]).unwrap()
    }

    /// The owner may run projects and has one, which asks for something.
    async fn project(subjects: &mut [Subject], at: Timestamp) -> (ProjectId, RequirementId) {
        let (owner, grantee) = (subjects[OWNER].person.user, subjects[GRANTEE].person.user);
        let given = [Permission::ProjectCreate, Permission::ProjectManage, Permission::ProjectCertify].into_iter();
        let permissions = given.fold(Permissions::basic(), Permissions::with);
        let root = &mut subjects[ROOT].wire;
        let () = root.ask(Operation::UserPermissions, &[&owner.to_string()], &PermissionsRequest { permissions }).await.unwrap();
        let requirement = RequirementId::from_random(records::random());
        let () = root.ask(Operation::RequirementSet, &[&requirement.to_string()], &new_requirement()).await.unwrap();
        let level = LevelId::from_random(records::random());
        let () = root.ask(Operation::LevelSet, &[&level.to_string()], &new_level(vec![requirement])).await.unwrap();
        let project = ProjectId::from_random(records::random());
        let founded = founding(&subjects[OWNER].person, project, at);
        let request = ProjectCreateRequest { about: about(Some(level)), ..founded };
        let wire = &mut subjects[OWNER].wire;
        let () = wire.ask(Operation::ProjectCreate, &[], &request).await.unwrap();
        // The owner is to run it, which takes being certified oneself.
        for user in [owner, grantee] {
            let _: CertificationSetReply = wire.ask(Operation::CertificationSet, &[], &certification(requirement, user)).await.unwrap();
        }
        let Subject { person, wire, .. } = &mut subjects[OWNER];
        let request = joining(roster(wire, project, person.deployment).await, person, grantee, at);
        let _: MemberSetReply = wire.ask(Operation::MemberSet, &[&project.to_string()], &request).await.unwrap();
        (project, requirement)
    }

    /// A team of the owner and the grantee, and one of the friend, so that who goes in and out of the first is never in none.
    async fn team(subjects: &mut [Subject], friend: UserId) -> TeamId {
        let [team, friends] = [(); 2].map(|()| TeamId::from_random(records::random()));
        let (owner, grantee) = (subjects[OWNER].person.user, subjects[GRANTEE].person.user);
        let root = &mut subjects[ROOT].wire;
        for (team, people) in [(team, vec![owner, grantee]), (friends, vec![friend])] {
            let () = root.ask(Operation::TeamCreate, &[], &new_team(team)).await.unwrap();
            for user in people {
                let () = root.ask(Operation::TeamAdd, &[&team.to_string()], &TeamAddRequest { user }).await.unwrap();
            }
        }
        let path = [team.to_string(), owner.to_string()];
        let () = root.ask(Operation::TeamManager, &[&path[0], &path[1]], &TeamManagerRequest { manager: true }).await.unwrap();
        team
    }

    /// The friend is in the owner's team, or not, and it is assigned to them, or not; neither was so before is fine.
    async fn friend_in_team(&mut self, is_member: bool, is_assigned: bool) {
        let (team, user) = (self.team.to_string(), self.friend.user);
        let of_friend = [team.as_str(), &user.to_string()];
        let root = &mut self.subjects[ROOT].wire;
        if is_member {
            let _ = root.ask::<_, ()>(Operation::TeamAdd, &[&team], &TeamAddRequest { user }).await;
            let _ = root.ask::<_, ()>(Operation::TeamManager, &of_friend, &TeamManagerRequest { manager: false }).await;
        } else {
            let _ = root.ask::<_, TeamRemoveReply>(Operation::TeamRemove, &of_friend, &()).await;
        }
        if is_assigned {
            let () = root.ask(Operation::TeamAssign, &[&team], &TeamAssignRequest { user, until_ms: None }).await.unwrap();
        } else {
            let _ = root.ask::<_, ()>(Operation::TeamUnassign, &of_friend, &()).await;
        }
    }

    /// As the owner's team is now, for who would change it.
    async fn revision_of_team(&mut self) -> u64 {
        let list: TeamListReply = self.subjects[ROOT].wire.ask(Operation::TeamList, &[], &()).await.unwrap();
        list.teams.into_iter().find(|found| found.team == self.team).unwrap().revision
    }

    /// A new group of the owner's, of which the grantee is a member; its first head.
    async fn group(&mut self) -> GroupHeadPayload {
        let (owner, grantee) = (&self.subjects[OWNER].person, &self.subjects[GRANTEE].person);
        let (request, head, _) = records::new_group(owner, "lab", &[(grantee, GroupPermissions::USER)]);
        let _: GroupReply = self.subjects[OWNER].wire.ask(Operation::GroupCreate, &[], &request).await.unwrap();
        head
    }

    /// Lets one subject do one thing; the status, and the code of a refusal.
    pub async fn attempt(&mut self, operation: Operation, subject: usize) -> String {
        self.count += 1;
        if operation == Operation::SessionLogin {
            let result = try_log_in(&self.server, &self.subjects[subject].person).await;
            return result.map_or_else(|problem| format!("{}:{}", problem.status, problem.code), |_| "200".to_owned());
        }
        let attempt = self.prepare(operation, subject).await;
        // Logging out is done by a session of its own, and a stream takes a connection for itself.
        let mut own = None;
        if matches!(operation, Operation::SessionLogout | Operation::EventFollow) && subject > INACTIVE {
            own = Some(log_in(&self.server, &self.subjects[subject].person).await.0);
        }
        // A body that nobody reads ends its connection, so who is refused before comes over a new one.
        if subject <= INACTIVE {
            let token = self.subjects[subject].wire.token.take();
            self.subjects[subject].wire = self.server.wire().await;
            self.subjects[subject].wire.token = token;
        }
        let wire = own.as_mut().unwrap_or(&mut self.subjects[subject].wire);
        wire.ticket = attempt.ticket.as_ref().map(|ticket| BASE64URL_NOPAD.encode(&ticket.0));
        let parameters: Vec<&str> = attempt.parameters.iter().map(String::as_str).collect();
        let answer = if operation == Operation::EventFollow {
            match wire.follow(None).await {
                Ok(_) => return "200".to_owned(),
                Err(answer) => answer,
            }
        } else {
            wire.send(operation, &parameters, attempt.query, attempt.body).await
        };
        wire.ticket = None;
        if answer.status != 200 {
            let problem = answer.problem();
            return format!("{}:{}", problem.status, problem.code);
        }
        self.docs = attempt.docs.unwrap_or_else(|| self.docs.clone());
        self.other = attempt.other.unwrap_or_else(|| self.other.clone());
        if operation == Operation::NodeStat && wire::decode::<StatReply>(Codec::Cbor, &answer.body).unwrap().nodes.is_empty() {
            return "200:empty".to_owned();
        }
        "200".to_owned()
    }

    /// New keys for one file of the owner's.
    fn new_keys(&self, docs: &mut Directory, name: &str) -> RekeyedNode {
        let entry = docs.put(&docs.entry(self.rekeyed.node, NodeKind::File, 2, name));
        RekeyedNode {
            node: self.rekeyed.node,
            epoch: 2,
            entry: Some(entry),
            entries: vec![],
            head: None,
            content_wraps: vec![(self.rekeyed.version, Blob(random_vec(60)))],
            props_keys: vec![(Hash(self.rekeyed.manifest.to_bytes()), Blob(random_vec(60)))],
            grants: vec![],
        }
    }

    async fn prepare(&mut self, operation: Operation, subject: usize) -> Attempt {
        let me = &self.subjects[subject].person;
        let name = format!("n{}", self.count);
        let mut docs = self.docs.clone();
        docs.authority = (subject == GRANTEE).then(|| hash_of(&self.view_grant));
        let mut other = self.other.clone();
        let with = |docs: Directory| Attempt { docs: Some(Directory { authority: None, ..docs }), ..Attempt::default() };
        let to = |parameter: &dyn ToString| Attempt { parameters: vec![parameter.to_string()], ..Attempt::default() };
        let page = Attempt::default;
        match operation {
            Operation::DeploymentRead
            | Operation::ApiDescribe
            | Operation::SessionLogout
            | Operation::SessionList
            | Operation::UserSelf
            | Operation::UserList
            | Operation::VaultRoots
            | Operation::GroupList
            | Operation::TrashList
            | Operation::NotificationList
            | Operation::EventFollow
            | Operation::SessionLogin
            | Operation::ProfileList
            | Operation::RequirementList
            | Operation::LevelList
            | Operation::ProjectList
            | Operation::TeamList
            | Operation::JoinList
            | Operation::CertificationList => page(),
            Operation::UserPermissions => {
                let target = Person::new(self.server.deployment(), &name);
                register(&mut self.server.wire().await, &target, None).await;
                let permissions = Permissions::basic().with(Permission::ProjectCreate);
                body(to(&target.user), operation, &PermissionsRequest { permissions })
            }
            Operation::ProfileSet => body(to(&ProfileId::from_random(records::random())), operation, &new_profile()),
            Operation::ProfileDelete => to(&self.profile().await),
            Operation::ProfileApply => {
                let target = Person::new(self.server.deployment(), &name);
                register(&mut self.server.wire().await, &target, None).await;
                let request = ProfileApplyRequest { profile: self.profile().await, revision: 1 };
                body(to(&target.user), operation, &request)
            }
            Operation::RequirementSet => body(to(&RequirementId::from_random(records::random())), operation, &new_requirement()),
            Operation::LevelSet => body(to(&LevelId::from_random(records::random())), operation, &new_level(vec![])),
            Operation::RequirementDelete => {
                let id = RequirementId::from_random(records::random());
                let root = &mut self.subjects[ROOT].wire;
                let () = root.ask(Operation::RequirementSet, &[&id.to_string()], &new_requirement()).await.unwrap();
                to(&id)
            }
            Operation::LevelDelete => {
                let id = LevelId::from_random(records::random());
                let root = &mut self.subjects[ROOT].wire;
                let () = root.ask(Operation::LevelSet, &[&id.to_string()], &new_level(vec![])).await.unwrap();
                to(&id)
            }
            Operation::ProjectCreate => {
                let project = ProjectId::from_random(records::random());
                body(page(), operation, &founding(me, project, self.server.now()))
            }
            Operation::ProjectChange => {
                let root = &mut self.subjects[ROOT].wire;
                let list: ProjectListReply = root.ask(Operation::ProjectList, &[], &()).await.unwrap();
                let now = list.projects.into_iter().find(|found| found.project == self.project).unwrap();
                let request = ProjectChangeRequest { revision: now.revision, about: now.about };
                body(to(&self.project), operation, &request)
            }
            Operation::ProjectDelete => {
                let project = ProjectId::from_random(records::random());
                let Subject { person, wire, .. } = &mut self.subjects[OWNER];
                let () = wire.ask(Operation::ProjectCreate, &[], &founding(person, project, self.server.now())).await.unwrap();
                to(&project)
            }
            Operation::MemberList | Operation::ProjectHeads => to(&self.project),
            Operation::MemberSet => {
                let (project, friend, at) = (self.project, self.friend.user, self.server.now());
                let deployment = self.server.deployment();
                let request =
                    joining(roster(&mut self.subjects[OWNER].wire, project, deployment).await, &self.subjects[subject].person, friend, at);
                body(to(&project), operation, &request)
            }
            Operation::MemberRemove => {
                let (project, friend, at) = (self.project, self.friend.user, self.server.now());
                let Subject { person, wire, .. } = &mut self.subjects[OWNER];
                let request = joining(roster(wire, project, person.deployment).await, person, friend, at);
                let _: MemberSetReply = wire.ask(Operation::MemberSet, &[&project.to_string()], &request).await.unwrap();
                Attempt { parameters: vec![self.project.to_string(), self.friend.user.to_string()], ..page() }
            }
            // What nobody ever ends, so that a run of it is of no consequence.
            Operation::BulkStart => body(page(), operation, &pointless(BulkId::from_random(records::random()))),
            Operation::BulkList => page(),
            Operation::BulkRead | Operation::BulkResume | Operation::BulkStop => {
                let bulk = BulkId::from_random(records::random());
                let wire = &mut self.subjects[OWNER].wire;
                let _: BulkView = wire.ask(Operation::BulkStart, &[], &pointless(bulk)).await.unwrap();
                eventually("the bulk action is over", async || {
                    let read: BulkReadReply = wire.ask(Operation::BulkRead, &[&bulk.to_string()], &()).await.unwrap();
                    read.view.state == BulkState::Done
                })
                .await;
                if operation == Operation::BulkResume { body(to(&bulk), operation, &BulkResumeRequest { failed: true }) } else { to(&bulk) }
            }
            Operation::CertificationSet => body(page(), operation, &certification(self.requirement, self.friend.user)),
            Operation::CertificationExpire => {
                let request = certification(self.requirement, self.friend.user);
                let _: CertificationSetReply = self.subjects[OWNER].wire.ask(Operation::CertificationSet, &[], &request).await.unwrap();
                body(page(), operation, &CertificationExpireRequest { requirement: self.requirement, user: self.friend.user })
            }
            Operation::JoinAsk => body(to(&self.project), operation, &JoinAskRequest::default()),
            // Of a project that does not exist, which makes no difference.
            Operation::JoinWithdraw => {
                let project = ProjectId::from_random(records::random());
                if subject > INACTIVE {
                    let wire = &mut self.subjects[subject].wire;
                    let () = wire.ask(Operation::JoinAsk, &[&project.to_string()], &JoinAskRequest::default()).await.unwrap();
                }
                to(&project)
            }
            Operation::JoinRefuse => {
                let asker = Person::new(self.server.deployment(), &name);
                register(&mut self.server.wire().await, &asker, None).await;
                let Subject { person: root, wire, .. } = &mut self.subjects[ROOT];
                change(&self.server, wire, root, &asker, Action::Activate).await;
                let (mut wire, _) = log_in(&self.server, &asker).await;
                let project = self.project.to_string();
                let () = wire.ask(Operation::JoinAsk, &[&project], &JoinAskRequest::default()).await.unwrap();
                let attempt = Attempt { parameters: vec![project, asker.user.to_string()], ..page() };
                body(attempt, operation, &JoinRefuseRequest { reason: "no room".to_owned() })
            }
            // Who is a member became one after logging in: nobody's working set changes, and the answer tells who could.
            Operation::WorkingSet => {
                let (deployment, name, user) = (self.server.deployment(), me.name.clone(), me.user);
                let session = self.subjects[subject].session.unwrap_or(self.spare_session);
                let asked = ChallengeRequest { name };
                let reply: ChallengeReply = self.server.wire().await.ask(Operation::SessionChallenge, &[], &asked).await.unwrap();
                let (bundle, at) = (me.bundle.hash(), self.server.now());
                let projects = vec![self.project];
                let record = WorkingSetPayload { deployment, user, bundle, session, challenge: reply.challenge.0, projects, at };
                body(page(), operation, &WorkingSetRequest { working_set: me.sign(&record) })
            }
            Operation::TeamCreate => body(page(), operation, &new_team(TeamId::from_random(records::random()))),
            Operation::TeamChange => {
                let request = TeamChangeRequest { revision: self.revision_of_team().await, about: new_team(self.team).about };
                body(to(&self.team), operation, &request)
            }
            Operation::TeamQuota => {
                let request = TeamQuotaRequest { revision: self.revision_of_team().await, quotas: Quotas::NEW_TEAM };
                body(to(&self.team), operation, &request)
            }
            Operation::TeamDelete => {
                let team = TeamId::from_random(records::random());
                let () = self.subjects[ROOT].wire.ask(Operation::TeamCreate, &[], &new_team(team)).await.unwrap();
                to(&team)
            }
            Operation::TeamMembers => to(&self.team),
            Operation::TeamAdd => {
                self.friend_in_team(false, false).await;
                body(to(&self.team), operation, &TeamAddRequest { user: self.friend.user })
            }
            Operation::TeamRemove => {
                self.friend_in_team(true, false).await;
                Attempt { parameters: vec![self.team.to_string(), self.friend.user.to_string()], ..page() }
            }
            Operation::TeamManager => {
                self.friend_in_team(true, false).await;
                let attempt = Attempt { parameters: vec![self.team.to_string(), self.friend.user.to_string()], ..page() };
                body(attempt, operation, &TeamManagerRequest { manager: true })
            }
            Operation::TeamAssign => body(to(&self.team), operation, &TeamAssignRequest { user: self.friend.user, until_ms: None }),
            Operation::TeamUnassign => {
                self.friend_in_team(false, true).await;
                Attempt { parameters: vec![self.team.to_string(), self.friend.user.to_string()], ..page() }
            }
            Operation::UserRegister => {
                let person = Person::new(self.server.deployment(), &name);
                body(page(), operation, &registration(&person, None))
            }
            Operation::SessionChallenge => body(page(), operation, &ChallengeRequest { name: me.name.clone() }),
            Operation::SessionEnd => to(&self.spare_session),
            Operation::UserLookup => to(&"owner"),
            Operation::UserState => {
                let target = Person::new(self.server.deployment(), &name);
                register(&mut self.server.wire().await, &target, None).await;
                let statement = me.sign(&statement(&self.server, me, &target, Action::Activate));
                body(to(&target.user), operation, &UserStateRequest { statement, bundle: None })
            }
            // Not a rotation, so that nobody's key changes: the answer tells who came as far as the rules of rotation.
            Operation::BundleRotate => body(page(), operation, &BundleRotateRequest { bundle: Blob(me.bundle.as_bytes().to_vec()) }),
            Operation::BundleRead => to(&self.subjects[OWNER].person.bundle.hash()),
            Operation::PinReport => {
                let user = self.subjects[OWNER].person.user;
                body(page(), operation, &PinReportRequest { user, pinned: Hash([1; 32]), shown: Hash([2; 32]) })
            }
            Operation::HomeCreate => {
                let mut home = Directory::new(new_node(), None, me.user);
                let own = grant(me, me, home.node, NodeKind::Directory, me.user, Verbs::ALL);
                let grant = NewGrant { grant: me.sign(&own), sealed: sealed(Verbs::ALL) };
                body(page(), operation, &HomeCreateRequest { grant, head: home.advance(me) })
            }
            Operation::NodeList => {
                let items = vec![ListItem { directory: docs.node, page: None }];
                body(page(), operation, &ListRequest { items, limit: 100, manifests: true })
            }
            Operation::NodeStat => body(page(), operation, &StatRequest { nodes: vec![self.file.node] }),
            Operation::NodeCreate => {
                let (_, node) = small_file(me, &mut docs, &name, 100);
                let request = CreateRequest { directory: docs.node, head: docs.advance(me), nodes: vec![node] };
                body(with(docs), operation, &request)
            }
            Operation::NodeRename => {
                let entry = docs.put(&docs.entry(self.file.node, NodeKind::File, 1, &name));
                let request = RenameRequest { directory: docs.node, head: docs.advance(me), entry };
                body(with(docs), operation, &request)
            }
            Operation::NodeMove => {
                docs.entries.remove(&self.moved);
                let entry = other.put(&other.entry(self.moved, NodeKind::File, 1, &name));
                let (from, to) = (docs.node, other.node);
                let request = MoveRequest { from, from_head: docs.advance(me), to, to_head: other.advance(me), entry };
                Attempt { other: Some(other), ..body(with(docs), operation, &request) }
            }
            Operation::NodeTrash => {
                docs.entries.remove(&self.trashed);
                let request = TrashRequest { directory: docs.node, head: docs.advance(me), nodes: vec![self.trashed] };
                body(with(docs), operation, &request)
            }
            Operation::NodeRestore => {
                let entry = docs.put(&docs.entry(self.restored, NodeKind::File, 1, &name));
                let request = RestoreRequest { directory: docs.node, head: docs.advance(me), entries: vec![entry] };
                body(with(docs), operation, &request)
            }
            Operation::NodeDelete => body(page(), operation, &DeleteRequest { nodes: vec![self.deleted] }),
            Operation::NodeRekey => {
                let node = self.new_keys(&mut docs, &name);
                let request = RekeyRequest { parent_head: Some(docs.advance(me)), nodes: vec![node] };
                body(with(docs), operation, &request)
            }
            Operation::GroupCreate => body(page(), operation, &records::new_group(me, &name, &[]).0),
            Operation::GroupRead | Operation::GroupDelete => to(&self.group().await.group),
            Operation::GroupChange => {
                let before = self.group().await;
                let me = &self.subjects[subject].person;
                let added = records::added(&self.friend, GroupPermissions::NONE);
                let head = records::next_group_head(me, &before, vec![added], false);
                let request = GroupChangeRequest { head: me.sign(&head), seals: vec![records::group_seal(&self.friend)] };
                body(to(&before.group), operation, &request)
            }
            Operation::GroupSeal => {
                let group = self.group().await.group;
                let seals = vec![records::group_seal(&self.subjects[GRANTEE].person)];
                body(to(&group), operation, &GroupSealRequest { generation: 1, seals })
            }
            Operation::AccessExplain => {
                let request = AccessExplainRequest { node: self.file.node, about: vec![], without: None };
                body(page(), operation, &request)
            }
            Operation::AccessLosses => {
                let without = SupposedLoss::Membership(self.project);
                body(page(), operation, &AccessLossesRequest { without, about: vec![], page: None })
            }
            // Nobody works in a project, so whoever is in the group comes as far as that.
            Operation::CompartmentRead => {
                let request = CompartmentReadRequest { compartment: self.compartment(), after: 0, prove: vec![me.user] };
                body(to(&self.group().await.group), operation, &request)
            }
            Operation::CompartmentRenew => {
                let before = self.group().await;
                let me = &self.subjects[subject].person;
                let head = records::compartment_head(me, &before, self.compartment());
                let request = CompartmentRenewRequest { head: me.sign(&head), seals: vec![] };
                body(to(&before.group), operation, &request)
            }
            Operation::CompartmentSeal => {
                let seals = vec![records::group_seal(&self.subjects[GRANTEE].person)];
                let request = CompartmentSealRequest { compartment: self.compartment(), generation: 1, seals };
                body(to(&self.group().await.group), operation, &request)
            }
            Operation::GroupRename => {
                let group = self.group().await.group;
                body(to(&group), operation, &GroupRenameRequest { revision: 1, name: "Renamed".parse().unwrap() })
            }
            // Nobody works in a project, so nothing is tagged, and the answer tells who came as far as the rules of projects.
            Operation::NodeTag => {
                let node = self.new_keys(&mut docs, &name);
                let request = TagRequest { tags: vec![self.project], parent_head: Some(docs.advance(me)), node };
                body(page(), operation, &request)
            }
            Operation::NodeHistory => to(&docs.node),
            Operation::UploadBegin => {
                let upload = NewUpload {
                    file: self.file.node,
                    directory: None,
                    version: new_version(),
                    content_wrap: Blob(random_vec(60)),
                    size_bytes: 200_000,
                };
                body(page(), operation, &UploadBeginRequest { uploads: vec![upload] })
            }
            Operation::UploadStatus | Operation::UploadAbandon => to(&self.upload),
            Operation::VersionPublish => {
                let content = Content::new(50);
                let manifest = content.manifest(me, self.file.node, 2, Some(self.file.manifest));
                let manifest = ticrypt_crypto::manifest::ManifestPayload { authority: docs.authority, ..manifest };
                body(page(), operation, &PublishRequest { file: self.file.node, content: content.wire(me.sign(&manifest), true) })
            }
            Operation::VersionList => body(page(), operation, &VersionListRequest { files: vec![self.file.node] }),
            Operation::ContentOpen => {
                body(page(), operation, &OpenRequest { items: vec![OpenItem { file: self.large, manifest: None }], keep: false })
            }
            // With the owner's ticket in everybody's hand.
            Operation::ChunkWrite => {
                let (content, ticket) = self.begin_upload().await;
                let parameters = vec![content.version.to_string(), "0".to_owned()];
                Attempt { parameters, ticket: Some(ticket), body: content.chunks[0].clone(), ..page() }
            }
            Operation::ChunkRead => {
                let (version, ticket) = self.open_large().await;
                Attempt { parameters: vec![version.to_string(), "0".to_owned()], ticket: Some(ticket), ..page() }
            }
            Operation::GrantCreate => {
                // Whoever is not the owner must name a grant they share under; a made-up one is as good as any for a stranger.
                let made_up = (subject != OWNER).then(|| Digest::new(records::random()));
                let given = GrantPayload {
                    authority: docs.authority.or(made_up),
                    ..grant(me, &self.friend, self.file.node, NodeKind::File, self.subjects[OWNER].person.user, Verbs::VIEW)
                };
                let grants = vec![NewGrant { grant: me.sign(&given), sealed: sealed(Verbs::VIEW) }];
                body(page(), operation, &GrantCreateRequest { grants })
            }
            Operation::GrantRevoke => {
                let revocation = me.sign(&revocation(me, &self.friends_grant));
                body(to(&self.friends_grant.grant), operation, &GrantRevokeRequest { revocation })
            }
            Operation::GrantLeave => body(to(&self.leave_grant.grant), operation, &GrantLeaveRequest {}),
            Operation::GrantList => {
                let request = GrantListRequest { filter: GrantFilter::OnNode, node: Some(docs.node), limit: 10, page: None };
                body(page(), operation, &request)
            }
            Operation::NotificationRead => body(page(), operation, &NotificationReadRequest { up_to: 1 }),
            Operation::LogCheckpoint => to(&"audit"),
            Operation::LogTile => Attempt { query: "?path=tile/0/000.p/1", ..to(&"audit") },
            Operation::GrantExpire | Operation::ReminderSend => panic!("nobody can ask for it"),
            Operation::AuditEntries | Operation::KeyLeaves => body(page(), operation, &EntriesRequest { start: 0, count: 5 }),
        }
    }

    /// The owner begins a new version of the file, for its ticket.
    async fn begin_upload(&mut self) -> (Content, Blob) {
        let content = Content::new(200_000);
        let upload = NewUpload {
            file: self.file.node,
            directory: None,
            version: content.version,
            content_wrap: Blob(random_vec(60)),
            size_bytes: content.size,
        };
        let request = UploadBeginRequest { uploads: vec![upload] };
        let begun: UploadBeginReply = self.subjects[OWNER].wire.ask(Operation::UploadBegin, &[], &request).await.unwrap();
        (content, begun.tickets[0].ticket.clone())
    }

    /// The owner opens the large file, for its ticket.
    async fn open_large(&mut self) -> (VersionId, Blob) {
        let request = OpenRequest { items: vec![OpenItem { file: self.large, manifest: None }], keep: false };
        let opened: OpenReply = self.subjects[OWNER].wire.ask(Operation::ContentOpen, &[], &request).await.unwrap();
        let manifest = &opened.files[0].manifest.manifest.0;
        let version = Envelope::parse(manifest).unwrap().claimed::<ticrypt_crypto::manifest::ManifestPayload>().unwrap().version;
        (version, opened.files[0].ticket.as_ref().unwrap().ticket.clone())
    }
}

fn body<T: Serialize>(attempt: Attempt, operation: Operation, request: &T) -> Attempt {
    Attempt { body: wire::encode(Endpoint::of(operation).unwrap().codec, request).unwrap(), ..attempt }
}
