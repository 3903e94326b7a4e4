//! What the requests of the table speak of: projects, teams, profiles, requirements, and a list of nothing.

use ticrypt_api::Blob;
use ticrypt_api::bulk::{BulkItem, BulkStartRequest};
use ticrypt_api::certification::{CertificationSetRequest, LevelAbout, LevelSetRequest, RequirementAbout, RequirementSetRequest};
use ticrypt_api::profile::{ProfileAbout, ProfileSetRequest};
use ticrypt_api::project::{MemberSetRequest, NewMember, ProjectAbout, ProjectCreateRequest};
use ticrypt_api::team::{TeamAbout, TeamCreateRequest};
use ticrypt_types::{
    BulkId, DeploymentId, LevelId, Operation, Permission, Permissions, ProjectId, RequirementId, TeamId, Timestamp, UserId,
};

use crate::records::{self, Person};
use crate::rosters::{Roster, member};
use crate::support::Wire;

pub fn about(level: Option<LevelId>) -> ProjectAbout {
    let (name, tag, colour) = ("A project".parse().unwrap(), "project".parse().unwrap(), "#1f77b4".parse().unwrap());
    ProjectAbout { name, tag, colour, description: String::new(), level }
}

/// A list of one request that is refused to everybody.
pub fn pointless(bulk: BulkId) -> BulkStartRequest {
    let item = BulkItem { parameters: vec![LevelId::from_random(records::random()).to_string()], body: Blob(vec![]) };
    BulkStartRequest { bulk, operation: Operation::LevelDelete.name().to_owned(), items: vec![item] }
}

/// A project of somebody's own.
pub fn founding(by: &Person, project: ProjectId, at: Timestamp) -> ProjectCreateRequest {
    let roster = Roster::founded(by.deployment, project, None, by.user);
    let head = by.sign(&roster.head(by.user, by.bundle.hash(), at));
    ProjectCreateRequest { project, parent: None, about: about(None), head, entry: roster.entry(by.user) }
}

/// The members of a project, by the wire of who sees them.
pub async fn roster(wire: &mut Wire, project: ProjectId, deployment: DeploymentId) -> Roster {
    let path = project.to_string();
    let members = wire.ask(Operation::MemberList, &[&path], &()).await.unwrap();
    let heads = wire.ask(Operation::ProjectHeads, &[&path], &()).await.unwrap();
    Roster::read(deployment, project, &members, &heads)
}

/// Somebody comes into the project by a head that `by` signs.
pub fn joining(mut roster: Roster, by: &Person, user: UserId, at: Timestamp) -> MemberSetRequest {
    let new = NewMember { update: true, ..member(user) };
    roster.set(&new);
    let head = by.sign(&roster.head(by.user, by.bundle.hash(), at));
    MemberSetRequest { head: Some(head), set: vec![new], remove: vec![] }
}

pub fn new_team(team: TeamId) -> TeamCreateRequest {
    TeamCreateRequest { team, about: TeamAbout { name: "A team".parse().unwrap(), description: String::new() } }
}

/// What a new account has, and one thing more.
pub fn new_profile() -> ProfileSetRequest {
    let permissions = Permissions::basic().with(Permission::ProjectCreate);
    ProfileSetRequest { revision: 0, about: ProfileAbout { name: "Researcher".parse().unwrap(), description: String::new(), permissions } }
}

pub fn new_requirement() -> RequirementSetRequest {
    let about = RequirementAbout {
        name: "Training".parse().unwrap(),
        description: String::new(),
        must_expire: false,
        default_lifespan_ms: None,
        maximum_lifespan_ms: None,
    };
    RequirementSetRequest { revision: 0, about }
}

pub fn new_level(requirements: Vec<RequirementId>) -> LevelSetRequest {
    LevelSetRequest { revision: 0, about: LevelAbout { name: "Level".parse().unwrap(), description: String::new(), requirements } }
}

pub fn certification(requirement: RequirementId, user: UserId) -> CertificationSetRequest {
    CertificationSetRequest { requirement, user, expires_ms: None }
}
