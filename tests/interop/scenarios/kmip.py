"""Keys from a KMIP server, PyKMIP's, in which they lie as Percona Server's `component_keyring_kmip`
registers them; the logs are those of a MySQL server.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from certificates import Authority
from checks import Check, each, equal, exit_status, true
from kmip_lab import KmipServer
from lab import Lab
from shop import Shop, a_server, decrypts, entries
from tool import Binlogsec

GROUP = "mysql-a"


def run(lab: Lab, binlogsec: Path) -> Iterator[Check]:
    shop = a_server(lab, Binlogsec(binlogsec))
    with KmipServer(lab.scratch("kmip")) as kmip:
        kmip.register(entries(shop.keyring), GROUP)
        yield from each(
            partial(the_servers_keys, shop, kmip),
            partial(the_servers_data_directory, shop, kmip),
            partial(refusals, shop, kmip),
            partial(out_of_the_store, shop, kmip),
        )


def configuration(shop: Shop, kmip: KmipServer, **other: Any) -> Path:
    """What the component reads."""
    path = shop.lab.scratch("kmip-conf") / "component_keyring_kmip.cnf"
    members = {
        "server_addr": "127.0.0.1",
        "server_port": str(kmip.port),
        "client_ca": str(kmip.client.certificate),
        "client_key": str(kmip.client.key),
        "server_ca": str(kmip.authority.own.certificate),
        "object_group": GROUP,
    }
    members.update(other)
    path.write_text(json.dumps(members))
    path.chmod(0o600)
    return path


def the_servers_keys(shop: Shop, kmip: KmipServer) -> Iterator[Check]:
    for what, other in (("a group", {}), ("no group", {"object_group": ""})):
        keyring = configuration(shop, kmip, **other)
        yield from decrypts(shop, what, keyring)
        plain = json.loads(shop.tool.run("keyring", shop.keyring, "--format", "json").stdout)
        done = shop.tool.run("keyring", "list", keyring, "--format", "json")
        yield exit_status(f"{what}: keyring list", 0, done)
        listed = json.loads(done.stdout or b"null")
        by_id = [sorted(it["files"][0]["keys"], key=lambda key: key["key_id"]) for it in (plain, listed)]
        yield equal(f"{what}: it lists the keys of the file", *by_id)
        yield equal(f"{what}: and the rotation", plain["files"][0]["servers"], listed["files"][0]["servers"])
    log = next(iter(shop.logs))
    checked = shop.tool.run("check", log.parent, "--keyring", configuration(shop, kmip), "--max-key-age", "1")
    rules = [line.split()[0] for line in checked.stdout.decode().splitlines() if line.startswith("BLS")]
    yield true("check judges the store", "BLS018" not in rules and "BLS019" not in rules, "no http, a new key", rules)


def the_servers_data_directory(shop: Shop, kmip: KmipServer) -> Iterator[Check]:
    """Manifest and configuration as they lie in a data directory, with the server's relative paths."""
    directory = shop.lab.scratch("kmip-datadir")
    directory.joinpath("mysqld.my").write_text('{"components": "file://component_keyring_kmip"}')
    names = {"client_ca": kmip.client.certificate, "client_key": kmip.client.key}
    names["server_ca"] = kmip.authority.own.certificate
    for name, path in names.items():
        copy = directory / f"{name}.pem"
        copy.write_bytes(path.read_bytes())
        copy.chmod(0o600)
    made = configuration(shop, kmip, **{name: f"{name}.pem" for name in names})
    made.rename(directory / "component_keyring_kmip.cnf")
    for log in shop.logs:
        done = shop.tool.run("inspect", log, "--datadir", directory)
        yield exit_status(f"inspect of {log.name} by the data directory", 0, done)


def refusals(shop: Shop, kmip: KmipServer) -> Iterator[Check]:
    log = next(iter(shop.logs))
    stranger = Authority(shop.lab.scratch("kmip-stranger"), "stranger")
    foreign = stranger.issue("mysql-x", "clientAuth", "DNS:mysql-x")
    named = kmip.authority.issue("mysql-b", "clientAuth", "DNS:mysql-b")
    other = {"client_ca": str(foreign.certificate), "client_key": str(foreign.key)}
    unknown = {"client_ca": str(named.certificate), "client_key": str(named.key)}
    elsewhere = {"server_addr": "localhost.localdomain"}
    for what, members, status, said in (
        ("nobody listens there", {"server_port": "9"}, 2, "cannot be reached after 3 attempts"),
        ("a certificate of a foreign authority", other, 2, "ends the connection by an alert of TLS"),
        ("a key that does not go with the certificate", {"client_key": str(foreign.key)}, 2, "does not go with"),
        ("another authority of the server", {"server_ca": str(stranger.own.certificate)}, 2, "is not trusted"),
        ("a file that is none", {"client_ca": "/nowhere"}, 2, "no certificate with its key"),
        ("a group without the key", {"object_group": "mysql-b"}, 3, "is not in the KMIP server"),
        ("a client that may not see the keys", unknown, 3, "is not in the KMIP server"),
    ):
        done = shop.tool.run("inspect", log, "--keyring", configuration(shop, kmip, **members))
        yield exit_status(what, status, done)
        text = (done.stdout + done.stderr).decode()
        yield true(f"{what}: it is told", said in text, said, text)
    with Path("/etc/hosts").open() as hosts:
        has_name = any("localhost.localdomain" in line for line in hosts)
    if has_name:
        done = shop.tool.run("inspect", log, "--keyring", configuration(shop, kmip, **elsewhere))
        yield exit_status("a name that is not in the certificate", 2, done)


def out_of_the_store(shop: Shop, kmip: KmipServer) -> Iterator[Check]:
    keyring = configuration(shop, kmip)
    back = shop.lab.scratch("kmip-back") / "keyring"
    done = shop.tool.run("keyring", "convert", keyring, back, "--as", "component")
    yield exit_status("keyring convert out of it", 0, done)
    same = [sorted(map(str, entries(path))) for path in (shop.keyring, back)]
    yield equal("with the same entries", *same)
    done = shop.tool.run("keyring", "add-key", keyring)
    yield exit_status("keyring add-key is refused", 2, done)
    said = done.stderr.decode()
    yield true("and says who makes its keys", "ROTATE BINLOG MASTER KEY" in said, "the server", said)
