//! `audit --server` where no server, or no honest one, answers. Real servers: tests/interop.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

use std::io::{BufWriter, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use assert_cmd::Command;

use crate::common;

use common::measure::{self, Run};
use common::tls::{Authority, GOOD, Wanted};

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
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
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

pub(crate) const END: [u8; 5] = [0xfe, 0, 0, 2, 0];
/// Enough for a busy machine, as the bounds and not the clock must end these.
const PATIENT: &str = "timeout=120&ssl-mode=DISABLED";

#[test]
fn more_columns_than_a_table_may_have_are_refused_unread() {
    let (said, _) = against(&answers_with(4097), "ssl-mode=DISABLED");
    assert!(said.contains("more columns than a table may have"), "{said}");
    // As many as may be: they are read, and it is a row that is missing in the end.
    let mut packets = answers_with(4096);
    packets.extend(std::iter::repeat_n(column(), 4096));
    packets.extend([END.to_vec(), END.to_vec()]);
    let read_all = against_many([packets, answers_with(4097)[2..].to_vec()].concat(), PATIENT);
    assert!(
        read_all.0.contains("more columns than a table may have"),
        "the next answer is looked at: {}",
        read_all.0
    );
}

#[test]
fn rows_that_would_fill_the_memory_are_refused() {
    let head = [answers_with(1), vec![column(), END.to_vec()]].concat();
    // A few large ones, of 15 MiB each.
    let size: u32 = 15 << 20;
    let [low, middle, high, _] = size.to_le_bytes();
    let mut large = vec![b'x'; 4 + size as usize];
    large[..4].copy_from_slice(&[0xfd, low, middle, high]);
    let rows = std::iter::repeat_n(large, 20);
    let (said, _) = against_many(head.clone().into_iter().chain(rows), PATIENT);
    assert!(said.contains("rows without an end"), "{said}");
    // And many small ones.
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

/// What the command takes and says when this handler is at the other end of every connection.
fn measured(
    parameters: &str,
    handler: impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + 'static,
) -> Run {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // The client hangs up when it has had enough.
            let _ = handler(&mut stream.unwrap());
        }
    });
    let mut command = std::process::Command::new(common::program());
    command
        .arg("audit")
        .arg("--server")
        .arg(format!("mysql://audit@127.0.0.1:{port}/?{parameters}"))
        .env("BINLOGSEC_SERVER_PASSWORD", PASSWORD);
    let run = measure::run(&mut command);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(!run.stderr.contains(PASSWORD), "{}", run.stderr);
    assert!(run.stderr.len() < 8 << 10, "{} bytes", run.stderr.len());
    run
}

pub(crate) fn send(stream: &mut TcpStream, sequence: u8, packet: &[u8]) -> std::io::Result<()> {
    let mut head = u32::try_from(packet.len()).unwrap().to_le_bytes();
    head[3] = sequence;
    stream.write_all(&[&head[..], packet].concat())
}

/// What the client sent, if it is still there.
pub(crate) fn receive(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut head = [0; 4];
    stream.read_exact(&mut head)?;
    head[3] = 0;
    let mut packet = vec![0; u32::from_le_bytes(head) as usize];
    stream.read_exact(&mut packet)?;
    Ok(packet)
}

/// Greets and lets everybody in.
pub(crate) fn let_in(stream: &mut TcpStream) -> std::io::Result<()> {
    send(stream, 0, &greeting(CAPABILITIES, 21, "mysql_native_password"))?;
    receive(stream)?;
    send(stream, 2, &OK)
}

pub(crate) const OK: [u8; 7] = [0, 0, 0, 2, 0, 0, 0];
const IN_CLEAR: &str = "timeout=2&ssl-mode=DISABLED";

/// One byte after another, forever.
fn drip(stream: &mut TcpStream, byte: u8) -> std::io::Result<()> {
    loop {
        std::thread::sleep(Duration::from_millis(200));
        stream.write_all(&[byte])?;
    }
}

#[test]
fn a_greeting_without_an_end_costs_neither_memory_nor_time() {
    let flood = |stream: &mut TcpStream| {
        let packet = vec![b'A'; 0xff_ffff];
        loop {
            stream.write_all(&[0xff, 0xff, 0xff, 0])?;
            stream.write_all(&packet)?;
        }
    };
    let run = measured(IN_CLEAR, flood);
    run.assert_prompt("a greeting without an end");
    assert!(run.stderr.contains("does not speak"), "{}", run.stderr);

    let run = measured(IN_CLEAR, |stream| {
        stream.write_all(&[0xff, 0xff, 0, 0])?;
        drip(stream, b'A')
    });
    run.assert_prompt("a greeting byte by byte");
    assert!(run.stderr.contains("no answer in time"), "{}", run.stderr);
}

#[test]
fn an_answer_byte_by_byte_ends_when_its_time_is_over() {
    // The head of an answer, its columns, its rows: each would go on for hours.
    let column_and_end = [column(), END.to_vec()];
    for (what, packets) in [
        ("head", vec![]),
        ("columns", vec![vec![1]]),
        ("rows", [&[vec![1]][..], &column_and_end].concat()),
    ] {
        let run = measured(IN_CLEAR, move |stream| {
            let_in(stream)?;
            receive(stream)?;
            for (number, packet) in packets.iter().enumerate() {
                send(stream, number as u8 + 1, packet)?;
            }
            stream.write_all(&[0xff, 0xff, 0, 9])?;
            drip(stream, b'x')
        });
        run.assert_prompt(what);
        assert!(run.stderr.contains("no answer in time"), "{}", run.stderr);
    }
}

#[test]
fn slow_answers_to_every_statement_end_when_the_sessions_time_is_over() {
    let run = measured(IN_CLEAR, |stream| {
        let_in(stream)?;
        loop {
            receive(stream)?;
            std::thread::sleep(Duration::from_millis(1500));
            let packets = [&[1][..], &column(), &END, b"\x01x", &END];
            for (number, packet) in packets.iter().enumerate() {
                send(stream, number as u8 + 1, packet)?;
            }
        }
    });
    run.assert_prompt("slow answers");
    assert!(run.stderr.contains("no answer in time"), "{}", run.stderr);
}

#[test]
fn rows_of_nothing_are_charged_what_they_cost_here() {
    // 256 MiB on the wire, 24 bytes a field here.
    let run = measured("timeout=60&ssl-mode=DISABLED", |stream| {
        let_in(stream)?;
        receive(stream)?;
        send(stream, 1, &[0xfc, 0, 16])?;
        for _ in 0..4096 {
            send(stream, 2, &column())?;
        }
        send(stream, 3, &END)?;
        let row = vec![0xfb; 4096];
        for _ in 0..65_536 {
            send(stream, 4, &row)?;
        }
        send(stream, 5, &END)
    });
    run.assert_bounded("65,536 rows of 4,096 fields without a value");
    assert!(run.stderr.contains("rows without an end"), "{}", run.stderr);
}

#[test]
fn a_server_that_changes_its_mind_forever_is_left() {
    let run = measured(IN_CLEAR, |stream| {
        send(stream, 0, &greeting(CAPABILITIES, 21, "mysql_native_password"))?;
        loop {
            receive(stream)?;
            let switch = b"\xfemysql_native_password\0challengchallengchal\0";
            send(stream, 2, switch)?;
        }
    });
    run.assert_prompt("changes of the method without an end");
    let said = &run.stderr;
    assert!(said.contains("logging in without an end"), "{said}");
}

#[test]
fn what_a_server_says_is_shown_in_part() {
    let long = "Z".repeat(60_000);
    for packet in [
        format!("\u{1}\0\u{4}#08004{long}").into_bytes(),
        [b"\xfe".as_slice(), long.as_bytes(), b"\0"].concat(),
    ] {
        // An error has no character for its first byte.
        let packet = match packet.split_first() {
            Some((1, rest)) => [&[0xff][..], rest].concat(),
            _ => packet,
        };
        let run = measured(IN_CLEAR, move |stream| {
            send(stream, 0, &greeting(CAPABILITIES, 21, "mysql_native_password"))?;
            receive(stream)?;
            send(stream, 2, &packet)
        });
        run.assert_prompt("a long message");
        assert!(run.stderr.contains("ZZZ"), "{}", run.stderr);
        assert!(run.stderr.len() < 2 << 10, "{} bytes", run.stderr.len());
    }
}

/// Takes the request for TLS, speaks it with the certificate of a directory, asks for the password
/// itself and keeps what it is sent then.
fn ask_in_clear(stream: &mut TcpStream, directory: &Path) -> std::io::Result<Vec<u8>> {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let certificate = CertificateDer::from_pem_file(directory.join("server-cert.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(directory.join("server-key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    send(stream, 0, &greeting(WITH_TLS, 21, "caching_sha2_password"))?;
    receive(stream)?;
    let mut tls = rustls::ServerConnection::new(Arc::new(config)).unwrap();
    let mut stream = rustls::Stream::new(&mut tls, stream);
    let read = |stream: &mut dyn Read| {
        let mut head = [0; 4];
        stream.read_exact(&mut head)?;
        head[3] = 0;
        let mut packet = vec![0; u32::from_le_bytes(head) as usize];
        stream.read_exact(&mut packet).map(|()| packet)
    };
    read(&mut stream)?;
    let switch = b"\xfemysql_clear_password\0";
    stream.write_all(&[&[switch.len() as u8, 0, 0, 3][..], switch].concat())?;
    stream.flush()?;
    read(&mut stream)
}

#[test]
fn the_password_itself_goes_on_request_to_a_server_that_proved_who_it_is() {
    if !common::openssl::is_here() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new(directory.path(), "authority");
    authority.sign(&Wanted { common_name: "localhost", alternative_name: "DNS:localhost", ..GOOD });
    let ca = directory.path().join("ca.pem");
    let ca = format!("ssl-ca={}", ca.display());
    for (parameters, is_sent, said) in [
        ("ssl-mode=REQUIRED".to_owned(), false, "enable-cleartext-plugin"),
        (ca.clone(), false, "enable-cleartext-plugin"),
        (format!("{ca}&enable-cleartext-plugin=OFF"), false, "enable-cleartext-plugin"),
        ("ssl-mode=REQUIRED&enable-cleartext-plugin".to_owned(), false, "no effect"),
        (format!("{ca}&enable-cleartext-plugin"), true, "broke"),
        (format!("{ca}&ssl-mode=VERIFY_CA&enable-cleartext-plugin=1"), true, "broke"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let place = directory.path().to_owned();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            ask_in_clear(&mut stream, &place)
        });
        let url = format!("mysql://audit@localhost:{port}/?timeout=20&{parameters}");
        let done = audit(&url, &[]);
        assert_eq!(done.status.code(), Some(2), "{parameters}: {done:?}");
        // Where it did not come at all, somebody must.
        drop(TcpStream::connect(("127.0.0.1", port)));
        let sent = server.join().unwrap().unwrap_or_default();
        assert_eq!(holds(&sent, PASSWORD), is_sent, "{parameters}: {sent:?}");
        let stderr = String::from_utf8(done.stderr).unwrap();
        assert!(stderr.contains(said), "{parameters}: {stderr}");
    }
}
