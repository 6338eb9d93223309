//! Controls that rules bear on: numbers in catalogues, nothing of their text.

use serde::Serialize;

/// A number in a catalogue of controls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Control {
    /// Which catalogue.
    pub catalogue: &'static str,
    /// Which of its controls.
    pub number: &'static str,
}

const fn control(catalogue: &'static str, number: &'static str) -> Control {
    Control { catalogue, number }
}

pub(super) const CIS_LOGS: Control = control("CIS MySQL", "2.2.1");
pub(super) const CIS_KEYRING: Control = control("CIS MySQL", "2.1.x");
pub(super) const CIS_TRANSPORT: Control = control("CIS MySQL", "8.1");
pub(super) const CIS_ACCOUNT_TLS: Control = control("CIS MySQL", "8.2");
pub(super) const CIS_REPLICATION: Control = control("CIS MySQL", "9.1");
pub(super) const CIS_CHANNEL_VERIFIED: Control = control("CIS MySQL", "9.2");
pub(super) const CIS_SOURCE_PASSWORD: Control = control("CIS MySQL", "9.3");
pub(super) const NIST_REST: Control = control("NIST SP 800-53", "SC-28");
pub(super) const NIST_TRANSIT: Control = control("NIST SP 800-53", "SC-8");
pub(super) const NIST_KEYS: Control = control("NIST SP 800-53", "SC-12");
pub(super) const NIST_ACCESS: Control = control("NIST SP 800-53", "AC-6");
pub(super) const NIST_INTEGRITY: Control = control("NIST SP 800-53", "SI-7");
pub(super) const NIST_INVENTORY: Control = control("NIST SP 800-53", "CM-8");
pub(super) const PCI_REST: Control = control("PCI DSS v4", "3.5.1");
pub(super) const PCI_TRANSIT: Control = control("PCI DSS v4", "4.2.1");
pub(super) const PCI_KEYS: Control = control("PCI DSS v4", "3.6.1");
pub(super) const PCI_ROTATION: Control = control("PCI DSS v4", "3.7.4");
pub(super) const PCI_ACCESS: Control = control("PCI DSS v4", "7.2.1");
pub(super) const HIPAA: Control = control("HIPAA", "164.312(a)(2)(iv)");
pub(super) const HIPAA_TRANSIT: Control = control("HIPAA", "164.312(e)(2)(ii)");

pub(super) const AT_REST: &[Control] = &[CIS_LOGS, NIST_REST, PCI_REST, HIPAA];
pub(super) const KEYS: &[Control] = &[NIST_KEYS, PCI_KEYS, HIPAA];
pub(super) const KEYRING: &[Control] = &[CIS_KEYRING, NIST_KEYS, PCI_KEYS, HIPAA];
pub(super) const ROTATION: &[Control] = &[NIST_KEYS, PCI_ROTATION];
pub(super) const ACCESS: &[Control] = &[NIST_ACCESS, PCI_ACCESS];
pub(super) const INVENTORY: &[Control] = &[NIST_INVENTORY, NIST_INTEGRITY];
pub(super) const TRANSPORT: &[Control] = &[CIS_TRANSPORT, NIST_TRANSIT, PCI_TRANSIT, HIPAA_TRANSIT];
pub(super) const ACCOUNT_TLS: &[Control] =
    &[CIS_ACCOUNT_TLS, NIST_TRANSIT, PCI_TRANSIT, HIPAA_TRANSIT];
pub(super) const CHANNEL: &[Control] = &[CIS_REPLICATION, NIST_TRANSIT, PCI_TRANSIT, HIPAA_TRANSIT];
pub(super) const CHANNEL_VERIFIED: &[Control] =
    &[CIS_CHANNEL_VERIFIED, NIST_TRANSIT, PCI_TRANSIT, HIPAA_TRANSIT];
pub(super) const CERTIFICATE: &[Control] = &[NIST_TRANSIT, PCI_TRANSIT, HIPAA_TRANSIT];
pub(super) const PRIVATE_KEY: &[Control] = &[NIST_KEYS, NIST_ACCESS, PCI_TRANSIT, HIPAA_TRANSIT];
