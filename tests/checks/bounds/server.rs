//! A server that answers every statement of an audit, with texts that somebody else chooses.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

const OK: [u8; 7] = [0, 0, 0, 2, 0, 0, 0];
const END: [u8; 5] = [0xfe, 0, 0, 2, 0];

/// Its address. Every text of its answers is one of these.
pub(crate) fn hostile(texts: Vec<String>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // The client hangs up when it has had enough.
            let _ = serve(&mut stream.unwrap(), &texts);
        }
    });
    format!("mysql://audit@127.0.0.1:{port}/?ssl-mode=DISABLED")
}

fn serve(stream: &mut TcpStream, texts: &[String]) -> std::io::Result<()> {
    let mut greeting = b"\x0a8.4.3\0\x01\0\0\0challeng\0\x00\x82\x2d\x02\0\x08\0\x15".to_vec();
    greeting.extend_from_slice(&[0; 10]);
    greeting.extend_from_slice(b"more of it..\0mysql_native_password\0");
    send(stream, 0, &greeting)?;
    receive(stream)?;
    send(stream, 2, &OK)?;
    loop {
        let packet = receive(stream)?;
        let statement = String::from_utf8_lossy(packet.get(1..).unwrap_or_default()).into_owned();
        match answer(&statement, texts) {
            Some((columns, rows)) => table(stream, &columns, &rows)?,
            None => send(stream, 1, &OK)?,
        }
    }
}

type Rows = (Vec<String>, Vec<Vec<String>>);

fn named(columns: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Option<Rows> {
    let columns = columns.iter().map(|it| (*it).to_owned()).collect();
    Some((columns, rows.into_iter().collect()))
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn answer(statement: &str, texts: &[String]) -> Option<Rows> {
    if statement.contains("READ ONLY") {
        return None;
    }
    of_itself(statement, texts).or_else(|| of_others(statement, texts)).or_else(|| {
        let rows = texts.iter().map(|it| vec![it.clone(), it.clone(), it.clone()]);
        named(&["KEY_ID", "b", "c"], rows)
    })
}

/// Variables, logs, keyrings.
fn of_itself(statement: &str, texts: &[String]) -> Option<Rows> {
    let each = || texts.iter().cloned();
    let all = texts.last().unwrap();
    if statement.contains("CURRENT_USER") {
        return named(&["a", "b"], [vec![format!("{all}@{all}"), format!("MySQL {all}")]]);
    }
    if statement.contains("GLOBAL VARIABLES") {
        let variables = [
            "log_bin=ON",
            "binlog_encryption=OFF",
            "server_id=1",
            "port=3306",
            "require_secure_transport=OFF",
            "performance_schema=ON",
            "log_replica_updates=ON",
            "have_ssl=YES",
        ];
        let fixed = variables.iter().map(|it| it.split('=').map(text).collect());
        let names = [
            "version_comment",
            "server_uuid",
            "hostname",
            "report_host",
            "ssl_ca",
            "ssl_cert",
            "ssl_key",
            "tls_version",
            "ssl_cipher",
            "tls_ciphersuites",
            "log_bin_basename",
            "datadir",
            "early_plugin_load",
            "admin_address",
            "secure_file_priv",
            "keyring_file_data",
            "ndb_connectstring",
            "admin_tls_version",
            "replica_load_tmpdir",
            "tmpdir",
        ];
        let hostile = names.iter().map(|name| vec![text(name), format!("TLSv1.0,{all}")]);
        return named(&["Variable_name", "Value"], fixed.chain(hostile));
    }
    if statement.contains("BINARY LOGS") {
        let rows = each().map(|name| vec![name, text("100"), text("No")]);
        return named(&["Log_name", "File_size", "Encrypted"], rows);
    }
    if statement.contains("PLUGIN_NAME") {
        let columns = ["PLUGIN_NAME", "PLUGIN_STATUS", "LOAD_OPTION", "PLUGIN_TYPE"];
        let rows = each().map(|it| vec![format!("keyring_{it}"), it.clone(), it, text("KEYRING")]);
        return named(&columns, rows);
    }
    if statement.contains("mysql.plugin") {
        return named(&["name"], each().map(|it| vec![format!("keyring_{it}")]));
    }
    if statement.contains("keyring_component") {
        let rows = ["Component_name", "Component_status", "Data_file"];
        let rows = rows.iter().map(|name| vec![text(name), all.clone()]);
        return named(&["STATUS_KEY", "STATUS_VALUE"], rows);
    }
    None
}

/// Channels, replicas, accounts.
fn of_others(statement: &str, texts: &[String]) -> Option<Rows> {
    let each = || texts.iter().cloned();
    if statement.contains("REPLICA STATUS") {
        let columns = [
            "Channel_Name",
            "Source_Host",
            "Source_Port",
            "Source_User",
            "Source_UUID",
            "Source_Server_Id",
            "Replica_IO_Running",
            "Replica_SQL_Running",
            "Source_SSL_Allowed",
            "Source_SSL_CA_File",
            "Source_SSL_Cert",
            "Source_SSL_Key",
            "Source_SSL_Verify_Server_Cert",
            "Source_TLS_Version",
            "Last_IO_Error",
        ];
        let rows = each().enumerate().map(|(number, it)| {
            let tls = text(if number % 2 == 0 { "No" } else { "Yes" });
            vec![
                it.clone(),
                it.clone(),
                text("3306"),
                it.clone(),
                it.clone(),
                text("7"),
                text("Yes"),
                text("No"),
                tls,
                it.clone(),
                it.clone(),
                it.clone(),
                text("No"),
                format!("TLSv1.0,{it}"),
                it,
            ]
        });
        let mut rows: Vec<_> = rows.collect();
        rows.push([&[text("plain name")][..], &rows[0][1..]].concat());
        return named(&columns, rows);
    }
    if statement.to_lowercase().contains("dump") {
        let columns = ["id", "user", "host", "version", "cipher", "uuid"];
        let rows = each().map(|it| vec![text("9"), it.clone(), it.clone(), text(""), text(""), it]);
        return named(&columns, rows);
    }
    if statement.contains("mysql.user") {
        let list = statement.split("SELECT").nth(1)?.split("FROM").next()?;
        let columns: Vec<_> = list.split(',').map(str::trim).collect();
        let rows = each().map(|it| {
            let value = |column: &&str| match *column {
                "User" | "Host" | "plugin" => it.clone(),
                "ssl_type" => text(""),
                "account_locked" => text("N"),
                _ => text("Y"),
            };
            columns.iter().map(value).collect()
        });
        return named(&columns, rows);
    }
    None
}

fn send(stream: &mut TcpStream, sequence: u8, packet: &[u8]) -> std::io::Result<()> {
    let mut head = u32::try_from(packet.len()).unwrap().to_le_bytes();
    head[3] = sequence;
    stream.write_all(&[&head[..], packet].concat())
}

fn receive(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut head = [0; 4];
    stream.read_exact(&mut head)?;
    head[3] = 0;
    let mut packet = vec![0; u32::from_le_bytes(head) as usize];
    stream.read_exact(&mut packet)?;
    Ok(packet)
}

/// With its length in front.
fn counted(text: &[u8]) -> Vec<u8> {
    let length = (text.len() as u32).to_le_bytes();
    match text.len() {
        0..=250 => [&length[..1], text].concat(),
        251..=0xffff => [&[0xfc][..], &length[..2], text].concat(),
        _ => [&[0xfd][..], &length[..3], text].concat(),
    }
}

fn table(stream: &mut TcpStream, columns: &[String], rows: &[Vec<String>]) -> std::io::Result<()> {
    send(stream, 1, &counted(&columns.len().to_le_bytes()[..1])[1..])?;
    for name in columns {
        let name = counted(name.as_bytes());
        let end = b"\x0c\x2d\0\0\x01\0\0\xfd\0\0\0\0\0";
        send(stream, 2, &[&b"\x03def\0\0\0"[..], &name, b"\0", end].concat())?;
    }
    send(stream, 3, &END)?;
    for row in rows {
        let fields: Vec<_> = row.iter().map(|it| counted(it.as_bytes())).collect();
        send(stream, 4, &fields.concat())?;
    }
    send(stream, 5, &END)
}
