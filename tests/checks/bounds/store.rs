//! A store that gives more than was asked for, never ends, or sends us elsewhere.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use binlogsec_core::text::unseen::is_unseen;

use crate::common::measure::{self, Run};
use crate::common::{self, mixed};

const SECRETS: [&str; 2] = ["SECRET-OF-NOBODY", "TOKEN-OF-NOBODY"];

/// What was asked: the request's line, and its headers.
struct Asked {
    line: String,
    headers: Vec<String>,
}

impl Asked {
    /// First and last byte of the range.
    fn range(&self) -> Option<(usize, usize)> {
        let header = self.headers.iter().find_map(|header| {
            header.to_ascii_lowercase().strip_prefix("range: bytes=").map(str::to_owned)
        })?;
        let (first, last) = header.trim().split_once('-')?;
        Some((first.parse().ok()?, last.parse().ok()?))
    }

    fn lists(&self) -> bool {
        self.line.contains("list-type=2")
    }
}

/// A store whose every answer a function writes, and how often it was asked.
struct Fake {
    port: u16,
    asked: Arc<AtomicUsize>,
    heard: Arc<Mutex<String>>,
}

impl Fake {
    fn new(
        answer: impl Fn(&mut TcpStream, &Asked, usize) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        let heard = Arc::new(Mutex::new(String::new()));
        let (count, text, answer) = (Arc::clone(&asked), Arc::clone(&heard), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (count, text) = (Arc::clone(&count), Arc::clone(&text));
                let answer = Arc::clone(&answer);
                std::thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    // The client hangs up when it has had enough.
                    while let Some(asked) = request(&mut reader) {
                        let number = count.fetch_add(1, Ordering::SeqCst);
                        let heard = format!("{}{}", asked.line, asked.headers.concat());
                        text.lock().unwrap().push_str(&heard);
                        if answer(&mut stream, &asked, number).is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Self { port, asked, heard }
    }

    fn run(&self, timeout: &str, arguments: &[&str]) -> Run {
        let run = measure::run(
            Command::new(common::program())
                .args(arguments)
                .env_remove("BINLOGSEC_KEYRING")
                .env("AWS_ACCESS_KEY_ID", "nobody")
                .env("AWS_SECRET_ACCESS_KEY", SECRETS[0])
                .env("AWS_SESSION_TOKEN", SECRETS[1])
                .env("AWS_REGION", "us-east-1")
                .env("AWS_ENDPOINT", format!("http://127.0.0.1:{}", self.port))
                .env("AWS_ALLOW_HTTP", "true")
                .env("AWS_TIMEOUT", timeout),
        );
        run.assert_prompt(&arguments.join(" "));
        let said = format!("{}{}", String::from_utf8_lossy(&run.stdout), run.stderr);
        for secret in SECRETS {
            assert!(!said.contains(secret), "{said}");
        }
        assert!(!said.contains(|it| is_unseen(it) && it != '\n'), "{said:?}");
        let length = run.stderr.len();
        assert!(length < 8 << 10, "{length} bytes: {}", run.stderr);
        run
    }
}

fn request(reader: &mut impl BufRead) -> Option<Asked> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            let line = lines.first().cloned().unwrap_or_default();
            lines.drain(..1);
            return Some(Asked { line, headers: lines });
        }
        lines.push(line);
    }
}

fn reply(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) -> std::io::Result<()> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n");
    stream.write_all(&[head.as_bytes(), body].concat())
}

/// What a store says of an object, whose size is this.
fn object_headers(range: (usize, usize), size: usize) -> String {
    let (first, last) = range;
    format!(
        "Content-Range: bytes {first}-{last}/{size}\r\nETag: \"e\"\r\n\
         Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
    )
}

fn entry(key: &str) -> String {
    format!(
        "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>\
         <ETag>\"e\"</ETag><Size>0</Size></Contents>"
    )
}

fn listing(keys: &[String], token: Option<&str>) -> Vec<u8> {
    let entries: String = keys.iter().map(|key| entry(key)).collect();
    let more = token.map(|it| format!("<NextContinuationToken>{it}</NextContinuationToken>"));
    format!(
        "<?xml version=\"1.0\"?><ListBucketResult><Name>b</Name><IsTruncated>{}</IsTruncated>{}\
         {entries}</ListBucketResult>",
        more.is_some(),
        more.unwrap_or_default()
    )
    .into_bytes()
}

/// Pieces of a body without an end, each after a pause.
fn forever(
    stream: &mut TcpStream,
    headers: &str,
    piece: &[u8],
    pause: Duration,
) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {headers}Transfer-Encoding: chunked\r\n\r\n")?;
    loop {
        write!(stream, "{:x}\r\n", piece.len())?;
        stream.write_all(piece)?;
        stream.write_all(b"\r\n")?;
        std::thread::sleep(pause);
    }
}

#[track_caller]
fn assert_says(run: &Run, words: &str) {
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains(words), "{}", run.stderr);
}

#[test]
fn a_listing_without_an_end_ends() {
    let piece: String = (0..2000).map(|it| entry(&format!("a/{it:09}"))).collect();
    let fake = Fake::new(move |stream, _, _| {
        forever(stream, "200 OK\r\n", piece.as_bytes(), Duration::ZERO)
    });
    assert_says(&fake.run("60s", &["check", "s3://b/"]), "more than the");

    // All on one page that has an end, and just as much as it may.
    let keys: Vec<_> = (0..120_000).map(|it| format!("a/{it}")).collect();
    let page = listing(&keys, None);
    assert!((13 << 20..16 << 20).contains(&page.len()), "{}", page.len());
    let fake = Fake::new(move |stream, _, _| reply(stream, "200 OK", "", &page));
    assert_says(&fake.run("60s", &["check", "s3://b/"]), "objects on one page");

    // New pages with a key or none, and the same page over and over.
    for (keys, words) in [(1, "in a row"), (0, "in a row")] {
        let fake = Fake::new(move |stream, _, number| {
            let keys: Vec<_> = (0..keys).map(|_| format!("k{number}/binlog.000001")).collect();
            reply(stream, "200 OK", "", &listing(&keys, Some(&format!("t{number}"))))
        });
        assert_says(&fake.run("60s", &["check", "s3://b/"]), words);
    }
    let fake = Fake::new(|stream, _, number| {
        let keys: Vec<_> = (0..1000).map(|it| format!("k{number}-{it}/x")).collect();
        reply(stream, "200 OK", "", &listing(&keys, Some("again")))
    });
    assert_says(&fake.run("60s", &["check", "s3://b/"]), "same page over and over");
    assert_eq!(fake.asked.load(Ordering::SeqCst), 2);
}

#[test]
fn answers_byte_by_byte_end_when_their_time_is_over() {
    let fake = Fake::new(|stream, asked, _| {
        let size = (0, 1023);
        let head = if asked.lists() {
            "200 OK\r\n".to_owned()
        } else {
            format!("206 Partial Content\r\n{}", object_headers(size, 4096))
        };
        forever(stream, &head, b" ", Duration::from_millis(100))
    });
    let run = fake.run("2s", &["check", "s3://b/"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    let run = fake.run("500ms", &["inspect", "s3://b/binlog.000001"]);
    assert_eq!(run.code, Some(2), "{run:?}");
}

#[test]
fn an_object_gives_no_more_than_was_asked_for() {
    let log = std::fs::read(mixed().join("binlog.000001")).unwrap();
    let whole = log.repeat(1000);
    let fake = Fake::new(move |stream, asked, _| {
        let range = asked.range().unwrap_or((0, 1023));
        let headers = object_headers(range, log.len());
        reply(stream, "206 Partial Content", &headers, &whole)
    });
    assert_says(&fake.run("60s", &["inspect", "s3://b/binlog.000001"]), "more than the 1024");
    let fake = Fake::new(|stream, asked, _| {
        let headers = object_headers(asked.range().unwrap_or((0, 1023)), 4096);
        let headers = format!("206 Partial Content\r\n{headers}");
        forever(stream, &headers, &[b'A'; 65_536], Duration::ZERO)
    });
    assert_says(&fake.run("60s", &["verify", "s3://b/binlog.000001"]), "more than the 1024");
}

#[test]
fn nothing_is_sent_to_where_a_store_sends_us() {
    let elsewhere = Fake::new(|stream, _, _| reply(stream, "200 OK", "", b""));
    let port = elsewhere.port;
    for status in ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let fake = Fake::new(move |stream, asked, _| {
            let path = asked.line.split(' ').nth(1).unwrap_or_default();
            let to = format!("Location: http://127.0.0.1:{port}{path}&X-Amz-Signature=0\r\n");
            reply(stream, status, &to, b"")
        });
        let run = fake.run("60s", &["inspect", "s3://b/binlog.000001"]);
        assert_says(&run, &format!("sends us on to http://127.0.0.1:{port}"));
        assert!(!run.stderr.contains("Signature"), "{}", run.stderr);
        assert_says(&fake.run("60s", &["check", "s3://b/"]), "sends us on");
    }
    assert_eq!(*elsewhere.heard.lock().unwrap(), "");
}

#[test]
fn what_a_store_says_of_an_error_is_shown_in_part_and_acts_on_nobody() {
    let fake = Fake::new(|stream, _, _| {
        let text = "\x1b[31m\n::error::x\u{9b}##[error]".to_owned() + &"Z".repeat(20_000_000);
        reply(stream, "403 Forbidden", "", text.as_bytes())
    });
    let run = fake.run("60s", &["inspect", "s3://b/binlog.000001"]);
    assert_says(&run, "ZZZZ");
    assert!(run.stderr.len() < 4 << 10, "{} bytes", run.stderr.len());
    assert!(!run.stderr.contains("##["), "{}", run.stderr);
}

#[test]
fn a_time_without_its_unit_is_named_with_its_variable_and_its_form() {
    let fake = Fake::new(|stream, _, _| reply(stream, "404 Not Found", "", b""));
    for bad in ["8", "0s", "soon"] {
        let run = fake.run(bad, &["inspect", "s3://b/binlog.000001"]);
        assert_says(&run, "AWS_TIMEOUT=");
        assert!(run.stderr.contains("8s"), "{}", run.stderr);
    }
    assert_eq!(fake.asked.load(Ordering::SeqCst), 0);
    assert_says(&fake.run("8s", &["inspect", "s3://b/binlog.000001"]), "no such object");
}
