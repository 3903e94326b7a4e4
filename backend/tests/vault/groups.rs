//! Groups: a head changes what its writer may change, and what is written in a group's tree stands on its newest head.

use ticrypt_api::grant::NewGrant;
use ticrypt_api::group::*;
use ticrypt_api::node::{RekeyRequest, RekeyedNode, TrashQuery, TrashRequest};
use ticrypt_api::role::Vault;
use ticrypt_api::{ApiError, Blob, Hash};
use ticrypt_crypto::group::GroupHeadPayload;
use ticrypt_crypto::{Digest, Envelope};
use ticrypt_types::{GroupChange, GroupId, GroupPermissions, GroupStep, NodeId, NodeKind};

use crate::records::*;
use crate::world::{World, caller, code};

struct Lab {
    world: World,
    ada: Person,
    bob: Person,
    carol: Person,
    head: GroupHeadPayload,
    root: Directory,
    grant: Digest,
}

/// Ada's group, in which Bob is a user; Carol is no member.
async fn lab() -> Lab {
    let world = World::new().await;
    let (ada, bob, carol) = (world.person("ada").await, world.person("bob").await, world.person("carol").await);
    let (request, head, root) = new_group(&ada, "lab", &[(&bob, GroupPermissions::USER)]);
    let grant = Envelope::parse(&request.root.grant.0).unwrap().record_hash();
    let made = world.vault.create_group(&caller(&ada), request.clone()).await.unwrap().body;
    assert_eq!(made, GroupReply { counter: 1, waiting: 0 });
    // The same once more is the same.
    assert_eq!(world.vault.create_group(&caller(&ada), request).await.unwrap().body, made);
    Lab { world, ada, bob, carol, head, root, grant }
}

fn step(person: &Person, step: GroupStep) -> GroupChange {
    GroupChange { user: person.user, step }
}

impl Lab {
    fn group(&self) -> GroupId {
        self.head.group
    }

    async fn change(&self, by: &Person, head: &GroupHeadPayload, seals: Vec<NewGroupSeal>) -> Result<GroupReply, ApiError> {
        let request = GroupChangeRequest { head: by.sign(head), seals };
        self.world.vault.change_group(&caller(by), self.group(), request).await.map(|reply| reply.body)
    }

    async fn read(&self, by: &Person) -> Result<GroupReadReply, ApiError> {
        self.world.vault.group(&caller(by), self.group(), GroupReadQuery::default()).await.map(|reply| reply.body)
    }

    /// The group's directory as its next writer knows it.
    fn root_on(&self, head: &GroupHeadPayload) -> Directory {
        Directory { authority: Some(hash_of(head)), ..self.root.clone() }
    }

    /// New keys of the group's directory, which is empty, sealed to this generation.
    fn new_keys(&self, by: &Person, head: &GroupHeadPayload, key_head: &GroupHeadPayload) -> (RekeyRequest, Directory) {
        let mut root = Directory { epoch: 2, ..self.root_on(head) };
        let terms =
            ticrypt_crypto::grant::GrantPayload { epoch: 2, predecessor: Some(self.grant), ..group_grant(by, head, key_head, root.node) };
        let node = RekeyedNode {
            node: root.node,
            epoch: 2,
            entry: None,
            entries: vec![],
            head: Some(root.advance(by)),
            content_wraps: vec![],
            props_keys: vec![],
            grants: vec![NewGrant { grant: by.sign(&terms), sealed: sealed(terms.verbs) }],
        };
        (RekeyRequest { parent_head: None, nodes: vec![node] }, root)
    }
}

#[tokio::test]
async fn a_head_is_what_its_writer_may_change() {
    let lab = lab().await;
    let (ada, bob, carol) = (&lab.ada, &lab.bob, &lab.carol);
    let missing = ApiError::not_found();
    assert_eq!(lab.read(carol).await.unwrap_err(), missing);
    let by_carol = next_group_head(carol, &lab.head, vec![added(carol, GroupPermissions::ALL)], false);
    assert_eq!(lab.change(carol, &by_carol, vec![group_seal(carol)]).await.unwrap_err(), missing, "whatever it says");
    let by_bob = next_group_head(bob, &lab.head, vec![added(carol, GroupPermissions::NONE)], false);
    assert_eq!(code(lab.change(bob, &by_bob, vec![group_seal(carol)]).await), "group_permission");

    let honest = next_group_head(ada, &lab.head, vec![added(carol, GroupPermissions::NONE)], false);
    type Lie = fn(&mut GroupHeadPayload, &Person, &Person);
    let lies: &[(&str, Lie)] = &[
        ("group_head", |head, _, _| head.group = GroupId::from_random([7; 16])),
        ("group_head", |head, _, _| head.counter = 3),
        ("stale", |head, _, _| head.previous = Some(Digest::new([1; 32]))),
        ("group_head", |head, _, _| head.generation = 2),
        ("other_signer", |head, _, _| head.writer = ticrypt_types::UserId::from_random([7; 16])),
        ("member_bundle", |head, bob, carol| {
            head.changes = vec![GroupChange { user: carol.user, ..added(bob, GroupPermissions::NONE) }];
        }),
        ("member_inactive", |head, _, _| head.changes[0].user = ticrypt_types::UserId::from_random([7; 16])),
        ("already_member", |head, bob, _| head.changes = vec![added(bob, GroupPermissions::NONE)]),
        ("generation_needed", |head, bob, _| head.changes = vec![step(bob, GroupStep::Remove)]),
        ("no_such_member", |head, _, carol| head.changes = vec![step(carol, GroupStep::Own)]),
    ];
    for (at, (expected, lie)) in lies.iter().enumerate() {
        let mut bent = honest.clone();
        lie(&mut bent, bob, carol);
        assert_eq!(code(lab.change(ada, &bent, vec![]).await), *expected, "lie {at}");
    }
    let seal = group_seal(carol);
    let seals: [(&str, Vec<NewGroupSeal>); 5] = [
        ("seal_member", vec![NewGroupSeal { member: ticrypt_types::UserId::from_random([7; 16]), ..seal.clone() }]),
        ("seal_member", vec![seal.clone(), seal.clone()]),
        ("seal_member", vec![group_seal(bob)]),
        ("recipient_bundle", vec![NewGroupSeal { bundle: Hash([1; 32]), ..seal.clone() }]),
        ("invalid", vec![NewGroupSeal { sealed: Blob(vec![1; 10]), ..seal.clone() }]),
    ];
    for (at, (expected, seals)) in seals.into_iter().enumerate() {
        assert_eq!(code(lab.change(ada, &honest, seals).await), expected, "seals {at}");
    }

    // Added without the key, she waits for it until somebody seals it to her.
    assert_eq!(lab.change(ada, &honest, vec![]).await.unwrap(), GroupReply { counter: 2, waiting: 1 });
    assert_eq!(lab.change(ada, &honest, vec![]).await.unwrap().counter, 2, "again");
    let hers = lab.read(carol).await.unwrap();
    assert!(hers.seal.is_none() && !hers.view.has_key && hers.waiting == [carol.user]);
    let sealing = |generation, person| GroupSealRequest { generation, seals: vec![group_seal(person)] };
    let vault = &lab.world.vault;
    assert_eq!(code(vault.seal_group(&caller(bob), lab.group(), sealing(2, carol)).await), "stale");
    assert_eq!(vault.seal_group(&caller(bob), lab.group(), sealing(1, carol)).await.unwrap().body.waiting, 0);
    let hers = lab.read(carol).await.unwrap();
    assert_eq!((hers.seal.unwrap().generation, hers.heads.len(), hers.view.has_key), (1, 2, true));
    let after = GroupReadQuery { after: 1 };
    assert_eq!(vault.group(&caller(carol), lab.group(), after).await.unwrap().body.heads.len(), 1);
    // Every head has its leaf of the key log, with the head's hash in it.
    assert!(hers.heads.iter().all(|view| !view.leaf.leaf.0.is_empty()));
}

#[tokio::test]
async fn what_is_written_stands_on_the_newest_head() {
    let lab = lab().await;
    let (ada, bob, carol, world) = (&lab.ada, &lab.bob, &lab.carol, &lab.world);
    let missing = ApiError::not_found();
    let mut root = lab.root.clone();
    let (file, node) = small_file(bob, &mut root, "f", 10);
    world.create(bob, &mut root, vec![node]).await.unwrap();
    assert_eq!(world.list(ada, root.node).await.unwrap().directories[0].entries.len(), 1);
    assert_eq!(world.list(carol, root.node).await.unwrap_err(), missing);
    // What one's permissions leave out.
    let mut mine = root.clone();
    mine.entries.remove(&file);
    let trash =
        |by: &Person, directory: &mut Directory| TrashRequest { directory: directory.node, head: directory.advance(by), nodes: vec![file] };
    assert_eq!(code(world.vault.trash(&caller(bob), trash(bob, &mut mine.clone())).await), "no_edit");
    world.vault.trash(&caller(ada), trash(ada, &mut mine)).await.unwrap();
    let query = TrashQuery { group: Some(lab.group()), ..TrashQuery::default() };
    assert_eq!(world.vault.trash_list(&caller(ada), query.clone()).await.unwrap().body.entries.len(), 1);
    assert!(world.vault.trash_list(&caller(bob), query.clone()).await.unwrap().body.entries.is_empty(), "only who could take it out");
    assert!(world.vault.trash_list(&caller(carol), query).await.unwrap().body.entries.is_empty());
    assert!(world.vault.trash_list(&caller(ada), TrashQuery::default()).await.unwrap().body.entries.is_empty());

    // The group changed since: nothing is taken on the head before.
    let with_carol = next_group_head(ada, &lab.head, vec![added(carol, GroupPermissions::NONE)], false);
    lab.change(ada, &with_carol, vec![group_seal(carol)]).await.unwrap();
    let (_, node) = small_file(bob, &mut mine, "g", 10);
    assert_eq!(code(world.create(bob, &mut mine.clone(), vec![node]).await), "stale");
    mine.entries.clear();
    mine.authority = Some(hash_of(&with_carol));
    let (_, node) = small_file(bob, &mut mine, "g", 10);
    world.create(bob, &mut mine, vec![node]).await.unwrap();
    let (_, node) = small_file(carol, &mut mine.clone(), "h", 10);
    assert_eq!(code(world.create(carol, &mut mine.clone(), vec![node]).await), "no_edit", "she may only read");
    assert_eq!(world.list(carol, root.node).await.unwrap().directories[0].entries.len(), 1);
}

#[tokio::test]
async fn who_is_out_gets_no_key_and_nothing_is_written_before_there_is_another() {
    let lab = lab().await;
    let (ada, bob, world) = (&lab.ada, &lab.bob, &lab.world);
    let out = next_group_head(ada, &lab.head, vec![step(bob, GroupStep::Remove)], true);
    assert_eq!(code(lab.change(ada, &out, vec![]).await), "own_seal");
    assert_eq!(lab.change(ada, &out, vec![group_seal(ada)]).await.unwrap(), GroupReply { counter: 2, waiting: 0 });
    assert_eq!(lab.read(bob).await.unwrap_err(), ApiError::not_found());
    assert_eq!(world.list(bob, lab.root.node).await.unwrap_err(), ApiError::not_found());

    let mut root = lab.root_on(&out);
    let (_, node) = small_file(ada, &mut root, "f", 10);
    let refused = world.create(ada, &mut root, vec![node]).await.unwrap_err();
    assert_eq!((refused.code.as_str(), refused.nodes), ("epoch_closed", vec![root.node]));
    let rekey = async |request: RekeyRequest| world.vault.rekey(&caller(ada), request).await;
    assert_eq!(code(rekey(lab.new_keys(ada, &out, &lab.head).0).await), "grant_group", "to the key that he holds");
    let (request, mut root) = lab.new_keys(ada, &out, &out);
    rekey(request).await.unwrap();
    let (_, node) = small_file(ada, &mut root, "f", 10);
    world.create(ada, &mut root, vec![node]).await.unwrap();
}

#[tokio::test]
async fn who_leaves_makes_no_key_and_the_next_does() {
    let lab = lab().await;
    let (ada, bob) = (&lab.ada, &lab.bob);
    let leave = |renews| next_group_head(bob, &lab.head, vec![step(bob, GroupStep::Remove)], renews);
    assert_eq!(code(lab.change(bob, &leave(true), vec![]).await), "leaves_alone");
    assert_eq!(lab.change(bob, &leave(false), vec![]).await.unwrap(), GroupReply { counter: 0, waiting: 0 });
    let left = leave(false);
    assert!(lab.read(ada).await.unwrap().view.closed);
    assert_eq!(code(lab.world.vault.rekey(&caller(ada), lab.new_keys(ada, &left, &lab.head).0).await), "stale", "he holds the key");
    let renewed = next_group_head(ada, &left, vec![], true);
    lab.change(ada, &renewed, vec![group_seal(ada)]).await.unwrap();
    assert!(!lab.read(ada).await.unwrap().view.closed);
    lab.world.vault.rekey(&caller(ada), lab.new_keys(ada, &renewed, &renewed).0).await.unwrap();
}

#[tokio::test]
async fn the_grant_of_its_directory_is_the_groups_and_stays() {
    let lab = lab().await;
    let world = &lab.world;
    type Lie = fn(&mut GroupCreateRequest, &Person, &GroupHeadPayload, NodeId);
    let bent: [(&str, Lie); 4] = [
        ("own_seal", |request, _, _, _| request.seals.clear()),
        ("grant_group", |request, ada, head, node| {
            let terms = group_grant(ada, head, head, node);
            request.root.grant = ada.sign(&ticrypt_crypto::grant::GrantPayload { recipient_generation: 2, ..terms });
        }),
        ("group_authority", |request, ada, head, node| {
            let terms = group_grant(ada, head, head, node);
            request.root.grant = ada.sign(&ticrypt_crypto::grant::GrantPayload { authority: Some(Digest::new([1; 32])), ..terms });
        }),
        ("grant_node", |request, ada, head, _| request.root.grant = ada.sign(&group_grant(ada, head, head, new_node()))),
    ];
    for (expected, lie) in bent {
        let (mut request, head, root) = new_group(&lab.ada, "another", &[]);
        lie(&mut request, &lab.ada, &head, root.node);
        assert_eq!(code(world.vault.create_group(&caller(&lab.ada), request).await), expected);
    }
    // Nobody ends it, whoever sealed it, and nothing in the group is shared beside it.
    let grants = world.store.grants_on(&[lab.root.node]).await.unwrap();
    let payload: ticrypt_crypto::grant::GrantPayload = Envelope::parse(&grants[0].envelope).unwrap().claimed().unwrap();
    let revoke = ticrypt_api::grant::GrantRevokeRequest { revocation: lab.ada.sign(&revocation(&lab.ada, &payload)) };
    assert_eq!(code(world.vault.revoke_grant(&caller(&lab.ada), payload.grant, revoke).await), "in_group");
    let mut to_carol = grant(&lab.ada, &lab.carol, lab.root.node, NodeKind::Directory, lab.group().as_owner(), payload.verbs);
    to_carol.authority = Some(hash_of(&lab.head));
    assert_eq!(code(world.vault.create_grants(&caller(&lab.ada), crate::sharing::one(&lab.ada, &to_carol)).await), "in_group");

    // Name and end are the owner's; with the group goes what is in it.
    let rename = |revision| GroupRenameRequest { revision, name: "Other".parse().unwrap() };
    assert_eq!(code(world.vault.rename_group(&caller(&lab.bob), lab.group(), rename(1)).await), "not_group_owner");
    assert_eq!(code(world.vault.rename_group(&caller(&lab.ada), lab.group(), rename(7)).await), "stale");
    world.vault.rename_group(&caller(&lab.ada), lab.group(), rename(1)).await.unwrap();
    assert_eq!(world.vault.groups(&caller(&lab.bob)).await.unwrap().body.groups[0].name.as_str(), "Other");
    world.vault.delete_group(&caller(&lab.ada), lab.group()).await.unwrap();
    assert!(world.vault.groups(&caller(&lab.bob)).await.unwrap().body.groups.is_empty());
    assert!(world.store.node(lab.root.node).await.unwrap().is_none());
    let mut again = new_group(&lab.ada, "lab", &[]).0;
    again.group = lab.group();
    let head = first_group_head(&lab.ada, lab.group(), &[]);
    let root = Directory { authority: Some(hash_of(&head)), ..Directory::new(new_node(), None, lab.group().as_owner()) };
    let terms = group_grant(&lab.ada, &head, &head, root.node);
    (again.head, again.root.grant, again.root_head) = (lab.ada.sign(&head), lab.ada.sign(&terms), root.clone().advance(&lab.ada));
    assert_eq!(code(world.vault.create_group(&caller(&lab.ada), again).await), "taken", "an id is not used twice");
}
