//! The one place random bytes come from (SP 800-90A, through the provider).

use aws_lc_rs::rand::SecureRandom;
use zeroize::Zeroizing;

/// The operating system or the provider gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no random bytes could be had from the operating system")]
pub struct RandomError;

/// A source of random bytes fit for keys. Tests pass one that repeats itself.
pub trait Random: Send + Sync {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError>;
}

/// The provider's generator.
#[derive(Debug, Default)]
pub struct SystemRandom(aws_lc_rs::rand::SystemRandom);

impl SystemRandom {
    pub fn new() -> Self {
        Self::default()
    }
}

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        self.0.fill(bytes).map_err(|_| RandomError)
    }
}

/// Random bytes that are no secret: ids, nonces, salts.
pub fn public<const N: usize>(random: &dyn Random) -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    random.fill(&mut bytes)?;
    Ok(bytes)
}

/// Random bytes of a key.
pub fn secret<const N: usize>(random: &dyn Random) -> Result<Zeroizing<[u8; N]>, RandomError> {
    let mut bytes = Zeroizing::new([0; N]);
    random.fill(bytes.as_mut_slice())?;
    Ok(bytes)
}

/// Lends a [`Random`] to the `hpke` crate, whose trait cannot fail: a failure is remembered, and what was made is thrown away.
pub(crate) struct Lent<'a> {
    random: &'a dyn Random,
    failed: bool,
}

impl<'a> Lent<'a> {
    pub(crate) fn new(random: &'a dyn Random) -> Self {
        Self { random, failed: false }
    }

    pub(crate) fn check(self) -> Result<(), RandomError> {
        if self.failed { Err(RandomError) } else { Ok(()) }
    }
}

impl hpke::rand_core::TryRng for Lent<'_> {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        if self.random.fill(bytes).is_err() {
            self.failed = true;
            // Not all zeros: a caller that draws until a value fits must come to an end, and then find the failure.
            bytes.fill(1);
        }
        Ok(())
    }
}

impl hpke::rand_core::TryCryptoRng for Lent<'_> {}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A source that fails, as one may when a machine has just started.
    pub(crate) struct Broken;

    impl Random for Broken {
        fn fill(&self, _: &mut [u8]) -> Result<(), RandomError> {
            Err(RandomError)
        }
    }

    /// A source that repeats itself, so that vectors and failures can be made again: `H(seed ‖ counter)`, block after block.
    pub(crate) struct Seeded {
        seed: Vec<u8>,
        counter: std::sync::atomic::AtomicU64,
    }

    impl Seeded {
        pub(crate) fn new(seed: &str) -> Self {
            Self { seed: seed.as_bytes().to_vec(), counter: 0.into() }
        }
    }

    impl Random for Seeded {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
            for block in bytes.chunks_mut(32) {
                let counter = self.counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let digest = ticrypt_crypto::Digest::of_parts(&[&self.seed, &[0], &counter.to_be_bytes()]);
                block.copy_from_slice(&digest.as_bytes()[..block.len()]);
            }
            Ok(())
        }
    }

    #[test]
    fn draws_differ_and_failures_are_reported() {
        let random = SystemRandom::new();
        assert_ne!(public::<32>(&random).unwrap(), public::<32>(&random).unwrap());
        assert_eq!(public::<32>(&Broken), Err(RandomError));
        let mut lent = Lent::new(&Broken);
        hpke::rand_core::Rng::fill_bytes(&mut lent, &mut [0; 8]);
        assert_eq!(lent.check(), Err(RandomError));
    }
}
