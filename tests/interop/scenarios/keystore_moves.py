"""Keys on their way: Percona's encrypted file, with its password from each place that it may come
from, a terminal among them; every kind of keyring into every other, a Vault among them; logs under
a key that was made in a store, read by the server itself; and the stores that are not read.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import pty
import re
import secrets
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import workload
from bao import TOKEN, Bao
from checks import Check, each, equal, exit_status, same_bytes, true
from lab import Lab
from shop import Shop, a_server, decrypts, entries
from tool import Binlogsec, environment

PASSWORD = "made up, with spaces"
ITERATIONS = 1000
TERMINAL_SECONDS = 20
PAGE = Path(__file__).parents[3] / "docs/keys.md"


def run(lab: Lab, binlogsec: Path) -> Iterator[Check]:
    shop = a_server(lab, Binlogsec(binlogsec))
    yield from each(
        partial(the_encrypted_file, shop),
        partial(a_password_that_is_typed, shop),
        partial(what_a_key_command_is_told, shop),
        partial(stores_that_are_not_read, shop),
    )
    with Bao(lab.scratch("bao")) as bao:
        bao.mount("kv1", 1)
        bao.mount("kv2", 2)
        yield from each(
            partial(every_kind_into_every_other, shop, bao),
            partial(the_server_reads_what_a_store_keyed, shop, bao),
        )


def encrypted(shop: Shop, password: str = PASSWORD) -> Path:
    """As `component_percona_keyring_encrypted_file` writes it, made by Python and openssl alone."""
    path = shop.lab.scratch("moves-encrypted") / "keyring"
    salt, iv = secrets.token_bytes(32), secrets.token_bytes(16)
    key = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS, 32)
    command = ["openssl", "enc", "-aes-256-cbc", "-K", key.hex(), "-iv", iv.hex()]
    body = subprocess.run(command, input=shop.keyring.read_bytes(), capture_output=True, check=True).stdout
    path.write_bytes(b"\x01" + salt + ITERATIONS.to_bytes(4, "big") + iv + body)
    path.chmod(0o600)
    return path


def written(path: Path, content: str) -> Path:
    path.write_text(content)
    path.chmod(0o600)
    return path


def the_encrypted_file(shop: Shop) -> Iterator[Check]:
    folder, keyring = shop.lab.scratch("moves-conf"), encrypted(shop)
    password = written(folder / "password", PASSWORD)
    name = "component_percona_keyring_encrypted_file.cnf"
    members: dict[str, dict[str, Any]] = {
        "in it": {"path": str(keyring), "read_only": False, "password": PASSWORD},
        "in a file": {"path": str(keyring), "read_only": False, "password_file": str(password)},
    }
    for where, content in members.items():
        configuration = written(shop.lab.scratch("moves-cnf") / name, json.dumps(content))
        yield from decrypts(shop, f"configuration, password {where}", configuration)
    log = next(iter(shop.logs))
    by = ["--keyring", keyring, "--keyring-password-file"]
    done = shop.tool.run("inspect", log, *by, password)
    yield exit_status("the file alone, with a password file", 0, done)
    done = shop.tool.run("inspect", log, *by, written(folder / "line", PASSWORD + "\n"))
    yield exit_status("and with one that an editor ended", 0, done)
    done = shop.tool.run("inspect", log, *by, written(folder / "wrong", "wrong"))
    yield exit_status("with a wrong one", 3, done)
    done = shop.tool.run("inspect", log, "--keyring", keyring)
    yield exit_status("with none, and no terminal", 3, done)
    command = shop.tool.command("inspect", log, "--keyring", keyring)
    variables = {**environment(), "BINLOGSEC_KEYRING_PASSWORD": PASSWORD}
    done = subprocess.run(command, env=variables, stdin=subprocess.DEVNULL, capture_output=True)
    yield exit_status("with one of the environment", 0, done)
    same = shop.lab.scratch("moves-same") / "keyring"
    done = shop.tool.run("keyring", "convert", keyring, same, "--as", "component", *by[2:], password)
    yield exit_status("keyring convert out of it", 0, done)
    yield equal("with the same entries", *[sorted(map(str, entries(it))) for it in (shop.keyring, same)])
    yield from written_and_opened_by_others(shop, folder, password)
    done = shop.tool.run("keyring", "add-key", keyring, *by[2:], password)
    yield exit_status("it is not written", 2, done)


def written_and_opened_by_others(shop: Shop, folder: Path, password: Path) -> Iterator[Check]:
    """`--as encrypted` makes what Python and openssl open by the server's derivation."""
    made = folder / "made"
    by = ["--keyring-password-file", password]
    done = shop.tool.run("keyring", "convert", shop.keyring, made, "--as", "encrypted", *by)
    yield exit_status("keyring convert --as encrypted", 0, done)
    file = made.read_bytes() if made.exists() else b"\0" * 64
    yield equal("its version and iterations", (1, 600_000), (file[0], int.from_bytes(file[33:37], "big")))
    yield equal("its mode", 0o600, made.stat().st_mode & 0o777)
    key = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), file[1:33], 600_000, 32)
    command = ["openssl", "enc", "-d", "-aes-256-cbc", "-K", key.hex(), "-iv", file[37:53].hex()]
    opened = subprocess.run(command, input=file[53:], capture_output=True)
    same = written(folder / "opened", opened.stdout.decode(errors="replace") or '{"elements": []}')
    yield equal("openssl finds the same entries", *[sorted(map(str, entries(it))) for it in (shop.keyring, same)])
    name = "component_percona_keyring_encrypted_file.cnf"
    members = {"path": str(made), "read_only": False, "password": PASSWORD}
    yield from decrypts(shop, "what was made", written(folder / name, json.dumps(members)))
    again = shop.tool.run("keyring", "convert", shop.keyring, made, "--as", "encrypted", *by)
    yield exit_status("it is not replaced without --force", 2, again)
    none = shop.tool.run("keyring", "convert", shop.keyring, folder / "none", "--as", "encrypted")
    yield exit_status("nor made without a password", 2, none)
    target = folder / "typed"
    arguments = ["keyring", "convert", shop.keyring, target, "--as", "encrypted"]
    code, shown = typed(shop, PASSWORD.encode() + b"\n", *arguments)
    yield equal("a terminal is asked, twice", 0, code)
    yield true("and shows nothing", PASSWORD not in shown and "once more" in shown, "two prompts", shown)
    done = shop.tool.run("keyring", "list", target, *by)
    yield exit_status("and what was typed opens it", 0, done)
    code, shown = typed(shop, b"one\n", *arguments[:3], folder / "differs", *arguments[4:], second=b"two\n")
    yield equal("two passwords that differ", 2, code)
    yield true("make nothing", not (folder / "differs").exists(), "no file", shown)


def typed(
    shop: Shop, keys: bytes, *arguments: str | Path, second: bytes | None = None
) -> tuple[int, str]:
    """Runs the command on a terminal of its own, types when it asks, and gives all that was shown."""
    command = list(map(str, shop.tool.command(*arguments)))
    process, terminal = pty.fork()
    if process == 0:
        os.execve(command[0], command, environment())
    shown, answers = b"", {b"Password of": keys, b"once more": keys if second is None else second}
    deadline = time.monotonic() + TERMINAL_SECONDS
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 0.2)[0]:
            continue
        try:
            part = os.read(terminal, 4096)
        except OSError:
            break
        if not part:
            break
        shown += part
        for prompt in [prompt for prompt in answers if prompt in shown]:
            # The echo is switched off before the prompt, but nobody says when.
            time.sleep(0.2)
            os.write(terminal, answers.pop(prompt))
    _, status = os.waitpid(process, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), shown.decode(errors="replace")


def a_password_that_is_typed(shop: Shop) -> Iterator[Check]:
    log, plain = next(iter(shop.logs.items()))
    keyring = encrypted(shop)
    target = shop.lab.scratch("moves-typed") / log.name
    code, shown = typed(shop, PASSWORD.encode() + b"\n", "decrypt", log, "-o", target, "--keyring", keyring)
    yield equal("a terminal is asked, and the log opens", 0, code)
    yield true("the prompt names the file", f"Password of {keyring}" in shown, keyring, shown)
    yield true("what is typed is not shown", PASSWORD not in shown, "no password", shown)
    yield same_bytes("the log is what the server serves", plain, target.read_bytes() if target.exists() else b"")
    code, shown = typed(shop, b"wrong\n", "inspect", log, "--keyring", keyring)
    yield equal("a wrong password", 3, code)
    yield true("is told", "does not open it" in shown, "does not open it", shown)
    code, shown = typed(shop, b"\x04", "inspect", log, "--keyring", keyring)
    yield true("an end of the input ends it", code in (2, 3), "2 or 3", code)


def listed(shop: Shop, *keyring: str | Path) -> list[tuple[Any, ...]]:
    """Ids, types, lengths and fingerprints."""
    done = shop.tool.run("keyring", "list", *keyring, "--allow-http", "--format", "json")
    if done.returncode != 0:
        return [(done.stderr.decode(),)]
    names = ("key_id", "owner", "type", "length", "sequence_number", "fingerprint", "current")
    [file] = json.loads(done.stdout)["files"]
    return sorted(tuple(str(key[name]) for name in names) for key in file["keys"])


def every_kind_into_every_other(shop: Shop, bao: Bao) -> Iterator[Check]:
    folder = shop.lab.scratch("moves-matrix")
    password = written(folder / "password", PASSWORD)
    opens = ["--keyring-password-file", password]
    expected = listed(shop, shop.keyring)
    plugin = folder / "plugin"
    yield exit_status(
        "a keyring of the plugin", 0, shop.tool.run("keyring", "convert", shop.keyring, plugin, "--as", "plugin")
    )

    def vault(mount: str) -> Path:
        path = folder / f"{mount.replace('/', '-')}.cnf"
        members = {"vault_url": bao.url, "secret_mount_point": mount, "token": TOKEN, "timeout": 10}
        return written(path, json.dumps(members))

    for mount in ("kv1/from", "kv2/from"):
        done = shop.tool.run("keyring", "convert", shop.keyring, vault(mount), "--allow-http")
        yield exit_status(f"a Vault at {mount}", 0, done)
    sources = {
        "component": shop.keyring,
        "plugin": plugin,
        "encrypted": encrypted(shop),
        "version 1": vault("kv1/from"),
        "version 2": vault("kv2/from"),
    }
    for number, (what, source) in enumerate(sources.items()):
        targets: dict[str, tuple[Path, list[str]]] = {
            "component": (folder / f"component-{number}", ["--as", "component"]),
            "plugin": (folder / f"plugin-{number}", ["--as", "plugin"]),
            "encrypted": (folder / f"encrypted-{number}", ["--as", "encrypted"]),
            "version 1": (vault(f"kv1/to-{number}"), []),
            "version 2": (vault(f"kv2/to-{number}"), []),
        }
        for to, (target, kind) in targets.items():
            done = shop.tool.run("keyring", "convert", source, target, *kind, *opens, "--allow-http")
            yield exit_status(f"from {what} to {to}", 0, done)
            yield equal(f"from {what} to {to}: the same keys", expected, listed(shop, target, *opens))
            if to != "encrypted":
                yield from decrypts(shop, f"from {what} to {to}", target)


def the_server_reads_what_a_store_keyed(shop: Shop, bao: Bao) -> Iterator[Check]:
    """A key is made in a Vault; logs of the server are put under it, and one is encrypted under it;
    with the Vault's keys in its keyring the server serves them all."""
    folder = shop.lab.scratch("moves-server")
    members = {"vault_url": bao.url, "secret_mount_point": "kv2/live", "token": TOKEN}
    vault = written(folder / "component_keyring_vault.cnf", json.dumps(members))
    with shop.lab.server("moves", binlog_encryption="OFF") as server:
        workload.create_tables(server)
        workload.trade(server)
        server.sql("FLUSH BINARY LOGS")
        server.sql("SET GLOBAL binlog_encryption = ON")
        workload.trade(server)
        server.sql("FLUSH BINARY LOGS")
        logs = server.indexed()[:-1]
        before = server.served_each(logs, folder)
        server.stop()
        done = shop.tool.run("keyring", "convert", server.keyring_path, vault, "--allow-http")
        yield exit_status("the server's keys into the Vault", 0, done)
        done = shop.tool.run("keyring", "add-key", vault, "--allow-http", "--format", "json")
        yield exit_status("a new key in the Vault", 0, done)
        made = json.loads(done.stdout)["key_id"]
        for name in logs:
            copy = folder / name
            shutil.copyfile(server.log_path(name), copy)
            if copy.read_bytes().startswith(b"\xfdbin"):
                done = shop.tool.run("rekey", copy, "--keyring", vault, "--allow-http")
                yield exit_status(f"rekey of {name} to it", 0, done)
            else:
                target = folder / f"{name}.encrypted"
                done = shop.tool.run("encrypt", copy, "-o", target, "--keyring", vault, "--allow-http")
                yield exit_status(f"encrypt of {name} under it", 0, done)
                target.replace(copy)
            head = copy.read_bytes()[:512]
            yield equal(f"{name}: the header names it", made, head[7 : 7 + head[6]].decode(errors="replace"))
            server.install(copy, name)
        keyring = folder / "from-the-vault"
        done = shop.tool.run("keyring", "convert", vault, keyring, "--as", "component", "--allow-http")
        yield exit_status("the Vault's keys into a keyring", 0, done)
        shutil.copyfile(keyring, server.keyring_path)
        server.chroot.give_to_server(server.keyring_path)
        server.start()
        after = server.served_each(logs, folder)
        for name in logs:
            yield same_bytes(f"{name}: the server serves it as before", before[name], after.get(name, b""))


def what_a_key_command_is_told(shop: Shop) -> Iterator[Check]:
    """Each placeholder, by a script that holds them against one another and finds the key by them."""
    folder = shop.lab.scratch("moves-command")
    keys = folder / "keys"
    keys.mkdir()
    for entry in entries(shop.keyring):
        name = f"{len(entry['data_id'])}_{entry['data_id']}{len(entry['user'])}_{entry['user']}"
        (keys / base64.b64encode(name.encode()).decode()).write_text(entry["data"])
    script = written(
        folder / "key.sh",
        'set -eu\ntest "$1" = "MySQLReplicationKey_$2_$3"\necho "$@" >> "$0.asked"\ncat "$(dirname "$0")/keys/$4"\n',
    )
    placeholders = "{key_id} {server_uuid} {sequence_number} {key_id_base64_percona}"
    log, plain = next(iter(shop.logs.items()))
    target = folder / "plain"
    done = shop.tool.run("decrypt", log, "-o", target, "--key-command", f"sh {script} {placeholders}")
    yield exit_status("a command with every placeholder", 0, done)
    yield same_bytes("gives the key", plain, target.read_bytes() if target.exists() else b"")
    asked = Path(f"{script}.asked").read_text().splitlines()
    yield equal("asked once", 1, len(asked))


def stores_that_are_not_read(shop: Shop) -> Iterator[Check]:
    """Each by a configuration as its manual has it: named, with the way, and exit 2."""
    folder = shop.lab.scratch("moves-unread")
    log = next(iter(shop.logs))
    enterprise = written(folder / "enterprise-keyring", "\x7fnot Percona's")
    components: dict[str, dict[str, Any]] = {
        "component_keyring_encrypted_file": {"path": str(enterprise), "password": "made-up", "read_only": False},
        "component_keyring_oci": {
            "user": "ocid1.user.oc1..x",
            "tenancy": "ocid1.tenancy.oc1..x",
            "compartment": "ocid1.compartment.oc1..x",
            "virtualVault": "ocid1.vault.oc1..x",
            "masterKey": "ocid1.key.oc1..x",
            "keyFile": "/nowhere/oci.pem",
        },
        "component_keyring_kms": {
            "path": "/var/lib/mysql/keyring",
            "region": "eu-west-1",
            "auth_key": "made-up",
            "secret_access_key": "made-up",
            "kms_key": "arn:x",
        },
        "component_keyring_aws": {"cmk_id": "arn:x", "region": "eu-west-1", "data_file": "/nowhere"},
        "component_keyring_okv": {"config_path": "/etc/okv"},
        "component_keyring_hashicorp": {"server_url": "https://x", "store_path": "/v1/kv", "auth_path": "/v1/auth"},
    }
    for name, members in components.items():
        path = written(folder / f"{name}.cnf", json.dumps(members))
        done = shop.tool.run("inspect", log, "--keyring", path)
        yield exit_status(f"{name}: its configuration", 2, done)
        said = done.stderr.decode()
        yield true(f"{name}: is named with the way", name in said and "mysql_migrate_keyring" in said, name, said)
        yield true(f"{name}: nothing of it is shown", "made-up" not in said, "no secret", said)
        directory = shop.lab.scratch("moves-datadir")
        written(directory / "mysqld.my", json.dumps({"components": f"file://{name}"}))
        shutil.copyfile(path, directory / path.name)
        done = shop.tool.run("inspect", log, "--datadir", directory)
        yield exit_status(f"{name}: by the data directory", 2, done)
        yield true(f"{name}: which leads to it", name in done.stderr.decode(), name, done.stderr.decode())
    for plugin in ("keyring_okv", "keyring_aws", "keyring_encrypted_file", "keyring_hashicorp"):
        options = written(folder / f"{plugin}.cnf", f"[mysqld]\nearly-plugin-load={plugin}.so\n")
        done = shop.tool.run("inspect", log, "--keyring", options)
        yield exit_status(f"plugin {plugin}", 2, done)
        said = done.stderr.decode()
        is_named = plugin in said and "--keyring-migration-source" in said
        yield true(f"plugin {plugin}: is named with the way", is_named, plugin, said)
    yield from the_printed_migration(shop)


def the_printed_migration(shop: Shop) -> Iterator[Check]:
    """The tool takes the command as the page has it, and stops where it must: at Oracle's component."""
    [command] = re.findall(r"mysql_migrate_keyring --component-dir=\S+ --source-keyring=\S+ \S+", PAGE.read_text())
    words = [word.rstrip("`,") for word in command.split()]
    plugins = next(shop.lab.chroot.root.glob("usr/lib*/**/component_keyring_file.so")).parent
    words[1] = f"--component-dir={shop.lab.chroot.inside(plugins)}"
    done = shop.lab.chroot.run(*words)
    said = (done.stdout + done.stderr).decode()
    yield true("the printed migration: the free server has no such component", done.returncode != 0, "a failure", said)
    is_about_it = "component_keyring_okv" in said and "unknown option" not in said and "unknown variable" not in said
    yield true("the printed migration: and all else is taken", is_about_it, "component_keyring_okv", said)
