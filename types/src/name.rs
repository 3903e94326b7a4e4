//! Names, parsed at the edge. A [`UserName`] is metadata the server reads; a [`NodeName`] never leaves the device in the clear.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::limits::{NODE_NAME_MAX_BYTES, USER_NAME_MAX_CHARS, USER_NAME_MIN_CHARS};

/// Why some text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("a user name has {USER_NAME_MIN_CHARS} to {USER_NAME_MAX_CHARS} characters")]
    UserLength,
    #[error("a user name holds only a-z, 0-9, `.`, `_` and `-`, and begins with a letter or a digit")]
    UserCharacter,
    #[error("a name in the vault is not empty")]
    Empty,
    #[error("a name in the vault has at most {NODE_NAME_MAX_BYTES} bytes of utf-8")]
    TooLong,
    #[error("`.` and `..` are not names")]
    Dots,
    #[error("a name in the vault holds neither `/` nor a zero character")]
    Separator,
    #[error("the name is not in unicode normal form c")]
    NotNormal,
}

/// How a person is called at login and found by others; unique in a deployment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, utoipa::ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, example = "r.tal")]
pub struct UserName(String);

impl UserName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        if !(USER_NAME_MIN_CHARS..=USER_NAME_MAX_CHARS).contains(&text.len()) {
            return Err(NameError::UserLength);
        }
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        if !text.starts_with(plain) || !text.chars().all(|c| plain(c) || matches!(c, '.' | '_' | '-')) {
            return Err(NameError::UserCharacter);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for UserName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The name of a file or directory: NFC, 1 to 255 bytes, case-sensitive (security B8).
///
/// Not `Serialize`: it goes to the server only as ciphertext. Show it with [`NodeName::harmless`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName(String);

impl NodeName {
    /// Takes what a person typed or a disk held, and normalises it.
    pub fn normalise(text: &str) -> Result<Self, NameError> {
        Self::parse(&text.nfc().collect::<String>())
    }

    /// Takes only what is already a name; what comes out of a ciphertext is held to this.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        match text {
            "" => Err(NameError::Empty),
            "." | ".." => Err(NameError::Dots),
            _ if text.len() > NODE_NAME_MAX_BYTES => Err(NameError::TooLong),
            _ if text.contains(['/', '\0']) => Err(NameError::Separator),
            _ if !is_nfc(text) => Err(NameError::NotNormal),
            _ => Ok(Self(text.to_owned())),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// For a terminal or a page: control and bidirectional characters, which could forge other output, are shown escaped.
    pub fn harmless(&self) -> Harmless<'_> {
        Harmless(&self.0)
    }
}

/// Shows text with every control, formatting and bidirectional character as `\u{..}`.
pub struct Harmless<'a>(pub &'a str);

impl fmt::Display for Harmless<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for c in self.0.chars() {
            let forging = c.is_control()
                || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                    | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
            if forging { write!(f, "{}", c.escape_unicode())? } else { f.write_char(c)? }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn user_names() {
        for good in ["ab", "r.tal", "0-x_9"] {
            assert_eq!(good.parse::<UserName>().unwrap().as_str(), good);
        }
        for (bad, why) in [
            ("a", NameError::UserLength),
            (&"a".repeat(65)[..], NameError::UserLength),
            ("Abc", NameError::UserCharacter),
            (".ab", NameError::UserCharacter),
            ("a b", NameError::UserCharacter),
            ("añb", NameError::UserCharacter),
        ] {
            assert_eq!(bad.parse::<UserName>(), Err(why), "{bad}");
        }
    }

    #[test]
    fn node_names() {
        assert_eq!(NodeName::normalise("e\u{301}").unwrap().as_str(), "\u{e9}");
        assert_eq!(NodeName::parse("e\u{301}"), Err(NameError::NotNormal));
        for (bad, why) in [
            ("", NameError::Empty),
            (".", NameError::Dots),
            ("..", NameError::Dots),
            ("a/b", NameError::Separator),
            ("a\0", NameError::Separator),
            (&"x".repeat(256)[..], NameError::TooLong),
        ] {
            assert_eq!(NodeName::parse(bad), Err(why), "{bad:?}");
        }
        assert!(NodeName::parse(&"x".repeat(255)).is_ok());
    }

    #[test]
    fn a_name_cannot_forge_a_terminal() {
        let name = NodeName::parse("a\u{202e}gpj.exe\u{1b}[2J").unwrap();
        assert_eq!(name.harmless().to_string(), "a\\u{202e}gpj.exe\\u{1b}[2J");
    }
}
