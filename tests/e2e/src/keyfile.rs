//! What a key file protects, opened without the code that wrote it (docs/formats.md §9): block 1 by openssl, block 2 by its description.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use data_encoding::BASE64;
use sha2::{Digest, Sha256};

use crate::canary::Canary;
use crate::process::{PATIENCE, run};

/// The private scalar and the KEM seeds, as canaries.
pub fn secrets(file: &Path, passphrase: &str) -> Result<Vec<Canary>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let [encrypted_key, second] = [block(&text, "ENCRYPTED PRIVATE KEY")?, block(&text, "TICRYPT KEM SEEDS")?];
    let scalar = scalar(file, passphrase)?;
    let (length, rest) = second.split_first_chunk::<4>().context("a second block without a length")?;
    let (header, sealed) = rest.split_at_checked(u32::from_be_bytes(*length) as usize).context("a header that is cut")?;
    let aad = [Sha256::digest(&encrypted_key).as_slice(), header].concat();
    let seeds = open(&derive("keyfile/seeds", &scalar)?, &aad, sealed)?;
    // [1, [[generation, seed]…]]: each seed is a byte string of 32.
    let mut canaries = vec![Canary::new("the signing key", scalar)];
    for (at, _) in seeds.windows(2).enumerate().filter(|(_, two)| *two == [0x58, 0x20]) {
        if let Some(seed) = seeds.get(at + 2..at + 34) {
            canaries.push(Canary::new("a KEM seed", seed));
        }
    }
    ensure!(canaries.len() > 1, "the key file holds no seed");
    Ok(canaries)
}

/// The private key as a number of 32 bytes, from what openssl says.
fn scalar(file: &Path, passphrase: &str) -> Result<Vec<u8>> {
    let mut openssl = Command::new("openssl");
    openssl.args(["pkey", "-text", "-noout", "-in"]).arg(file).args(["-passin", &format!("pass:{passphrase}")]);
    let shown = run(&mut openssl, PATIENCE).context("run openssl; install the package openssl")?.success()?.stdout;
    let hex = shown.split("priv:").nth(1).and_then(|rest| rest.split("pub:").next()).context("openssl shows no private key")?;
    let digits: String = hex.chars().filter(char::is_ascii_hexdigit).collect();
    let bytes = data_encoding::HEXLOWER.decode(digits.as_bytes())?;
    // With a zero in front if the first bit is set.
    bytes.last_chunk::<32>().map(|scalar| scalar.to_vec()).context("a private key that is not of 32 bytes")
}

fn block(text: &str, label: &str) -> Result<Vec<u8>> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let body = text.split(&begin).nth(1).and_then(|rest| rest.split(&end).next()).with_context(|| format!("no block {label}"))?;
    Ok(BASE64.decode(body.split_whitespace().collect::<String>().as_bytes())?)
}

fn derive(label: &str, key: &[u8]) -> Result<[u8; 32]> {
    let mut derived = [0; 32];
    let pseudorandom = Salt::new(HKDF_SHA256, b"ticrypt/v1").extract(key);
    let info = [label.as_bytes()];
    let output = pseudorandom.expand(&info, HKDF_SHA256).map_err(|_| anyhow::anyhow!("HKDF failed"))?;
    output.fill(&mut derived).map_err(|_| anyhow::anyhow!("HKDF failed"))?;
    Ok(derived)
}

fn open(key: &[u8; 32], aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<12>().context("a sealed part that is too short")?;
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).map_err(|_| anyhow::anyhow!("not a key"))?);
    let mut buffer = ciphertext.to_vec();
    let opened = key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), &mut buffer);
    Ok(opened.map_err(|_| anyhow::anyhow!("the second block of the key file does not open"))?.to_vec())
}
