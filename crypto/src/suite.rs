//! Suites of algorithms. Every record that seals or signs names one, so that an algorithm can be replaced (security B11).

use minicbor::encode::Write;

use crate::record::Element;

/// Why a suite is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SuiteError {
    #[error("suite {0} is not known to this program: update it")]
    Unknown(u64),
    #[error("suite {found} is below the minimum of this deployment, {minimum}")]
    BelowMinimum { found: u8, minimum: u8 },
}

/// The algorithms of a record (docs/formats.md §0), ordered by strength.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Suite {
    /// ECDSA P-256, AES-256-GCM, HMAC- and HKDF-SHA-256, HPKE with MLKEM1024-P384.
    One,
}

impl Suite {
    /// What this program writes.
    pub const CURRENT: Self = Self::One;

    pub const fn id(self) -> u8 {
        match self {
            Self::One => 1,
        }
    }

    pub const fn from_id(id: u64) -> Result<Self, SuiteError> {
        match id {
            1 => Ok(Self::One),
            other => Err(SuiteError::Unknown(other)),
        }
    }
}

/// Refuses a suite below the deployment file's minimum.
pub fn check_minimum(suite: Suite, minimum: Suite) -> Result<(), SuiteError> {
    if suite < minimum {
        return Err(SuiteError::BelowMinimum { found: suite.id(), minimum: minimum.id() });
    }
    Ok(())
}

impl Element for Suite {
    fn put<W: Write>(&self, e: &mut minicbor::Encoder<W>) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.u8(self.id())?.ok()
    }

    fn take(d: &mut minicbor::Decoder<'_>) -> Result<Self, minicbor::decode::Error> {
        Self::from_id(d.u64()?).map_err(minicbor::decode::Error::message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_suite_is_known() {
        assert_eq!(Suite::from_id(1), Ok(Suite::One));
        assert_eq!(Suite::from_id(0), Err(SuiteError::Unknown(0)));
        assert_eq!(Suite::from_id(257), Err(SuiteError::Unknown(257)));
        assert_eq!(check_minimum(Suite::One, Suite::One), Ok(()));
    }
}
