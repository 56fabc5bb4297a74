//! Randomness from the operating system.

/// Unguessable bytes.
///
/// # Panics
/// The operating system has no randomness to give. Going on would mean guessable tokens, and no caller could do better;
/// the standard library's hash maps panic here as well.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives randomness");
    bytes
}
