"""Keys of MariaDB under AWS KMS: data keys that moto's KMS made, in files as `aws_key_management`
names them. The plugin itself is in no Debian package; the logs are written by a real server with
these keys, under two versions, through the plugin of Vault.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bao import TOKEN, Bao
from checks import Check, Finished, each, equal, exit_status, same_bytes, true
from kms_lab import REGION, Kms
from lab import Lab
from mariadb_lab import MariadbServer
from shop import MARIADB_WORK, mariadb_with_vault, version_of
from tool import Binlogsec


@dataclass(frozen=True)
class Place:
    """A data directory with logs and files of keys, and who may decrypt those."""

    lab: Lab
    tool: Binlogsec
    kms: Kms
    directory: Path
    logs: dict[Path, bytes]
    clients: dict[str, dict[str, str]]

    def run(self, *arguments: str | Path, client: str = "reader", **variables: str) -> Finished:
        given = self.clients.get(client, {})
        known = {
            "AWS_ACCESS_KEY_ID": given.get("id", ""),
            "AWS_SECRET_ACCESS_KEY": given.get("secret", ""),
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL_KMS": self.kms.url,
            "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
            "AWS_CONFIG_FILE": "/nowhere",
        }
        with set_variables({**known, **variables}):
            return self.tool.run(*arguments)


@contextmanager
def set_variables(variables: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def run(lab: Lab, binlogsec: Path) -> Iterator[Check]:
    with Kms(lab.scratch("kms")) as kms:
        made = kms.make(2)
        place = logs_of_a_server(lab, Binlogsec(binlogsec), kms, made)
        kms.verify_signatures()
        yield equal("MariaDB wrote logs under both versions", {1, 2}, {version_of(log) for log in place.logs})
        yield from each(
            partial(by_the_files, place),
            partial(by_the_options_of_the_server, place),
            partial(by_a_profile, place),
            partial(refusals, place),
        )


def logs_of_a_server(lab: Lab, tool: Binlogsec, kms: Kms, made: dict[str, Any]) -> Place:
    """Two versions of key 1: the plain data keys, which the server takes from a Vault."""
    directory, served = lab.scratch("kms-datadir"), lab.scratch("kms-served")
    for version, key in enumerate(made["keys"], start=1):
        (directory / f"aws-kms-key.1.{version}").write_bytes(bytes.fromhex(key["file"]))
    logs: dict[Path, bytes] = {}
    with Bao(lab.scratch("bao")) as bao:
        bao.mount("maria", 2)
        first, second = (key["plain"] for key in made["keys"])
        bao.ask("POST", "maria/data/1", {"data": {"data": first}})
        options = mariadb_with_vault(f"{bao.url}/v1/maria", TOKEN)
        with MariadbServer(lab.folder / "kms-maria", 310, options) as server:
            server.sql(MARIADB_WORK)
            bao.ask("POST", "maria/data/1", {"data": {"data": second}})
            time.sleep(1)
            server.restart()
            server.sql(MARIADB_WORK)
            for name in server.binlogs()[:-1]:
                copy = directory / name
                copy.write_bytes((server.datadir / name).read_bytes())
                logs[copy] = server.served(name, served)
    return Place(lab, tool, kms, directory, logs, made["clients"])


def decrypts(place: Place, what: str, *by: str | Path, **how: Any) -> Iterator[Check]:
    into = place.lab.scratch("kms-plain")
    for log, plain in place.logs.items():
        target = into / log.name
        done = place.run("decrypt", log, "-o", target, "--force", "--allow-http", *by, **how)
        yield exit_status(f"{what}: decrypt of {log.name}", 0, done)
        got = target.read_bytes() if target.exists() else b""
        yield same_bytes(f"{what}: {log.name} is what the server serves", plain, got)


def by_the_files(place: Place) -> Iterator[Check]:
    named = [place.directory / f"aws-kms-key.1.{version}" for version in (1, 2)]
    yield from decrypts(place, "by the files", *[word for path in named for word in ("--keyring", path)])
    by_first = next(log for log in place.logs if version_of(log) == 2)
    done = place.run("inspect", by_first, "--keyring", named[0], "--allow-http")
    yield exit_status("the other version's file is not this key", 3, done)
    said = (done.stdout + done.stderr).decode()
    yield true("which is told", "version 2 of key 1" in said, "version 2 of key 1", said)
    done = place.run("keyring", "list", *named, "--allow-http")
    yield exit_status("keyring list", 0, done)


def by_the_options_of_the_server(place: Place) -> Iterator[Check]:
    options = place.lab.scratch("kms-options") / "server.cnf"
    lines = [
        "[mariadb]",
        f"datadir={place.directory}",
        "plugin-load-add=aws_key_management",
        f"aws-key-management-region={REGION}",
        f"aws-key-management-endpoint-url={place.kms.url}",
    ]
    options.write_text("\n".join([*lines, ""]))
    unset = {"AWS_REGION": "", "AWS_ENDPOINT_URL_KMS": ""}
    yield from decrypts(place, "by its option file", "--keyring", options, **unset)
    yield from decrypts(place, "by --defaults-file", "--defaults-file", options, **unset)
    yield from decrypts(place, "by its data directory", "--datadir", place.directory)


def by_a_profile(place: Place) -> Iterator[Check]:
    folder = place.lab.scratch("kms-profile")
    reader = place.clients["reader"]
    credentials, config = folder / "credentials", folder / "config"
    credentials.write_text(
        "[default]\naws_access_key_id = AKIDNOBODY\naws_secret_access_key = nothing\n"
        f"[reader]\naws_access_key_id = {reader['id']}\naws_secret_access_key = {reader['secret']}\n"
    )
    config.write_text(f"[profile reader]\nregion = {REGION}\n")
    variables = {
        "AWS_PROFILE": "reader",
        "AWS_REGION": "",
        "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
        "AWS_CONFIG_FILE": str(config),
    }
    yield from decrypts(place, "by a profile", "--datadir", place.directory, client="nobody", **variables)


def refusals(place: Place) -> Iterator[Check]:
    log = next(log for log in place.logs if version_of(log) == 1)
    damaged = place.lab.scratch("kms-damaged") / "aws-kms-key.1.1"
    whole = (place.directory / damaged.name).read_bytes()
    damaged.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    good = place.directory / damaged.name
    empty = place.lab.scratch("kms-empty") / "aws-kms-key.1.1"
    empty.write_bytes(b"")
    reader = place.clients["reader"]
    wrong = {"AWS_ACCESS_KEY_ID": reader["id"], "AWS_SECRET_ACCESS_KEY": "X" * 40}
    cases: list[tuple[str, Path, dict[str, str], int, str]] = [
        ("a damaged file", damaged, {}, 3, "it is damaged"),
        ("an empty file", empty, {}, 3, "the file is empty"),
        ("a secret that is not the client's", good, wrong, 2, "refuses"),
        ("no credentials", good, {"AWS_ACCESS_KEY_ID": ""}, 2, "there are no credentials"),
        ("no region", good, {"AWS_REGION": ""}, 2, "no region is named"),
        ("nobody listens there", good, {"AWS_ENDPOINT_URL_KMS": "http://127.0.0.1:9"}, 2, "after 3 attempts"),
    ]
    for what, path, variables, status, said in cases:
        done = place.run("inspect", log, "--keyring", path, "--allow-http", **variables)
        yield exit_status(what, status, done)
        text = (done.stdout + done.stderr).decode()
        yield true(f"{what}: it is told", said in text, said, text)
        yield true(f"{what}: and not the secret", reader["secret"] not in text, "no secret", text)
    done = place.run("inspect", log, "--keyring", good, "--allow-http", client="stranger")
    yield exit_status("a client without the right", 2, done)
    done = place.run("inspect", log, "--keyring", good)
    yield exit_status("http without --allow-http", 2, done)
