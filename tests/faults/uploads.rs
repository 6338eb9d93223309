//! Uploads to a store that a signal ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::common::logs;
use crate::lab::{Lab, wait};

/// How a store deals with the request that ends an upload.
#[derive(Clone, Copy)]
enum Ends {
    /// After so long.
    After(Duration),
    Never,
}

/// As much of S3 as an upload in parts needs. Parts never arrive.
struct Store {
    address: String,
    /// What was asked: method and query, and when it had its answer.
    requests: Arc<Mutex<Vec<String>>>,
}

impl Store {
    fn new(ends: Ends) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::default();
        let log = Arc::clone(&requests);
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let log = Arc::clone(&log);
                std::thread::spawn(move || serve(connection.unwrap(), ends, &log));
            }
        });
        Self { address, requests }
    }

    fn has(&self, request: &str) -> bool {
        let requests = self.requests.lock().unwrap();
        requests.iter().any(|it| it.starts_with(request))
    }
}

fn serve(connection: TcpStream, ends: Ends, log: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(connection);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let request = head.lines().next()?.to_owned();
        let length = head.lines().find_map(|line| {
            let line = line.to_ascii_lowercase();
            line.strip_prefix("content-length:")?.trim().parse().ok()
        });
        log.lock().unwrap().push(request.clone());
        let answer = match request.split(' ').next()? {
            "HEAD" => "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned(),
            "POST" => {
                let body = "<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>out</Key><UploadId>7</UploadId></InitiateMultipartUploadResult>";
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
            }
            "DELETE" => {
                match ends {
                    Ends::After(time) => std::thread::sleep(time),
                    Ends::Never => std::thread::sleep(Duration::from_secs(600)),
                }
                log.lock().unwrap().push(format!("answered {request}"));
                "HTTP/1.1 204 No Content\r\n\r\n".to_owned()
            }
            _ => {
                std::thread::sleep(Duration::from_secs(600));
                return None;
            }
        };
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body).ok()?;
        reader.get_mut().write_all(answer.as_bytes()).ok()?;
    }
}

/// An encryption of a large log into a store, some parts of which are on their way.
fn uploading(lab: &Lab, store: &Store) -> std::process::Child {
    std::fs::write(lab.path("large"), logs::grow(&lab.read("plain"), 60 << 20)).unwrap();
    let mut command = lab.command("encrypt large -o s3://bucket/out --keyring keyring");
    command.env("AWS_ENDPOINT", &store.address).env("AWS_ALLOW_HTTP", "true");
    command.env("AWS_ACCESS_KEY_ID", "x").env("AWS_SECRET_ACCESS_KEY", "x");
    command.env("AWS_REGION", "x").env_remove("AWS_PROFILE");
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while !store.has("PUT /bucket/out?partNumber=") {
        assert!(started.elapsed() < Duration::from_secs(60), "no part is sent");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

fn error(child: &mut std::process::Child) -> String {
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_signal_ends_an_upload_before_the_process() {
    let (lab, store) = (Lab::new(), Store::new(Ends::After(Duration::from_secs(1))));
    let mut child = uploading(&lab, &store);
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let status = wait(&mut child);
    assert_eq!(error(&mut child), "");
    assert_eq!(status.code(), Some(143));
    assert!(store.has("answered DELETE /bucket/out?uploadId=7"));
}

#[test]
fn a_store_that_does_not_answer_holds_nobody_up() {
    let (lab, store) = (Lab::new(), Store::new(Ends::Never));
    let mut child = uploading(&lab, &store);
    let started = Instant::now();
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(wait(&mut child).code(), Some(143));
    // Five seconds, on a busy machine.
    assert!(started.elapsed() < Duration::from_secs(30));

    let store = Store::new(Ends::Never);
    let mut child = uploading(&lab, &store);
    let id = Pid::from_child(&child);
    kill_process(id, Signal::TERM).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(child.try_wait().unwrap(), None, "the store is asked first");
    kill_process(id, Signal::TERM).unwrap();
    let started = Instant::now();
    assert_eq!(wait(&mut child).code(), Some(143), "{}", error(&mut child));
    assert!(started.elapsed() < Duration::from_secs(4), "at once");
}
