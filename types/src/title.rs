//! What projects, groups and teams are called. Metadata: the server reads these, unlike the names in a vault.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use unicode_normalization::UnicodeNormalization;

use crate::limits::{TAG_MAX_CHARS, TITLE_MAX_BYTES};

/// Why some text is not a title, a tag or a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TitleError {
    #[error("a title has 1 to {TITLE_MAX_BYTES} bytes of utf-8, and no space at its ends")]
    Title,
    #[error("a tag has 1 to {TAG_MAX_CHARS} characters, and no space at its ends")]
    Tag,
    #[error("a title or a tag holds no control, formatting or bidirectional character")]
    Control,
    #[error("a colour is written like #1f77b4")]
    Colour,
}

fn plain(text: &str) -> Result<String, TitleError> {
    let normal: String = text.nfc().collect();
    // What could forge other output on a terminal or a page is not part of a title at all.
    if crate::name::Harmless(&normal).to_string() == normal { Ok(normal) } else { Err(TitleError::Control) }
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident $error:ident |$text:ident| $fits:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, utoipa::ToSchema)]
        #[serde(transparent)]
        #[schema(value_type = String)]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = TitleError;
            fn from_str(text: &str) -> Result<Self, TitleError> {
                let normal = plain(text)?;
                let $text = normal.as_str();
                if $text.is_empty() || $text.trim() != $text || !$fits {
                    return Err(TitleError::$error);
                }
                Ok(Self(normal))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

texts! {
    /// The name of a project, a level, a requirement, a group or a team.
    Title Title |text| text.len() <= TITLE_MAX_BYTES;
    /// The text of a project's tag: short, since it stands beside everything that carries it.
    Tag Tag |text| text.chars().count() <= TAG_MAX_CHARS;
    /// The colour of a tag, `#rrggbb` in lower case.
    Colour Colour |text| is_colour(text);
}

fn is_colour(text: &str) -> bool {
    let digits = text.strip_prefix('#').unwrap_or_default();
    digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_tags_and_colours() {
        for good in ["a", "Florida, 2026", "Länder"] {
            assert!(good.parse::<Title>().is_ok() && good.parse::<Tag>().is_ok(), "{good}");
        }
        assert_eq!("La\u{308}nder".parse::<Title>(), "L\u{e4}nder".parse(), "one spelling");
        for (bad, why) in
            [("", TitleError::Title), (" a", TitleError::Title), ("a\u{202e}b", TitleError::Control), ("a\nb", TitleError::Control)]
        {
            assert_eq!(bad.parse::<Title>(), Err(why), "{bad:?}");
        }
        assert_eq!("x".repeat(101).parse::<Title>(), Err(TitleError::Title));
        assert_eq!("x".repeat(25).parse::<Tag>(), Err(TitleError::Tag));
        for bad in ["1f77b4", "#1f77b", "#1F77B4", "#1f77bg"] {
            assert_eq!(bad.parse::<Colour>(), Err(TitleError::Colour), "{bad}");
        }
        assert!("#1f77b4".parse::<Colour>().is_ok());
    }
}
