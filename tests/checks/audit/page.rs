//! The HTML page in a browser, where there is one.

use std::collections::BTreeSet;
use std::fs::File;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::audit::machine::{MASTER_INFO, OLD, machine};
use crate::common::{mixed, openssl};

/// The browser of this machine, if it has one that can show a page.
fn browser() -> Option<&'static str> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let mut programs = names.into_iter().filter(|name| {
        let version = Command::new(name).arg("--version").output();
        version.is_ok_and(|output| output.status.success())
    });
    let Some(program) = programs.next() else {
        println!("skipped: no browser");
        return None;
    };
    // Some machines have one that cannot start: in a sandbox, for want of memory, as a stub.
    let blank = chromium(program, &["--dump-dom", "about:blank"], Duration::from_secs(60));
    let works = blank.as_ref().is_some_and(|output| output.status.success());
    if !works {
        println!("skipped: {program} shows no blank page: {blank:?}");
    }
    works.then_some(program)
}

/// What it printed; `None` where it took too long.
fn chromium(program: &str, arguments: &[&str], limit: Duration) -> Option<Output> {
    let profile = tempfile::tempdir().unwrap();
    let file = |name: &str| profile.path().join(name);
    // Files, since a pipe that nobody reads meanwhile could hold it up.
    let out = |name: &str| File::create(file(name)).unwrap();
    let mut child = Command::new(program)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"])
        .args(["--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars"])
        .args(["--disable-background-networking", "--disable-component-update"])
        .arg("--disable-sync")
        .arg(format!("--user-data-dir={}", file("profile").display()))
        .args(arguments)
        .stdout(out("stdout"))
        .stderr(out("stderr"))
        .spawn()
        .unwrap();
    let begin = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if begin.elapsed() > limit => {
                child.kill().unwrap();
                child.wait().unwrap();
                return None;
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    Some(Output {
        status,
        stdout: std::fs::read(file("stdout")).unwrap(),
        stderr: std::fs::read(file("stderr")).unwrap(),
    })
}

/// The same with a page of ours, in a browser that has shown another one.
fn shown(program: &str, arguments: &[&str]) -> (String, String) {
    let output = chromium(program, arguments, Duration::from_secs(300)).expect("within the time");
    assert!(output.status.success(), "{output:?}");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// The page in a browser: nothing on the console, every finding to be seen, nothing to be scrolled
/// sideways at any width, and another background in the dark.
#[test]
fn the_page_works_in_a_browser() {
    if !openssl::is_here() {
        return;
    }
    let Some(browser) = browser() else {
        return;
    };
    let machine = machine(OLD);
    let hostile = "a<script>console.error(1)&\"'<b>.000001";
    std::fs::copy(mixed().join("binlog.000001"), machine.path("data").join(hostile)).unwrap();
    machine.write("data/master.info", &MASTER_INFO.replace("source.example", &"s".repeat(90)));
    let page = machine.path("audit.html");
    machine.run("json", &["--report", &format!("html={}", page.display())]);
    let html = std::fs::read_to_string(&page).unwrap();
    let findings = machine.report()["findings"].as_array().unwrap().len();
    assert!(findings > 3);
    assert!(!html.contains("<script>") && !html.contains("secret"));
    let url = format!("file://{}", page.display());
    let picture = machine.path("page.png");
    let screenshot = format!("--screenshot={}", picture.display());
    let window = ["--enable-logging=stderr", "--window-size=1200,900"];
    let (_, log) = shown(browser, &[window[0], window[1], &screenshot, &url]);
    assert!(!log.contains("CONSOLE"), "{log}");
    let png = std::fs::read(&picture).unwrap();
    let size = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    assert_eq!((size(16), size(20)), (1200, 900));
    let escaped = html.replace('&', "&amp;").replace('"', "&quot;");
    let mut backgrounds = BTreeSet::new();
    for (width, dark) in [(1200, false), (390, false), (390, true)] {
        let frame = format!(
            "<iframe id=f width={width} height=900 srcdoc=\"{escaped}\"></iframe><pre id=r></pre><script>\
             f.onload = () => {{ const d = f.contentDocument, e = d.documentElement;\
             const seen = [...d.querySelectorAll('[data-finding]')].filter(x => x.getBoundingClientRect().height > 10);\
             r.textContent = ['RESULT', e.scrollWidth <= e.clientWidth, seen.length, d.querySelectorAll('script').length,\
             f.contentWindow.getComputedStyle(d.body).backgroundColor].join('|'); }}</script>"
        );
        let wrapper = machine.path("frame.html");
        std::fs::write(&wrapper, frame).unwrap();
        let url = format!("file://{}", wrapper.display());
        let mut arguments = vec!["--virtual-time-budget=4000", "--dump-dom", &url];
        if dark {
            arguments.insert(0, "--blink-settings=preferredColorScheme=0");
        }
        let (dom, _) = shown(browser, &arguments);
        let result = dom.split("RESULT|").last().unwrap().split('<').next().unwrap();
        let parts: Vec<_> = result.split('|').collect();
        let expected = ["true", &findings.to_string(), "0"].map(str::to_owned);
        assert_eq!(parts[..3], expected, "{width}: {result}");
        backgrounds.insert(parts[3].to_owned());
    }
    assert_eq!(backgrounds.len(), 2, "{backgrounds:?}");
}
