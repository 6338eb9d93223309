"""What holds for logs in every store holds as on a disk."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from stores import SECRET, Store
from tool import FIXTURES, KEYRING, MIXED, Binlogsec, Check, each, equal, note, said

FILLER = 21 << 20
MANY = 1_234


def sections(path: Path, store: Store, folder: Path) -> Iterator[Check]:
    tool = Binlogsec(path, store.variables())
    home = folder / f"{store.name}-work"
    local = home / "tree"
    seed(store, local)
    names = (reading, checking, patterns, slices, writing, sealing, manifests, rekeying, large)
    names += (many, refusals)
    yield from each(*(partial(section, tool, store, local, home) for section in names))


def seed(store: Store, local: Path) -> None:
    """The same logs in the store and in a directory of the disk."""
    for scenario in ("mixed-key3-running", "mixed-key1-running"):
        for path in sorted((FIXTURES / scenario).iterdir()):
            if path.is_file():
                place(store, local, f"tree/{scenario}/{path.name}", path.read_bytes())
    place(store, local, "tree/notes.txt", b"no log")
    place(store, local, "tree/empty.000001", b"")


def place(store: Store, local: Path, key: str, content: bytes) -> None:
    store.put(key, content)
    path = local.parent / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o600)


def same_names(report: Any, store: Store, local: Path) -> Any:
    """A report in which the store's names are those of the disk, sorted, without sums of reads."""
    text = json.dumps(report)
    for name in (store.url("tree"), store.url("tree").removeprefix("file://")):
        text = text.replace(name, str(local))
    report = json.loads(text)
    for part in ("files", "findings"):
        report[part] = sorted(report.get(part, []), key=lambda entry: json.dumps(entry, sort_keys=True))
    for entry in report["files"]:
        entry.pop("mode", None)
    report["summary"].pop("bytes_read", None)
    return report


def reading(tool: Binlogsec, store: Store, local: Path, home: Path) -> Iterator[Check]:
    for command in ("inspect", "verify"):
        expected = tool.report(command, local, "--keyring", KEYRING)
        got = tool.report(command, store.url("tree/"), "--keyring", KEYRING)
        got = same_names(got, store, local)
        yield equal(f"{command} says what it says of the disk", same_names(expected, store, local), got)
        yield Check(f"{command} finds logs", len(got["files"]) > 5, str(len(got["files"])))
    one = f"{MIXED.name}/binlog.000004"
    for command in ("events", "events --stats"):
        words = command.split()
        expected_text = tool.run(*words, local / one, "--keyring", KEYRING).stdout
        done = tool.run(*words, store.url(f"tree/{one}"), "--keyring", KEYRING)
        name = store.url("tree").removeprefix("file://")
        got_text = done.stdout.replace(name.encode(), str(local).encode())
        yield equal(f"{command} reads by ranges", expected_text, got_text)
        yield said(f"{command} ends well", done, 0)


def checking(tool: Binlogsec, store: Store, local: Path, home: Path) -> Iterator[Check]:
    for keys in ((), ("--keyring", KEYRING)):
        expected = same_names(tool.report("check", local, *keys), store, local)
        got = same_names(tool.report("check", store.url("tree/"), *keys), store, local)
        for part in ("findings", "files", "indexes", "servers", "summary"):
            what = f"check finds the same {part} with {len(keys) // 2} keyrings"
            yield equal(what, expected[part], got[part])
    yield Check("check found something", len(got["findings"]) > 5, str(len(got["findings"])))


def patterns(tool: Binlogsec, store: Store, local: Path, home: Path) -> Iterator[Check]:
    if store.name == "disk":
        return
    for pattern in ("*/binlog.00000[34]", "mixed-key3*/binlog.*4", "**/binlog.000001"):
        found = tool.report("inspect", store.url(f"tree/{pattern}"), "--keyring", KEYRING)["files"]
        yield equal(f"{pattern} is a pattern", len(list(local.glob(pattern))), len(found))
    report = tool.report("check", store.url("tree/"), "--include", "binlog.000004")
    yield equal("--include is for names", len(list(local.rglob("binlog.000004"))), len(report["files"]))
    report = tool.report("check", store.url("tree/"), "--exclude", "**/mixed-key3-running/**")
    paths = [entry["path"] for entry in report["files"]]
    yield equal("--exclude is for keys", [], [path for path in paths if "key3" in path])


def slices(tool: Binlogsec, store: Store, local: Path, home: Path) -> Iterator[Check]:
    one = f"{MIXED.name}/binlog.000004"
    options = ("--keyring", KEYRING, "--start-datetime", "2026-11-20 22:38:59", "--stop-position", "60000")
    expected, got = home / "slice-disk", home / "slice-store"
    done = tool.run("decrypt", local / one, "-o", expected, *options)
    yield said("a slice of a file is made", done, 0)
    done = tool.run("decrypt", store.url(f"tree/{one}"), "-o", got, *options)
    yield said("a slice of an object is made", done, 0)
    yield equal("it is the same", expected.read_bytes(), got.read_bytes())


def manifests(tool: Binlogsec, store: Store, local: Path, home: Path) -> Iterator[Check]:
    """Logs in the store are sealed by a manifest in the store, and one of them is changed."""
    key = home / "seal.key"
    yield said("a pair of keys is made", tool.run("seal", "keygen", key), 0)
    for path in sorted(MIXED.glob("binlog.0*")):
        store.put(f"seals/{path.name}", path.read_bytes())
    logs, manifest = store.url("seals/"), store.url("logs.seal")
    sealing = ("seal", logs, "-o", manifest, "--sign-key", key, "--keyring", KEYRING)
    yield said("the store's logs are sealed", tool.run(*sealing), 0)
    sealed = store.get("logs.seal")
    yield said("there is nothing to add", tool.run(*sealing), 0)
    yield equal("and the manifest stays", sealed, store.get("logs.seal"))
    verifying = ("seal", "verify", manifest, logs, "--public-key", f"{key}.pub")
    yield said("they are as they were sealed", tool.run(*verifying), 0)
    changed = bytearray(store.get("seals/binlog.000004"))
    changed[30_000] ^= 1
    store.put("seals/binlog.000004", bytes(changed))
    done = tool.run(*verifying)
    yield said("a changed byte is found", done, 1)
    yield Check("and the log is named", b"binlog.000004" in done.stdout, done.stdout.decode(errors="replace"))


def writing(tool: Binlogsec, store: Store, local: Path, home: Path) -> Iterator[Check]:
    keys = ("--keyring", KEYRING)
    source = MIXED.name
    plain = home / "plain"
    tool.run("decrypt", local / source, "--output-dir", plain, *keys)
    done = tool.run("decrypt", store.url(f"tree/{source}/"), "--output-dir", store.url("plain"), *keys)
    yield said("logs go from the store to the store", done, 0)
    names = sorted(path.name for path in plain.iterdir())
    yield equal("all of them", [f"plain/{name}" for name in names], store.keys("plain/"))
    same = [plain.joinpath(name).read_bytes() == store.get(f"plain/{name}") for name in names]
    yield equal("each byte for byte", [True] * len(names), same)
    back = home / "back"
    done = tool.run("decrypt", store.url(f"tree/{source}/binlog.000004"), "-o", back, *keys)
    yield equal("and to the disk", plain.joinpath("binlog.000004").read_bytes(), back.read_bytes())
    done = tool.run("decrypt", store.url(f"tree/{source}/"), "--output-dir", store.url("plain"), *keys)
    yield said("nothing is replaced without --force", done, 2, "exists already")
    done = tool.run(
        *("decrypt", store.url(f"tree/{source}/"), "--output-dir", store.url("plain")), *keys, "--resume"
    )
    text = done.stdout.decode()
    yield Check("what is there is kept by --resume", text.count("kept") == len(names), text)
    done = tool.run(
        "decrypt", store.url(f"tree/{source}/binlog.000004"), "-o", store.url("plain/binlog.000004"), *keys, "--force", "--verify"
    )
    yield said("--force replaces, --verify verifies first", done, 0)
    done = tool.run(
        "encrypt", store.url("plain/binlog.000004"), "-o", store.url("plain/sealed.000004"), *keys
    )
    yield said("encrypt goes from the store to the store", done, 0)
    done = tool.run("decrypt", store.url("plain/sealed.000004"), "-o", home / "again", *keys)
    yield equal("and it decrypts to what it was", back.read_bytes(), (home / "again").read_bytes())
    url = store.url("plain/binlog.000004")
    done = tool.run("encrypt", url, "-o", url, *keys, "--force")
    yield said("a log is never written over itself", done, 2, "the input itself")
    yield equal("nothing is left unfinished", [], store.unfinished())


def sealing(tool: Binlogsec, store: Store, local: Path, home: Path) -> Iterator[Check]:
    """An archive that its recipients open, by the age command."""
    if shutil.which("age") is None:
        note(f"{store.name}: NOT RUN: archives of age files (the age command is not installed)")
        return
    identity = home / "identity"
    subprocess.run(["age-keygen", "-o", identity], check=True, capture_output=True)
    public = subprocess.run(["age-keygen", "-y", identity], check=True, capture_output=True)
    where = ("--recipient", public.stdout.decode().strip(), "--output-dir", store.url("archive"))
    source = store.url(f"tree/{MIXED.name}/")
    done = tool.run("decrypt", source, *where, "--keyring", KEYRING)
    yield said("logs go from the store to an archive of age files", done, 0)
    names = sorted(path.name for path in (home / "plain").iterdir())
    yield equal("each with its ending", [f"archive/{name}.age" for name in names], store.keys("archive/"))
    for name in names:
        sealed = store.get(f"archive/{name}.age")
        opened = subprocess.run(["age", "--decrypt", "-i", identity], input=sealed, capture_output=True)
        yield Check(f"{name}.age is its plaintext", opened.stdout == (home / "plain" / name).read_bytes())
    done = tool.run("decrypt", source, *where, "--keyring", KEYRING, "--resume")
    text = done.stdout.decode()
    yield Check("what is there is kept by --resume, too", text.count("kept") == len(names), text)
    yield equal("nothing of the archive is left unfinished", [], store.unfinished())


def rekeying(tool: Binlogsec, store: Store, local: Path, home: Path) -> Iterator[Check]:
    """The way to hand logs on: the same plaintext, under a key that others have."""
    theirs = home / "theirs"
    uuid = "01234567-89ab-cdef-0123-456789abcdef"
    done = tool.run("keyring", "new", theirs, "--server-uuid", uuid)
    yield said("a keyring is made", done, 0)
    store.put("handed/binlog.000004", (MIXED / "binlog.000004").read_bytes())
    url = store.url("handed/binlog.000004")
    done = tool.run("rekey", url, "--keyring", KEYRING, "--new-keyring", theirs)
    yield said("a log is put under another key", done, 0)
    done = tool.run("decrypt", url, "-o", home / "theirs-plain", "--keyring", theirs)
    yield said("it opens with that", done, 0)
    yield equal("and is what it was", (home / "back").read_bytes(), (home / "theirs-plain").read_bytes())
    done = tool.run("inspect", url, "--keyring", KEYRING)
    yield said("and no more with the old one", done, 3)


def large(tool: Binlogsec, store: Store, local: Path, home: Path) -> Iterator[Check]:
    """More than one part, more than one window."""
    content = (home / "again").read_bytes() + os.urandom(FILLER)
    store.put("large/plain", content)
    keys = ("--keyring", KEYRING)
    done = tool.run("encrypt", store.url("large/plain"), "-o", store.url("large/sealed"), *keys)
    yield said("a large log is encrypted", done, 0)
    yield equal("it is 512 bytes longer", len(content) + 512, len(store.get("large/sealed")))
    done = tool.run("decrypt", store.url("large/sealed"), "-o", store.url("large/back"), *keys)
    yield said("a large log is decrypted", done, 0)
    yield Check("it is what it was", store.get("large/back") == content)
    done = tool.run("decrypt", store.url("large/sealed"), "-o", store.url("large/back"), *keys)
    yield said("a large one is not replaced either", done, 2, "exists already")
    yield equal("nothing of it is left unfinished", [], store.unfinished())


def many(tool: Binlogsec, store: Store, local: Path, home: Path) -> Iterator[Check]:
    """More than one page of a listing."""
    log = (MIXED / "binlog.000003").read_bytes()[:1100]
    for number in range(MANY):
        store.put(f"many/{number % 7}/binlog.{number:06}", log)
    report = tool.report("check", store.url("many/"), "--keyring", KEYRING)
    yield equal("every page of a listing is read", MANY, report["summary"]["logs"])
    yield equal("each log is proven", MANY, report["summary"]["by_status"]["proven"])
    report = tool.report("inspect", store.url("many/3/"), "--keyring", KEYRING)
    yield equal("a prefix is a part of it", len(range(3, MANY, 7)), len(report["files"]))


def refusals(tool: Binlogsec, store: Store, local: Path, home: Path) -> Iterator[Check]:
    done = tool.run("inspect", store.url("tree/nothing"))
    yield said("an object that is not there is an error", done, 2)
    done = tool.run("check", store.url("tree/nothing/"))
    yield said("so is nothing below a prefix", done, 2)
    outputs = [done.stdout + done.stderr]
    done = tool.run("-v", "inspect", store.url("tree/"), store.url("tree/nothing"))
    outputs.append(done.stdout + done.stderr)
    if store.name != "disk":
        wrong = tool.with_variables(AWS_ENDPOINT="http://127.0.0.1:1", AZURITE_BLOB_STORAGE_URL="http://127.0.0.1:1")
        done = wrong.with_variables(AWS_TIMEOUT="1s").run("rekey", store.url("tree/notes.txt"), "--keyring", KEYRING)
        outputs.append(done.stdout + done.stderr)
    secret = [SECRET.encode() in output for output in outputs]
    yield equal("no secret is printed", [False] * len(outputs), secret)
