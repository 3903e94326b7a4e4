//! New keys after a closure.

use ticrypt_policy::Permit;
use ticrypt_policy::node::{may_create, may_rekey};
use ticrypt_policy::permit::Verb;
use ticrypt_store::StoreError;
use ticrypt_store::grant::GrantNew;
use ticrypt_store::node::{EntryNew, HeadNew, NewKeys, Rekey, RekeyNode, Which};
use ticrypt_types::{NodeId, NodeKind, UserId, Verbs};

use crate::lab::{Db, Lab, MAKING, NOW, actor, at};

/// Everything a client makes anew for one node, from what the store shows it.
async fn whole(lab: &Lab, by: UserId, node: NodeId) -> Rekey {
    let permit = may_rekey(&actor(by), &lab.facts(by, node).await, NOW).unwrap();
    let (parent_head, step) = keys_of(lab, by, node, permit).await;
    Rekey { parent_head, nodes: vec![step] }
}

/// The same with another permit, and the next head of the directory above.
pub async fn keys_of<V: Verb<On = NodeId>>(lab: &Lab, by: UserId, node: NodeId, permit: Permit<V>) -> (Option<HeadNew>, RekeyNode<V>) {
    let facts = lab.facts(by, node).await;
    let stored = lab.store.node(node).await.unwrap().unwrap();
    let epoch = stored.epoch + 1;
    let entry = match stored.parent {
        None => None,
        Some(parent) => {
            let above = lab.store.node(parent).await.unwrap().unwrap();
            Some(EntryNew {
                parent,
                parent_epoch: above.epoch,
                node,
                kind: stored.kind,
                epoch,
                name_tag: stored.name_tag,
                leaf: lab.digest(),
                bytes: b"rekeyed".to_vec(),
            })
        }
    };
    let parent_head = match stored.parent {
        Some(parent) if stored.trashed.is_none() => Some(lab.next_head(parent).await),
        _ => None,
    };
    let keys = if stored.kind == NodeKind::Directory {
        let mut head = lab.next_head(node).await;
        head.epoch = epoch;
        let mut entries = Vec::new();
        for child in lab.store.list_entries(node, Which::All, None, 1_000).await.unwrap() {
            entries.push(EntryNew {
                parent: node,
                parent_epoch: epoch,
                node: child.node.id,
                kind: child.node.kind,
                epoch: child.node.epoch,
                name_tag: lab.digest(),
                leaf: lab.digest(),
                bytes: b"under new keys".to_vec(),
            });
        }
        NewKeys::Directory { head, entries }
    } else {
        let contents = lab.store.contents_of(&[node]).await.unwrap();
        let manifests = lab.store.versions(node, None, 100).await.unwrap();
        NewKeys::File {
            contents: contents.iter().map(|upload| (upload.version.id, b"new wrap".to_vec())).collect(),
            props_keys: manifests.iter().map(|(manifest, _)| (manifest.hash, b"new props".to_vec())).collect(),
        }
    };
    let mut grants = Vec::new();
    for grant in lab.store.grants_on(&[node]).await.unwrap().into_iter().filter(|grant| grant.is_living(NOW)) {
        grants.push(GrantNew {
            epoch,
            expires: grant.expires,
            predecessor: Some(grant.hash),
            ..lab.grant(node, grant.owner, by, grant.recipient, grant.verbs)
        });
    }
    (parent_head, RekeyNode { permit, epoch, closure_seen: facts.closure(), entry, keys, grants, at: NOW })
}

pub async fn new_keys_open_again(db: Db) {
    let lab = db.open().await;
    let (owner, friend, stays) = (lab.person(), lab.person(), lab.person());
    let home = lab.home(owner).await;
    let shared = lab.directory(owner, home, "shared").await;
    let file = lab.file(owner, shared, "file").await;
    let thrown = lab.file(owner, shared, "thrown").await;
    lab.trash(owner, thrown).await;
    let grant = lab.share(owner, shared, friend, Verbs::ALL).await;
    let kept = lab.share_until(owner, shared, stays, Verbs::VIEW, at(8_000_000)).await;
    lab.end(owner, &grant).await.unwrap();
    let stale = may_rekey(&actor(owner), &lab.facts(owner, shared).await, NOW).unwrap();

    lab.store.rekey(whole(&lab, owner, shared).await).await.unwrap();
    let facts = lab.facts(owner, shared).await;
    assert!(facts.is_open() && facts.epoch == 2);
    assert!(may_create(&actor(owner), &facts, MAKING, NOW).is_ok());
    assert!(!lab.facts(owner, file).await.is_open(), "what is below is rolled when it is written");
    assert_eq!(lab.store.closed_below(home, 10).await.unwrap().len(), 2);
    for (entry, live) in [(file, true), (thrown, false)] {
        let node = lab.store.node(entry).await.unwrap().unwrap();
        assert_eq!((node.parent_epoch, node.epoch, node.entry.as_slice(), node.trashed.is_none()), (2, 1, &b"under new keys"[..], live));
    }
    assert_eq!(lab.store.directory_leaves(shared).await.unwrap().len(), 1);
    // Who remains has a new seal on the same terms; the old one is over.
    assert!(lab.store.grant(kept.id).await.unwrap().unwrap().ended.is_some());
    let sealed = lab.store.shared_with(stays, NOW, None, 10).await.unwrap();
    assert_eq!((sealed.len(), sealed[0].epoch, sealed[0].expires, sealed[0].predecessor), (1, 2, at(8_000_000), Some(kept.hash)));
    assert!(lab.store.shared_with(friend, NOW, None, 10).await.unwrap().is_empty());
    let mut late = whole(&lab, owner, shared).await;
    late.nodes[0].permit = stale;
    assert!(matches!(lab.store.rekey(late).await, Err(StoreError::Stale("node"))));
    // The next file in it, then the older one.
    lab.create(owner, shared, vec![lab.file_new(shared, "new", None)]).await.unwrap();
    lab.store.rekey(whole(&lab, owner, file).await).await.unwrap();
    assert!(lab.facts(owner, file).await.is_open());
    // A root, and something in the trash.
    lab.store.rekey(whole(&lab, owner, home).await).await.unwrap();
    lab.store.rekey(whole(&lab, owner, thrown).await).await.unwrap();
    assert_eq!(lab.store.closed_below(home, 10).await.unwrap(), []);
}

pub async fn nobody_is_left_out(db: Db) {
    let lab = db.open().await;
    let (owner, friend) = (lab.person(), lab.person());
    let home = lab.home(owner).await;
    let shared = lab.directory(owner, home, "shared").await;
    lab.file(owner, shared, "one").await;
    lab.share(owner, shared, friend, Verbs::VIEW).await;
    let honest = async || whole(&lab, owner, shared).await;
    let refuse = async |what: &str, step: Rekey| {
        let refused = lab.store.rekey(step).await;
        assert!(matches!(refused, Err(StoreError::Stale(_) | StoreError::Invalid(_))), "{what}: {refused:?}");
    };
    let mut missing_holder = honest().await;
    missing_holder.nodes[0].grants.clear();
    refuse("a holder", missing_holder).await;
    let mut freer = honest().await;
    freer.nodes[0].grants[0].verbs = Verbs::ALL;
    refuse("freer terms", freer).await;
    let mut longer = honest().await;
    longer.nodes[0].grants[0].recipient = lab.person();
    refuse("somebody else", longer).await;
    let mut missing_entry = honest().await;
    if let NewKeys::Directory { entries, .. } = &mut missing_entry.nodes[0].keys {
        entries.clear();
    }
    refuse("an entry", missing_entry).await;
    let mut headless = honest().await;
    headless.parent_head = None;
    refuse("the head above", headless).await;
    let mut skipping = honest().await;
    skipping.nodes[0].epoch += 1;
    refuse("an epoch", skipping).await;
    let mut ahead = honest().await;
    ahead.nodes[0].closure_seen += 1;
    refuse("a closure to come", ahead).await;
    let node = lab.store.node(shared).await.unwrap().unwrap();
    assert_eq!((node.epoch, node.revision), (1, 1), "nothing of it was kept");
    lab.store.rekey(honest().await).await.unwrap();
}

pub async fn new_keys_from_the_top_down(db: Db) {
    let lab = db.open().await;
    let (owner, friend) = (lab.person(), lab.person());
    let home = lab.home(owner).await;
    let outer = lab.directory(owner, home, "outer").await;
    let inner = lab.directory(owner, outer, "inner").await;
    let before = whole(&lab, owner, inner).await;
    let grant = lab.share(owner, outer, friend, Verbs::ALL).await;
    lab.end(owner, &grant).await.unwrap();
    assert!(may_rekey(&actor(owner), &lab.facts(owner, inner).await, NOW).is_err());
    // The lower one alone is refused by the store as well, whatever was decided before the closure.
    assert!(matches!(lab.store.rekey(before).await, Err(StoreError::Stale(_))));
    for node in [outer, inner] {
        lab.store.rekey(whole(&lab, owner, node).await).await.unwrap();
        let facts = lab.facts(owner, node).await;
        assert!(facts.is_open() && facts.epoch == 2);
    }
    assert_eq!(lab.store.closed_below(home, 10).await.unwrap(), []);
}

/// Nodes of one directory get new keys together, under one head, and all or none do.
pub async fn many_nodes_in_one_step(db: Db) {
    let lab = db.open().await;
    let (owner, friend) = (lab.person(), lab.person());
    let home = lab.home(owner).await;
    let shared = lab.directory(owner, home, "shared").await;
    let (one, two) = (lab.file(owner, shared, "one").await, lab.directory(owner, shared, "two").await);
    let below = lab.file(owner, two, "below").await;
    let thrown = lab.file(owner, shared, "thrown").await;
    lab.trash(owner, thrown).await;
    let grant = lab.share(owner, shared, friend, Verbs::ALL).await;
    lab.end(owner, &grant).await.unwrap();
    lab.store.rekey(whole(&lab, owner, shared).await).await.unwrap();
    let all = async |nodes: &[NodeId]| {
        let mut rekey = Rekey { parent_head: Some(lab.next_head(shared).await), nodes: Vec::new() };
        for node in nodes {
            rekey.nodes.extend(whole(&lab, owner, *node).await.nodes);
        }
        rekey
    };
    let mut partial = all(&[one, two, thrown]).await;
    partial.nodes[1].epoch += 1;
    let mut headless = all(&[thrown, one]).await;
    headless.parent_head = None;
    let mut apart = all(&[one]).await;
    apart.nodes.extend(whole(&lab, owner, home).await.nodes);
    let mut elsewhere = all(&[one]).await;
    elsewhere.parent_head = Some(lab.next_head(home).await);
    let none = Rekey { parent_head: None, nodes: Vec::new() };
    for (what, refused) in
        [("a step that fails", partial), ("no head", headless), ("another directory", apart), ("another head", elsewhere), ("none", none)]
    {
        let refused = lab.store.rekey(refused).await;
        assert!(matches!(refused, Err(StoreError::Stale(_) | StoreError::Invalid(_))), "{what}: {refused:?}");
        assert_eq!(lab.store.node(one).await.unwrap().unwrap().epoch, 1, "{what}");
    }
    let counter = lab.store.node(shared).await.unwrap().unwrap().head_counter;
    lab.store.rekey(all(&[one, two, thrown]).await).await.unwrap();
    assert_eq!(lab.store.node(shared).await.unwrap().unwrap().head_counter, counter + 1);
    for node in [one, two, thrown] {
        assert!(lab.facts(owner, node).await.is_open());
    }
    lab.store.rekey(whole(&lab, owner, below).await).await.unwrap();
    assert_eq!(lab.store.closed_below(home, 10).await.unwrap(), []);
}

pub async fn a_file_gets_new_wraps(db: Db) {
    let lab = db.open().await;
    let owner = lab.person();
    let home = lab.home(owner).await;
    let file = lab.file(owner, home, "file").await;
    let current = lab.store.entries(&[file]).await.unwrap().remove(0).current.unwrap();
    let permit = ticrypt_policy::version::may_publish(&actor(owner), &lab.facts(owner, file).await, NOW).unwrap();
    lab.store.publish(permit, lab.small(b"two", 2, Some(current.manifest.hash))).await.unwrap();
    let stale = ticrypt_policy::version::may_publish(&actor(owner), &lab.facts(owner, file).await, NOW).unwrap();
    for drop_contents in [true, false] {
        let mut partial = whole(&lab, owner, file).await;
        let NewKeys::File { contents, props_keys } = &mut partial.nodes[0].keys else { panic!("a file") };
        if drop_contents {
            drop(contents.pop())
        } else {
            drop(props_keys.pop())
        }
        assert!(matches!(lab.store.rekey(partial).await, Err(StoreError::Stale("list of versions"))));
    }
    lab.store.rekey(whole(&lab, owner, file).await).await.unwrap();
    for (manifest, version) in lab.store.versions(file, None, 10).await.unwrap() {
        assert_eq!((manifest.props_key.as_slice(), version.content_wrap.as_slice()), (&b"new props"[..], &b"new wrap"[..]));
    }
    let late = lab.store.publish(stale, lab.small(b"under old keys", 3, None)).await;
    assert!(matches!(late, Err(StoreError::Stale("file"))), "{late:?}");
}

pub async fn a_closure_meanwhile_still_holds(db: Db) {
    let lab = db.open().await;
    let (owner, friend, other) = (lab.person(), lab.person(), lab.person());
    let home = lab.home(owner).await;
    let shared = lab.directory(owner, home, "shared").await;
    let (first, second) = (lab.share(owner, shared, friend, Verbs::ALL).await, lab.share(owner, shared, other, Verbs::ALL).await);
    lab.end(owner, &first).await.unwrap();
    let mut made = whole(&lab, owner, shared).await;
    lab.end(owner, &second).await.unwrap();
    // Decided anew, but with keys made, and sealed to the second, before the second lost theirs.
    made.nodes[0].permit = may_rekey(&actor(owner), &lab.facts(owner, shared).await, NOW).unwrap();
    assert!(matches!(lab.store.rekey(made).await, Err(StoreError::Stale("list of shares"))));
    let mut made = whole(&lab, owner, shared).await;
    made.nodes[0].closure_seen -= 1;
    lab.store.rekey(made).await.unwrap();
    assert!(!lab.facts(owner, shared).await.is_open(), "the younger closure was not seen by whoever made the keys");
    lab.store.rekey(whole(&lab, owner, shared).await).await.unwrap();
    assert!(lab.facts(owner, shared).await.is_open());
}
