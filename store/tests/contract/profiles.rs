//! Profiles: written, applied to people, deleted under them.

use ticrypt_policy::permit::{ProfileApply, ProfileSet};
use ticrypt_policy::profile::{Given, ProfileFacts, may_apply_profile, may_delete_profile, may_set_profile};
use ticrypt_policy::user::may_set_permissions;
use ticrypt_policy::{Actor, Permit};
use ticrypt_store::profile::Profile;
use ticrypt_store::{StoreError, Taken};
use ticrypt_types::{Permission, Permissions, ProfileId, UserId};

use crate::lab::{Db, Lab, NOW};

fn of(id: ProfileId, name: &str, permissions: Permissions) -> Profile {
    Profile { id, name: name.parse().unwrap(), description: "for them".into(), permissions, revision: 1 }
}

impl Lab {
    async fn writing(&self, root: &Actor, profile: ProfileId) -> Permit<ProfileSet> {
        let none = ProfileFacts { profile, revision: 0, permissions: Permissions::NONE };
        let facts = self.store.profile(profile).await.unwrap().map_or(none, |found| found.facts());
        may_set_profile(root, &facts, Permissions::NONE, NOW).unwrap()
    }

    async fn applying(&self, root: &Actor, user: UserId, profile: &ProfileFacts) -> Permit<ProfileApply> {
        let account = self.store.user(user).await.unwrap().unwrap();
        let facts = self.store.user_facts(user, NOW).await.unwrap().unwrap();
        let given = Given { permissions: account.permissions, profile: account.profile };
        may_apply_profile(root, &facts, given, profile, NOW).unwrap()
    }
}

pub async fn a_profile_is_written_applied_and_deleted(db: Db) {
    let lab = db.open().await;
    let root = lab.super_admin("root").await;
    let (root, ada, eva) = (lab.actor(root).await, lab.active("ada").await, lab.active("eva").await);
    let [lead, researcher] = [(); 2].map(|()| ProfileId::from_random(lab.draw()));
    let wanted = Permissions::basic().with(Permission::ProjectCreate);
    for (id, name) in [(researcher, "Researcher"), (lead, "Lead")] {
        let permit = lab.writing(&root, id).await;
        lab.store.set_profile(permit, of(id, name, wanted), NOW).await.unwrap();
    }
    let all = lab.store.profiles().await.unwrap();
    assert_eq!(all, [of(lead, "Lead", wanted), of(researcher, "Researcher", wanted)], "by name");
    // An id is given once.
    let none = ProfileFacts { profile: lead, revision: 0, permissions: Permissions::NONE };
    let again = lab.store.set_profile(may_set_profile(&root, &none, wanted, NOW).unwrap(), of(lead, "Again", wanted), NOW).await;
    assert!(matches!(again, Err(StoreError::Taken(Taken::ProfileId))), "{again:?}");

    let facts = all[0].facts();
    for user in [ada, eva] {
        let before = lab.store.user(user).await.unwrap().unwrap();
        let permit = lab.applying(&root, user, &facts).await;
        lab.store.apply_profile(permit, facts).await.unwrap();
        let after = lab.store.user(user).await.unwrap().unwrap();
        assert_eq!((after.permissions, after.profile, after.revision), (wanted, Some(lead), before.revision + 1));
        assert_eq!(after.epoch, before.epoch, "no session ends by it: permissions are asked anew with each request");
    }
    let people = lab.store.profile_people().await.unwrap();
    assert_eq!(people, [(lead, 2)]);

    // What becomes of it is nothing to those it was applied to.
    let permit = lab.writing(&root, lead).await;
    lab.store.set_profile(permit, of(lead, "Leads", Permissions::NONE), NOW).await.unwrap();
    let changed = lab.store.profile(lead).await.unwrap().unwrap();
    assert_eq!((changed.name.as_str(), changed.revision, changed.permissions), ("Leads", 2, Permissions::NONE));
    assert_eq!(lab.store.user(ada).await.unwrap().unwrap().permissions, wanted);
    let permit = may_delete_profile(&root, &changed.facts(), NOW).unwrap();
    lab.store.delete_profile(permit).await.unwrap();
    let ada = lab.store.user(ada).await.unwrap().unwrap();
    assert_eq!((ada.permissions, ada.profile), (wanted, None));
    assert_eq!(lab.store.profile_people().await.unwrap(), []);
}

pub async fn decisions_about_profiles_go_stale(db: Db) {
    let lab = db.open().await;
    let root = lab.super_admin("root").await;
    let (root, ada) = (lab.actor(root).await, lab.active("ada").await);
    let id = ProfileId::from_random(lab.draw());
    let permit = lab.writing(&root, id).await;
    lab.store.set_profile(permit, of(id, "First", Permissions::all()), NOW).await.unwrap();
    let facts = lab.store.profile(id).await.unwrap().unwrap().facts();
    let stale = |result: Result<(), StoreError>, what| match result {
        Err(StoreError::Stale(found)) => assert_eq!(found, what),
        other => panic!("{what}: {other:?}"),
    };

    // Somebody else writes it between the decision and the act.
    let (applying, writing) = (lab.applying(&root, ada, &facts).await, lab.writing(&root, id).await);
    let deleting = may_delete_profile(&root, &facts, NOW).unwrap();
    let permit = lab.writing(&root, id).await;
    lab.store.set_profile(permit, of(id, "Second", Permissions::basic()), NOW).await.unwrap();
    stale(lab.store.apply_profile(applying, facts).await, "profile");
    stale(lab.store.set_profile(writing, of(id, "Third", Permissions::NONE), NOW).await, "profile");
    stale(lab.store.delete_profile(deleting).await, "profile");

    // Or gives the person something else.
    let facts = lab.store.profile(id).await.unwrap().unwrap().facts();
    let applying = lab.applying(&root, ada, &facts).await;
    let account = lab.store.user_facts(ada, NOW).await.unwrap().unwrap();
    let permit = may_set_permissions(&root, &account, Permissions::basic(), Permissions::NONE, NOW).unwrap();
    lab.store.set_permissions(permit, Permissions::NONE).await.unwrap();
    stale(lab.store.apply_profile(applying, facts).await, "user");
    // Or deletes it.
    let applying = lab.applying(&root, ada, &facts).await;
    lab.store.delete_profile(may_delete_profile(&root, &facts, NOW).unwrap()).await.unwrap();
    stale(lab.store.apply_profile(applying, facts).await, "profile");
    assert_eq!(lab.store.user(ada).await.unwrap().unwrap().profile, None);
}
