//! Tags of directories and files: rows and keys that change together.

use ticrypt_policy::node::{NodeFacts, may_delete, may_trash};
use ticrypt_policy::project::{may_delete_project, may_set_working};
use ticrypt_policy::tag::{Retag, may_retag};
use ticrypt_policy::{Actor, Label};
use ticrypt_store::StoreError;
use ticrypt_store::node::TagNode;
use ticrypt_types::{NodeId, Permissions, ProjectId, UserId, Verbs};

use crate::lab::{Db, Lab, NOW, at};
use crate::rekey::keys_of;

/// Somebody with a project in which they work, and a directory with a file in it.
struct Study {
    lab: Lab,
    pi: UserId,
    project: ProjectId,
    home: NodeId,
    study: NodeId,
    file: NodeId,
}

async fn study(db: Db) -> Study {
    let lab = db.open().await;
    let pi = lab.super_admin("pi").await;
    let project = lab.make(pi, None, "Florida", None).await;
    let home = lab.home(pi).await;
    let study = lab.directory(pi, home, "study").await;
    let file = lab.file(pi, study, "file").await;
    let study = Study { lab, pi, project, home, study, file };
    study.work_in(&[project]).await;
    study
}

impl Lab {
    pub async fn work_in(&self, user: UserId, projects: &[ProjectId]) {
        let revision = self.store.user(user).await.unwrap().unwrap().working_revision;
        let mut standing = self.store.standing(user, projects).await.unwrap();
        let lines = projects.iter().map(|project| standing.remove(project).unwrap()).collect();
        let (permit, _) = may_set_working(&self.actor(user).await, lines, revision, NOW, NOW).unwrap();
        self.store.set_working_set(permit, projects.to_vec()).await.unwrap();
    }
}

impl Study {
    async fn work_in(&self, projects: &[ProjectId]) {
        self.lab.work_in(self.pi, projects).await;
    }

    async fn actor(&self) -> Actor {
        Actor { permissions: Permissions::all(), ..self.lab.actor(self.pi).await }
    }

    async fn facts(&self, node: NodeId) -> NodeFacts {
        self.lab.facts(self.pi, node).await
    }

    /// What an honest client sends to give a node these tags.
    async fn tagging(&self, node: NodeId, tags: &[ProjectId]) -> TagNode {
        let facts = self.facts(node).await;
        let tags = Label::of(self.lab.store.lines(tags).await.unwrap()).unwrap();
        let below = self.lab.store.tags_below(node).await.unwrap();
        let place = self.facts(facts.parent.unwrap()).await.label;
        let retag = Retag { place, tags: tags.clone(), below: below.clone() };
        let permit = may_retag(&self.actor().await, &facts, &retag, NOW).unwrap();
        let (parent_head, mut step) = keys_of(&self.lab, self.pi, node, permit).await;
        match (facts.has_own_keys(), tags.is_unlocked()) {
            (false, false) => {
                step.grants.push(ticrypt_store::grant::GrantNew {
                    epoch: step.epoch,
                    ..self.lab.grant(node, self.pi, self.pi, self.pi, Verbs::ALL)
                });
            }
            (true, true) => step.grants.retain(|grant| grant.recipient != self.pi),
            _ => {}
        }
        TagNode { node: step, parent_head, tags, below }
    }

    async fn tag(&self, node: NodeId, tags: &[ProjectId]) -> Result<(), StoreError> {
        self.lab.store.tag(self.tagging(node, tags).await).await
    }
}

pub async fn a_tag_and_its_keys(db: Db) {
    let study = study(db).await;
    let lab = &study.lab;
    let friend = lab.active("ada").await;
    lab.share(study.pi, study.study, friend, Verbs::VIEW).await;
    let before = lab.store.closure_seq().await.unwrap();
    study.tag(study.study, &[study.project]).await.unwrap();

    let facts = study.facts(study.study).await;
    assert!(facts.has_own_keys() && facts.is_open() && facts.label.names(study.project) && facts.tags == facts.label);
    assert!(lab.store.closure_seq().await.unwrap() > before, "what was decided before is stale");
    let below = study.facts(study.file).await;
    assert!(below.label == facts.label && below.tags.is_unlocked() && !below.has_own_keys());
    assert!(!below.is_open(), "whoever had keys from above had those of the file");
    assert_eq!(lab.store.tags_below(study.home).await.unwrap().len(), 1);
    assert!(lab.store.tags_below(study.study).await.unwrap().is_empty(), "what is inside, not itself");
    let mut reached = lab.store.people_reaching(study.file).await.unwrap();
    reached.sort_unstable();
    let mut both = vec![study.pi, friend];
    both.sort_unstable();
    assert_eq!(reached, both);
    // The owner has a seal of the node's own keys, and it is nobody's share.
    let own = lab.store.grants_to(study.pi, &[study.study]).await.unwrap();
    assert_eq!((own.len(), own[0].epoch, own[0].predecessor), (1, 2, None));
    assert!(lab.store.shared_with(study.pi, NOW, None, 10).await.unwrap().is_empty());

    // A project in use stays, decided before or after.
    let project = lab.store.project_facts(study.pi, study.project).await.unwrap().unwrap();
    assert!(project.in_use);
    study.tag(study.study, &[]).await.unwrap();
    let facts = study.facts(study.study).await;
    assert!(!facts.has_own_keys() && facts.label.is_unlocked() && facts.is_open());
    assert!(lab.store.grants_to(study.pi, &[study.study]).await.unwrap().is_empty());
    assert_eq!(lab.store.grants_to(friend, &[study.study]).await.unwrap().len(), 1, "who has a share keeps it");
    assert!(!lab.store.project_facts(study.pi, study.project).await.unwrap().unwrap().in_use);

    // Deleting for good takes the rows along.
    study.tag(study.study, &[study.project]).await.unwrap();
    let permit = may_trash(&study.actor().await, &study.facts(study.study).await, NOW).unwrap();
    lab.store.trash(vec![permit], vec![lab.next_head(study.home).await], NOW).await.unwrap();
    assert!(lab.store.project_facts(study.pi, study.project).await.unwrap().unwrap().in_use, "the trash counts");
    let permit = may_delete(&study.actor().await, &study.facts(study.study).await, NOW).unwrap();
    lab.store.delete(vec![permit]).await.unwrap();
    assert!(!lab.store.project_facts(study.pi, study.project).await.unwrap().unwrap().in_use);
}

pub async fn a_tag_that_came_meanwhile(db: Db) {
    let study = study(db).await;
    let lab = &study.lab;
    let facts = lab.store.project_facts(study.pi, study.project).await.unwrap().unwrap();
    let deletion = may_delete_project(&lab.able(study.pi).await, &facts, NOW).unwrap();
    let outer = study.tagging(study.study, &[study.project]).await;
    study.tag(study.file, &[study.project]).await.unwrap();
    assert!(matches!(lab.store.tag(outer).await, Err(StoreError::Stale(_))), "something inside was tagged since");
    assert!(matches!(lab.store.delete_project(deletion).await, Err(StoreError::Stale("project"))));
    // Of two who tag one thing at once the second decides anew.
    let (first, second) = (study.tagging(study.study, &[study.project]).await, study.tagging(study.study, &[study.project]).await);
    lab.store.tag(first).await.unwrap();
    assert!(matches!(lab.store.tag(second).await, Err(StoreError::Stale(_))));
}

pub async fn an_owner_is_not_left_without_keys(db: Db) {
    let study = study(db).await;
    let (lab, friend) = (&study.lab, study.lab.active("ada").await);
    let refuse = async |what: &str, tag: TagNode| {
        let refused = lab.store.tag(tag).await;
        assert!(matches!(refused, Err(StoreError::Stale(_) | StoreError::Invalid(_))), "{what}: {refused:?}");
        assert!(study.facts(study.study).await.tags.is_unlocked(), "{what}: undone whole");
    };
    let honest = async || study.tagging(study.study, &[study.project]).await;
    let mut unsealed = honest().await;
    unsealed.node.grants.clear();
    refuse("no seal for the owner", unsealed).await;
    let mut foreign = honest().await;
    foreign.node.grants[0].sealer = friend;
    refuse("a first seal by another", foreign).await;
    let mut twice = honest().await;
    twice.node.grants.push(ticrypt_store::grant::GrantNew { epoch: 2, ..lab.grant(study.study, study.pi, study.pi, study.pi, Verbs::ALL) });
    refuse("two first seals", twice).await;
    let mut stranger = honest().await;
    stranger
        .node
        .grants
        .push(ticrypt_store::grant::GrantNew { epoch: 2, ..lab.grant(study.study, study.pi, study.pi, friend, Verbs::VIEW) });
    refuse("a seal for somebody new", stranger).await;
    let mut elsewhere = honest().await;
    elsewhere.parent_head = Some(lab.next_head(study.study).await);
    refuse("the head of another directory", elsewhere).await;
    lab.store.tag(honest().await).await.unwrap();
}

pub async fn what_tells_people_apart(db: Db) {
    let study = study(db).await;
    let (lab, pi) = (&study.lab, study.pi);
    let (friend, shared) = (lab.active("ada").await, lab.directory(pi, study.home, "shared").await);
    let listed = async |owner, after| lab.store.judged_apart(owner, after, 10).await.unwrap();
    // A root has its owner's seal; what has neither tag nor share goes with the directory that it is in.
    assert_eq!(listed(pi, None).await, [study.home]);
    let grant = lab.share(pi, shared, friend, Verbs::VIEW).await;
    study.tag(study.study, &[study.project]).await.unwrap();
    let mut all = vec![study.home, study.study, shared];
    all.sort_unstable();
    assert_eq!(listed(pi, None).await, all);
    assert_eq!(listed(pi, Some(all[0])).await, all[1..]);
    assert_eq!(lab.store.judged_apart(pi, None, 2).await.unwrap(), all[..2]);
    assert_eq!(listed(friend, None).await, [], "what others share is theirs to ask about");
    // An ended share tells nobody apart, and what lies in the trash is reached by nobody.
    lab.end(pi, &grant).await.unwrap();
    let permit = may_trash(&study.actor().await, &study.facts(study.study).await, NOW).unwrap();
    lab.store.trash(vec![permit], vec![lab.next_head(study.home).await], NOW).await.unwrap();
    assert_eq!(listed(pi, None).await, [study.home]);
}

pub async fn what_passes_by_the_clock_is_told(db: Db) {
    let lab = db.open().await;
    let (pi, ada) = (lab.super_admin("pi").await, lab.active("ada").await);
    let project = lab.make(pi, None, "Florida", None).await;
    lab.join(pi, project, ada, at(8_000_000), NOW).await;
    assert_eq!(lab.store.people_losing(NOW, at(7_999_999)).await.unwrap(), []);
    assert_eq!(lab.store.people_losing(at(7_999_999), at(8_000_000)).await.unwrap(), [ada]);
    assert_eq!(lab.store.people_losing(at(8_000_000), at(9_000_000)).await.unwrap(), []);
}
