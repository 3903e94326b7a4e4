//! Registering, activating, ranks, rotation.

use ticrypt_api::Blob;
use ticrypt_api::user::{
    BundleReply, BundleRotateRequest, PermissionsRequest, RegisterReply, UserCard, UserListReply, UserStateRequest, UserView,
};
use ticrypt_backend::config::RegistrationMode;
use ticrypt_crypto::bundle::Bundle;
use ticrypt_crypto::statement::Action;
use ticrypt_keyring::{Identity, SystemRandom};
use ticrypt_log::event::keys::KeyEvent;
use ticrypt_types::{Operation, Permission, Permissions, Rank, Timestamp, UserId, UserState};

use crate::support::{Person, Server, config, random};

#[tokio::test]
async fn from_the_one_time_code_to_a_colleague_at_work() {
    let server = Server::start().await;
    let mut root = server.root().await;
    let me: UserView = root.ask(Operation::UserSelf, &[], &()).await.unwrap();
    assert_eq!((me.rank, me.state, me.fingerprint.0), (Rank::SuperAdmin, UserState::Active, root.bundle.hash().to_bytes()));

    let mut ada = server.pending("ada").await;
    assert_eq!(ada.try_login(&server).await.unwrap_err().code, "account_pending");
    let view = root.state(&ada, Action::Activate, "").await.unwrap();
    assert_eq!(view.state, UserState::Active);
    ada.login(&server).await;

    // Looked up by the exact name, with bundle and activation in the key log.
    let card: UserCard = ada.ask(Operation::UserLookup, &["root"], &()).await.unwrap();
    assert_eq!(card.user, root.id());
    let card: UserCard = root.ask(Operation::UserLookup, &["ada"], &()).await.unwrap();
    assert_eq!(Bundle::parse_and_verify(&card.bundles[0].0).unwrap().hash(), ada.bundle.hash());
    let leaf = KeyEvent::from_leaf(&card.bundle_leaves[0].leaf.0).unwrap();
    assert_eq!(&leaf.body[..], ada.bundle.as_bytes());
    let activation = card.activation.unwrap();
    assert_eq!(activation.leaf.0, server.running.audit.key_log().entries(activation.index..activation.index + 1).unwrap()[0]);
    assert_eq!(card.activation_issuer.unwrap().0, root.bundle.as_bytes());

    let missing = ada.ask::<_, UserCard>(Operation::UserLookup, &["nobody"], &()).await.unwrap_err();
    assert_eq!((missing.status, missing.code.as_str()), (404, "not_found"));
}

#[tokio::test]
async fn the_code_works_once() {
    let server = Server::start().await;
    let code = server.running.code.as_ref().unwrap().expose().clone();
    let mut wire = server.wire().await;
    let first = Person::new(&server, "first");
    let wrong = wire.ask::<_, RegisterReply>(Operation::UserRegister, &[], &first.registration(Some("AAAA-AAAA".to_owned()), None)).await;
    assert_eq!(wrong.unwrap_err().code, "registration_code");
    let _: RegisterReply = wire.ask(Operation::UserRegister, &[], &first.registration(Some(code.clone()), None)).await.unwrap();
    let second = Person::new(&server, "second");
    let used = wire.ask::<_, RegisterReply>(Operation::UserRegister, &[], &second.registration(Some(code), None)).await;
    assert_eq!(used.unwrap_err().code, "registration_code");
    // It is nowhere in the database but hashed, and a restart shows none.
    assert!(server.restart().await.running.code.is_none());
}

#[tokio::test]
async fn registration_refuses_what_it_must() {
    let server = Server::start().await;
    let mut wire = server.wire().await;
    let ada = server.pending("ada").await;

    let same_name = Person::new(&server, "ada").registration(None, None);
    assert_eq!(wire.ask::<_, RegisterReply>(Operation::UserRegister, &[], &same_name).await.unwrap_err().code, "name_taken");
    let same_id = Person::with_id(&server, "eva", ada.id()).registration(None, None);
    let taken = wire.ask::<_, RegisterReply>(Operation::UserRegister, &[], &same_id).await.unwrap_err();
    assert_eq!((taken.status, taken.code.as_str()), (409, "taken"));

    let mut torn = Person::new(&server, "torn").registration(None, None);
    torn.bundle.0[40] ^= 1;
    assert_eq!(wire.ask::<_, RegisterReply>(Operation::UserRegister, &[], &torn).await.unwrap_err().status, 400);

    let other = Server::start().await;
    let foreign = Person::new(&other, "foreign").registration(None, None);
    assert_eq!(wire.ask::<_, RegisterReply>(Operation::UserRegister, &[], &foreign).await.unwrap_err().code, "wrong_deployment");

    let unknown = wire.send(Operation::UserRegister, &[], "", br#"{"bundle":"","nonsense":1}"#.to_vec()).await;
    assert_eq!((unknown.status, unknown.problem().code.as_str()), (400, "invalid"));
}

#[tokio::test]
async fn a_token_is_asked_for_and_not_served() {
    let mut with_token = config();
    with_token.registration.mode = RegistrationMode::Token;
    let server = Server::start_with(with_token).await;
    let token = server.running.file.registration_token.clone().unwrap();
    let mut wire = server.wire().await;
    let served = wire.send(Operation::DeploymentRead, &[], "", vec![]).await;
    assert!(!String::from_utf8_lossy(&served.body).contains(&token));
    let ada = Person::new(&server, "ada");
    for wrong in [None, Some("x".repeat(token.len()))] {
        let refused = wire.ask::<_, RegisterReply>(Operation::UserRegister, &[], &ada.registration(None, wrong)).await;
        assert_eq!(refused.unwrap_err().code, "registration_code");
    }
    let reply: RegisterReply = wire.ask(Operation::UserRegister, &[], &ada.registration(None, Some(token))).await.unwrap();
    assert_eq!(reply.state, UserState::Pending);

    let mut closed = config();
    closed.registration.mode = RegistrationMode::Closed;
    let server = Server::start_with(closed).await;
    let ada = Person::new(&server, "ada");
    let refused = server.wire().await.ask::<_, RegisterReply>(Operation::UserRegister, &[], &ada.registration(None, None)).await;
    assert_eq!(refused.unwrap_err().code, "registration_closed");
}

#[tokio::test]
async fn ranks_decide_and_the_last_super_admin_stays() {
    let server = Server::start().await;
    let mut root = server.root().await;
    let mut ada = server.member(&mut root, "ada").await;
    let eva = server.pending("eva").await;

    assert_eq!(ada.state(&eva, Action::Activate, "").await.unwrap_err().code, "needs_administrator");
    // Nobody is in a team: whoever is active sees whoever is, and nothing that is for administrators.
    let seen: UserListReply = ada.ask(Operation::UserList, &[], &()).await.unwrap();
    assert_eq!(seen.users.iter().map(|user| user.name.as_str()).collect::<Vec<_>>(), ["ada", "root"]);
    assert!(
        seen.users[0].last_login_ms.is_some() && seen.users[1].last_login_ms.is_none() && seen.users[1].permissions == Permissions::NONE
    );
    assert_eq!(root.state_of_self(Action::Role(Rank::User)).await, "oneself");
    assert_eq!(root.state(&eva, Action::Deactivate, " ").await.unwrap_err().code, "no_reason");

    // Promotion counts at once, without a new login, and brings no permission: those are given.
    root.state(&ada, Action::Role(Rank::Admin), "").await.unwrap();
    assert_eq!(ada.state(&eva, Action::Activate, "").await.unwrap_err().code, "no_permission");
    let permissions =
        PermissionsRequest { permissions: Permissions::basic().with(Permission::UserActivate).with(Permission::UserDeactivate) };
    let () = root.ask(Operation::UserPermissions, &[&ada.id().to_string()], &permissions).await.unwrap();
    ada.state(&eva, Action::Activate, "").await.unwrap();
    assert_eq!(ada.state(&root, Action::Deactivate, "why not").await.unwrap_err().code, "rank_too_high");
    let list: UserListReply = ada.ask(Operation::UserList, &[], &()).await.unwrap();
    assert_eq!(list.users.iter().map(|user| user.name.as_str()).collect::<Vec<_>>(), ["ada", "eva", "root"]);
    let page = ada.wire.as_mut().unwrap().send(Operation::UserList, &[], "?limit=2", vec![]).await;
    let page: UserListReply = serde_json::from_slice(&page.body).unwrap();
    assert_eq!(page.users.len(), 2);
    let rest = ada.wire.as_mut().unwrap().send(Operation::UserList, &[], &format!("?page={}", page.next.unwrap()), vec![]).await;
    let rest: UserListReply = serde_json::from_slice(&rest.body).unwrap();
    assert_eq!((rest.users[0].name.as_str(), rest.next), ("root", None));

    // Two super-admins: one may go, the other stays. (Demoting or disabling the last one is impossible for anybody else too.)
    root.state(&ada, Action::Role(Rank::SuperAdmin), "").await.unwrap();
    ada.login(&server).await;
    ada.state(&root, Action::Role(Rank::User), "").await.unwrap();
    let mut eva = eva;
    eva.login(&server).await;
    ada.state(&eva, Action::Role(Rank::SuperAdmin), "").await.unwrap();
    let mut eva_again = eva;
    eva_again.state(&ada, Action::DisableUntil(server.now().plus_millis(60_000)), "").await.unwrap();
    // Only eva is left active: nobody can take her rank, not even if somebody of her rank were logged in.
    assert_eq!(eva_again.state_of_self(Action::Deactivate).await, "oneself");
}

#[tokio::test]
async fn a_loss_ends_sessions_at_once() {
    let server = Server::start().await;
    let mut root = server.root().await;
    let mut ada = server.member(&mut root, "ada").await;
    let _: UserView = ada.ask(Operation::UserSelf, &[], &()).await.unwrap();

    let view = root.state(&ada, Action::Deactivate, "left the project").await.unwrap();
    assert_eq!((view.state, view.reason.as_deref()), (UserState::Inactive, Some("left the project")));
    let mut again = ada.further(&server).await;
    assert_eq!(again.ask::<_, UserView>(Operation::UserSelf, &[], &()).await.unwrap_err().code, "session_over");
    assert_eq!(ada.try_login(&server).await.unwrap_err().code, "account_inactive");
    assert_eq!(root.ask::<_, UserCard>(Operation::UserLookup, &["ada"], &()).await.unwrap().user, ada.id());

    root.state(&ada, Action::Activate, "").await.unwrap();
    ada.login(&server).await;
    // Disabled until a date: access resumes by itself.
    let until = server.now().plus_millis(60_000);
    root.state(&ada, Action::DisableUntil(until), "").await.unwrap();
    assert_eq!(ada.try_login(&server).await.unwrap_err().code, "account_disabled");
    server.advance(60_001);
    ada.login(&server).await;
}

#[tokio::test]
async fn statements_are_about_this_account_by_this_administrator_and_of_now() {
    let server = Server::start().await;
    let mut root = server.root().await;
    let ada = server.pending("ada").await;
    let eva = server.pending("eva").await;
    let path = ada.id().to_string();
    let good = root.statement_record(ada.id(), &ada.bundle, Action::Activate, "");
    let other_deployment = Server::start().await.deployment();
    let mut bad = Vec::new();
    let mut alter = |change: &dyn Fn(&mut ticrypt_crypto::statement::StatementPayload)| {
        let mut record = good.clone();
        change(&mut record);
        bad.push(record);
    };
    alter(&|record| record.user = eva.id());
    alter(&|record| record.bundle = eva.bundle.hash());
    alter(&|record| record.issuer = eva.id());
    alter(&|record| record.issuer_bundle = eva.bundle.hash());
    alter(&|record| record.deployment = other_deployment);
    alter(&|record| record.at = Timestamp::from_millis(record.at.as_millis() - 3_600_000));
    for record in bad {
        let request = UserStateRequest { statement: Blob(root.sign_statement(&record)), bundle: None };
        let refused = root.ask::<_, UserView>(Operation::UserState, &[&path], &request).await.unwrap_err();
        assert_eq!(refused.code, "statement_unfit", "{record:?}");
    }
    let by_eva = UserStateRequest { statement: Blob(eva.sign_statement(&good)), bundle: None };
    assert_eq!(root.ask::<_, UserView>(Operation::UserState, &[&path], &by_eva).await.unwrap_err().code, "statement_not_signed");
    let nobody = UserId::from_random(random()).to_string();
    let request = UserStateRequest { statement: Blob(root.sign_statement(&good)), bundle: None };
    assert_eq!(root.ask::<_, UserView>(Operation::UserState, &[&nobody], &request).await.unwrap_err().status, 404);
    let _: UserView = root.ask(Operation::UserState, &[&path], &request).await.unwrap();
}

#[tokio::test]
async fn an_identity_is_rotated_by_both_keys_and_reset_by_an_administrator() {
    let server = Server::start().await;
    let mut root = server.root().await;
    let mut ada = server.member(&mut root, "ada").await;
    let (next, bundle) = ada.identity.rotate(&SystemRandom::new(), &ada.bundle, false, server.now()).unwrap();
    let rotate = |bundle: &Bundle| BundleRotateRequest { bundle: Blob(bundle.as_bytes().to_vec()) };

    // A reset is not one's own to make.
    let (_, reset) = Identity::reset(&SystemRandom::new(), &ada.bundle, server.now()).unwrap();
    assert_eq!(ada.ask::<_, BundleReply>(Operation::BundleRotate, &[], &rotate(&reset)).await.unwrap_err().code, "bundle_invalid");
    // Nor somebody else's rotation.
    assert_eq!(root.ask::<_, BundleReply>(Operation::BundleRotate, &[], &rotate(&bundle)).await.unwrap_err().code, "bundle_invalid");

    let reply: BundleReply = ada.ask(Operation::BundleRotate, &[], &rotate(&bundle)).await.unwrap();
    assert_eq!(reply.bundle.0, bundle.as_bytes());
    let again = ada.ask::<_, BundleReply>(Operation::BundleRotate, &[], &rotate(&bundle)).await.unwrap_err();
    assert_eq!(again.status, 400, "{again:?}");
    let read: BundleReply = ada.ask(Operation::BundleRead, &[&bundle.hash().to_string()], &()).await.unwrap();
    assert_eq!(read.leaf.index, reply.leaf.index);

    // The old key logs in no more, the new one does.
    assert_eq!(ada.try_login(&server).await.unwrap_err().code, "login_failed");
    (ada.identity, ada.bundle) = (next, bundle);
    ada.login(&server).await;

    // A lost key: the administrator states the new bundle; sessions end.
    let (identity, bundle) = Identity::reset(&SystemRandom::new(), &ada.bundle, server.now()).unwrap();
    let statement = Blob(root.statement(ada.id(), &bundle, Action::Reset, "lost the key"));
    let request = UserStateRequest { statement: statement.clone(), bundle: None };
    assert_eq!(root.ask::<_, UserView>(Operation::UserState, &[&ada.id().to_string()], &request).await.unwrap_err().status, 400);
    let request = UserStateRequest { statement, bundle: Some(Blob(bundle.as_bytes().to_vec())) };
    let view: UserView = root.ask(Operation::UserState, &[&ada.id().to_string()], &request).await.unwrap();
    assert_eq!(view.generation, 2);
    let mut old = ada.further(&server).await;
    assert_eq!(old.ask::<_, UserView>(Operation::UserSelf, &[], &()).await.unwrap_err().code, "session_over");
    (ada.identity, ada.bundle) = (identity, bundle);
    ada.login(&server).await;
    let card: UserCard = root.ask(Operation::UserLookup, &["ada"], &()).await.unwrap();
    assert_eq!(card.bundles.len(), 3);
}

impl Person {
    async fn state_of_self(&mut self, action: Action) -> String {
        let statement = Blob(self.statement(self.id(), &self.bundle, action, "because"));
        let request = UserStateRequest { statement, bundle: None };
        let id = self.id().to_string();
        self.ask::<_, UserView>(Operation::UserState, &[&id], &request).await.unwrap_err().code
    }
}
