//! The key file's outer form, readable without its passphrase (docs/formats.md §9).
//!
//! ```text
//!   -----BEGIN ENCRYPTED PRIVATE KEY-----   PKCS#8 of the signing key, under the passphrase; openssl reads it
//!   -----BEGIN TICRYPT KEM SEEDS-----       u32 length ‖ header in the clear ‖ seeds, under a key made of block 1
//! ```

use data_encoding::BASE64;
use ticrypt_types::{DeploymentId, UserId, UserName};

use crate::record;
use crate::record::{Record, RecordError};

/// Bytes of the longest key file: a person's generations are few.
pub const KEY_FILE_MAX_LEN: usize = 64 * 1024;

const KEY_LABEL: &str = "ENCRYPTED PRIVATE KEY";
const SEEDS_LABEL: &str = "TICRYPT KEM SEEDS";
const LINE_LEN: usize = 64;

/// Why some text is not a key file.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileTextError {
    #[error("this is not a key file of ticrypt: {0}")]
    NotAKeyFile(&'static str),
    #[error("the header of the key file cannot be read")]
    Header(#[source] RecordError),
}

record! {
    /// Whose file it is.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct KeyFileHeader {
        pub deployment: DeploymentId,
        pub user: UserId,
        pub name: UserName,
        pub generation: u32,
    }
}

impl Record for KeyFileHeader {
    const MAX_LEN: usize = 256;

    fn check(&self) -> Result<(), RecordError> {
        Ok(())
    }
}

/// A key file taken apart; nothing in it is verified before it is unlocked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFileText {
    /// DER of the encrypted PKCS#8 block.
    pub encrypted_key: Vec<u8>,
    pub header: KeyFileHeader,
    /// The header's bytes, which the seeds are bound to.
    pub header_bytes: Vec<u8>,
    /// The encrypted seeds.
    pub sealed_seeds: Vec<u8>,
}

impl KeyFileText {
    /// Reads the two blocks and nothing else; line ends may be those of any system.
    pub fn parse(text: &str) -> Result<Self, KeyFileTextError> {
        use KeyFileTextError::NotAKeyFile;
        if text.len() > KEY_FILE_MAX_LEN {
            return Err(NotAKeyFile("it is too long"));
        }
        let mut lines = text.lines();
        let encrypted_key = block(&mut lines, KEY_LABEL).ok_or(NotAKeyFile("no encrypted private key block"))?;
        let seeds = block(&mut lines, SEEDS_LABEL).ok_or(NotAKeyFile("no block of kem seeds"))?;
        if lines.any(|line| !line.is_empty()) {
            return Err(NotAKeyFile("something follows its two blocks"));
        }
        let (length, rest) = seeds.split_first_chunk().ok_or(NotAKeyFile("its second block is cut off"))?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| NotAKeyFile("its header is too long"))?;
        let (header_bytes, sealed) = rest.split_at_checked(length).ok_or(NotAKeyFile("its second block is cut off"))?;
        let header = KeyFileHeader::parse(header_bytes).map_err(KeyFileTextError::Header)?;
        Ok(Self { encrypted_key, header, header_bytes: header_bytes.to_vec(), sealed_seeds: sealed.to_vec() })
    }

    /// The file's text.
    pub fn to_text(&self) -> String {
        let length = u32::try_from(self.header_bytes.len()).unwrap_or(u32::MAX);
        let seeds = [&length.to_be_bytes()[..], &self.header_bytes, &self.sealed_seeds].concat();
        format!("{}{}", pem(KEY_LABEL, &self.encrypted_key), pem(SEEDS_LABEL, &seeds))
    }
}

/// One PEM block (RFC 7468 §3, strict: lines of 64 characters).
fn block<'a>(lines: &mut impl Iterator<Item = &'a str>, label: &str) -> Option<Vec<u8>> {
    if lines.next()? != format!("-----BEGIN {label}-----") {
        return None;
    }
    let end = format!("-----END {label}-----");
    let mut body = String::new();
    let mut ended = false;
    for line in lines {
        if line == end {
            ended = true;
            break;
        }
        // Only the last line may be shorter, so that a block has one form.
        if line.is_empty() || line.len() > LINE_LEN || !body.len().is_multiple_of(LINE_LEN) {
            return None;
        }
        body.push_str(line);
    }
    if !ended {
        return None;
    }
    BASE64.decode(body.as_bytes()).ok()
}

fn pem(label: &str, bytes: &[u8]) -> String {
    let body = BASE64.encode(bytes);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(LINE_LEN));
        text.push_str(line);
        text.push('\n');
        rest = more;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sample() -> KeyFileText {
        let header = KeyFileHeader {
            deployment: DeploymentId::from_random([1; 16]),
            user: UserId::from_random([2; 16]),
            name: "r.tal".parse().unwrap(),
            generation: 3,
        };
        KeyFileText { encrypted_key: vec![0x30; 100], header_bytes: header.to_bytes(), header, sealed_seeds: vec![9; 80] }
    }

    #[test]
    fn round_trip_with_any_line_ends() {
        let text = sample().to_text();
        assert_eq!(KeyFileText::parse(&text).unwrap(), sample());
        assert_eq!(KeyFileText::parse(&text.replace('\n', "\r\n")).unwrap(), sample());
        assert_eq!(KeyFileText::parse(&format!("{text}\n\n")).unwrap(), sample());
    }

    #[test]
    fn other_texts_are_refused() {
        let text = sample().to_text();
        let half = text.find("-----BEGIN TICRYPT").unwrap();
        let (key, seeds) = text.split_at(half);
        for bad in [
            String::new(),
            "hello".to_owned(),
            key.to_owned(),
            seeds.to_owned(),
            format!("{seeds}{key}"),
            format!("{text}{seeds}"),
            format!("note\n{text}"),
            format!("{text}note"),
            text.replace("MDAw", "MD*w"),
            text.replace("ENCRYPTED PRIVATE", "PRIVATE"),
            text.trim_end().trim_end_matches('-').to_owned(),
        ] {
            assert!(matches!(KeyFileText::parse(&bad), Err(KeyFileTextError::NotAKeyFile(_))), "{bad}");
        }
    }
}
