//! `--inventory FILE`: many servers in one run, each with its files, its address, or both.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use binlogsec_checks::audit::facts::settings::Product;
use binlogsec_checks::audit::live::ServerAddress;
use binlogsec_checks::audit::{AuditTargets, FileTarget};
use binlogsec_checks::finding::policy::{from_toml, read_text};
use binlogsec_core::file::inputs;
use serde::Deserialize;
use serde_json::Value;

use super::servers::{self, ServerArgs};
use super::{cluster, named_options};
use crate::args::KeySourceArgs;
use crate::keys;
use crate::terminal::Terminal;

/// Values of an entry that are paths of the address.
const ADDRESS_PATHS: [&str; 6] =
    ["ssl-ca", "ssl-cert", "ssl-key", "socket", "password-file", "credentials-file"];

/// The file. A server says what is its own, `[defaults]` what is common to all.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inventory {
    #[serde(default)]
    defaults: Access,
    #[serde(default, rename = "server")]
    servers: Vec<Entry>,
}

/// One server: how to ask it, and its files.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Entry {
    url: Option<String>,
    host: Option<String>,
    port: Option<u16>,
    defaults_file: Option<PathBuf>,
    datadir: Option<PathBuf>,
    server_version: Option<String>,
    #[serde(default)]
    keyring: Vec<PathBuf>,
    cluster_config: Option<PathBuf>,
    #[serde(flatten)]
    access: Access,
}

/// How a server is asked, by the names that an address has for it.
#[derive(Default, Deserialize)]
struct Access(BTreeMap<String, Value>);

/// Adds what an inventory names; `inputs` are the files that no output may replace.
pub(super) fn add(
    targets: &mut AuditTargets,
    path: &Path,
    (args, keys): (&ServerArgs, &KeySourceArgs),
    terminal: &Terminal,
) -> anyhow::Result<()> {
    let inventory = open(path)?;
    if inventory.servers.is_empty() {
        bail!(
            "{}: no server is in it: [[server]] with a host, a socket, a datadir …",
            path.display()
        );
    }
    let base = path.parent().unwrap_or(Path::new(""));
    for (entry, number) in inventory.servers.into_iter().zip(1..) {
        let place = || format!("{}: server {number}", path.display());
        let address = address(&entry, &inventory.defaults, base).with_context(place)?;
        let of_server = address.as_ref().map(ToString::to_string);
        let files = files(&entry, base, of_server, (keys, terminal)).with_context(place)?;
        if address.is_none() && files.is_none() {
            return Err(anyhow!(
                "neither a host, a socket or a url, nor a defaults-file or datadir"
            )
            .context(place()));
        }
        targets.files.extend(files);
        if let Some(address) = address {
            targets.servers.push(servers::target(address, args, terminal).with_context(place)?);
        }
    }
    Ok(())
}

/// The files that an inventory names, itself among them.
pub(super) fn paths(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let base = path.parent().unwrap_or(Path::new(""));
    let inventory = open(path)?;
    let of_access = |access: &Access| {
        let paths = access.0.iter().filter(|(name, _)| ADDRESS_PATHS.contains(&&***name));
        paths.filter_map(|(_, value)| value.as_str().map(PathBuf::from)).collect::<Vec<_>>()
    };
    let mut found = of_access(&inventory.defaults);
    for entry in &inventory.servers {
        let own = entry.defaults_file.iter().chain(&entry.cluster_config).chain(&entry.keyring);
        found.extend(own.cloned());
        found.extend(of_access(&entry.access));
    }
    let mut found: Vec<_> = found.into_iter().map(|it| base.join(it)).collect();
    found.push(path.to_owned());
    Ok(found)
}

fn open(path: &Path) -> anyhow::Result<Inventory> {
    inputs::note_path(path);
    Ok(from_toml(&read_text(path)?, path)?)
}

/// The address of an entry; `None` where it names files alone.
fn address(entry: &Entry, defaults: &Access, base: &Path) -> anyhow::Result<Option<ServerAddress>> {
    let has_socket = entry.access.0.contains_key("socket");
    let mut address: ServerAddress = match (&entry.url, &entry.host) {
        (Some(_), Some(_)) => bail!("url and host are two ways to say one thing"),
        (Some(url), None) => url.parse()?,
        (None, host) => {
            if host.is_none() && !has_socket {
                let unused = entry.port.map(|_| "port");
                let unused = unused.or_else(|| entry.access.0.keys().next().map(String::as_str));
                if let Some(unused) = unused {
                    bail!("{unused} has no effect without a host, a socket or a url");
                }
                return Ok(None);
            }
            ServerAddress { host: host.clone().unwrap_or_default(), ..ServerAddress::default() }
        }
    };
    if entry.port.is_some() {
        address.port = entry.port;
    }
    // What stands in the entry outweighs what stands for all.
    for access in [defaults, &entry.access] {
        for (name, value) in &access.0 {
            if std::ptr::eq(access, defaults) && entry.access.0.contains_key(name) {
                continue;
            }
            set(&mut address, name, value, base)?;
        }
    }
    address.check()?;
    Ok(Some(address))
}

fn set(address: &mut ServerAddress, name: &str, value: &Value, base: &Path) -> anyhow::Result<()> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(switch) => if *switch { "ON" } else { "OFF" }.to_owned(),
        _ => bail!("{name} is neither a text nor a number"),
    };
    if name == "user" {
        address.user = Some(text);
        return Ok(());
    }
    let path = base.join(&text);
    match name {
        // An address calls it as its clients do; here that is the server's own file.
        "credentials-file" => address.defaults_file = Some(path),
        "defaults-file" => {
            bail!("defaults-file has no place in [defaults]: each server has its own")
        }
        _ if ADDRESS_PATHS.contains(&name) => {
            address.set(name, path.to_string_lossy().into_owned())?;
        }
        _ => address.set(name, text)?,
    }
    Ok(())
}

fn files(
    entry: &Entry,
    base: &Path,
    of_server: Option<String>,
    (keys, terminal): (&KeySourceArgs, &Terminal),
) -> anyhow::Result<Option<FileTarget>> {
    if entry.defaults_file.is_none() && entry.datadir.is_none() {
        for (is_there, name) in [
            (entry.server_version.is_some(), "server-version"),
            (!entry.keyring.is_empty(), "keyring"),
            (entry.cluster_config.is_some(), "cluster-config"),
        ] {
            if is_there {
                bail!("{name} has no effect without a defaults-file or a datadir");
            }
        }
        return Ok(None);
    }
    let place = |path: &PathBuf| base.join(path);
    let own_keys = if entry.keyring.is_empty() {
        None
    } else {
        let paths: Vec<_> = entry.keyring.iter().map(place).collect();
        Some(Arc::new(keys::open_paths(&paths, keys, terminal)?))
    };
    let product: Option<Product> =
        entry.server_version.as_ref().map(|it| it.parse()).transpose()?;
    Ok(Some(FileTarget {
        options: entry.defaults_file.as_ref().map(|it| named_options(&place(it))).transpose()?,
        data_directory: entry.datadir.as_ref().map(place),
        product,
        cluster: entry.cluster_config.as_ref().map(|it| cluster(&place(it))).transpose()?,
        keys: own_keys,
        of_server,
    }))
}
