"""`decrypt` and `inspect` against the logs of a running, a rotating and a crashed server.

The yardstick is the server itself: it sends a log in plaintext to whoever may
read it as a replica does, and `mysqlbinlog --raw` writes those bytes down.
"""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import workload
from bench import Bench, Decrypted, closed, in_use, is_prefix, read, same_events, text
from checks import Check, each, equal, exit_status, same_bytes, true
from lab import Lab
from server import MysqlServer
from tool import Binlogsec

REFUSAL = b"Reading encrypted log files directly is not supported"
TRUNCATED = b"File ends with a truncated event"
BIG_TRANSACTION_MEGABYTES = 4
HEADER_SIZE = 512
LIVE_COPIES = 8
LIVE_PAUSE_SECONDS = 0.1
CRASH_AFTER_BYTES = 4 << 20
PATIENCE_SECONDS = 30
TRIES_DURING_ROTATIONS = 100


def run(lab: Lab, binlogsec: Path) -> Iterator[Check]:
    with lab.server("decrypt", binlog_encryption="ON") as server:
        bench = Bench(lab, Binlogsec(binlogsec), server)
        write_logs(server)
        before = set_aside(bench)
        yield from each(
            partial(every_log_is_encrypted, bench),
            partial(decrypted_logs_equal_the_served_ones, bench, "first key"),
            partial(mysqlbinlog_reads_what_decrypt_wrote, bench),
            partial(mysqlbinlog_refuses_the_encrypted_files, bench),
            partial(pipe_into_mysqlbinlog, bench),
            partial(one_stream_replays_all_logs, bench),
            partial(inspect_names_the_logs, bench),
            partial(rotation, bench, before),
            partial(live_log, bench),
            partial(log_cut_within_an_event, bench),
            partial(crash, bench),
            partial(decrypt_during_rotations, bench),
        )


def write_logs(server: MysqlServer) -> None:
    """One log each for what makes logs differ, and an open one at the end."""
    workload.create_tables(server)
    workload.trade(server)
    server.sql("FLUSH LOGS")
    workload.trade_compressed(server)
    server.sql("SET GLOBAL binlog_checksum = NONE")  # this starts a new log by itself
    workload.trade(server)
    server.sql("SET GLOBAL binlog_checksum = CRC32")
    workload.import_attachments(server, BIG_TRANSACTION_MEGABYTES)
    server.sql("FLUSH LOGS")
    workload.trade(server)


def set_aside(bench: Bench) -> Path:
    """A backup of the closed logs and of the keyring that opens them."""
    folder = bench.lab.scratch("backup")
    for log in bench.logs()[:-1]:
        shutil.copy(log, folder)
    shutil.copy(bench.server.keyring_path, folder)
    return folder


# -- logs at rest -----------------------------------------------------------


def every_log_is_encrypted(bench: Bench) -> Iterator[Check]:
    """Without this the whole scenario would compare plaintext with plaintext."""
    entries = bench.server.binlogs()
    yield equal("the server wrote 5 logs", 5, len(entries))
    yield equal("all are encrypted", [True] * len(entries), [entry.encrypted for entry in entries])


def decrypted_logs_equal_the_served_ones(bench: Bench, when: str) -> Iterator[Check]:
    """All logs in one command, as one decrypts a whole directory; the last is still open."""
    logs = bench.logs()
    into = bench.lab.scratch("decrypted")
    done = bench.tool.run("decrypt", *logs, "--keyring", bench.server.keyring_path, "--output-dir", into)
    yield exit_status(f"{when}: decrypt of {len(logs)} logs", 0, done)
    for log in logs[:-1]:
        served = bench.server.served(log.name, into)
        yield same_bytes(f"{when}: {log.name} is what the server serves", served, read(into / log.name))
    yield from open_log_equals_the_served_one(bench, logs[-1], read(into / logs[-1].name), when)


def open_log_equals_the_served_one(bench: Bench, log: Path, got: bytes, when: str) -> Iterator[Check]:
    """The file says that it is in use, and what is served does not: the one difference."""
    served = bench.server.served(log.name, bench.lab.scratch("served"))
    yield true(f"{when}: {log.name}, still open, has the in-use bit", in_use(got), "set", "not set")
    what = f"{when}: {log.name}, still open, is what the server serves but for that bit"
    yield same_bytes(what, served, closed(got))


def mysqlbinlog_reads_what_decrypt_wrote(bench: Bench) -> Iterator[Check]:
    into = bench.lab.scratch("read")
    for log in bench.logs():
        decrypted = bench.decrypt(log, into)
        done = bench.lab.mysqlbinlog([decrypted.file])
        yield exit_status(f"mysqlbinlog reads the decrypted {log.name}", 0, done)
        listed = bench.server.events(log.name)
        yield from same_events(f"mysqlbinlog on the decrypted {log.name}", listed, done.stdout)


def mysqlbinlog_refuses_the_encrypted_files(bench: Bench) -> Iterator[Check]:
    """What the tool is for: if this ever changes, the README has to."""
    for log in bench.logs():
        done = bench.lab.mysqlbinlog([log])
        yield exit_status(f"mysqlbinlog refuses the encrypted {log.name}", 1, done)
        yield true(
            f"and says why for {log.name}", REFUSAL in done.stderr, REFUSAL.decode(), text(done.stderr)
        )


def pipe_into_mysqlbinlog(bench: Bench) -> Iterator[Check]:
    """`binlogsec decrypt LOG -o - --keyring FILE | mysqlbinlog -`"""
    for log in bench.logs():
        listed = bench.server.events(log.name)
        with bench.tool.start("decrypt", log, "-o", "-", "--keyring", bench.server.keyring_path) as producer:
            done = bench.lab.mysqlbinlog(["-"], stdin=producer.stdout)
            _, said = producer.communicate()
        yield exit_status(f"mysqlbinlog reads {log.name} from a pipe", 0, done)
        yield true(f"decrypt into a pipe, {log.name}", producer.returncode == 0, "exit 0", text(said))
        yield from same_events(f"{log.name} through the pipe", listed, done.stdout)


def one_stream_replays_all_logs(bench: Bench) -> Iterator[Check]:
    """`binlogsec decrypt INDEX -o - --keyring FILE | mysqlbinlog - | mysql`, into an empty server.

    A temporary table lives from one log to the next, and is lost where each log has a client of its
    own. The key is rotated between the two, and one of the logs has no checksums.
    """
    server = bench.server
    server.sql(
        "SET SESSION binlog_format = STATEMENT; USE shop;"
        "CREATE TEMPORARY TABLE basket (name VARCHAR(80)) CHARACTER SET utf8mb4;"
        "INSERT INTO basket VALUES ('across'), ('logs');"
        "FLUSH LOGS; ALTER INSTANCE ROTATE BINLOG MASTER KEY;"
        "INSERT INTO customer (name) SELECT name FROM basket; DROP TEMPORARY TABLE basket;"
    )
    arguments = ("decrypt", server.index_path, "-o", "-", "--keyring", server.keyring_path)
    with bench.tool.start(*arguments) as producer:
        done = bench.lab.mysqlbinlog(["-"], stdin=producer.stdout)
        _, said = producer.communicate()
    yield true("all logs in one stream", producer.returncode == 0, "exit 0", text(said))
    yield exit_status("mysqlbinlog reads all logs from one stream", 0, done)
    with bench.lab.server("replay") as other:
        replayed = other.chroot.run(*other.client(), stdin=done.stdout)
        yield exit_status("an empty server takes the stream of all logs", 0, replayed)
        tables = "CHECKSUM TABLE shop.customer, shop.purchase, shop.attachment"
        yield equal("all tables are the same after it", server.sql(tables), other.sql(tables))


def inspect_names_the_logs(bench: Bench) -> Iterator[Check]:
    """The data directory as it stands, a running server in it."""
    done = bench.tool.run(
        "inspect", bench.server.datadir, "--format", "json", "--keyring", bench.server.keyring_path
    )
    yield exit_status("inspect of the data directory", 0, done)
    document = json.loads(done.stdout)
    yield equal("inspect says which schema", "binlogsec.inspect/1", document.get("schema"))
    reported = {Path(entry["path"]).name: entry for entry in document["files"]}
    for log in bench.logs():
        entry = reported.get(log.name, {})
        yield equal(f"inspect: kind of {log.name}", "mysql-encrypted", entry.get("kind"))
        yield equal(f"inspect: key of {log.name}", "present", entry.get("key_status"))


# -- rotation ---------------------------------------------------------------


def rotation(bench: Bench, before: Path) -> Iterator[Check]:
    bench.server.sql("ALTER INSTANCE ROTATE BINLOG MASTER KEY")
    workload.trade(bench.server)
    yield from decrypted_logs_equal_the_served_ones(bench, "rotated key")
    yield from copies_from_before_the_rotation(bench, before)


def copies_from_before_the_rotation(bench: Bench, before: Path) -> Iterator[Check]:
    """The server rewraps its own logs and deletes the old key; copies stay behind."""
    into = bench.lab.scratch("before")
    for log in sorted(before.glob("binlog.0*")):
        refused = bench.decrypt(log, into)
        what = f"copy of {log.name} from before the rotation, keyring from after it"
        yield true(what, refused.status == 3, "exit 3", f"exit {refused.status}: {refused.said}")
        yield equal(f"which leaves nothing behind of {log.name}", [], sorted(p.name for p in into.iterdir()))
        opened = bench.decrypt(log, bench.lab.scratch("kept"), keyring=before / "component_keyring_file")
        yield opened.succeeded(f"the same copy of {log.name} with the keyring of its time")
        served = bench.server.served(log.name, into)
        yield same_bytes("which gives what the server still serves", served, read(opened.file))


# -- a server at work -------------------------------------------------------


def live_log(bench: Bench) -> Iterator[Check]:
    """Copies of a log that grows under the copying, and the log itself, read in place."""
    bench.server.sql("FLUSH LOGS")
    log = bench.logs()[-1]
    copies = bench.lab.scratch("live")
    into = bench.lab.scratch("in-place")
    with workload.writing(bench.server):
        sizes = [take_copy(log, copies / str(number)) for number in range(LIVE_COPIES)]
        in_place = bench.decrypt(log, into)
    yield equal("every copy is longer than the one before", sorted(set(sizes)), sizes)
    yield in_place.succeeded(f"decrypt of {log.name} in place while the server writes it")
    whole = closed(bench.server.served(log.name, into))
    yield is_prefix("what it wrote is the beginning of the log", whole, read(in_place.file))
    yield from copies_of_a_growing_log(bench, log.name, copies, whole)


def copies_of_a_growing_log(bench: Bench, name: str, copies: Path, whole: bytes) -> Iterator[Check]:
    for number in range(LIVE_COPIES):
        decrypted = bench.decrypt(copies / str(number) / name, bench.lab.scratch("copy"))
        yield decrypted.succeeded(f"decrypt of copy {number} of the growing log")
        yield is_prefix(f"copy {number} is the beginning of the log", whole, read(decrypted.file))
        done = bench.lab.mysqlbinlog([decrypted.file])
        yield exit_status(f"mysqlbinlog reads copy {number}", 0, done)


def log_cut_within_an_event(bench: Bench) -> Iterator[Check]:
    """What a copy of a log in use may end in. Chance seldom makes one, so cut it here."""
    log = bench.logs()[-1]
    middle = bench.server.events(log.name)[-1].position
    whole = closed(bench.server.served(log.name, bench.lab.scratch("whole")))
    for where, length in (("in a header", middle + 7), ("in a body", middle + 23)):
        cut = bench.lab.scratch("cut") / log.name
        cut.write_bytes(log.read_bytes()[: HEADER_SIZE + length])
        decrypted = bench.decrypt(cut, bench.lab.scratch("plain"))
        yield decrypted.succeeded(f"decrypt of {log.name} cut {where}")
        yield same_bytes(
            f"{where}: all that is there is decrypted", whole[:length], closed(read(decrypted.file))
        )
        done = bench.lab.mysqlbinlog([decrypted.file])
        yield exit_status(f"{where}: mysqlbinlog reads it", 0, done)
        yield true(
            f"{where}: with a warning", TRUNCATED in done.stderr, TRUNCATED.decode(), text(done.stderr)
        )


def take_copy(log: Path, folder: Path) -> int:
    time.sleep(LIVE_PAUSE_SECONDS)
    folder.mkdir()
    return Path(shutil.copy(log, folder)).stat().st_size


def crash(bench: Bench) -> Iterator[Check]:
    """kill -9 in the middle of writing; then the same log after the server's recovery."""
    log = bench.logs()[-1]
    with workload.writing(bench.server):
        wait_for_growth(log, CRASH_AFTER_BYTES)
        bench.server.kill9()
    crashed = bench.decrypt(log, bench.lab.scratch("crashed"))
    yield crashed.succeeded("decrypt of the log of a killed server")
    content = read(crashed.file)
    yield true("the log of a killed server has the in-use bit", in_use(content), "set", "not set")
    done = bench.lab.mysqlbinlog([crashed.file])
    yield exit_status("mysqlbinlog reads the log of a killed server", 0, done)
    bench.server.start()
    recovered = bench.server.served(log.name, bench.lab.scratch("recovered"))
    yield is_prefix("the log after recovery is its beginning", closed(content), recovered)
    yield from decrypted_logs_equal_the_served_ones(bench, "after the crash")


def wait_for_growth(log: Path, by: int) -> None:
    goal = log.stat().st_size + by
    deadline = time.monotonic() + PATIENCE_SECONDS
    while log.stat().st_size < goal:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{log.name} does not grow")
        time.sleep(0.01)


def decrypt_during_rotations(bench: Bench) -> Iterator[Check]:
    """The server rewrites header and keyring while both are read, one after the other.

    To find no key in such a moment is honest, and the next try will find it.
    Anything else, and above all any other plaintext, would be a defect.
    """
    log = bench.logs()[0]
    served = bench.server.served(log.name, bench.lab.scratch("served"))
    with workload.rotating_keys(bench.server) as rotations:
        tries = [bench.decrypt(log, bench.lab.scratch("try")) for _ in range(TRIES_DURING_ROTATIONS)]
    yield true("keys rotated meanwhile", rotations.done > 1, "2 or more", str(rotations))
    strange = [attempt.said for attempt in tries if attempt.status not in (0, 3)]
    yield equal(f"{len(tries)} tries during rotations succeed or miss the key", [], strange)
    yield true(
        "most succeed", sum(t.status == 0 for t in tries) > len(tries) // 2, "over half", statuses(tries)
    )
    wrong = [t.file for t in tries if (t.status == 0) != t.file.exists() or read(t.file) not in (b"", served)]
    yield equal("and whatever is written is what the server serves", [], wrong)


def statuses(tries: list[Decrypted]) -> str:
    return str(Counter(attempt.status for attempt in tries))
