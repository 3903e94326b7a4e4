//! Groups: the rows their heads come to, who has the key, and what their directory is to whom.

use std::collections::BTreeMap;

use ticrypt_policy::group::{may_change_group, may_create_group, may_delete_group, may_rename_group, may_seal_group};
use ticrypt_policy::node::{may_create, may_rekey};
use ticrypt_policy::roster::{Roster, RosterMember};
use ticrypt_policy::user::{Registration, RegistrationFacts, may_deactivate, may_register, may_rotate_bundle};
use ticrypt_policy::{Denial, Permit, permit};
use ticrypt_store::group::{Group, GroupChanged, GroupHeadNew, GroupNew, GroupSeal, OwnGroup};
use ticrypt_store::node::{CreateNodes, HeadNew, Rekey};
use ticrypt_store::user::UserNew;
use ticrypt_store::{StoreError, Taken};
use ticrypt_types::user::InactiveCause;
use ticrypt_types::{GroupChange, GroupId, GroupPermissions as May, GroupStep, NodeId, NotificationKind as Kind, UserId, Verbs};

use crate::lab::{Db, Lab, MAKING, NOW, actor};
use crate::rekey::keys_of;

/// The identity with which people are added.
const BELIEVED: [u8; 32] = [7; 32];

pub fn change(user: UserId, step: GroupStep) -> GroupChange {
    GroupChange { user, step }
}

fn add(user: UserId, permissions: May) -> GroupChange {
    change(user, GroupStep::Add { bundle: BELIEVED, permissions })
}

fn member(permissions: May) -> RosterMember {
    RosterMember { permissions, bundle: BELIEVED }
}

/// A group owned by a super-admin, and ada in it as a user; both have the key.
pub struct Circle {
    pub lab: Lab,
    pub owner: UserId,
    pub ada: UserId,
    pub group: GroupId,
    pub root: NodeId,
}

pub async fn circle(db: Db) -> Circle {
    let lab = db.open().await;
    let (owner, ada) = (lab.super_admin("owner").await, lab.active("ada").await);
    let (permit, new) = lab.founding(owner, "Circle", &[add(ada, May::USER)]).await;
    let (group, root) = (permit.on(), new.grant.node);
    lab.store.create_group(permit, new).await.unwrap();
    Circle { lab, owner, ada, group, root }
}

impl Lab {
    pub async fn group_seal(&self, member: UserId, generation: u32) -> GroupSeal {
        let bundle = self.store.user(member).await.unwrap().unwrap().bundle;
        GroupSeal { member, generation, bundle, bundle_generation: 1, sealed: self.draw().to_vec() }
    }

    /// What an honest client sends to found a group, with seals to everybody in it.
    async fn founding(&self, founder: UserId, name: &str, others: &[GroupChange]) -> (Permit<permit::GroupCreate>, GroupNew) {
        let group = GroupId::from_random(self.draw());
        let changes = [&[add(founder, May::ALL)], others].concat();
        let (permit, roster) = may_create_group(&actor(founder), group, &changes, |_| true, NOW).unwrap();
        let mut seals = Vec::new();
        for user in roster.members().keys() {
            seals.push(self.group_seal(*user, 1).await);
        }
        let root = self.node_id();
        let root_head = HeadNew { directory: root, counter: 1, epoch: 1, previous: None, hash: self.digest(), bytes: b"first".to_vec() };
        let new = GroupNew {
            name: name.parse().unwrap(),
            head: self.group_head(None, changes, false),
            roster,
            seals,
            root_head,
            grant: self.grant(root, group.as_owner(), founder, group.as_owner(), Verbs::ALL),
            at: NOW,
        };
        (permit, new)
    }

    fn group_head(&self, before: Option<&Group>, changes: Vec<GroupChange>, renews: bool) -> GroupHeadNew {
        GroupHeadNew {
            counter: before.map_or(0, |group| group.counter) + 1,
            hash: self.digest(),
            previous: before.map(|group| group.head),
            envelope: b"group head".to_vec(),
            generation: before.map_or(1, |group| group.generation + u32::from(renews)),
            renews: renews || before.is_none(),
            changes,
            log_index: 5,
            log_leaf: b"leaf".to_vec(),
        }
    }

    async fn deactivate(&self, admin: UserId, user: UserId) {
        let facts = self.store.user_facts(user, NOW).await.unwrap().unwrap();
        let permit = may_deactivate(&self.actor(admin).await, &facts, "left", NOW).unwrap();
        self.store.deactivate(permit, InactiveCause::Administrator, "left".into(), self.statement(user, 2)).await.unwrap();
    }

    /// What somebody was told of groups, and by whom.
    async fn told_of_groups(&self, user: UserId) -> Vec<(Kind, GroupId, UserId)> {
        let told = self.store.notifications_after(user, 0, 100).await.unwrap();
        told.iter().filter_map(|one| Some((one.kind?, one.group?, one.other?))).collect()
    }
}

impl Circle {
    pub async fn found(&self) -> Group {
        self.lab.store.group(self.group).await.unwrap().unwrap()
    }

    async fn own(&self, user: UserId) -> Option<OwnGroup> {
        self.lab.store.own_group(self.group, user).await.unwrap()
    }

    async fn roster(&self) -> Roster {
        self.lab.store.group_facts(self.group).await.unwrap().unwrap().roster
    }

    async fn waiting(&self) -> Vec<UserId> {
        self.lab.store.group_waiting(self.group, 10).await.unwrap()
    }

    async fn is_open(&self) -> bool {
        self.lab.facts(self.owner, self.root).await.is_open()
    }

    /// What an honest client sends, as things stand.
    async fn decided(
        &self,
        by: UserId,
        changes: &[GroupChange],
        renews: bool,
        sealed: &[UserId],
    ) -> (Permit<permit::GroupChange>, GroupChanged) {
        let (facts, before) = (self.lab.store.group_facts(self.group).await.unwrap().unwrap(), self.found().await);
        let (permit, roster) = may_change_group(&actor(by), &facts, changes, renews, |_| true, NOW).unwrap();
        let head = self.lab.group_head(Some(&before), changes.to_vec(), renews);
        let mut seals = Vec::new();
        for user in sealed {
            seals.push(self.lab.group_seal(*user, head.generation).await);
        }
        (permit, GroupChanged { head, roster, seals, at: NOW })
    }

    /// Does it, and looks whether the rows say what the rules said.
    pub async fn change(&self, by: UserId, changes: &[GroupChange], renews: bool, sealed: &[UserId]) {
        let (permit, changed) = self.decided(by, changes, renews, sealed).await;
        let expected = changed.roster.clone();
        self.lab.store.change_group(permit, changed).await.unwrap();
        assert_eq!(self.roster().await, expected);
    }

    async fn seal(&self, by: UserId, generation: u32, seals: Vec<GroupSeal>) -> Result<u64, StoreError> {
        let members: Vec<UserId> = self.roster().await.members().keys().copied().collect();
        let facts = self.lab.store.group_facts(self.group).await.unwrap().unwrap();
        let permit = may_seal_group(&actor(by), &facts, &members, NOW).unwrap();
        self.lab.store.seal_group(permit, generation, seals, NOW).await
    }

    /// New keys for the root, by any member.
    async fn roll(&self, by: UserId) {
        let permit = may_rekey(&actor(by), &self.lab.facts(by, self.root).await, NOW).unwrap();
        let (parent_head, step) = keys_of(&self.lab, by, self.root, permit).await;
        self.lab.store.rekey(Rekey { parent_head, nodes: vec![step] }).await.unwrap();
        assert!(self.is_open().await);
    }
}

pub async fn a_group_and_its_directory(db: Db) {
    let circle = circle(db).await;
    let (lab, owner, ada, group, root) = (&circle.lab, circle.owner, circle.ada, circle.group, circle.root);
    let eve = lab.active("eve").await;
    let found = circle.found().await;
    assert_eq!((found.owner, found.root, found.counter, found.generation, found.revision), (owner, root, 1, 1, 1));
    assert!(!found.key_lost && found.created == NOW);
    let own = circle.own(ada).await.unwrap();
    assert_eq!((own.permissions, own.members, own.waiting, own.has_key), (May::USER, 2, 0, true));
    assert_eq!((own.group, circle.own(eve).await), (found.clone(), None));
    let (permit, new) = lab.founding(owner, "A circle", &[]).await;
    lab.store.create_group(permit, new).await.unwrap();
    let names = async |user, limit| {
        let groups = lab.store.groups_of(user, limit).await.unwrap();
        groups.into_iter().map(|own| own.group.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!((names(owner, 10).await, names(owner, 1).await), (vec!["A circle".into(), "Circle".into()], vec!["A circle".into()]));
    assert_eq!((names(ada, 10).await, names(eve, 10).await), (vec!["Circle".into()], vec![]));
    let facts = lab.store.group_facts(group).await.unwrap().unwrap();
    let members = BTreeMap::from([(owner, member(May::ALL)), (ada, member(May::USER))]);
    assert_eq!((facts.revision, facts.roster), (1, Roster::of(owner, members, false)));
    assert!(facts.label.is_unlocked());
    let heads = lab.store.group_heads(group, 0, 10).await.unwrap();
    assert_eq!((heads.len(), heads[0].hash, heads[0].envelope.as_slice(), heads[0].log_index), (1, found.head, &b"group head"[..], 5));
    assert_eq!(lab.told_of_groups(ada).await, [(Kind::GroupJoined, group, owner)]);
    assert_eq!(lab.told_of_groups(owner).await, []);

    // Its members have the tree, by what the roster gives them, and nobody else.
    let file = lab.file(ada, root, "ada's").await;
    for (user, permissions) in [(owner, Some(May::ALL)), (ada, Some(May::USER)), (eve, None)] {
        let fact = lab.facts(user, file).await.group.unwrap();
        assert_eq!((fact.group, fact.permissions, fact.head), (group, permissions, found.head));
    }
    assert_eq!(lab.facts(eve, file).await.access(&actor(eve), NOW), Err(Denial::NotFound));
    let (mut reached, mut both) = (lab.store.people_reaching(file).await.unwrap(), [owner, ada]);
    reached.sort_unstable();
    both.sort_unstable();
    assert_eq!(reached, both);
    // It is nobody's home and nobody's share.
    let home = lab.home(owner).await;
    assert_eq!(lab.facts(owner, home).await.group, None);
    assert_eq!(lab.facts(ada, home).await.group, None);
    assert_eq!(lab.store.home(owner).await.unwrap().unwrap().id, home);
    assert!(lab.store.lost_homes(owner).await.unwrap().is_empty() && lab.store.home(ada).await.unwrap().is_none());
    assert!(lab.store.shared_by(owner, NOW, None, 10).await.unwrap().is_empty());
    assert!(lab.store.shared_with(ada, NOW, None, 10).await.unwrap().is_empty());
}

pub async fn what_is_in_ones_groups_tells_people_apart(db: Db) {
    let circle = circle(db).await;
    let of = async |user| circle.lab.store.judged_apart(user, None, 10).await.unwrap();
    // Of a group its owner asks, and no other member.
    assert_eq!((of(circle.owner).await, of(circle.ada).await), (vec![circle.root], vec![]));
}

pub async fn a_group_is_founded_whole_or_not_at_all(db: Db) {
    let circle = circle(db).await;
    let (lab, owner) = (&circle.lab, circle.owner);
    let waits = lab.registered("eve").await;
    let refuse = async |what: &str, (permit, new): (Permit<permit::GroupCreate>, GroupNew), expected: StoreError| {
        let (group, root) = (permit.on(), new.grant.node);
        let refused = lab.store.create_group(permit, new).await.unwrap_err();
        assert_eq!(std::mem::discriminant(&refused), std::mem::discriminant(&expected), "{what}: {refused:?}");
        assert_eq!((lab.store.group(group).await.unwrap(), lab.store.node(root).await.unwrap()), (None, None), "{what}");
    };
    let honest = async || lab.founding(owner, "Other", &[]).await;
    refuse("somebody is not active", lab.founding(owner, "Other", &[add(waits, May::USER)]).await, StoreError::Stale("user")).await;
    let (permit, mut sealed) = honest().await;
    sealed.seals[0].bundle = lab.digest();
    refuse("a key that is not theirs", (permit, sealed), StoreError::Stale("identity")).await;
    let (permit, mut second) = honest().await;
    second.head.counter = 2;
    refuse("no first head", (permit, second), StoreError::Invalid("")).await;
    let (permit, mut elsewhere) = honest().await;
    elsewhere.grant.recipient = owner;
    refuse("a directory for somebody", (permit, elsewhere), StoreError::Invalid("")).await;
    let (permit, mut other) = honest().await;
    other.root_head.directory = circle.root;
    refuse("the head of another directory", (permit, other), StoreError::Invalid("")).await;

    // A group and an account never have one id, whichever comes first.
    let under = async |id: UserId| {
        let (group, (_, mut new)) = (GroupId::of_owner(id), honest().await);
        (new.grant.owner, new.grant.recipient) = (id, id);
        let (permit, _) = may_create_group(&actor(owner), group, &[add(owner, May::ALL)], |_| true, NOW).unwrap();
        lab.store.create_group(permit, new).await
    };
    assert!(matches!(under(circle.ada).await, Err(StoreError::Taken(Taken::GroupId))));
    assert!(matches!(under(circle.group.as_owner()).await, Err(StoreError::Taken(Taken::GroupId))));
    assert!(matches!(register(lab, circle.group.as_owner()).await, Err(StoreError::Taken(Taken::UserId))));
}

async fn register(lab: &Lab, user: UserId) -> Result<(), StoreError> {
    let facts = RegistrationFacts { user, registration: Registration::Open, name_taken: false };
    let new = UserNew { id: user, name: "mallory".parse().unwrap(), created: NOW };
    lab.store.register(may_register(&facts, NOW).unwrap(), new, lab.bundle(user, 0)).await
}

pub async fn who_is_in_a_group_follows_its_heads(db: Db) {
    let circle = circle(db).await;
    let (lab, owner, ada, group) = (&circle.lab, circle.owner, circle.ada, circle.group);
    let (bob, eve) = (lab.active("bob").await, lab.active("eve").await);
    circle.change(owner, &[add(bob, May::MANAGER), add(eve, May::NONE)], false, &[bob]).await;
    assert_eq!(circle.waiting().await, [eve]);
    let own = circle.own(eve).await.unwrap();
    assert_eq!((own.permissions, own.members, own.waiting, own.has_key), (May::NONE, 4, 1, false));
    assert!(circle.is_open().await, "who comes takes nothing from anybody");
    circle.change(bob, &[change(ada, GroupStep::Permit(May::NONE))], false, &[]).await;
    assert_eq!(lab.facts(ada, circle.root).await.group.unwrap().permissions, Some(May::NONE));
    circle.change(owner, &[change(bob, GroupStep::Own)], false, &[]).await;
    assert_eq!((circle.found().await.owner, circle.own(bob).await.unwrap().permissions), (bob, May::ALL));
    // Whoever removes makes a key that the removed do not get.
    circle.change(owner, &[change(ada, GroupStep::Remove)], true, &[owner, bob]).await;
    assert_eq!((circle.own(ada).await, lab.store.group_seal(group, ada).await.unwrap()), (None, None));
    let found = circle.found().await;
    assert_eq!((found.counter, found.generation, found.revision, found.key_lost), (5, 2, 5, false));
    assert_eq!(lab.store.group_seal(group, bob).await.unwrap().unwrap().generation, 2);
    assert_eq!(circle.waiting().await, [eve]);
    let page = async |after, limit| {
        let heads = lab.store.group_heads(group, after, limit).await.unwrap();
        heads.into_iter().map(|head| head.counter).collect::<Vec<_>>()
    };
    assert_eq!((page(0, 2).await, page(2, 10).await, page(5, 10).await), (vec![1, 2], vec![3, 4, 5], vec![]));
    assert_eq!(lab.store.group_heads(group, 4, 1).await.unwrap()[0].hash, found.head);
    // Each was told by who did it; who leaves knows.
    circle.change(owner, &[change(owner, GroupStep::Remove)], false, &[]).await;
    assert_eq!(lab.told_of_groups(ada).await, [(Kind::GroupJoined, group, owner), (Kind::GroupLeft, group, owner)]);
    assert_eq!(lab.told_of_groups(bob).await, [(Kind::GroupJoined, group, owner), (Kind::GroupOwned, group, owner)]);
    assert_eq!(lab.told_of_groups(owner).await, []);
}

pub async fn decisions_about_groups_go_stale(db: Db) {
    let circle = circle(db).await;
    let (lab, owner, ada, group) = (&circle.lab, circle.owner, circle.ada, circle.group);
    let (bob, eve) = (lab.active("bob").await, lab.active("eve").await);
    let stale = async |what: &str, (permit, changed): (Permit<permit::GroupChange>, GroupChanged), which: &str| {
        let before = (circle.found().await, circle.roster().await);
        let refused = lab.store.change_group(permit, changed).await;
        assert!(matches!(refused, Err(StoreError::Stale(found)) if found == which), "{what}: {refused:?}");
        assert_eq!((circle.found().await, circle.roster().await), before, "{what}: undone whole");
    };
    let adding = async |user| circle.decided(owner, &[add(user, May::USER)], false, &[user]).await;
    let late = adding(eve).await;
    circle.change(owner, &[add(bob, May::USER)], false, &[bob]).await;
    stale("another head came", late, "group").await;
    let late = adding(eve).await;
    let rename = async || may_rename_group(&actor(owner), &lab.store.group_facts(group).await.unwrap().unwrap(), NOW).unwrap();
    let late_name = rename().await;
    lab.store.rename_group(rename().await, "Renamed".parse().unwrap()).await.unwrap();
    stale("a new name came", late, "group").await;
    assert!(matches!(lab.store.rename_group(late_name, "Late".parse().unwrap()).await, Err(StoreError::Stale("group"))));
    assert_eq!(circle.found().await.name.to_string(), "Renamed");
    let (permit, mut forked) = adding(eve).await;
    forked.head.previous = Some(lab.digest());
    stale("on another head", (permit, forked), "group").await;
    let (permit, mut skipping) = adding(eve).await;
    skipping.head.counter += 1;
    stale("a head is missing", (permit, skipping), "group").await;
    let (permit, mut ahead) = adding(eve).await;
    ahead.head.generation += 2;
    assert!(matches!(lab.store.change_group(permit, ahead).await, Err(StoreError::Invalid(_))));

    // What was decided on people who are not what they were.
    let rotated = adding(eve).await;
    let permit = may_rotate_bundle(&lab.actor(eve).await, 0, NOW).unwrap();
    lab.store.rotate(permit, lab.bundle(eve, 1), false).await.unwrap();
    stale("a new identity", rotated, "identity").await;
    let owning = circle.decided(owner, &[change(bob, GroupStep::Own)], false, &[]).await;
    let inactive = adding(eve).await;
    lab.deactivate(owner, eve).await;
    stale("an account that ended", inactive, "user").await;
    lab.deactivate(owner, bob).await;
    stale("the key was lost", owning, "group").await;
    let owning = circle.decided(owner, &[change(bob, GroupStep::Own)], false, &[]).await;
    stale("an owner whose account ended", owning, "user").await;

    // Whoever loses a permission does not write on it.
    circle.change(owner, &[], true, &[owner, ada]).await;
    circle.roll(ada).await;
    let permit = may_create(&actor(ada), &lab.facts(ada, circle.root).await, MAKING, NOW).unwrap();
    circle.change(owner, &[change(ada, GroupStep::Permit(May::NONE))], false, &[]).await;
    let create = CreateNodes { head: lab.next_head(circle.root).await, nodes: vec![], created: NOW };
    assert!(matches!(lab.store.create_nodes(permit, create).await, Err(StoreError::Stale("list of shares"))));
}

pub async fn a_lost_key_closes_the_directory(db: Db) {
    let circle = circle(db).await;
    let (lab, owner, ada, group) = (&circle.lab, circle.owner, circle.ada, circle.group);
    let [bob, eve, joe, kim] = [lab.active("bob").await, lab.active("eve").await, lab.active("joe").await, lab.active("kim").await];
    let added = [bob, eve, joe, kim].map(|user| add(user, May::USER));
    circle.change(owner, &added, false, &[bob, eve, joe, kim]).await;
    let file = lab.file(ada, circle.root, "file").await;
    let closed = async |what: &str, key_lost: bool| {
        assert_eq!((circle.is_open().await, circle.found().await.key_lost), (false, key_lost), "{what}");
        assert!(!lab.facts(owner, file).await.is_open(), "{what}");
    };
    circle.change(owner, &[change(bob, GroupStep::Remove)], true, &[owner, ada, eve, joe, kim]).await;
    closed("removed", false).await;
    circle.roll(ada).await;
    // Who leaves makes no key, since they would know it.
    circle.change(eve, &[change(eve, GroupStep::Remove)], false, &[]).await;
    closed("left", true).await;
    circle.change(owner, &[change(ada, GroupStep::Permit(May::MANAGER))], false, &[]).await;
    closed("left, and a head since", true).await;
    circle.change(ada, &[], true, &[owner, ada, joe, kim]).await;
    closed("a new key, and the directory not rolled yet", false).await;
    circle.roll(owner).await;

    lab.deactivate(owner, joe).await;
    closed("deactivated", true).await;
    // Who is not active is sealed no key, and waits for none.
    circle.change(ada, &[], true, &[owner, ada, joe, kim]).await;
    circle.roll(owner).await;
    assert_eq!(lab.store.group_seal(group, joe).await.unwrap().unwrap().generation, 3);
    assert_eq!((circle.waiting().await, circle.own(joe).await.unwrap().has_key), (vec![], false));
    lab.reset(owner, joe, NOW).await;
    assert!(circle.is_open().await && !circle.found().await.key_lost, "only older keys were lost");

    lab.reset(owner, kim, NOW).await;
    closed("reset", true).await;
    assert_eq!((lab.store.group_seal(group, kim).await.unwrap(), circle.waiting().await), (None, vec![kim]));
    circle.change(owner, &[], true, &[owner, ada, kim]).await;
    circle.roll(kim).await;
    let permit = may_rotate_bundle(&lab.actor(ada).await, 0, NOW).unwrap();
    lab.store.rotate(permit, lab.bundle(ada, 1), true).await.unwrap();
    closed("taken", true).await;
}

pub async fn the_newest_key_is_sealed_once_to_each(db: Db) {
    let circle = circle(db).await;
    let (lab, owner, ada, group) = (&circle.lab, circle.owner, circle.ada, circle.group);
    let (bob, eve) = (lab.active("bob").await, lab.active("eve").await);
    circle.change(owner, &[add(bob, May::USER), add(eve, May::USER)], false, &[]).await;
    let stored = async |user| lab.store.group_seal(group, user).await.unwrap();
    let first = lab.group_seal(bob, 1).await;
    assert_eq!(circle.seal(ada, 1, vec![first.clone()]).await.unwrap(), 1);
    assert_eq!(stored(bob).await, Some(first.clone()));
    circle.seal(owner, 1, vec![lab.group_seal(bob, 1).await]).await.unwrap();
    assert_eq!(stored(bob).await, Some(first.clone()), "whoever is first");
    // To another identity it is another seal; to one that is not theirs now it is none.
    let permit = may_rotate_bundle(&lab.actor(bob).await, 0, NOW).unwrap();
    lab.store.rotate(permit, lab.bundle(bob, 1), false).await.unwrap();
    let both = vec![lab.group_seal(eve, 1).await, first];
    assert!(matches!(circle.seal(ada, 1, both).await, Err(StoreError::Stale("identity"))));
    assert_eq!(stored(eve).await, None, "all or nothing");
    let again = lab.group_seal(bob, 1).await;
    circle.seal(ada, 1, vec![again.clone()]).await.unwrap();
    assert_eq!(stored(bob).await, Some(again));
    // A younger key takes the place of the older.
    let (late, mixed) = (vec![lab.group_seal(eve, 1).await], vec![lab.group_seal(eve, 2).await]);
    circle.change(owner, &[], true, &[owner]).await;
    assert!(matches!(circle.seal(owner, 1, late.clone()).await, Err(StoreError::Stale("group"))));
    assert!(matches!(circle.seal(owner, 2, late).await, Err(StoreError::Invalid(_))));
    let mut expected = vec![ada, bob, eve];
    expected.sort_unstable();
    assert_eq!((circle.waiting().await, circle.own(bob).await.unwrap().has_key), (expected, false));
    assert_eq!(circle.seal(owner, 2, mixed).await.unwrap(), 2);
    let younger = vec![lab.group_seal(bob, 2).await, lab.group_seal(ada, 2).await];
    assert_eq!(circle.seal(owner, 2, younger).await.unwrap(), 0);
    assert!(circle.own(bob).await.unwrap().has_key);
    let stranger = vec![lab.group_seal(lab.active("mallory").await, 2).await];
    assert!(matches!(circle.seal(owner, 2, stranger).await, Err(StoreError::Stale("group"))));
}

pub async fn a_deleted_group_leaves_nothing(db: Db) {
    let circle = circle(db).await;
    let (lab, owner, ada, group, root) = (&circle.lab, circle.owner, circle.ada, circle.group, circle.root);
    let directory = lab.directory(ada, root, "directory").await;
    let file = lab.file(ada, directory, "file").await;
    let delete = async || may_delete_group(&actor(owner), &lab.store.group_facts(group).await.unwrap().unwrap(), NOW).unwrap();
    let late = delete().await;
    circle.change(owner, &[change(ada, GroupStep::Permit(May::NONE))], false, &[]).await;
    assert!(matches!(lab.store.delete_group(late, NOW).await, Err(StoreError::Stale("group"))));
    let deleted = lab.store.delete_group(delete().await, NOW).await.unwrap();
    assert_eq!(deleted.iter().map(|version| version.file).collect::<Vec<_>>(), [file]);
    assert_eq!((lab.store.group(group).await.unwrap(), circle.own(ada).await), (None, None));
    assert_eq!((lab.store.group_facts(group).await.unwrap(), circle.waiting().await), (None, vec![]));
    assert_eq!((lab.store.group_heads(group, 0, 10).await.unwrap(), lab.store.group_seal(group, ada).await.unwrap()), (vec![], None));
    for node in [root, directory, file] {
        assert_eq!(lab.store.node(node).await.unwrap(), None);
    }
    assert!(lab.store.grants_on(&[root]).await.unwrap().is_empty());
    assert_eq!(lab.told_of_groups(ada).await.last(), Some(&(Kind::GroupLeft, group, owner)));
    assert_eq!(lab.told_of_groups(owner).await, []);
    // No id of it comes again, as whatever.
    let (_, mut again) = lab.founding(owner, "Again", &[]).await;
    (again.grant.owner, again.grant.recipient) = (group.as_owner(), group.as_owner());
    let (permit, _) = may_create_group(&actor(owner), group, &[add(owner, May::ALL)], |_| true, NOW).unwrap();
    assert!(matches!(lab.store.create_group(permit, again).await, Err(StoreError::Taken(Taken::GroupId))));
    assert!(matches!(register(lab, group.as_owner()).await, Err(StoreError::Taken(Taken::UserId))));
    let (permit, mut again) = lab.founding(owner, "Again", &[]).await;
    (again.grant.node, again.root_head.directory) = (root, root);
    assert!(matches!(lab.store.create_group(permit, again).await, Err(StoreError::Taken(Taken::NodeId))));
}
