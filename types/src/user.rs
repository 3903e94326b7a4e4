//! Ranks and states of people (rules §1). A rank decides whom one may modify and what one sees; it opens nothing.

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant = $code),+ }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word used in the database, on the wire and under signatures.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

pub(crate) use words;

words! {
    /// Rank of an account, lowest first.
    Rank {
        User = 0 "user",
        SubAdmin = 1 "sub-admin",
        Admin = 2 "admin",
        SuperAdmin = 3 "super-admin",
    }
}

words! {
    /// Where an account stands. `disabled_until` is a date beside the state: access resumes by itself.
    UserState {
        /// Registered; waits for an administrator.
        Pending = 0 "pending",
        Active = 1 "active",
        Inactive = 2 "inactive",
    }
}

words! {
    /// Why the backend, rather than an administrator's words, says an account is inactive.
    InactiveCause {
        Administrator = 0 "administrator",
        /// Taken out of the last team they were in; a sub-admin may adopt them.
        LeftLastTeam = 1 "left-last-team",
    }
}
