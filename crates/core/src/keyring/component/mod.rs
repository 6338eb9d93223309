//! The JSON file of `component_keyring_file` (MySQL 8.0.24 and later), version 1.0.
//!
//! An object with `version` (a string) and `elements` (an array of objects). Every element has
//! `user`, `data_id`, `data_type`, `data` (strings, the last one hexadecimal) and `extension` (an
//! array). All of these are required; members of other names are ignored.
//!
//! Source: server source, `components/keyrings/common/json_data` (the schema in `json_reader.cc`,
//! which leaves other members free; `json_writer.cc`), checked on files of MySQL 9.7.
//!
//! Names and users may be any bytes: the server's JSON library does not check UTF-8.

mod error;
mod read;
mod write;

use std::fmt;

pub use error::{ComponentError, Member, Place};
pub use read::parse;
pub use write::serialize;

use super::Entry;

const ELEMENT_MEMBERS: [&str; 5] = ["user", "data_id", "data_type", "data", "extension"];
const DOCUMENT: &str = "the document";
const ELEMENT: &str = "the element itself";

/// The version of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ComponentVersion {
    /// `"1.0"`, the only one so far.
    V1_0,
}

impl fmt::Display for ComponentVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V1_0 => f.write_str("1.0"),
        }
    }
}

/// A file that was read whole.
#[derive(Debug, PartialEq, Eq)]
pub struct ComponentKeyring {
    /// The member `version`.
    pub version: ComponentVersion,
    /// The elements in file order.
    pub entries: Vec<Entry>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::keyring::{KeyType, find_duplicate};
    use crate::mysql::key_id::KeyId;
    use crate::secret::SecretBytes;

    fn document(element: &str) -> String {
        format!(r#"{{"version":"1.0","elements":[{element}]}}"#)
    }

    fn element_with(data: &str) -> String {
        document(&format!(
            r#"{{"user":"","data_id":"k","data_type":"AES","data":{data},"extension":[]}}"#
        ))
    }

    fn fails(text: &str) -> ComponentError {
        parse(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn either_case_escapes_and_other_members_are_read() {
        let text = r#" {"elements" : [ {"extension":[{"a":[1]}], "data":"aBCd\u0030\u0031",
            "data_type":"AES", "data_id":"k\u00e9\n", "user":"r@\"%", "more": {"x": [null]}} ],
            "version":"1.0", "comment": 1.5e3 } "#;
        let keyring = parse(text.as_bytes()).unwrap();
        let [entry] = keyring.entries.as_slice() else { panic!("one entry") };
        assert_eq!(entry.id.as_bytes(), "k\u{e9}\n".as_bytes());
        assert_eq!(&*entry.user, br#"r@"%"#);
        assert_eq!(entry.data.expose(), [0xAB, 0xCD, 0x01]);
        assert_eq!(keyring.version.to_string(), "1.0");
    }

    #[test]
    fn the_layout_is_the_servers() {
        let entry = Entry {
            id: KeyId::new(b"k\xff/\"\\\x01\x7f"),
            user: b"\n"[..].into(),
            key_type: KeyType::Secret,
            data: SecretBytes::new(vec![0x0A, 0xF0]),
        };
        let expected = b"{\"version\":\"1.0\",\"elements\":[{\"user\":\"\\n\",\
            \"data_id\":\"k\xff/\\\"\\\\\\u0001\x7f\",\"data_type\":\"SECRET\",\
            \"data\":\"0AF0\",\"extension\":[]}]}";
        assert_eq!(*serialize([&entry]), expected);
        assert_eq!(parse(expected).unwrap().entries, [entry]);
        assert_eq!(*serialize([]), br#"{"version":"1.0","elements":[]}"#);
    }

    #[test]
    fn bad_data_names_the_element_and_not_the_value() {
        let error = fails(&element_with(r#""C0FFEE0""#));
        assert!(matches!(error, ComponentError::OddHex { digits: 7, .. }), "{error}");
        assert!(error.to_string().contains("element 0 (counted from 0), member `data`"), "{error}");
        assert!(!format!("{error} {error:?}").contains("C0FFEE"), "{error}");
        let error = fails(&element_with(r#""C0FFEx""#));
        assert!(matches!(error, ComponentError::BadHex { character: 5, .. }), "{error}");
        let error = fails(&element_with("271828182845"));
        assert!(matches!(error, ComponentError::WrongType { expected: "a string", .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains("2718"), "{error}");
        let error = fails(&element_with("[192,255]"));
        assert!(matches!(error, ComponentError::WrongType { .. }), "{error}");
    }

    #[test]
    fn every_member_is_required_and_only_once() {
        let members = [
            (r#""user":"""#, "user"),
            (r#""data_id":"k""#, "data_id"),
            (r#""data_type":"AES""#, "data_type"),
            (r#""data":"00""#, "data"),
            (r#""extension":[]"#, "extension"),
        ];
        for (_, left_out) in members {
            let others: Vec<&str> = members
                .iter()
                .filter(|(_, name)| *name != left_out)
                .map(|(text, _)| *text)
                .collect();
            let error = fails(&document(&format!("{{{}}}", others.join(","))));
            let member = Member { element: Some(0), name: left_out };
            assert!(
                matches!(error, ComponentError::MissingMember { member: m, .. } if m == member),
                "{error}"
            );
        }
        let all: Vec<&str> = members.iter().map(|(text, _)| *text).collect();
        for (text, _) in members {
            let error = fails(&document(&format!("{{{},{text}}}", all.join(","))));
            assert!(matches!(error, ComponentError::RepeatedMember { .. }), "{error}");
        }
        let error = fails(r#"{"version":"1.0"}"#);
        let member = Member { element: None, name: "elements" };
        assert!(matches!(error, ComponentError::MissingMember { member: m, .. } if m == member));
        assert!(matches!(fails(r#"{"elements":[]}"#), ComponentError::MissingMember { .. }));
    }

    #[test]
    fn types_are_checked() {
        for (text, expected) in [
            ("[]", "an object"),
            (r#"{"version":1.0,"elements":[]}"#, "a string"),
            (r#"{"version":"1.0","elements":{}}"#, "an array"),
            (r#"{"version":"1.0","elements":["C0FFEE"]}"#, "an object"),
        ] {
            let error = fails(text);
            let matched =
                matches!(error, ComponentError::WrongType { expected: e, .. } if e == expected);
            assert!(matched, "{text}: {error}");
            assert!(!error.to_string().contains("C0FFEE"));
        }
        let text = r#"{"user":"","data_id":"k","data_type":"AES","data":"00","extension":""}"#;
        let error = fails(&document(text));
        assert!(matches!(error, ComponentError::WrongType { expected: "an array", .. }), "{error}");
    }

    #[test]
    fn other_versions_and_other_json_are_told_apart() {
        let error = fails(r#"{"version":"2.0","elements":"of another shape"}"#);
        assert_eq!(error, ComponentError::UnsupportedVersion { found: "2.0".to_owned() });
        assert_eq!(fails("{}"), ComponentError::OtherJson { hint: None });
        let error = fails(r#"{"path":"/var/lib/mysql-keyring/keyring","read_only":false}"#);
        assert!(error.to_string().contains("configuration"), "{error}");
        let error = fails(r#"{"components":"file://component_keyring_file"}"#);
        assert!(error.to_string().contains("mysqld.my"), "{error}");
    }

    #[test]
    fn a_place_is_given_in_bytes_lines_and_columns() {
        let error = fails("{\"version\":\"1.0\",\n\n \"elements\":[}");
        let ComponentError::Syntax { at } = error else { panic!("{error}") };
        assert_eq!((at.line, at.column, at.offset), (3, 14, 32), "{at}");
        let error = fails("{\"version\":\"1.0\",\n");
        let ComponentError::Truncated { at } = error else { panic!("{error}") };
        assert_eq!(at.offset, 18, "{at}");
        let error = fails("{\"version\":\"1.0\",\"elements\":[]} x");
        assert!(matches!(error, ComponentError::Syntax { .. }), "{error}");
    }

    #[test]
    fn deep_nesting_is_no_danger() {
        let deep = "[".repeat(1 << 20);
        let error = fails(&format!(r#"{{"x":{deep}"#));
        assert!(matches!(error, ComponentError::Truncated { .. }), "{error}");
        let closed = format!("{deep}{}", "]".repeat(1 << 20));
        let text = format!(r#"{{"version":"1.0","elements":[],"x":{closed}}}"#);
        assert!(parse(text.as_bytes()).unwrap().entries.is_empty());
        let text = format!(
            r#"{{"user":"","data_id":"k","data_type":"AES","data":"00","extension":{closed}}}"#
        );
        assert_eq!(parse(document(&text).as_bytes()).unwrap().entries.len(), 1);
    }

    #[test]
    fn two_elements_of_one_name_are_refused() {
        let element = r#"{"user":"","data_id":"k","data_type":"AES","data":"00","extension":[]}"#;
        let error = fails(&document(&format!("{element},{element}")));
        assert_eq!(error, ComponentError::Duplicate { id: KeyId::new(b"k"), first: 0, second: 1 });
    }

    prop_compose! {
        fn any_entry()(
            id in prop::collection::vec(any::<u8>(), 0..60),
            user in prop::collection::vec(any::<u8>(), 0..20),
            key_type in prop::collection::vec(any::<u8>(), 0..8),
            data in prop::collection::vec(any::<u8>(), 0..70),
        ) -> Entry {
            Entry {
                id: KeyId::new(&id),
                user: user.into(),
                key_type: KeyType::from_bytes(&key_type),
                data: SecretBytes::new(data),
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            mut entries in prop::collection::vec(any_entry(), 0..6),
        ) {
            while let Some((_, later)) = find_duplicate(&entries) {
                entries.remove(later);
            }
            prop_assert_eq!(parse(&serialize(&entries)).unwrap().entries, entries);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
            let _ = parse(&[br#"{"version":"1.0","elements":["#, &bytes[..]].concat());
        }
    }
}
