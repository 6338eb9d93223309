//! What a server answers that an audit asks.

use std::cell::RefCell;
use std::io::{Cursor, Read, Write};
use std::rc::Rc;

use binlogsec_checks::audit::live::{Credentials, ServerAddress, collect_over};
use binlogsec_core::log::error::describe;
use binlogsec_core::secret::SecretBytes;

const PASSWORD: &[u8] = b"s3cret-of-nobody";

/// A server's side of a session, and what it is sent.
struct Session {
    answers: Cursor<Vec<u8>>,
    sent: Rc<RefCell<Vec<u8>>>,
}

impl Read for Session {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.answers.read(buffer)
    }
}

impl Write for Session {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.sent.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The input is all that the server sends.
pub(crate) fn server_session(data: &[u8]) {
    let address: ServerAddress =
        "mysql://audit@host/?ssl-mode=DISABLED&timeout=10".parse().unwrap();
    let credentials = Credentials {
        user: "audit".to_owned(),
        password: Some(SecretBytes::new(PASSWORD.to_vec())),
        password_file: None,
    };
    let sent = Rc::default();
    let session = Session { answers: Cursor::new(data.to_vec()), sent: Rc::clone(&sent) };
    let said = match collect_over(session, &address, &credentials) {
        Ok(facts) => {
            assert_eq!(facts.address, "host:3306");
            String::new()
        }
        Err(error) => {
            let said = describe(&error);
            assert!(said.len() < 8 << 10, "{} bytes", said.len());
            said
        }
    };
    let holds = |bytes: &[u8]| bytes.windows(PASSWORD.len()).any(|it| it == PASSWORD);
    assert!(!holds(said.as_bytes()), "{said}");
    assert!(!holds(&sent.borrow()), "the password crosses the network");
}
