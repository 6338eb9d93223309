//! Seal manifests.

use binlogsec_core::file::pipeline::NoProgress;
use binlogsec_core::keyring::Keyring;
use binlogsec_core::seal::{self, Manifest, VerifyOptions};
use sha2::{Digest, Sha256};

/// As it is; and with a chain that was made anew, so that what stands behind it is looked at.
pub(crate) fn manifest(data: &[u8]) {
    check_manifest(data);
    check_manifest(&with_a_chain(data));
}

/// Each `previous` is the digest of the line before.
fn with_a_chain(data: &[u8]) -> Vec<u8> {
    const MEMBER: &[u8] = b"\"previous\":\"";
    let (mut text, mut previous) = (Vec::new(), String::new());
    for line in data.split_inclusive(|&byte| byte == b'\n') {
        let mut line = line.to_vec();
        let at = line.windows(MEMBER.len()).position(|it| it == MEMBER);
        let digits = at.and_then(|at| line.get_mut(at + MEMBER.len()..)?.get_mut(..64));
        if let Some(digits) = digits.filter(|_| previous.len() == 64) {
            digits.copy_from_slice(previous.as_bytes());
        }
        let body = line.strip_suffix(b"\n").unwrap_or(&line);
        previous = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
        text.extend(line);
    }
    text
}

fn check_manifest(bytes: &[u8]) {
    let open = |bytes: &[u8], anchors: &[_]| Manifest::read(super::source(bytes), anchors);
    let manifest = match open(bytes, &[]) {
        Ok(manifest) => manifest,
        Err(error) => {
            let said = binlogsec_core::log::error::describe(&error);
            assert!(said.len() < 4096, "a message is short: {}", said.len());
            return;
        }
    };
    let anchor = manifest.anchor();
    let again = anchor.to_string().parse().ok();
    // An id may be no word, in a manifest that nobody wrote.
    if let Some(again) = again.filter(|again| *again == anchor) {
        assert!(open(bytes, &[again]).is_ok(), "a manifest has its own anchor");
    }
    // Nobody said which key is the right one.
    let (proofs, missing) = seal::prove(&manifest, &Keyring::new(), &[]).unwrap();
    assert!(proofs.is_empty() && missing.is_some());
    // Cut, it is another one, or none.
    let body = bytes.strip_suffix(b"\n").expect("its last line is ended");
    let cut = body.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    assert!(open(&bytes[..cut], std::slice::from_ref(&anchor)).is_err(), "the anchor finds a cut");
    // A bit of the first line, and of the last one, is in the chain or in the anchor.
    for at in [20, bytes.len() - 2] {
        let mut changed = bytes.to_vec();
        changed[at] ^= 1;
        assert!(open(&changed, std::slice::from_ref(&anchor)).is_err(), "a bit changed at {at}");
    }
    // Of nothing, nothing is missing, and all that is sealed is not looked at.
    let none =
        seal::verify(&manifest, &[], &Keyring::new(), &VerifyOptions::default(), &NoProgress);
    let none = none.expect("its records can be read again");
    assert!(none.logs.is_empty() && none.not_looked_at <= manifest.logs());
}
