//! `audit --server` where no server, or no honest one, answers. Real servers: tests/interop.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

use std::io::{BufWriter, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Output;

use assert_cmd::Command;

const PASSWORD: &str = "s3cret-of-nobody";
/// `CLIENT_PROTOCOL_41`, `CLIENT_SECURE_CONNECTION`, `CLIENT_PLUGIN_AUTH`; with `CLIENT_SSL`.
const CAPABILITIES: u32 = 0x0008_8200;
const WITH_TLS: u32 = CAPABILITIES | 0x0800;

fn audit(url: &str, more: &[&str]) -> Output {
    Command::cargo_bin("binlogsec")
        .unwrap()
        .args(["audit", "--server", url])
        .args(more)
        .env("BINLOGSEC_SERVER_PASSWORD", PASSWORD)
        .output()
        .unwrap()
}

/// What the command says to a server that sends these packets and then listens, and what that
/// server was sent.
fn against(packets: &[Vec<u8>], parameters: &str) -> (String, Vec<u8>) {
    let parameters = format!("timeout=2&{parameters}");
    against_many(packets.to_vec(), &parameters)
}

/// The same with packets that are made as they are sent.
fn against_many<P>(packets: P, parameters: &str) -> (String, Vec<u8>)
where
    P: IntoIterator<Item = Vec<u8>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut stream = BufWriter::with_capacity(1 << 20, stream);
        let sent = packets.into_iter().enumerate().try_for_each(|(n, packet)| {
            let mut head = u32::try_from(packet.len()).unwrap().to_le_bytes();
            head[3] = (n * 2 % 256) as u8;
            stream.write_all(&head)?;
            stream.write_all(&packet)
        });
        // The client may be gone already, with what was sent to it unread.
        let _ = sent.and_then(|()| stream.flush());
        let mut received = Vec::new();
        let _ = stream.get_mut().read_to_end(&mut received);
        received
    });
    let url = format!("mysql://audit@127.0.0.1:{port}/?{parameters}");
    let done = audit(&url, &[]);
    assert_eq!(done.status.code(), Some(2), "{done:?}");
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(!said.contains(PASSWORD), "{said}");
    (said, server.join().unwrap())
}

fn greeting(capabilities: u32, challenge_length: u8, plugin: &str) -> Vec<u8> {
    let [a, b, c, d] = capabilities.to_le_bytes();
    let mut packet = vec![10];
    packet.extend_from_slice(b"9.7.0\0");
    packet.extend_from_slice(&[1, 0, 0, 0]);
    packet.extend_from_slice(b"challeng\0");
    packet.extend_from_slice(&[a, b, 45, 2, 0, c, d, challenge_length]);
    packet.extend_from_slice(&[0; 10]);
    packet.extend_from_slice(b"more of it..\0");
    packet.extend_from_slice(plugin.as_bytes());
    packet.push(0);
    packet
}

fn holds(haystack: &[u8], needle: &str) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle.as_bytes())
}

#[test]
fn a_password_in_an_address_is_refused_and_not_repeated() {
    for url in [
        format!("mysql://audit:{PASSWORD}@127.0.0.1/"),
        format!("mysql://audit@127.0.0.1/?password={PASSWORD}"),
    ] {
        let done = audit(&url, &[]);
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(2));
        assert!(said.contains("no place in a server's address"), "{said}");
        assert!(!said.contains(PASSWORD), "{said}");
    }
}

#[test]
fn who_does_not_answer_or_speaks_otherwise_is_told() {
    // A port that is taken, so that nobody comes to listen there, and has no listener.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let port = taken.local_addr().unwrap().port();
    let done = audit(&format!("mysql://audit@127.0.0.1:{port}/"), &[]);
    assert_eq!(done.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&done.stderr).contains("cannot connect"));

    for packet in [
        b"HTTP/1.1 400 Bad Request".to_vec(),
        vec![10],
        greeting(CAPABILITIES, 0x84, "mysql_native_password"),
        greeting(CAPABILITIES, 21, "mysql_native_password")[..20].to_vec(),
    ] {
        let (said, _) = against(&[packet], "ssl-mode=DISABLED");
        assert!(said.contains("does not speak the protocol"), "{said}");
    }
}

#[test]
fn silence_is_told() {
    // The system takes the connection; nobody ever reads from it.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let done = audit(&format!("mysql://audit@127.0.0.1:{port}/?timeout=1"), &[]);
    assert_eq!(done.status.code(), Some(2));
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(said.contains("no answer in time"), "{said}");
}

#[test]
fn nothing_is_sent_to_a_server_that_offers_no_tls() {
    let packet = greeting(CAPABILITIES, 21, "caching_sha2_password");
    let (said, sent) = against(&[packet], "ssl-mode=REQUIRED");
    assert!(said.contains("offers no TLS"), "{said}");
    assert_eq!(sent, b"");
}

#[test]
fn the_password_does_not_cross_a_network_in_the_clear() {
    // The greeting asks for a hash; then the server changes its mind.
    let hello = greeting(CAPABILITIES, 21, "mysql_native_password");
    let clear = b"\xfemysql_clear_password\0".to_vec();
    let (said, sent) = against(&[hello, clear], "ssl-mode=DISABLED");
    assert!(said.contains("network could read"), "{said}");
    assert!(!holds(&sent, PASSWORD));

    // "Perform full authentication": the password, wrapped under a key of whoever answers.
    let hello = greeting(CAPABILITIES, 21, "caching_sha2_password");
    let (said, sent) = against(&[hello, vec![1, 4]], "ssl-mode=DISABLED");
    assert!(said.contains("caching_sha2_password"), "{said}");
    assert!(!holds(&sent, PASSWORD));
}

#[test]
fn verification_needs_an_authority() {
    let packet = greeting(WITH_TLS, 21, "caching_sha2_password");
    let (said, sent) = against(&[packet], "");
    assert!(said.contains("no authority is known"), "{said}");
    assert!(!holds(&sent, "audit"), "not even the user's name");
}

/// The packets of a server that lets everybody in and answers the first statement with so many
/// columns.
fn answers_with(columns: u16) -> Vec<Vec<u8>> {
    let [low, high] = columns.to_le_bytes();
    vec![
        greeting(CAPABILITIES, 21, "mysql_native_password"),
        vec![0, 0, 0, 2, 0, 0, 0],
        vec![0xfc, low, high],
    ]
}

/// A column called `c`, of text.
fn column() -> Vec<u8> {
    let text = b"\x03def\0\0\0\x01c\0\x0c\x2d\0\0\x01\0\0\xfd\0\0\0\0\0";
    text.to_vec()
}

const END: [u8; 5] = [0xfe, 0, 0, 2, 0];
/// Enough for a busy machine, as the bounds and not the clock must end these.
const PATIENT: &str = "timeout=120&ssl-mode=DISABLED";

#[test]
fn more_columns_than_a_table_may_have_are_refused_unread() {
    let (said, _) = against(&answers_with(4097), "ssl-mode=DISABLED");
    assert!(
        said.contains("more columns than a table may have"),
        "{said}"
    );
    // As many as may be: they are read, and it is a row that is missing in the end.
    let mut packets = answers_with(4096);
    packets.extend(std::iter::repeat_n(column(), 4096));
    packets.extend([END.to_vec(), END.to_vec()]);
    let read_all = against_many(
        [packets, answers_with(4097)[2..].to_vec()].concat(),
        PATIENT,
    );
    assert!(
        read_all.0.contains("more columns than a table may have"),
        "the next answer is looked at: {}",
        read_all.0
    );
}

#[test]
fn rows_that_would_fill_the_memory_are_refused() {
    let head = [answers_with(1), vec![column(), END.to_vec()]].concat();
    // A few large ones: 15 MiB each, 256 MiB are allowed.
    let size: u32 = 15 << 20;
    let [low, middle, high, _] = size.to_le_bytes();
    let mut large = vec![b'x'; 4 + size as usize];
    large[..4].copy_from_slice(&[0xfd, low, middle, high]);
    let rows = std::iter::repeat_n(large, 20);
    let (said, _) = against_many(head.clone().into_iter().chain(rows), PATIENT);
    assert!(said.contains("rows without an end"), "{said}");
    // And many small ones, of which a million are allowed.
    let rows = std::iter::repeat_n(b"\x01x".to_vec(), 1_000_001);
    let (said, _) = against_many(head.clone().into_iter().chain(rows), PATIENT);
    assert!(said.contains("rows without an end"), "{said}");
    // A server that sends as many and then stops is believed: the next statement is what fails.
    let rows = std::iter::repeat_n(b"\x01x".to_vec(), 10_000);
    let refusal = b"\xff\x7a\x04#42S02no such table".to_vec();
    let whole = head.into_iter().chain(rows).chain([END.to_vec(), refusal]);
    let (said, _) = against_many(whole, PATIENT);
    assert!(said.contains("no such table"), "{said}");
}
