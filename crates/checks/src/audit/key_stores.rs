//! Finds the key stores that a server's configuration names: of components in the data directory, of
//! plugins in option files.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::facts::key_store::{KeyStoreFacts, StoreSecret};
use super::files;
use crate::config::option_file::{OptionFile, Setting};

/// More is no configuration.
const LARGEST_FILE: u64 = 1 << 20;
/// The configurations of components with stores on the network.
const COMPONENTS: [&str; 2] = ["component_keyring_vault.cnf", "component_keyring_kmip.cnf"];

/// The stores of a data directory's components, and of option files' plugins.
pub(super) fn find(directory: Option<&Path>, options: Option<&OptionFile>) -> Vec<KeyStoreFacts> {
    let components = directory.into_iter().flat_map(|directory| {
        COMPONENTS.iter().filter_map(|name| of_component(&directory.join(name), directory))
    });
    let vault = options.and_then(|options| set(options, "keyring_vault_config"));
    let plugin = vault.and_then(|vault| {
        let path = PathBuf::from(text(vault)?);
        of_plugin(&directory.unwrap_or(Path::new("")).join(path))
    });
    components.chain(plugin).chain(options.and_then(of_mariadb)).collect()
}

/// The value that counts: the last one.
fn set<'a>(options: &'a OptionFile, name: &str) -> Option<&'a Setting> {
    let given = options.of_server().filter(|option| option.name == name);
    given.filter(|option| option.value.as_deref().is_some_and(|it| !it.is_empty())).last()
}

fn text(setting: &Setting) -> Option<&str> {
    std::str::from_utf8(setting.value.as_deref()?).ok()
}

fn secret(path: &Path, holds: &'static str) -> StoreSecret {
    let mode = files::mode(path).map(|(mode, _)| mode);
    StoreSecret { path: path.to_owned(), holds: holds.into(), mode }
}

/// Without what stands before an `@`: it may be a password.
pub(super) fn without_user(address: &str) -> String {
    let address = address.trim();
    match (address.split_once("://"), address.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
        (None, Some((_, rest))) => rest.to_owned(),
        (_, None) => address.to_owned(),
    }
}

fn of_component(path: &Path, directory: &Path) -> Option<KeyStoreFacts> {
    let bytes = files::read(path, LARGEST_FILE).ok()?;
    let members: Value = serde_json::from_slice(&bytes).ok()?;
    let text = |name: &str| members.get(name)?.as_str().filter(|text| !text.is_empty());
    let token = text("token").map(|_| secret(path, "token"));
    let key = text("client_key").map(|key| secret(&directory.join(key), "private key"));
    let address = match text("vault_url") {
        Some(url) => without_user(url),
        None => format!("{}:{}", text("server_addr")?, text("server_port").unwrap_or_default()),
    };
    let secrets = token.into_iter().chain(key).collect();
    Some(KeyStoreFacts { path: path.to_owned(), line: None, address, secrets })
}

/// Lines `name = value`.
fn of_plugin(path: &Path) -> Option<KeyStoreFacts> {
    let bytes = files::read(path, LARGEST_FILE).ok()?;
    let lines = std::str::from_utf8(&bytes).ok()?.lines().zip(1..);
    let mut values = lines.filter_map(|(line, number)| {
        let (name, value) = line.split_once('=')?;
        Some((name.trim(), value.trim(), number))
    });
    let has_token = values.clone().any(|(name, token, _)| name == "token" && !token.is_empty());
    let (_, url, line) = values.find(|(name, ..)| *name == "vault_url")?;
    let secrets = has_token.then(|| secret(path, "token")).into_iter().collect();
    let address = without_user(url);
    Some(KeyStoreFacts { path: path.to_owned(), line: Some(line), address, secrets })
}

fn of_mariadb(options: &OptionFile) -> Option<KeyStoreFacts> {
    let url = set(options, "hashicorp_key_management_vault_url")?;
    let token = set(options, "hashicorp_key_management_token");
    let secrets = token.map(|token| secret(&token.path, "token")).into_iter().collect();
    let address = without_user(text(url)?);
    Some(KeyStoreFacts { path: url.path.clone(), line: Some(url.line), address, secrets })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_of_an_address_is_kept() {
        assert_eq!(without_user(" https://vault:8200/v1/kv "), "https://vault:8200/v1/kv");
        assert_eq!(without_user("https://me:pw@vault/v1"), "https://vault/v1");
        assert_eq!(without_user("me:p@w@vault"), "vault");
    }
}
