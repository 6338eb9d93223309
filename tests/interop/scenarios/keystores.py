"""Keys from the stores that servers have: OpenBao in both of Percona's layouts, with the keys and
logs of a MySQL server; and MariaDB's own `hashicorp_key_management`, which writes logs under two
versions of its key.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bao import TOKEN, Bao, percona_name
from checks import Check, each, equal, exit_status, same_bytes, true
from lab import Lab
from mariadb_lab import MariadbServer
from shop import MARIADB_WORK, Shop, a_server, decrypts, entries, mariadb_with_vault, version_of
from tool import Binlogsec

# Mount point of the configuration, the engine's version there, and what the configuration says of it.
LAYOUTS = {
    "version 1": ("kv1/servers/a", 1, "1"),
    "version 1, found out": ("kv1/servers/a", 1, "AUTO"),
    "version 2, found out": ("kv/two/servers/a", 2, "AUTO"),
    "version 2": ("kv/two/servers/a", 2, "2"),
    "version 2, no directory": ("kv/bare", 2, "AUTO"),
}


@dataclass(frozen=True)
class BaoShop(Shop):
    """With the store that its keys go to."""

    bao: Bao


def run(lab: Lab, binlogsec: Path) -> Iterator[Check]:
    tool = Binlogsec(binlogsec)
    with Bao(lab.scratch("bao")) as bao:
        bao.mount("kv1", 1)
        bao.mount("kv/two", 2)
        bao.mount("kv/bare", 2)
        shop = BaoShop(**vars(a_server(lab, tool)), bao=bao)
        yield from each(
            partial(the_layouts_of_percona, shop),
            partial(refusals, shop),
            partial(into_the_store_and_back, shop),
            partial(keys_that_were_deleted, shop),
            partial(the_command_of_the_documentation, shop),
            partial(mariadb_writes_under_two_versions, lab, tool, bao),
        )


def configuration(shop: BaoShop, name: str, mount: str, version: str, token: str = TOKEN) -> Path:
    path = shop.lab.scratch("keystores-conf") / f"{name.replace(' ', '-').replace(',', '')}.cnf"
    members = {
        "timeout": 10,
        "vault_url": shop.bao.url,
        "secret_mount_point": mount,
        "secret_mount_point_version": version,
        "token": token,
    }
    path.write_text(json.dumps(members))
    path.chmod(0o600)
    return path


def store(shop: BaoShop, mount: str, version: int) -> None:
    """As Percona Server stores its keys, written by this script alone."""
    for entry in entries(shop.keyring):
        value = base64.b64encode(bytes.fromhex(entry["data"])).decode()
        secret = {"type": entry["data_type"], "value": value}
        name = percona_name(entry["data_id"], entry["user"])
        if version == 1:
            shop.bao.ask("POST", f"{mount}/{name}", secret)
        else:
            at = mount.replace("kv/two", "kv/two/data").replace("kv/bare", "kv/bare/data")
            shop.bao.ask("POST", f"{at}/{name}", {"data": secret})


def the_layouts_of_percona(shop: BaoShop) -> Iterator[Check]:
    plain = json.loads(shop.tool.run("keyring", shop.keyring, "--format", "json").stdout)
    for what, (mount, engine, version) in LAYOUTS.items():
        store(shop, mount, engine)
        keyring = configuration(shop, what, mount, version)
        yield from decrypts(shop, what, keyring)
        done = shop.tool.run("keyring", "list", keyring, "--allow-http", "--format", "json")
        yield exit_status(f"{what}: keyring list", 0, done)
        listed = json.loads(done.stdout)
        by_id = [sorted(each["files"][0]["keys"], key=lambda key: key["key_id"]) for each in (plain, listed)]
        yield equal(f"{what}: it lists the keys of the file", *by_id)
        yield equal(f"{what}: and the rotation", plain["files"][0]["servers"], listed["files"][0]["servers"])


def refusals(shop: BaoShop) -> Iterator[Check]:
    log = next(iter(shop.logs))
    for what, mount, version, token, status, said in (
        ("a token that is none", "kv1/servers/a", "1", "s.nobody", 2, "refuses the token"),
        ("a mount that is none", "nowhere/a", "1", TOKEN, 2, "nothing mounted at"),
        ("version 2 demanded of version 1", "kv1/servers/a", "2", TOKEN, 2, "version 2"),
        ("a directory without keys", "kv1/other", "1", TOKEN, 3, "is not in the Vault"),
        ("the same of version 2", "kv/two/other", "AUTO", TOKEN, 3, "is not in the Vault"),
    ):
        keyring = configuration(shop, what, mount, version, token)
        done = shop.tool.run("inspect", log, "--keyring", keyring, "--allow-http")
        yield exit_status(what, status, done)
        text = (done.stdout + done.stderr).decode()
        yield true(f"{what}: it is told", said in text, said, text)
        yield true(f"{what}: and not the token", token not in text, "no token", text)


def into_the_store_and_back(shop: BaoShop) -> Iterator[Check]:
    """`keyring convert` into a store makes what the script made; a new generation is taken into use."""
    folder = shop.lab.scratch("keystores-convert")
    for engine, mount, at in ((1, "kv1/made", "kv1/made"), (2, "kv/two/made", "kv/two/metadata/made")):
        what = f"version {engine}"
        vault = configuration(shop, f"made {engine}", mount, "AUTO")
        done = shop.tool.run("keyring", "convert", shop.keyring, vault, "--allow-http")
        yield exit_status(f"{what}: keyring convert into the store", 0, done)
        expected = sorted(percona_name(entry["data_id"], entry["user"]) for entry in entries(shop.keyring))
        yield equal(f"{what}: the names are the server's", expected, sorted(shop.bao.names(at)))
        yield from decrypts(shop, f"{what}, converted", vault)
        again = shop.tool.run("keyring", "convert", shop.keyring, vault, "--allow-http")
        yield exit_status(f"{what}: and once more, which changes nothing", 0, again)
        back = folder / f"back-{engine}"
        done = shop.tool.run("keyring", "convert", vault, back, "--as", "component", "--allow-http")
        yield exit_status(f"{what}: keyring convert out of it", 0, done)
        same = [sorted(map(str, entries(path))) for path in (shop.keyring, back)]
        yield equal(f"{what}: with the same entries", *same)
        done = shop.tool.run("keyring", "add-key", vault, "--allow-http", "--format", "json")
        yield exit_status(f"{what}: keyring add-key", 0, done)
        made = json.loads(done.stdout)["key_id"] if done.returncode == 0 else ""
        log = next(iter(shop.logs))
        moved = folder / f"moved-{engine}"
        shutil.copyfile(log, moved)
        done = shop.tool.run("rekey", moved, "--keyring", vault, "--allow-http")
        yield exit_status(f"{what}: rekey to the new generation", 0, done)
        head = moved.read_bytes()[:512]
        yield equal(f"{what}: the header names it", made, head[7 : 7 + head[6]].decode())
        plain = folder / f"plain-{engine}"
        done = shop.tool.run("decrypt", moved, "-o", plain, "--keyring", vault, "--allow-http")
        yield exit_status(f"{what}: and it opens", 0, done)
        yield same_bytes(f"{what}: as before", shop.logs[log], plain.read_bytes() if plain.exists() else b"")


def keys_that_were_deleted(shop: BaoShop) -> Iterator[Check]:
    """As the server deletes them when it rotates: version 2 can bring them back until they are destroyed."""
    mount = "kv/two/deleted"
    vault = configuration(shop, "deleted", mount, "AUTO")
    done = shop.tool.run("keyring", "convert", shop.keyring, vault, "--allow-http")
    yield exit_status("a store of keys", 0, done)
    [key] = [entry for entry in entries(shop.keyring) if len(entry["data"]) == 64][:1]
    logs = next(iter(shop.logs)).parent

    def found() -> list[dict[str, Any]]:
        done = shop.tool.run("check", logs, "--keyring", vault, "--allow-http", "--format", "json")
        return [it for it in json.loads(done.stdout)["findings"] if it["id"] == "BLS021"]

    yield equal("nothing is left behind", [], found())
    name = percona_name(key["data_id"])
    at = mount.replace("kv/two", "kv/two/data")
    shop.bao.ask("DELETE", f"{at}/{name}")
    [left] = found() or [{"message": "", "remedy": ""}]
    yield true("a deleted key is told", key["data_id"] in left["message"], key["data_id"], left["message"])
    done = shop.tool.run("keyring", "coverage", logs, "--keyring", vault, "--allow-http", "--format", "json")
    yield exit_status("coverage: its logs cannot be opened", 3, done)
    keys = {it["key_id"]: it["held_in"] for it in json.loads(done.stdout)["keys"]}
    yield equal("coverage: the store does not hold it", [], keys.get(key["data_id"]))
    by_log = shop.tool.run("inspect", *shop.logs, "--keyring", vault, "--allow-http")
    yield exit_status("and a log under it has a missing key", 3, by_log)
    shop.bao.ask("POST", f"{mount.replace('kv/two', 'kv/two/undelete')}/{name}", {"versions": [1]})
    by_log = shop.tool.run("inspect", *shop.logs, "--keyring", vault, "--allow-http")
    yield exit_status("what is brought back opens its logs", 0, by_log)
    shop.bao.ask("DELETE", f"{at}/{name}")
    folder = shop.lab.scratch("keystores-remedy")
    (folder / "vault").symlink_to(shop.bao.program)
    variables = {"PATH": f"{folder}:{os.environ['PATH']}", "BAO_ADDR": shop.bao.url, "BAO_TOKEN": TOKEN}
    done = subprocess.run(["sh", "-ec", left["remedy"]], env={**os.environ, **variables}, capture_output=True)
    yield exit_status("the remedy, run as it is printed", 0, done)
    yield equal("closes it", [], found())
    shop.bao.ask("POST", f"{at}/{name}", {"data": {"type": "AES", "value": ""}})
    secret = {"type": "AES", "value": base64.b64encode(bytes.fromhex(key["data"])).decode()}
    shop.bao.ask("POST", f"{at}/{name}", {"data": secret})
    [left] = found() or [{"message": "", "remedy": ""}]
    yield true("a replaced value is told", "version 1" in left["message"], "version 1", left["message"])
    subprocess.run(["sh", "-ec", left["remedy"]], env={**os.environ, **variables}, capture_output=True)
    yield equal("its remedy closes it", [], found())
    by_log = shop.tool.run("inspect", *shop.logs, "--keyring", vault, "--allow-http")
    yield exit_status("and leaves the key in use", 0, by_log)


def the_command_of_the_documentation(shop: BaoShop) -> Iterator[Check]:
    """The example of `--key-command` in docs/keys.md, run as it is printed but for its files."""
    page = Path(__file__).parents[3] / "docs/keys.md"
    [line] = [line for line in page.read_text().splitlines() if "--key-command '" in line]
    printed = shlex.split(line)
    mount = next(word for word in printed if "{key_id_base64_percona}" in word).split()[-1].rpartition("/")[0]
    for entry in entries(shop.keyring):
        value = base64.b64encode(bytes.fromhex(entry["data"])).decode()
        at = mount.replace("/", "/data/", 1)
        secret = {"data": {"type": entry["data_type"], "value": value}}
        shop.bao.ask("POST", f"{at}/{percona_name(entry['data_id'], entry['user'])}", secret)
    folder = shop.lab.scratch("keystores-command")
    variables = {
        "PATH": f"{shop.bao.program.parent}:{os.environ['PATH']}",
        "BAO_ADDR": shop.bao.url,
        "BAO_TOKEN": TOKEN,
    }
    before = {name: os.environ.get(name, "") for name in variables}
    os.environ.update(variables)
    try:
        for log, plain in shop.logs.items():
            target = folder / log.name
            files = {"binlog.000042": str(log), "plain": str(target)}
            done = shop.tool.run(*[files.get(word, word) for word in printed[1:]])
            yield exit_status(f"the documentation's command on {log.name}", 0, done)
            got = target.read_bytes() if target.exists() else b""
            yield same_bytes(f"and {log.name} is what the server serves", plain, got)
    finally:
        os.environ.update(before)


def mariadb_writes_under_two_versions(lab: Lab, tool: Binlogsec, bao: Bao) -> Iterator[Check]:
    bao.mount("maria", 2)
    bao.ask("POST", "maria/data/1", {"data": {"data": secrets.token_hex(32)}})
    options = mariadb_with_vault(f"{bao.url}/v1/maria", TOKEN)
    folder = lab.scratch("keystores-maria")
    my_cnf = folder / "server.cnf"
    with MariadbServer(lab.folder / "maria", 300, options) as server:
        lines = [f"{name}={value}" for name, value in options.items()]
        my_cnf.write_text("\n".join(["[mariadb]", f"datadir={server.datadir}", *lines, ""]))
        my_cnf.chmod(0o600)
        server.sql(MARIADB_WORK)
        bao.ask("POST", "maria/data/1", {"data": {"data": secrets.token_hex(32)}})
        time.sleep(1)
        server.sql("SELECT SLEEP(1)")
        server.restart()
        server.sql(MARIADB_WORK)
        server.sql(MARIADB_WORK)
        logs = server.binlogs()[:-1]
        versions = {name: version_of(server.datadir / name) for name in logs}
        yield equal("MariaDB wrote logs under both versions", {1, 2}, set(versions.values()))
        for name in logs:
            what = f"{name}, version {versions[name]}"
            for by in (["--keyring", my_cnf], ["--defaults-file", my_cnf]):
                target = folder / name
                done = tool.run("decrypt", server.datadir / name, "-o", target, "--force", "--allow-http", *by)
                yield exit_status(f"{what}: decrypt by {by[0]}", 0, done)
                got = target.read_bytes() if target.exists() else b""
                yield same_bytes(f"{what}: is what the server serves", server.served(name, folder), got)
        done = tool.run("keyring", "coverage", server.datadir, "--keyring", my_cnf, "--allow-http", "--format", "json")
        yield exit_status("coverage of both versions", 0, done)
        keys = json.loads(done.stdout)["keys"]
        yield equal("it tells the versions", [("1", 1), ("1", 2)], [(key["key_id"], key["version"]) for key in keys])
        bao.ask("PUT", "maria/destroy/1", {"versions": [1]})
        old = next(name for name in logs if versions[name] == 1)
        done = tool.run("inspect", server.datadir / old, "--keyring", my_cnf, "--allow-http")
        yield exit_status("a version that was destroyed is a missing key", 3, done)
        said = (done.stdout + done.stderr).decode()
        yield true("which is told", "version 1 of key 1" in said, "version 1 of key 1", said)
