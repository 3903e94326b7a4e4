//! Directories and files: creating, arranging, the trash, reading.

use ticrypt_policy::node as rules;
use ticrypt_policy::node::{Home, Trashed};
use ticrypt_store::node::{CreateNodes, MoveNode, RenameNode, RestoreNode, Which};
use ticrypt_store::{StoreError, Taken};
use ticrypt_types::{NodeId, NodeKind, UserId, Verbs};

use crate::lab::{Db, Lab, MAKING, NOW, actor, tag};

pub async fn a_home_is_made_once(db: Db) {
    let lab = db.open().await;
    let owner = lab.person();
    let home = lab.home(owner).await;
    let node = lab.store.home(owner).await.unwrap().unwrap();
    assert_eq!((node.id, node.parent, node.owner, node.head_counter), (home, None, owner, 1));
    let permit = rules::may_create_home(&actor(owner), Home::None, NOW).unwrap();
    let second = lab.store.create_home(permit, lab.home_new(owner)).await;
    assert!(matches!(second, Err(StoreError::Taken(Taken::Home))), "{second:?}");
    assert!(lab.store.home(lab.person()).await.unwrap().is_none());
    // Sealed to somebody else, or with fewer verbs.
    let other = lab.person();
    let mut wrong = lab.home_new(other);
    wrong.grant.recipient = owner;
    let permit = rules::may_create_home(&actor(other), Home::None, NOW).unwrap();
    assert!(matches!(lab.store.create_home(permit, wrong).await, Err(StoreError::Invalid(_))));
    let grants = lab.store.grants_on(&[home]).await.unwrap();
    assert_eq!((grants.len(), grants[0].verbs), (1, Verbs::ALL));
}

pub async fn many_nodes_in_one_transaction(db: Db) {
    let lab = db.open().await;
    let owner = lab.person();
    let home = lab.home(owner).await;
    let mut nodes = vec![lab.directory_new(home, "directory")];
    for n in 0..250 {
        nodes.push(lab.file_new(home, &format!("file {n}"), (n % 2 == 0).then(|| lab.small(b"abc", 1, None))));
    }
    lab.create(owner, home, nodes).await.unwrap();
    let entries = lab.store.list_entries(home, Which::Live, None, 1_000).await.unwrap();
    assert_eq!(entries.len(), 251);
    assert_eq!(entries.iter().filter(|entry| entry.current.is_some()).count(), 125);
    assert_eq!(lab.store.node(home).await.unwrap().unwrap().head_counter, 2);
    assert_eq!(lab.store.directory_leaves(home).await.unwrap().len(), 251);
    // One that is wrong undoes all.
    let bad = vec![lab.file_new(home, "fine", None), lab.file_new(home, "file 3", None)];
    assert!(matches!(lab.create(owner, home, bad).await, Err(StoreError::Taken(Taken::NodeName))));
    let taken = lab.file_new(home, "other name", None);
    let mut twice = taken.clone();
    lab.create(owner, home, vec![taken]).await.unwrap();
    twice.entry.name_tag = tag("yet another");
    assert!(matches!(lab.create(owner, home, vec![twice]).await, Err(StoreError::Taken(Taken::NodeId))));
    assert_eq!(lab.store.directory_leaves(home).await.unwrap().len(), 252);
    assert_eq!(lab.store.node(home).await.unwrap().unwrap().head_counter, 3);
}

pub async fn nested_directories_at_once(db: Db) {
    let lab = db.open().await;
    let owner = lab.person();
    let home = lab.home(owner).await;
    let outer = lab.directory_new(home, "outer");
    let inner = lab.directory_new(outer.entry.node, "inner");
    let file = lab.file_new(inner.entry.node, "file", Some(lab.small(b"x", 1, None)));
    let (outer_id, inner_id, file_id) = (outer.entry.node, inner.entry.node, file.entry.node);
    let backwards = vec![inner.clone(), outer.clone()];
    assert!(matches!(lab.create(owner, home, backwards).await, Err(StoreError::Invalid(_))));
    let mut headless = outer.clone();
    headless.head = None;
    assert!(matches!(lab.create(owner, home, vec![headless]).await, Err(StoreError::Invalid(_))));
    lab.create(owner, home, vec![outer, inner, file]).await.unwrap();
    let mut below = lab.store.subtree(home).await.unwrap();
    assert_eq!(below.remove(0), home);
    below.sort();
    let mut expected = vec![outer_id, inner_id, file_id];
    expected.sort();
    assert_eq!(below, expected);
    let path: Vec<NodeId> = lab.facts(owner, file_id).await.path.iter().map(|step| step.node).collect();
    assert_eq!(path, [file_id, inner_id, outer_id, home]);
    // 256 levels are the end, also within one call.
    let mut chain = vec![lab.directory_new(home, "level")];
    for _ in 0..255 {
        chain.push(lab.directory_new(chain.last().unwrap().entry.node, "level"));
    }
    assert!(matches!(lab.create(owner, home, chain.clone()).await, Err(StoreError::Invalid(_))));
    chain.pop();
    lab.create(owner, home, chain).await.unwrap();
}

pub async fn names_are_unique_until_trashed(db: Db) {
    let lab = db.open().await;
    let owner = lab.person();
    let home = lab.home(owner).await;
    let first = lab.file(owner, home, "name").await;
    assert!(matches!(lab.create(owner, home, vec![lab.file_new(home, "name", None)]).await, Err(StoreError::Taken(Taken::NodeName))));
    let elsewhere = lab.directory(owner, home, "elsewhere").await;
    lab.file(owner, elsewhere, "name").await;
    lab.trash(owner, first).await;
    let second = lab.file(owner, home, "name").await;
    lab.trash(owner, second).await;
    assert_eq!(lab.store.list_entries(home, Which::Trashed, None, 10).await.unwrap().len(), 2, "two of one name in the trash");
}

pub async fn heads_follow_one_another(db: Db) {
    let lab = db.open().await;
    let owner = lab.person();
    let home = lab.home(owner).await;
    let good = lab.next_head(home).await;
    let permit = async || rules::may_create(&actor(owner), &lab.facts(owner, home).await, MAKING, NOW).unwrap();
    let create = |head| CreateNodes { head, nodes: vec![lab.file_new(home, "a", None)], created: NOW };
    for (what, head) in [
        ("the same counter", {
            let mut head = good.clone();
            head.counter = 1;
            head
        }),
        ("a counter ahead", {
            let mut head = good.clone();
            head.counter = 3;
            head
        }),
        ("another one before", {
            let mut head = good.clone();
            head.previous = Some([9; 32]);
            head
        }),
        ("none before", {
            let mut head = good.clone();
            head.previous = None;
            head
        }),
        ("another epoch", {
            let mut head = good.clone();
            head.epoch = 2;
            head
        }),
    ] {
        let refused = lab.store.create_nodes(permit().await, create(head)).await;
        assert!(matches!(refused, Err(StoreError::Stale("directory"))), "{what}: {refused:?}");
    }
    let mut zero = good.clone();
    zero.counter = 0;
    assert!(matches!(lab.store.create_nodes(permit().await, create(zero)).await, Err(StoreError::Invalid(_))));
    let other = lab.directory(owner, home, "other").await;
    assert!(matches!(lab.store.create_nodes(permit().await, create(lab.next_head(other).await)).await, Err(StoreError::Invalid(_))));
    lab.store.create_nodes(permit().await, create(lab.next_head(home).await)).await.unwrap();
    let node = lab.store.node(home).await.unwrap().unwrap();
    assert_eq!((node.head_counter, node.revision), (3, 1), "new entries change no directory's own entry");
}

async fn rename(lab: &Lab, owner: UserId, node: NodeId, name: &str) -> Result<(), StoreError> {
    let facts = lab.facts(owner, node).await;
    let parent = facts.parent.unwrap();
    let permit = rules::may_rename(&actor(owner), &facts, NOW).unwrap();
    let entry = lab.entry(parent, node, facts.kind, name);
    lab.store.rename(vec![RenameNode { permit, entry }], vec![lab.next_head(parent).await]).await
}

pub async fn renaming(db: Db) {
    let lab = db.open().await;
    let owner = lab.person();
    let home = lab.home(owner).await;
    let (a, _b) = (lab.file(owner, home, "a").await, lab.file(owner, home, "b").await);
    rename(&lab, owner, a, "c").await.unwrap();
    let node = lab.store.node(a).await.unwrap().unwrap();
    assert_eq!((node.name_tag, node.entry.as_slice(), node.revision), (tag("c"), &b"c"[..], 2));
    assert!(lab.store.directory_leaves(home).await.unwrap().contains(&(a, node.leaf)));
    assert!(matches!(rename(&lab, owner, a, "b").await, Err(StoreError::Taken(Taken::NodeName))));
    // Without the head, with one too many, with another node's entry.
    let facts = lab.facts(owner, a).await;
    let permit = || rules::may_rename(&actor(owner), &facts, NOW).unwrap();
    let entry = lab.entry(home, a, NodeKind::File, "d");
    let none = lab.store.rename(vec![RenameNode { permit: permit(), entry: entry.clone() }], vec![]).await;
    assert!(matches!(none, Err(StoreError::Invalid(_))));
    let other = lab.directory(owner, home, "other").await;
    let heads = vec![lab.next_head(home).await, lab.next_head(other).await];
    assert!(matches!(
        lab.store.rename(vec![RenameNode { permit: permit(), entry: entry.clone() }], heads).await,
        Err(StoreError::Invalid(_))
    ));
    let mut foreign = entry;
    foreign.node = other;
    let heads = vec![lab.next_head(home).await];
    assert!(matches!(lab.store.rename(vec![RenameNode { permit: permit(), entry: foreign }], heads).await, Err(StoreError::Invalid(_))));
}

async fn move_to(lab: &Lab, owner: UserId, node: NodeId, target: NodeId, name: &str) -> Result<(), StoreError> {
    let facts = lab.facts(owner, node).await;
    let into = lab.facts(owner, target).await;
    let permit = rules::may_move(&actor(owner), &facts, &into, NOW).unwrap();
    let entry = lab.entry(target, node, facts.kind, name);
    let heads = vec![lab.next_head(facts.parent.unwrap()).await, lab.next_head(target).await];
    lab.store.move_nodes(vec![MoveNode { permit, entry }], heads).await
}

pub async fn moving(db: Db) {
    let lab = db.open().await;
    let owner = lab.person();
    let home = lab.home(owner).await;
    let (from, to) = (lab.directory(owner, home, "from").await, lab.directory(owner, home, "to").await);
    let file = lab.file(owner, from, "file").await;
    lab.file(owner, to, "taken").await;
    assert!(matches!(move_to(&lab, owner, file, to, "taken").await, Err(StoreError::Taken(Taken::NodeName))));
    let before = lab.store.closure_seq().await.unwrap();
    move_to(&lab, owner, file, to, "new").await.unwrap();
    assert_eq!(lab.store.closure_seq().await.unwrap(), before, "nobody lost anything");
    assert_eq!(lab.store.directory_leaves(from).await.unwrap(), []);
    assert_eq!(lab.store.directory_leaves(to).await.unwrap().len(), 2);
    let facts = lab.facts(owner, file).await;
    assert_eq!((facts.parent, facts.path.len()), (Some(to), 3));
    assert_eq!((lab.facts(owner, from).await.head_counter, lab.facts(owner, to).await.head_counter), (3, 3));
    assert!(lab.store.entries(&[file]).await.unwrap()[0].current.is_some(), "its content came along");
}

pub async fn moving_out_of_a_share_closes(db: Db) {
    let lab = db.open().await;
    let (owner, friend) = (lab.person(), lab.person());
    let home = lab.home(owner).await;
    let shared = lab.directory(owner, home, "shared").await;
    let inside = lab.directory(owner, shared, "inside").await;
    let (file, deep) = (lab.file(owner, shared, "file").await, lab.file(owner, inside, "deep").await);
    lab.share(owner, shared, friend, Verbs::ALL).await;
    assert!(lab.facts(owner, file).await.is_open());
    // Within the share nothing closes.
    move_to(&lab, owner, file, inside, "file").await.unwrap();
    assert!(lab.facts(owner, file).await.is_open());
    // Decided on by the friend while it was still shared.
    let late = ticrypt_policy::version::may_publish(&actor(friend), &lab.facts(friend, deep).await, NOW).unwrap();
    move_to(&lab, owner, inside, home, "inside").await.unwrap();
    for node in [inside, file, deep] {
        assert!(!lab.facts(owner, node).await.is_open(), "the friend knows its keys");
        assert!(lab.facts(friend, node).await.grants.is_empty());
    }
    assert!(lab.facts(owner, shared).await.is_open());
    let published = lab.store.publish(late, lab.small(b"late", 2, None)).await;
    assert!(matches!(published, Err(StoreError::Stale("list of shares"))), "{published:?}");
    // Moving on does not forget it.
    let target = lab.directory(owner, home, "target").await;
    move_to(&lab, owner, inside, target, "inside").await.unwrap();
    assert!(!lab.facts(owner, deep).await.is_open());
    let mut closed = lab.store.closed_below(home, 10).await.unwrap();
    closed.sort();
    let mut expected = vec![inside, file, deep];
    expected.sort();
    assert_eq!(closed, expected);
    assert_eq!(lab.store.closed_below(deep, 10).await.unwrap(), [deep], "closures from above count");
}

pub async fn cycles_and_depth_are_refused(db: Db) {
    let lab = db.open().await;
    let owner = lab.person();
    let home = lab.home(owner).await;
    let (a, b) = (lab.directory(owner, home, "a").await, lab.directory(owner, home, "b").await);
    // Each decided to go into the other before either went.
    let (facts_a, facts_b) = (lab.facts(owner, a).await, lab.facts(owner, b).await);
    let a_into_b = rules::may_move(&actor(owner), &facts_a, &facts_b, NOW).unwrap();
    let b_into_a = rules::may_move(&actor(owner), &facts_b, &facts_a, NOW).unwrap();
    let heads = vec![lab.next_head(home).await, lab.next_head(b).await];
    let entry = lab.entry(b, a, NodeKind::Directory, "a");
    lab.store.move_nodes(vec![MoveNode { permit: a_into_b, entry }], heads).await.unwrap();
    let heads = vec![lab.next_head(home).await, lab.next_head(a).await];
    let entry = lab.entry(a, b, NodeKind::Directory, "b");
    let cycle = lab.store.move_nodes(vec![MoveNode { permit: b_into_a, entry }], heads).await;
    assert!(matches!(cycle, Err(StoreError::Invalid(_))), "{cycle:?}");
    assert_eq!(lab.facts(owner, a).await.path.len(), 3);

    let mut chain = vec![lab.directory_new(home, "chain")];
    for _ in 0..253 {
        chain.push(lab.directory_new(chain.last().unwrap().entry.node, "level"));
    }
    let (top, bottom) = (chain[0].entry.node, chain[253].entry.node);
    lab.create(owner, home, chain).await.unwrap();
    assert_eq!(lab.facts(owner, bottom).await.path.len(), 255);
    let deep = move_to(&lab, owner, top, a, "chain").await;
    assert!(matches!(deep, Err(StoreError::Invalid(_))), "{deep:?}");
    move_to(&lab, owner, a, bottom, "a").await.unwrap();
}

pub async fn the_trash_and_back(db: Db) {
    let lab = db.open().await;
    let owner = lab.person();
    let home = lab.home(owner).await;
    let directory = lab.directory(owner, home, "directory").await;
    let (a, b) = (lab.file(owner, directory, "a").await, lab.file(owner, directory, "b").await);
    // Two of one directory under one head.
    let mut permits = Vec::new();
    for node in [a, b] {
        permits.push(rules::may_trash(&actor(owner), &lab.facts(owner, node).await, NOW).unwrap());
    }
    lab.store.trash(permits, vec![lab.next_head(directory).await], NOW).await.unwrap();
    let trashed = lab.store.list_entries(directory, Which::Trashed, None, 10).await.unwrap();
    assert_eq!(trashed.len(), 2);
    assert!(trashed.iter().all(|entry| entry.node.trashed == Some(NOW) && entry.node.trashed_by == Some(owner)));
    assert_eq!(lab.store.list_entries(directory, Which::Live, None, 10).await.unwrap(), []);
    assert_eq!(lab.store.directory_leaves(directory).await.unwrap(), []);
    assert_eq!(lab.facts(owner, a).await.trashed, Trashed::Itself);

    let taken = lab.file(owner, directory, "a").await;
    let restore = async |node, entry| {
        let permit = rules::may_restore(&actor(owner), &lab.facts(owner, node).await, NOW).unwrap();
        lab.store.restore(vec![RestoreNode { permit, entry }], vec![lab.next_head(directory).await]).await
    };
    assert!(matches!(restore(a, None).await, Err(StoreError::Taken(Taken::NodeName))));
    restore(a, Some(lab.entry(directory, a, NodeKind::File, "a again"))).await.unwrap();
    restore(b, None).await.unwrap();
    assert_eq!(lab.store.directory_leaves(directory).await.unwrap().len(), 3);
    assert_eq!(lab.store.node(a).await.unwrap().unwrap().name_tag, tag("a again"));

    lab.trash(owner, directory).await;
    assert_eq!(lab.facts(owner, taken).await.trashed, Trashed::Above);
    assert_eq!(rules::may_restore(&actor(owner), &lab.facts(owner, taken).await, NOW), Err(ticrypt_policy::Denial::AboveInTrash));
}

pub async fn deleting_for_good_tells_whose_chunks_go(db: Db) {
    let lab = db.open().await;
    let owner = lab.person();
    let home = lab.home(owner).await;
    let directory = lab.directory(owner, home, "directory").await;
    let file = lab.file(owner, directory, "file").await;
    lab.share(owner, file, lab.person(), Verbs::VIEW).await;
    let kept = lab.file(owner, home, "kept").await;
    let version = lab.store.entries(&[file]).await.unwrap()[0].current.clone().unwrap().version.id;
    lab.trash(owner, directory).await;
    let facts = lab.facts(owner, directory).await;
    let permit = || rules::may_delete(&actor(owner), &facts, NOW).unwrap();
    let stale = permit();
    let deleted = lab.store.delete(vec![permit()]).await.unwrap();
    assert_eq!(deleted.len(), 1);
    assert_eq!((deleted[0].file, deleted[0].version, deleted[0].chunk_count), (file, version, 1));
    for node in [directory, file] {
        assert!(lab.store.node(node).await.unwrap().is_none());
    }
    assert!(lab.store.grants_on(&[file]).await.unwrap().is_empty());
    assert!(lab.store.small_contents(&[version]).await.unwrap().is_empty());
    assert!(lab.store.versions(file, None, 10).await.unwrap().is_empty());
    assert!(lab.store.entries(&[kept]).await.unwrap()[0].current.is_some());
    assert!(matches!(lab.store.delete(vec![stale]).await, Err(StoreError::NotFound("node"))));
    // What was deleted gives its ids to nobody.
    let mut again = lab.directory_new(home, "again");
    again.entry.node = directory;
    if let Some(head) = &mut again.head {
        head.directory = directory;
    }
    assert!(matches!(lab.create(owner, home, vec![again]).await, Err(StoreError::Taken(Taken::NodeId))));
    let mut content = lab.small(b"x", 1, None);
    content.version = version;
    let again = lab.file_new(home, "again", Some(content));
    assert!(matches!(lab.create(owner, home, vec![again]).await, Err(StoreError::Taken(Taken::VersionId))));
}

pub async fn facts_of_many_nodes(db: Db) {
    let lab = db.open().await;
    let (owner, friend) = (lab.person(), lab.person());
    let home = lab.home(owner).await;
    let shared = lab.directory(owner, home, "shared").await;
    let mut nodes = Vec::new();
    for n in 0..2_500 {
        nodes.push(lab.file_new(shared, &format!("{n}"), None));
    }
    let mut ids: Vec<NodeId> = nodes.iter().map(|node| node.entry.node).collect();
    lab.create(owner, shared, nodes).await.unwrap();
    let grant = lab.share(owner, shared, friend, Verbs::VIEW).await;
    let other = lab.file(owner, home, "not shared").await;
    ids.push(other);
    ids.push(lab.node_id());
    let started = std::time::Instant::now();
    let facts = lab.store.node_facts(friend, &ids).await.unwrap();
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
    assert_eq!(facts.iter().map(|facts| facts.node).collect::<Vec<_>>(), ids[..2_501], "in the order asked, the missing left out");
    for facts in &facts[..2_500] {
        assert_eq!((facts.parent, facts.path.len(), facts.grants.len()), (Some(shared), 3, 1));
        assert_eq!((facts.grants[0].node, facts.grants[0].hash, facts.grants[0].ended), (shared, grant.hash, false));
        assert_eq!(facts.access(&actor(friend), NOW).unwrap().verbs, Verbs::VIEW);
    }
    assert!(facts[2_500].grants.is_empty());
    assert_eq!(lab.store.node_facts(friend, &[]).await.unwrap(), []);
}

pub async fn listing_in_pages(db: Db) {
    let lab = db.open().await;
    let owner = lab.person();
    let home = lab.home(owner).await;
    let nodes: Vec<_> = (0..25).map(|n| lab.file_new(home, &format!("{n}"), Some(lab.small(b"c", 1, None)))).collect();
    let mut ids: Vec<NodeId> = nodes.iter().map(|node| node.entry.node).collect();
    ids.sort();
    lab.create(owner, home, nodes).await.unwrap();
    lab.trash(owner, ids[3]).await;
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = lab.store.list_entries(home, Which::All, after, 10).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.node.id);
        for entry in &page {
            let current = entry.current.as_ref().unwrap();
            assert_eq!((current.manifest.file, current.version.file, current.manifest.sequence), (entry.node.id, entry.node.id, 1));
        }
        seen.extend(page.into_iter().map(|entry| entry.node.id));
    }
    assert_eq!(seen, ids);
    assert_eq!(lab.store.list_entries(home, Which::Live, None, 100).await.unwrap().len(), 24);
    let (mut briefs, mut after) = (Vec::new(), None);
    loop {
        let page = lab.store.list_briefs(home, after, 10).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        briefs.extend(page);
    }
    let entries = lab.store.list_entries(home, Which::Live, None, 100).await.unwrap();
    assert_eq!(briefs, entries.into_iter().map(|entry| entry.node.into()).collect::<Vec<_>>());
    let stats = lab.store.entries(&[ids[1], lab.node_id(), ids[0]]).await.unwrap();
    assert_eq!(stats.iter().map(|entry| entry.node.id).collect::<Vec<_>>(), ids[..2]);
}

pub async fn permits_go_stale(db: Db) {
    let lab = db.open().await;
    let owner = lab.person();
    let home = lab.home(owner).await;
    let file = lab.file(owner, home, "file").await;
    let facts = lab.facts(owner, file).await;
    let stale_trash = rules::may_trash(&actor(owner), &facts, NOW).unwrap();
    rename(&lab, owner, file, "renamed").await.unwrap();
    let refused = lab.store.trash(vec![stale_trash], vec![lab.next_head(home).await], NOW).await;
    assert!(matches!(refused, Err(StoreError::Stale("node"))), "{refused:?}");
    // The trash of the directory makes creating in it stale.
    let directory = lab.directory(owner, home, "directory").await;
    let permit = rules::may_create(&actor(owner), &lab.facts(owner, directory).await, MAKING, NOW).unwrap();
    lab.trash(owner, directory).await;
    let create = CreateNodes { head: lab.next_head(directory).await, nodes: vec![lab.file_new(directory, "x", None)], created: NOW };
    assert!(matches!(lab.store.create_nodes(permit, create).await, Err(StoreError::Stale("directory"))));
    assert!(matches!(lab.store.trash(vec![], vec![], NOW).await, Err(StoreError::Invalid(_))));
}
