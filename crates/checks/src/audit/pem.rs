//! Blocks of PEM files (RFC 7468), read as leniently as OpenSSL does: text around them does not count.
//!
//! The reader of `der` takes a single block, with lines of one width; that of `rustls` leaves the
//! text of private keys in memory and drops blocks of other kinds, such as encrypted keys.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";

/// One block.
pub(super) struct Block {
    /// The words behind BEGIN: `CERTIFICATE`, `RSA PRIVATE KEY` …
    pub(super) label: String,
    /// Its content in DER, which may be a private key.
    pub(super) der: Zeroizing<Vec<u8>>,
}

/// The blocks of a file, in order. What is not base64 in it, or has no end, is left out.
pub(super) fn blocks(file: &[u8]) -> Vec<Block> {
    let mut found = Vec::new();
    let mut lines = file.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    while let Some(line) = lines.next() {
        let Some(label) = label(line) else { continue };
        let mut has_end = false;
        let body = lines.by_ref().take_while(|line| {
            has_end = line.starts_with(END);
            !has_end
        });
        let der = decoded(&body.collect::<Vec<_>>());
        found.extend(der.filter(|_| has_end).map(|der| Block { label, der }));
    }
    found
}

fn label(line: &[u8]) -> Option<String> {
    let label = line.strip_prefix(BEGIN)?.strip_suffix(b"-----")?;
    Some(String::from_utf8_lossy(label).into_owned())
}

fn decoded(lines: &[&[u8]]) -> Option<Zeroizing<Vec<u8>>> {
    let length = lines.iter().map(|line| line.len()).fold(0, usize::saturating_add);
    let mut text = Zeroizing::new(Vec::with_capacity(length));
    lines.iter().for_each(|line| text.extend_from_slice(line));
    // As much room as there is text: nothing is moved, and left behind, while it is decoded.
    let mut der = Zeroizing::new(vec![0; length]);
    let written = STANDARD.decode_slice(&*text, &mut der).ok()?;
    der.truncate(written);
    Some(der)
}
