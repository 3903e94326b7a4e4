//! Keys of groups for what carries tags: who holds them, and what is closed when somebody ceases to.

use ticrypt_policy::compartment::{CompartmentFacts, may_renew_compartment, may_seal_compartment};
use ticrypt_policy::tag::{Retag, may_retag};
use ticrypt_policy::{Actor, Denial, Label};
use ticrypt_store::Digest;
use ticrypt_store::StoreError;
use ticrypt_store::grant::GrantNew;
use ticrypt_store::group::{CompartmentRenewed, GroupHead};
use ticrypt_store::node::TagNode;
use ticrypt_types::{Compartment, GroupStep, NodeId, Permissions, ProjectId, Timestamp, UserId, Verbs};

use crate::groups::{Circle, change, circle};
use crate::lab::{Db, NOW};
use crate::rekey::keys_of;

/// A group whose two members are in a project, and work in it.
struct Tagged {
    circle: Circle,
    project: ProjectId,
    compartment: Compartment,
}

async fn tagged(db: Db) -> Tagged {
    let circle = circle(db).await;
    let project = circle.lab.make(circle.owner, None, "Texas", None).await;
    circle.lab.join(circle.owner, project, circle.ada, Timestamp::ABSENT, NOW).await;
    for user in [circle.owner, circle.ada] {
        circle.lab.work_in(user, &[project]).await;
    }
    Tagged { circle, project, compartment: Compartment::of([project]).unwrap() }
}

impl Tagged {
    async fn facts(&self) -> CompartmentFacts {
        self.circle.lab.store.compartment_facts(self.circle.group, &self.compartment).await.unwrap().unwrap()
    }

    async fn waiting(&self) -> Vec<UserId> {
        self.facts().await.waiting(NOW).collect()
    }

    async fn actor(&self, user: UserId) -> Actor {
        Actor { permissions: Permissions::all(), ..self.circle.lab.actor(user).await }
    }

    /// What an honest client sends to begin the next generation.
    async fn renewal(&self, by: UserId, sealed: &[UserId]) -> CompartmentRenewed {
        let (lab, group) = (&self.circle.lab, self.circle.group);
        let before = lab.store.compartment(group, &self.compartment).await.unwrap();
        let generation = before.as_ref().map_or(0, |before| before.generation) + 1;
        let mut seals = Vec::new();
        for user in sealed {
            seals.push(lab.group_seal(*user, generation).await);
        }
        assert!(sealed.contains(&by), "whoever begins it holds it");
        let head = GroupHead {
            counter: generation.into(),
            hash: lab.digest(),
            envelope: b"head".to_vec(),
            log_index: 7,
            log_leaf: b"leaf".to_vec(),
        };
        CompartmentRenewed {
            compartment: self.compartment.clone(),
            head,
            previous: before.map(|before| before.head),
            authority: self.circle.found().await.head,
            seals,
            at: NOW,
        }
    }

    async fn renew(&self, by: UserId, sealed: &[UserId]) -> Digest {
        let permit = may_renew_compartment(&self.actor(by).await, &self.facts().await, sealed, NOW).unwrap();
        let renewal = self.renewal(by, sealed).await;
        let head = renewal.head.hash;
        self.circle.lab.store.renew_compartment(permit, renewal).await.unwrap();
        head
    }

    async fn seal(&self, by: UserId, to: UserId, generation: u32) -> Result<(), StoreError> {
        let permit = may_seal_compartment(&self.actor(by).await, &self.facts().await, &[to], NOW).unwrap();
        let seal = self.circle.lab.group_seal(to, generation).await;
        self.circle.lab.store.seal_compartment(permit, self.compartment.clone(), vec![seal], NOW).await
    }

    /// A directory of the group with the tag, under the key that this head began.
    async fn directory(&self, head: Digest) -> NodeId {
        let (lab, owner, group) = (&self.circle.lab, self.circle.owner, self.circle.group.as_owner());
        lab.work_in(owner, &[]).await;
        let node = lab.directory(owner, self.circle.root, "tx").await;
        lab.work_in(owner, &[self.project]).await;
        let tags = Label::of(lab.store.lines(&[self.project]).await.unwrap()).unwrap();
        let retag = Retag { place: Label::UNLOCKED, tags: tags.clone(), below: vec![] };
        let permit = may_retag(&self.actor(owner).await, &lab.facts(owner, node).await, &retag, NOW).unwrap();
        let (parent_head, mut step) = keys_of(lab, owner, node, permit).await;
        let verbs = Verbs::VIEW.and(Verbs::DOWNLOAD).and(Verbs::EDIT);
        step.grants.push(GrantNew { epoch: step.epoch, recipient_bundle: head, ..lab.grant(node, group, owner, group, verbs) });
        lab.store.tag(TagNode { node: step, parent_head, tags, below: vec![] }).await.unwrap();
        node
    }

    async fn is_open(&self, node: NodeId) -> bool {
        self.circle.lab.facts(self.circle.owner, node).await.is_open()
    }

    async fn leave_project(&self, user: UserId) {
        self.circle.lab.put_out(self.circle.owner, self.project, user).await;
    }
}

pub async fn a_key_for_tags_and_who_holds_it(db: Db) {
    let tagged = tagged(db).await;
    let Circle { lab, owner, ada, group, .. } = &tagged.circle;
    let (owner, ada, group) = (*owner, *ada, *group);
    let mut both = vec![owner, ada];
    both.sort_unstable();
    assert_eq!((tagged.waiting().await, tagged.facts().await.generation), (both, 0));
    let first = tagged.renew(owner, &[owner]).await;
    assert_eq!((tagged.waiting().await, tagged.facts().await.generation), (vec![ada], 1));
    tagged.seal(owner, ada, 1).await.unwrap();
    assert!(tagged.waiting().await.is_empty());
    let begun = |user| async move { lab.store.compartments_begun(&[first], user).await.unwrap().remove(&first).unwrap() };
    assert!(begun(ada).await.has_key && begun(ada).await.compartment == tagged.compartment);
    assert!(!begun(lab.active("eve").await).await.has_key);
    let node = tagged.directory(first).await;
    let facts = lab.facts(owner, node).await;
    assert_eq!((facts.compartment().unwrap(), facts.has_own_keys(), facts.is_open()), (tagged.compartment.clone(), true, true));

    // Out of the project: the key is worthless, and what is under it closed until there is another.
    tagged.leave_project(ada).await;
    assert!(tagged.facts().await.is_closed(NOW) && !tagged.is_open(node).await);
    let second = tagged.renew(owner, &[owner]).await;
    assert!(!tagged.facts().await.is_closed(NOW) && tagged.waiting().await.is_empty());
    assert_eq!(lab.store.compartment_heads(group, &tagged.compartment, 0, 10).await.unwrap().len(), 2);
    assert_eq!(lab.store.compartment_heads(group, &tagged.compartment, 1, 10).await.unwrap()[0].hash, second);
    // Back again, they wait.
    lab.join(owner, tagged.project, ada, Timestamp::ABSENT, NOW).await;
    assert_eq!(tagged.waiting().await, [ada]);
    tagged.seal(owner, ada, 2).await.unwrap();

    // Out of the group: likewise, and their seal is gone.
    tagged.circle.change(owner, &[change(ada, GroupStep::Remove)], true, &[owner]).await;
    assert!(tagged.facts().await.is_closed(NOW));
    assert_eq!(lab.store.compartment_seal(group, &tagged.compartment, ada).await.unwrap(), None);
    let denied = may_seal_compartment(&tagged.actor(owner).await, &tagged.facts().await, &[ada], NOW);
    assert_eq!(denied.err(), Some(Denial::NotHolder));
    tagged.renew(owner, &[owner]).await;
    assert_eq!(lab.store.compartments_of(group).await.unwrap().len(), 1);
    // Tags of no project are no compartment.
    let nowhere = Compartment::of([ProjectId::from_random(lab.draw())]).unwrap();
    assert!(lab.store.compartment_facts(group, &nowhere).await.unwrap().is_none());
}

pub async fn a_clock_closes_a_key_for_tags(db: Db) {
    let tagged = tagged(db).await;
    let Circle { lab, owner, ada, .. } = &tagged.circle;
    lab.join(*owner, tagged.project, *ada, soon(5), NOW).await;
    tagged.renew(*owner, &[*owner, *ada]).await;
    let facts = tagged.facts().await;
    assert!(!facts.is_closed(soon(4)));
    assert!(facts.is_closed(soon(5)), "at the moment at which it ends, it has ended");
}

pub async fn decisions_about_keys_for_tags_go_stale(db: Db) {
    let tagged = tagged(db).await;
    let Circle { lab, owner, ada, group, .. } = &tagged.circle;
    let (owner, ada, group) = (*owner, *ada, *group);
    let permit = async || may_renew_compartment(&tagged.actor(owner).await, &tagged.facts().await, &[owner], NOW).unwrap();
    // Two begin it at once: one of them is first.
    let (early, late) = (permit().await, permit().await);
    let (one, other) = (tagged.renewal(owner, &[owner]).await, tagged.renewal(owner, &[owner]).await);
    lab.store.renew_compartment(early, one).await.unwrap();
    let stale = |result: Result<(), StoreError>, what| assert!(matches!(&result, Err(StoreError::Stale(of)) if *of == what), "{result:?}");
    stale(lab.store.renew_compartment(late, other).await, "compartment");
    // The group moved on meanwhile.
    let (decided, renewal) = (permit().await, tagged.renewal(owner, &[owner]).await);
    tagged.circle.change(owner, &[change(ada, GroupStep::Permit(ticrypt_types::GroupPermissions::NONE))], false, &[]).await;
    stale(lab.store.renew_compartment(decided, renewal).await, "group");
    // Another head before it than the stored one.
    let renewal = CompartmentRenewed { previous: Some(lab.digest()), ..tagged.renewal(owner, &[owner]).await };
    stale(lab.store.renew_compartment(permit().await, renewal).await, "compartment");
    // A seal of a key that is not the newest, and one to keys that the member has not.
    let sealing = may_seal_compartment(&tagged.actor(owner).await, &tagged.facts().await, &[ada], NOW).unwrap();
    tagged.renew(owner, &[owner]).await;
    let seal = lab.group_seal(ada, 1).await;
    stale(lab.store.seal_compartment(sealing, tagged.compartment.clone(), vec![seal], NOW).await, "compartment");
    assert!(matches!(tagged.seal(owner, ada, 1).await, Err(StoreError::Invalid(_))));
    let permit = may_seal_compartment(&tagged.actor(owner).await, &tagged.facts().await, &[ada], NOW).unwrap();
    let seal = ticrypt_store::group::GroupSeal { bundle: [9; 32], ..lab.group_seal(ada, 2).await };
    stale(lab.store.seal_compartment(permit, tagged.compartment.clone(), vec![seal], NOW).await, "identity");
    assert!(lab.store.compartment_seal(group, &tagged.compartment, ada).await.unwrap().is_none());
}

fn soon(ms: u64) -> Timestamp {
    Timestamp::from_millis(NOW.as_millis() + ms)
}
