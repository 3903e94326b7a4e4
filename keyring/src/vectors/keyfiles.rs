//! Vectors of key files.

use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::der::{Encode, asn1::OctetStringRef};
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::{self, Kdf, Parameters, Pbkdf2Params, Pbkdf2Prf};
use serde_json::{Value, json};
use ticrypt_crypto::keyfile::{KeyFileHeader, KeyFileText};
use ticrypt_crypto::record::Record;
use ticrypt_types::{DeploymentId, UserId};

use super::make::{C, Files, Signer, bytes, hex, id, key, rec};
use crate::identity::KemSeed;
use crate::random::tests::Seeded;
use crate::{Identity, SigningKey, keyfile};

const PASSPHRASE: &str = "correct horse";

fn identity(person: &str) -> Identity {
    let header = KeyFileHeader {
        deployment: DeploymentId::try_from(id("deployment")).unwrap(),
        user: UserId::try_from(id(person)).unwrap(),
        name: person.parse().unwrap(),
        generation: 1,
    };
    let signing = SigningKey::from_scalar(&Signer::new(person).secret).unwrap();
    let seed = |generation: u32| (generation, KemSeed::from_bytes(&key(&format!("{person} {generation}"))).unwrap());
    Identity::from_parts(header, signing, vec![seed(1), seed(0)]).unwrap()
}

fn file_of(person: &str) -> KeyFileText {
    let text = keyfile::write(&identity(person), PASSPHRASE.as_bytes(), 600_000, &Seeded::new(person)).unwrap();
    KeyFileText::parse(&text).unwrap()
}

/// The first block's outside with chosen parameters; its inside is never reached.
fn block(kdf: Pbkdf2Params, encryption: pbes2::EncryptionScheme, body: &[u8]) -> Vec<u8> {
    let info = EncryptedPrivateKeyInfoRef {
        encryption_algorithm: EncryptionScheme::Pbes2(Parameters { kdf: Kdf::Pbkdf2(kdf), encryption }),
        encrypted_data: OctetStringRef::new(body).unwrap(),
    };
    info.to_der().unwrap()
}

pub(super) fn write(files: &mut Files) {
    let mut file = files.file("key-files", "Key files (docs/formats.md §9). The passphrase is the test's.");
    let good = file_of("r.tal");
    let public = hex(identity("r.tal").signing().public_key().as_bytes());
    let input = |text: &str, passphrase: &str| -> Value { json!({ "text": text, "passphrase": passphrase, "public_key": public }) };
    file.good("key-file", "a key file with a retired seed", "§9 key file", input(&good.to_text(), PASSPHRASE));
    file.bad("key-file", "a wrong passphrase", "§9 PBES2", input(&good.to_text(), "correct house"));
    file.bad("key-file", "an empty passphrase", "§9 PBES2", input(&good.to_text(), ""));

    let mut parts = |name: &str, rule: &str, change: &dyn Fn(&mut KeyFileText)| {
        let mut parts = good.clone();
        change(&mut parts);
        file.bad("key-file", name, rule, input(&parts.to_text(), PASSPHRASE));
    };
    let other = file_of("m.ery");
    parts("another key file's second block", "§9 K is made of block 1", &|p| {
        (p.header_bytes, p.sealed_seeds) = (other.header_bytes.clone(), other.sealed_seeds.clone());
    });
    parts("another key file's first block", "§9 aad: H(DER of block 1)", &|p| p.encrypted_key = other.encrypted_key.clone());
    parts("a header with another name", "§9 aad: header", &|p| {
        let header = KeyFileHeader { name: "m.ery".parse().unwrap(), ..p.header.clone() };
        p.header_bytes = header.to_bytes();
    });
    parts("seeds altered", "§9 AEAD(K, …)", &|p| p.sealed_seeds[30] ^= 1);
    parts("seeds cut off", "§9 AEAD(K, …)", &|p| p.sealed_seeds.truncate(20));
    parts("a header of version 2", "§0 version 1", &|p| p.header_bytes = bytes(&[C::U(2), C::U(0)]));
    parts("a header that is not canonical", "§0 core deterministic encoding", &|p| {
        p.header_bytes = [&[0x98, 5], &p.header_bytes[1..]].concat();
    });

    // The same signing key with other contents in the second block.
    let seeds = |list: Vec<C>| rec(vec![C::A(list)]);
    let seed = |generation: u64| C::A(vec![C::U(generation), C::B(key(&format!("r.tal {generation}")).to_vec())]);
    let mut sealed = |name: &str, rule: &str, plain: Vec<u8>| {
        let signing = identity("r.tal").signing().duplicate();
        let aad = keyfile::second_block_aad(&good.encrypted_key, &good.header_bytes);
        let sealed_seeds = keyfile::seeds_key(&signing).unwrap().seal(&Seeded::new(name), &aad, &plain).unwrap();
        let text = KeyFileText { sealed_seeds, ..good.clone() }.to_text();
        file.bad("key-file", name, rule, input(&text, PASSPHRASE));
    };
    sealed("seeds oldest first", "§9 newest first", bytes(&seeds(vec![seed(0), seed(1)])));
    sealed("two seeds of one generation", "§9 newest first", bytes(&seeds(vec![seed(1), seed(1)])));
    sealed("no seed at all", "§9 seeds", bytes(&seeds(vec![])));
    sealed("a newest seed that is not the header's generation", "§9 seeds", bytes(&seeds(vec![seed(2), seed(1)])));
    sealed("a seed of 31 bytes", "§9 seed bstr32", bytes(&seeds(vec![C::A(vec![C::U(1), C::B(vec![1; 31])])])));
    sealed("seeds with something behind them", "§0 refuses trailing bytes", [bytes(&seeds(vec![seed(1), seed(0)])), vec![0]].concat());
    sealed("a generation in a longer form", "§0 shortest form", bytes(&seeds(vec![C::A(vec![C::Raw(vec![0x18, 1]), C::B(vec![1; 32])])])));

    let aes256 = || pbes2::EncryptionScheme::Aes256Cbc { iv: [7; 16] };
    let kdf = |rounds: u32, salt: &[u8]| Pbkdf2Params::hmac_sha256(rounds, salt).unwrap();
    let mut outside = |name: &str, rule: &str, der: Vec<u8>| {
        file.bad("key-file", name, rule, input(&KeyFileText { encrypted_key: der, ..good.clone() }.to_text(), PASSPHRASE));
    };
    outside("599 999 rounds", "§9 600 000 to 10 000 000 rounds", block(kdf(599_999, &[1; 16]), aes256(), &[0; 144]));
    outside("one round", "§9 600 000 to 10 000 000 rounds", block(kdf(1, &[1; 16]), aes256(), &[0; 144]));
    outside("10 000 001 rounds", "§9 600 000 to 10 000 000 rounds", block(kdf(10_000_001, &[1; 16]), aes256(), &[0; 144]));
    outside("a salt of 8 bytes", "§9 salt ≥ 16 bytes", block(kdf(600_000, &[1; 8]), aes256(), &[0; 144]));
    outside("no salt", "§9 salt ≥ 16 bytes", block(kdf(600_000, &[]), aes256(), &[0; 144]));
    let sha1 = Pbkdf2Params { prf: Pbkdf2Prf::HmacWithSha1, ..kdf(600_000, &[1; 16]) };
    outside("HMAC-SHA-1", "§9 PBKDF2-HMAC-SHA-256", block(sha1, aes256(), &[0; 144]));
    let short = Pbkdf2Params { key_length: Some(16), ..kdf(600_000, &[1; 16]) };
    outside("a key length of 16", "§9 AES-256-CBC", block(short, aes256(), &[0; 144]));
    let aes128 = pbes2::EncryptionScheme::Aes128Cbc { iv: [7; 16] };
    outside("AES-128", "§9 AES-256-CBC", block(kdf(600_000, &[1; 16]), aes128, &[0; 144]));
    outside("an encrypted key of no bytes", "§9 PBES2", block(kdf(600_000, &[1; 16]), aes256(), &[]));
    outside("an encrypted key of half a block", "§9 PBES2", block(kdf(600_000, &[1; 16]), aes256(), &[0; 24]));
    outside("an encrypted key of zeros", "§9 PBES2", block(kdf(600_000, &[1; 16]), aes256(), &[0; 144]));
    outside(
        "a private key that is not encrypted",
        "§9 ENCRYPTED PRIVATE KEY",
        identity("r.tal").signing().to_pkcs8().unwrap().expose().clone(),
    );
    outside("a first block that is no ASN.1", "§9 PKCS#8", vec![0xff; 40]);

    let text = good.to_text();
    let (first, second) = text.split_at(text.find("-----BEGIN TICRYPT").unwrap());
    let mut broken = |name: &str, rule: &str, text: String| file.bad("key-file-text", name, rule, json!({ "text": text }));
    broken("an empty file", "§9 two PEM blocks", String::new());
    broken("the first block alone", "§9 two PEM blocks", first.to_owned());
    broken("the second block alone", "§9 two PEM blocks", second.to_owned());
    broken("the blocks in each other's place", "§9 two PEM blocks", format!("{second}{first}"));
    broken("a third block", "§9 nothing else", format!("{text}{second}"));
    broken("a note above the blocks", "§9 nothing else", format!("my key\n{text}"));
    broken("a note below the blocks", "§9 nothing else", format!("{text}my key\n"));
    broken("another label", "§9 labels", text.replace("ENCRYPTED PRIVATE", "PRIVATE"));
    broken("a line of 65 characters", "§9 RFC 7468", text.replacen("\n-----END ENC", "A\n-----END ENC", 1).replacen('\n', "\nAAAA", 1));
    broken("a character outside base64", "§9 RFC 7468", text.replacen("-----\nM", "-----\n*", 1));
    broken("a block without its end", "§9 RFC 7468", text.replacen("-----END ENCRYPTED PRIVATE KEY-----\n", "", 1));
    let lying = |length: u32| {
        let body = [&length.to_be_bytes()[..], &good.header_bytes, &good.sealed_seeds].concat();
        format!("{first}-----BEGIN TICRYPT KEM SEEDS-----\n{}-----END TICRYPT KEM SEEDS-----\n", lines(&body))
    };
    broken("a header longer than its block", "§9 u32 length of header", lying(u32::MAX));
    broken("a header of length 0", "§9 u32 length of header", lying(0));
}

/// Base64 in lines of 64, by hand.
fn lines(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for (i, group) in bytes.chunks(3).enumerate() {
        let word = group.iter().enumerate().fold(0_usize, |word, (at, byte)| word | usize::from(*byte) << (16 - 8 * at));
        for at in 0..4 {
            text.push(if at <= group.len() { char::from(ALPHABET[word >> (18 - 6 * at) & 63]) } else { '=' });
        }
        if i % 16 == 15 {
            text.push('\n');
        }
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}
