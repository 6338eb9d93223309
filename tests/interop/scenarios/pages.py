"""Every command of the README and of the pages on recovery, encryption and MariaDB, run as it is
printed, on logs of real servers, and into real servers.
"""

from __future__ import annotations

import gzip
import json
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

import blocks
import workload
from accident import a_quiet_moment
from blocks import ROOT, Block, Place
from busy import QUICK
from checks import Check, each, equal, same_bytes, true
from lab import Lab
from mariadb_lab import MariadbServer
from recovery import flushed
from scenarios.mariadb import encryption, key_file
from scenarios.recover import last_transaction
from server import MysqlServer
from tool import Binlogsec

PAGES = ("README.md", "docs/events-and-recovery.md", "docs/encrypt-and-rekey.md", "docs/mariadb.md")
# Those that need a Rust toolchain, or are run by other tests.
ELSEWHERE = {"cargo test": "this is a test", "$ binlogsec verify fixtures": "tests/command/cli.rs"}
UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
MOMENT = "2026-11-21 14:30"
KEYRING = "component_keyring_file"
NUMBERS = "SELECT GROUP_CONCAT(id ORDER BY id) FROM shop.orders"
ORDERS = """
CREATE DATABASE shop; CREATE TABLE shop.orders (id INT PRIMARY KEY, what TEXT);
INSERT INTO shop.orders VALUES (1, 'first'), (2, REPEAT('long ', 4000)), (3, 'third');
"""


@dataclass
class Shop:
    """The server that the pages are about, and what of it is kept."""

    lab: Lab
    binlogsec: Path
    server: MysqlServer
    dump: Path
    archive: Path
    mistake: str
    moment: str
    places: dict[str, Place] = field(default_factory=dict)


def run(lab: Lab, binlogsec: Path) -> Iterator[Check]:
    programs = lab.scratch("programs")
    shutil.copy(binlogsec, programs / "binlogsec")
    with lab.server("shop", binlog_encryption="ON", **QUICK) as server:
        shop = a_shop(lab, binlogsec, server)
        yield from each(
            partial(of_mysql, shop, programs),
            partial(recoveries, shop, programs),
            partial(before_encryption, shop, programs),
            partial(of_mariadb, shop, programs),
            partial(nothing_is_left_out, shop),
        )


def a_shop(lab: Lab, binlogsec: Path, server: MysqlServer) -> Shop:
    """A mistake in log 42, a backup behind it, and the accident in log 44."""
    server.sql("RESET BINARY LOGS AND GTIDS TO 42")
    server.sql(ORDERS)
    mistake = last_transaction(server, "DELETE FROM shop.orders WHERE id = 2")
    server.sql("INSERT INTO shop.orders VALUES (4, 'fourth'); FLUSH BINARY LOGS")
    dump = lab.scratch("backup") / "dump.sql"
    options = ("--single-transaction", "--source-data=2", "--set-gtid-purged=ON", "--databases", "shop")
    done = server.chroot.run("mysqldump", *server.connection(), *options)
    dump.write_bytes(server.chroot.require(done, "mysqldump").stdout)
    [[log, position, *_, gtids]] = server.sql("SHOW BINARY LOG STATUS")
    folder = dump.parent / "full"
    folder.mkdir()
    (folder / "xtrabackup_binlog_info").write_text(f"{log}\t{position}\t{gtids}\n")
    server.sql("INSERT INTO shop.orders VALUES (5, 'fifth'); FLUSH BINARY LOGS")
    archive = lab.scratch("archive")
    for path in flushed(server)[:2]:
        shutil.copy(path, archive)
    server.sql("INSERT INTO shop.orders VALUES (6, 'sixth')")
    a_quiet_moment()
    moment = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
    server.sql("DROP TABLE shop.orders; CREATE TABLE shop.later (a INT)")
    return Shop(lab, binlogsec, server, dump, archive, mistake, moment)


def a_place(
    shop: Shop, name: str, files: dict[str, Path], target: MysqlServer | None = None, **more: object
) -> Place:
    folder = shop.lab.scratch(name)
    for file, source in files.items():
        shutil.copyfile(source, folder / file)
    keyring = folder / KEYRING
    if keyring.exists():
        keyring.chmod(0o600)
    if target is not None:
        (folder / ".my.cnf").write_text(
            f"[client]\nsocket={target.connection()[1].split('=')[1]}\nuser=root\n"
        )
    return Place(folder, **more)  # type: ignore[arg-type]


def follow(shop: Shop, programs: Path, places: dict[str, Place]) -> Iterator[Check]:
    """All blocks of the pages that run in these places, in their order."""
    for page in PAGES:
        for block in blocks.of_page(page):
            place = places.get(block.place)
            if place is None:
                continue
            shop.places[block.place] = place
            done = blocks.run(block, place, programs)
            said = done.stderr.decode(errors="replace")
            yield true(
                block.title,
                done.returncode == place.expected,
                f"exit {place.expected}",
                f"exit {done.returncode}: {said}",
            )


def of_mysql(shop: Shop, programs: Path) -> Iterator[Check]:
    """Listing, decrypting, salvaging, keys: on the shop's logs, in folders of their own."""
    server, logs = shop.server, {path.name: path for path in flushed(shop.server)}
    index = shop.lab.scratch("index") / "binlog.index"
    index.write_text("".join(f"./{name}\n" for name in logs))
    keyring = {KEYRING: server.keyring_path}
    damaged = shop.lab.scratch("damaged") / "binlog.000042"
    content = bytearray(logs["binlog.000042"].read_bytes())
    content[len(content) - 600] ^= 1
    damaged.write_bytes(content)
    plain = shop.lab.scratch("plain") / "binlog.000007"
    plain.write_bytes(server.served("binlog.000042", plain.parent))
    packed = plain.with_suffix(".gz")
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    one = plain.with_name("one.index")
    one.write_text("./binlog.000007\n")
    old_plugin = ROOT / "fixtures/keyring-plugin/v2.0-le64.keyring"
    places = {
        "log": a_place(shop, "log", {**logs, **keyring, "binlog.index": index}, root=shop.lab.chroot),
        "checkout": Place(
            ROOT, {"cargo run --": "binlogsec", "target/plain": shop.lab.scratch("plain")}
        ),
        "damaged": a_place(shop, "damaged", {"binlog.000042": damaged, **keyring}, expected=1),
        "copies": a_place(
            shop,
            "copies",
            {"binlog.000007": plain, "binlog.000007.gz": packed, "binlog.index": one, **keyring},
        ),
        "clone": a_clone(shop, logs),
        "archive": an_archive(shop, plain.read_bytes()),
        "keyrings": a_place(
            shop, "keyrings", {}, names={UUID: uuid_of(server), "/var/lib/mysql-keyring/keyring": old_plugin}
        ),
    }
    yield from follow(shop, programs, places)
    tool = Binlogsec(shop.binlogsec)
    for name in ("encrypted.000007", "encrypted/binlog.000007"):
        made = places["copies"].folder / name
        done = tool.run("decrypt", made, "-o", "-", "--keyring", server.keyring_path)
        yield same_bytes(f"{name} has what the plain log has", plain.read_bytes(), done.stdout)
    new = json.loads((places["keyrings"].folder / KEYRING).read_text())
    yield equal("the new keyring has two keys, and says which is in use", 3, len(new["elements"]))


def uuid_of(server: MysqlServer) -> str:
    return server.sql("SELECT @@server_uuid")[0][0]


def a_clone(shop: Shop, logs: dict[str, Path]) -> Place:
    """Logs of another server, its keyring, and the shop's, which has a fourth key."""
    lab, tool = shop.lab, Binlogsec(shop.binlogsec)
    datadir = lab.scratch("clone-data")
    with lab.server("cloned", binlog_encryption="ON") as source:
        workload.create_tables(source)
        for path in flushed(source):
            shutil.copy(path, datadir)
        place = a_place(
            shop,
            "clone",
            {
                "source_keyring": source.keyring_path,
                KEYRING: shop.server.keyring_path,
                "binlog.000042": logs["binlog.000042"],
            },
            names={"/var/lib/mysql": datadir, UUID: uuid_of(shop.server)},
        )
    (datadir / "binlog.index").write_text("".join(f"./{path.name}\n" for path in sorted(datadir.iterdir())))
    (place.folder / "source_keyring").chmod(0o600)
    for _ in range(3):
        tool.run("keyring", "add-key", place.folder / KEYRING)
    return place


def an_archive(shop: Shop, plain: bytes) -> Place:
    """An archive as Percona Binlog Server keeps one, made by OpenSSL: that server is not to be had."""
    vault = shop.lab.scratch("vault")
    key, iv, old, new, wrap_iv = (secrets.token_hex(size) for size in (32, 16, 32, 32, 16))
    log = openssl("aes-256-ctr", key, iv, plain)
    (vault / "binlog.000001").write_bytes(log)
    (vault / "binlog.index").write_text("./binlog.000001\n")
    wrapped = openssl("aes-256-cbc", old, wrap_iv, bytes.fromhex(key), "-nopad")
    sidecar = {
        "version": 4, "size": len(plain), "previous_gtids": "", "added_gtids": "",
        "min_timestamp": "2026-08-01T10:00:00", "max_timestamp": "2026-08-01T10:00:05",
        "last_sequence_number": 1,
        "encryption": {
            "file_key_envelope": {"kek_id": "kek-1", "data_hex": wrapped.hex(), "iv_hex": wrap_iv},
            "file_data_envelope": {"cipher": "AES-256-CTR", "iv_hex": iv},
        },
    }  # fmt: skip
    (vault / "binlog.000001.json").write_text(json.dumps(sidecar))
    (vault / "metadata.json").write_text(
        json.dumps({"version": 2, "mode": "position", "encryption": "generic"})
    )
    place = a_place(shop, "archive", {}, names={"/var/lib/pbs/vault": vault})
    keys = [
        {"id": name, "cipher": "AES-256-CBC", "data_hex": value}
        for name, value in (("kek-1", old), ("kek-2", new))
    ]
    keyring = place.folder / "keyring_data.json"
    keyring.write_text(json.dumps({"version": 1, "keys": keys}))
    keyring.chmod(0o600)
    return place


def openssl(cipher: str, key: str, iv: str, content: bytes, *options: str) -> bytes:
    command = ["openssl", "enc", f"-{cipher}", "-K", key, "-iv", iv, *options]
    return subprocess.run(command, input=content, capture_output=True, check=True).stdout


def recoveries(shop: Shop, programs: Path) -> Iterator[Check]:
    """Each into a server of its own: the backup, what the page adds to it, and what must be there then."""
    server, log = shop.server, flushed(shop.server)[0]
    damaged = shop.lab.scratch("crash") / log.name
    content = bytearray(log.read_bytes())
    content[len(content) - 600] ^= 1
    damaged.write_bytes(content)
    inside = shop.lab.chroot.inside
    names = {
        "/archive": inside(shop.archive),
        "/var/lib/mysql": inside(server.datadir),
        "/backup/full": inside(shop.dump.parent / "full"),
        f"{UUID}:4711": shop.mistake,
        MOMENT: shop.moment,
    }
    keyring = {KEYRING: server.keyring_path}
    for place, backup, files, expected in (
        ("recovery", shop.dump, keyring, "1,3,4,5,6"),
        ("apply", shop.dump, keyring, "1,3,4,5,6"),
        ("by-hand", None, {log.name: log, **keyring}, "1,2,3,4"),
        ("crash", None, {log.name: damaged, **keyring}, "1,2,3,4"),
    ):
        if place == "apply":
            names["/archive"] = inside(server.datadir)
        with shop.lab.server(f"page-{place}", **QUICK) as other:
            if backup is not None:
                other.chroot.require(other.chroot.run(*other.client(), stdin=backup.read_bytes()), "restore")
            here = names | {"/run/mysqld/mysqld.sock": other.connection()[1].split("=")[1]}
            yield from follow(
                shop, programs, {place: a_place(shop, place, files, other, names=here, root=shop.lab.chroot)}
            )
            yield equal(f"{place}: the rows are those that are meant", [[expected]], other.sql(NUMBERS))


def before_encryption(shop: Shop, programs: Path) -> Iterator[Check]:
    with shop.lab.server("from-before") as server:
        server.sql(ORDERS)
        server.sql("FLUSH BINARY LOGS; INSERT INTO shop.orders VALUES (7, 'seventh'); FLUSH BINARY LOGS")
        names = {"/var/lib/mysql-keyring": server.keyring_path.parent, "/var/lib/mysql": server.datadir}
        yield from follow(
            shop, programs, {"before": a_place(shop, "before", {}, names=names, sql=server.sql)}
        )
        yield equal("every log is encrypted", [True] * 4, [entry.encrypted for entry in server.binlogs()])


def of_mariadb(shop: Shop, programs: Path) -> Iterator[Check]:
    keys = key_file(shop.lab, "pages", 32)
    keys.chmod(0o600)
    with MariadbServer(
        shop.lab.folder / "m-shop", 91, {**encryption(keys), "binlog-format": "ROW"}
    ) as server:
        server.sql("RESET MASTER TO 42")
        server.sql(ORDERS)
        log = flushed(server)[0]
        files = {log.name: log, "keys.txt": keys}
        plain = shop.lab.scratch("m-plain") / "plain.000042"
        plain.write_bytes(server.served(log.name, plain.parent))
        places = {
            "mariadb": a_place(
                shop, "mariadb", files, names={"/var/lib/mysql": server.datadir, "/etc/mysql/keys.txt": keys}
            ),
            "mariadb-plain": a_place(shop, "mariadb-plain", {plain.name: plain, "keys.txt": keys}),
        }
        for place in places.values():
            (place.folder / "keys.txt").chmod(0o600)
        yield from follow(shop, programs, places)
    made = places["mariadb-plain"].folder / log.name
    done = Binlogsec(shop.binlogsec).run("decrypt", made, "-o", "-", "--mariadb-keys", keys)
    ours, theirs = (without_start_encryption(content) for content in (done.stdout, plain.read_bytes()))
    yield same_bytes("the log that the page encrypts has what the plain one has", theirs, ours)


def without_start_encryption(log: bytes) -> bytes:
    """START_ENCRYPTION, the second event, has a nonce of its own in every file."""
    second = 4 + int.from_bytes(log[4 + 9 : 4 + 13], "little")
    third = second + int.from_bytes(log[second + 9 : second + 13], "little")
    return log[:second] + log[third:]


def nothing_is_left_out(shop: Shop) -> Iterator[Check]:
    """A block with a command runs here, or says where else it does."""

    def is_run(block: Block) -> bool:
        return block.place in shop.places or any(start in block.text for start in ELSEWHERE)

    shells = {"", "sh", "sql", "console", "bash"}
    for page in PAGES:
        found = [block for block in blocks.of_page(page) if block.language in shells]
        yield equal(
            f"{page}: all {len(found)} blocks are run",
            [],
            [block.text[:60] for block in found if not is_run(block)],
        )
