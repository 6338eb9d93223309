//! Random bytes from the operating system, for file passwords, wrapping IVs and keys.
//!
//! Nothing here is seeded, buffered or reused: every call asks the system again.

use crate::secret::Secret32;

/// The operating system gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no random bytes, without which no key can be made")]
pub struct RandomError(#[source] getrandom::Error);

/// Fills a buffer.
///
/// # Errors
/// [`RandomError`]; the buffer may then hold anything and must not be used.
pub fn fill(bytes: &mut [u8]) -> Result<(), RandomError> {
    getrandom::fill(bytes).map_err(RandomError)
}

/// 32 secret bytes: a file password, or a replication encryption key.
///
/// # Errors
/// [`RandomError`].
pub fn secret() -> Result<Secret32, RandomError> {
    let mut secret = Secret32::zeroed();
    fill(secret.expose_mut())?;
    Ok(secret)
}

/// `N` bytes that need not be secret: a wrapping IV.
///
/// # Errors
/// [`RandomError`].
pub fn bytes<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_alike() {
        assert_ne!(secret().unwrap(), secret().unwrap());
        assert_ne!(bytes::<16>().unwrap(), bytes::<16>().unwrap());
        assert_ne!(secret().unwrap(), Secret32::zeroed());
    }
}
