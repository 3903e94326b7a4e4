//! Nothing secret reaches the server: names, contents, their hashes, passphrases and keys are sought in everything it stores, says and
//! holds in memory, in every dress.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::io::Write;

use sha2::{Digest, Sha256};
use ticrypt_e2e::canary::{Canary, Searcher, Sighting};
use ticrypt_e2e::chance::Chance;
use ticrypt_e2e::person::Person;
use ticrypt_e2e::system::{Options, System};
use ticrypt_e2e::{keyfile, memory};

/// Whatever is found anywhere; the places searched and how much was in them.
fn search(system: &System, searcher: &Searcher) -> (Vec<Sighting>, String) {
    let (mut seen, stored) = searcher.search_tree(system.data()).unwrap();
    let said = std::fs::File::open(system.log_file()).unwrap();
    let said_bytes = said.metadata().unwrap().len();
    seen.extend(searcher.search_reader("what the backend said", said).unwrap());
    let (in_memory, memory_bytes) = memory::search(system.process().unwrap(), searcher, 4096).unwrap();
    seen.extend(in_memory);
    (seen, format!("{stored} bytes stored, {said_bytes} said, {memory_bytes} in memory"))
}

#[test]
fn no_secret_is_on_the_server() {
    let mut chance = Chance::from_environment("canary");
    let options = Options { extra: "[log]\nevents_file = \"events.jsonl\"\n".to_owned(), ..Options::default() };
    let system = System::start(&options).unwrap();

    // A name that is public, so that the search is seen to find something in each kind of place.
    let public = format!("ann-{}", chance.word(20));
    let [first, second] = ["ann", "ben"].map(|_| format!("passphrase {}", chance.word(24)));
    let ann = Person::register(&system, &public, &first, Some(&system.code().unwrap())).unwrap();
    ann.login().unwrap();
    let ben = Person::register(&system, "ben", &second, None).unwrap();
    ann.activate(&ben).unwrap();
    ben.login().unwrap();

    let mut canaries = vec![Canary::new("ann's passphrase", first.as_str()), Canary::new("ben's passphrase", second.as_str())];
    for person in [&ann, &ben] {
        canaries.extend(keyfile::secrets(&person.key_file().unwrap(), person.passphrase()).unwrap());
    }
    let kinds = ["directory", "file", "renamed", "pattern", "lost", "small content", "large content", "wrong passphrase"];
    let words = kinds.map(|kind| format!("{kind}-{}", chance.word(24)));
    canaries.extend(kinds.iter().zip(&words).map(|(kind, word)| Canary::new(*kind, word.as_str())));
    let [directory, file, renamed, pattern, lost, small, large, wrong_passphrase] = words;

    let scratch = tempfile::tempdir().unwrap();
    let local = scratch.path().join(&directory);
    std::fs::create_dir(&local).unwrap();
    let contents = [small.clone().into_bytes(), [large.as_bytes(), &chance.bytes(200_000), large.as_bytes()].concat()];
    for (content, name) in contents.iter().zip([file.clone(), format!("large-{file}")]) {
        std::fs::write(local.join(name), content).unwrap();
        canaries.push(Canary::new("the hash of a content", Sha256::digest(content).to_vec()));
    }
    let target = scratch.path().join("back");
    std::fs::create_dir(&target).unwrap();
    let (path, moved) = (format!("/{directory}/{file}"), format!("/{directory}/{renamed}"));
    let shared = format!("/@shared/{public}/{directory}");
    ann.put(&local, "/").unwrap().success().unwrap();
    ann.share(&format!("/{directory}"), "ben").unwrap().success().unwrap();
    for arguments in
        [vec!["mv", &path, &moved], vec!["ls", "-l", &format!("/{directory}")], vec!["find", "/", "--name", &pattern], vec!["stat", &moved]]
    {
        ann.run(&arguments).unwrap().success().unwrap();
    }
    ben.get(&shared, &target).unwrap().success().unwrap();
    assert_eq!(std::fs::read(target.join(&directory).join(&renamed)).unwrap(), contents[0]);
    // What goes wrong is told to the log more readily.
    for arguments in [
        vec!["get", &format!("/{lost}"), "."],
        vec!["rm", &format!("{shared}/{renamed}")],
        vec!["mkdir", &format!("/@shared/{public}/{lost}")],
    ] {
        assert!(!ben.run(&arguments).unwrap().status.success(), "{arguments:?}");
    }
    let wrong = scratch.path().join("wrong");
    std::fs::write(&wrong, &wrong_passphrase).unwrap();
    let refused = ben.run(&["login", "--passphrase-file", wrong.to_str().unwrap()]).unwrap();
    assert!(!refused.status.success());

    let secret = Searcher::new(&canaries).unwrap();
    let (seen, searched) = search(&system, &secret);
    println!("{} secrets in {} dresses; {searched}", canaries.len(), secret.patterns());
    assert!(seen.is_empty(), "{seen:#?}");

    // The same search finds what is there: the public name in the database and in memory …
    let known = Searcher::new(&[Canary::new("the public name", public.as_str())]).unwrap();
    let (seen, _) = search(&system, &known);
    let in_place = |part: &str| seen.iter().any(|sighting| sighting.place.contains(part));
    assert!(in_place("/db/") && in_place("memory"), "{seen:#?}");
    // … and each secret in each dress, planted in each kind of place.
    let places = ["db/ticrypt.db-wal", "chunks/planted", "log/audit/planted", "log/keys/planted", "events.jsonl"];
    for (number, (canary, (dress, leak))) in
        canaries.iter().flat_map(|canary| canary.dresses().into_iter().map(move |dress| (canary, dress))).enumerate()
    {
        let path = scratch.path().join("planted").join(places[number % places.len()]);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut planted = std::fs::read(system.data().join(places[number % places.len()])).unwrap_or_default();
        planted.extend_from_slice(&leak);
        std::fs::File::create(&path).unwrap().write_all(&planted).unwrap();
        let (seen, _) = secret.search_tree(&scratch.path().join("planted")).unwrap();
        assert!(seen.iter().any(|s| s.canary == canary.name && s.dress == dress), "{} {dress} in {}", canary.name, path.display());
        std::fs::remove_file(&path).unwrap();
    }
    let mut log = std::fs::OpenOptions::new().append(true).open(system.log_file()).unwrap();
    writeln!(log, "planted {}", data_encoding::BASE64.encode(small.as_bytes())).unwrap();
    let (seen, _) = search(&system, &secret);
    assert!(!seen.is_empty() && seen.iter().all(|sighting| sighting.canary == "small content"), "{seen:#?}");
}
