//! The one place of this library that draws random bytes.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use ticrypt_types::Secret;

use crate::error::{ClientError, Result};

/// `N` random bytes of the provider's generator.
pub fn bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| ClientError::broken("the system gave no random bytes; try again"))?;
    Ok(bytes)
}

/// A random secret of `N` bytes.
pub fn secret<const N: usize>() -> Result<Secret<[u8; N]>> {
    bytes().map(Secret::new)
}

/// A number below `bound`, for jitter; not for keys.
pub fn below(bound: u64) -> u64 {
    let draw = bytes::<8>().map(u64::from_be_bytes).unwrap_or(0);
    draw.checked_rem(bound).unwrap_or(0)
}
