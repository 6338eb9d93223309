//! Logging in: which methods of authentication there are, and what each may send.

use mysql_common::auth::plugins::{AuthProc, ChallengeResponsePlugin, Context, Response};
use mysql_common::constants::CapabilityFlags;
use mysql_common::packets::AuthPlugin;
use zeroize::Zeroizing;

use super::error::{Problem, shown};

/// Who asks. Not printable.
pub(super) struct Login<'a> {
    pub(super) user: &'a str,
    pub(super) password: &'a [u8],
}

/// Whether the password may be sent as it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clear {
    /// Nobody on the way can read what is sent.
    pub(super) is_private: bool,
    /// Whoever answers has proved who it is.
    pub(super) is_known: bool,
    /// The user has asked for it.
    pub(super) is_wanted: bool,
}

/// Of what a server can, what is of use here.
pub(super) fn capabilities(of_server: CapabilityFlags) -> CapabilityFlags {
    let wanted = CapabilityFlags::CLIENT_LONG_PASSWORD
        | CapabilityFlags::CLIENT_PROTOCOL_41
        | CapabilityFlags::CLIENT_SECURE_CONNECTION
        | CapabilityFlags::CLIENT_TRANSACTIONS
        | CapabilityFlags::CLIENT_PLUGIN_AUTH
        | CapabilityFlags::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA;
    wanted & of_server
}

/// One method of authentication, step by step.
pub(super) struct Method {
    steps: AuthProc,
    name: String,
    is_private: bool,
}

impl Method {
    pub(super) fn new(plugin: &AuthPlugin<'_>, clear: Clear) -> Result<Self, Problem> {
        let name = shown(&String::from_utf8_lossy(plugin.as_bytes()));
        match plugin {
            // Its hash is worth the password.
            AuthPlugin::MysqlOldPassword | AuthPlugin::Parsec => {
                return Err(Problem::UnknownPlugin { plugin: name });
            }
            AuthPlugin::MysqlClearPassword if !clear.is_private => {
                return Err(Problem::PasswordInTheClear { plugin: name });
            }
            AuthPlugin::MysqlClearPassword if !clear.is_known || !clear.is_wanted => {
                return Err(Problem::CleartextPlugin);
            }
            _ => {}
        }
        let steps =
            AuthProc::init(plugin).map_err(|_| Problem::UnknownPlugin { plugin: name.clone() })?;
        Ok(Self { steps, name, is_private: clear.is_private })
    }

    /// The answer to a challenge, if there is one.
    pub(super) fn answer(
        &mut self,
        login: &Login<'_>,
        scramble: &[u8],
        challenge: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Problem> {
        let context =
            Conversation { password: login.password, scramble, is_private: self.is_private };
        let response = self.steps.run(context, challenge).map_err(|_| Problem::Protocol {
            problem: "a step of logging in that does not belong there",
        })?;
        let (Response::Next { packet } | Response::Last { packet }) = response;
        let packet = packet.map(Zeroizing::new);
        // One byte asks for the server's key, to wrap the password for whoever sent that key.
        let by_key = ["caching_sha2_password", "sha256_password"].contains(&&*self.name);
        if by_key
            && !self.is_private
            && matches!(packet.as_deref().map(Vec::as_slice), Some([1 | 2]))
        {
            return Err(Problem::PasswordInTheClear { plugin: self.name.clone() });
        }
        Ok(packet)
    }
}

struct Conversation<'a> {
    password: &'a [u8],
    scramble: &'a [u8],
    is_private: bool,
}

impl Context for Conversation<'_> {
    fn pass(&self) -> &[u8] {
        self.password
    }

    fn is_ipc_transport(&self) -> bool {
        false
    }

    // A socket is as private as TLS; of the two, all methods know TLS.
    fn is_tls_transport(&self) -> bool {
        self.is_private
    }

    fn scramble(&self) -> &[u8] {
        self.scramble
    }

    fn server_key_pem(&self) -> Option<&[u8]> {
        None
    }
}
