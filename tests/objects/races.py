"""Two who write one object at once: one wins, the other is told, and nothing is lost."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import proxy
from proxy import Fault, Handler, Request
from stores import Store
from tool import KEYRING, MIXED, Binlogsec, Check, each, equal, said

FILLER = 20 << 20
TOGETHER_SECONDS = 60
KEYS = ("--keyring", KEYRING)
NOT_AS_ASKED = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>PreconditionFailed</Code>'
    b"<Message>At least one of the pre-conditions you specified did not hold</Message></Error>"
)
SERVERS = ("01234567-89ab-cdef-0123-456789abcdef", "11234567-89ab-cdef-0123-456789abcdef")


def sections(path: Path, store: Store, folder: Path) -> Iterator[Check]:
    home = folder / f"{store.name}-races"
    home.mkdir()
    for size, filler in (("small", 0), ("large", FILLER)):
        for name in ("first", "second"):
            content = (MIXED / "binlog.000004").read_bytes() + os.urandom(filler)
            store.put(f"races/{size}-{name}", content)
            tool = Binlogsec(path, store.variables())
            tool.run("decrypt", store.url(f"races/{size}-{name}"), "-o", home / f"{size}-{name}", *KEYS)
    for name, uuid in zip(("first", "second"), SERVERS):
        Binlogsec(path, {}).run("keyring", "new", home / f"{name}.keyring", "--server-uuid", uuid)
    races = [(race, size) for race in (creating, rekeying, foreign) for size in ("small", "large")]
    if store.name == "google":
        # Whose uploads in parts end without a condition: what is not held back is not raced.
        races = [(creating, "small"), (rekeying, "small"), (rekeying, "large"), (foreign, "small")]
    yield from each(*(partial(race, size, path, store, home) for race, size in races))


def gives_name(request: Request) -> bool:
    """The request after which there is an object: the end of an upload in parts, or all of it."""
    if request.method == "POST":
        return "uploadId=" in request.path
    parts = ("partNumber=", "comp=block&", "blockid=")
    return request.method == "PUT" and not any(part in request.path for part in parts)


def in_turns(store: Store, before: Callable[[], object]) -> Callable[[Handler], bool]:
    """Lets one after the other to the store, by its own conditions: and for S3's emulator, which
    has none for an object that is replaced in parts, as S3 documents that one."""
    turn = threading.Lock()

    def act(handler: Handler) -> bool:
        before()
        with turn:
            tag = handler.headers.get("if-match")
            if handler.command == "POST" and tag is not None and tag != store.tag(key_of(handler.path)):
                handler.answer(412, NOT_AS_ASKED)
            else:
                handler.pass_on(handler.body)
        return True

    return act


def key_of(path: str) -> str:
    return path.split("?", 1)[0].split("/logs/", 1)[1]


def together(
    path: Path, store: Store, commands: list[tuple[str | Path, ...]]
) -> tuple[list[int], list[bytes], int]:
    """Runs commands that all get as far as the last request before one of them may send it."""
    barrier = threading.Barrier(len(commands))
    with proxy.before(store.port) as between:
        act = in_turns(store, lambda: barrier.wait(TOGETHER_SECONDS))
        between.faults.append(Fault(gives_name, act, times=len(commands)))
        tool = Binlogsec(path, store.variables(between.port))
        running = [tool.start(*command) for command in commands]
        errors = [process.communicate(timeout=120)[1] for process in running]
        met = between.faults[0].seen
    return [process.returncode for process in running], errors, met


def one_wins(what: str, codes: list[int], errors: list[bytes], met: int, word: bytes) -> Iterator[Check]:
    yield equal(f"{what}: both come to the last request", 2, met)
    yield equal(f"{what}: exactly one wins", [0, 2], sorted(codes))
    loser = errors[codes.index(2)] if 2 in codes else b""
    yield Check(f"{what}: the other is told", word in loser, loser.decode())


def creating(size: str, path: Path, store: Store, home: Path) -> Iterator[Check]:
    what = f"two new objects of one name, {size}"
    target = store.url(f"races/new-{size}")
    names = (f"{size}-first", f"{size}-second")
    commands = [("decrypt", store.url(f"races/{name}"), "-o", target, *KEYS) for name in names]
    codes, errors, met = together(path, store, commands)
    yield from one_wins(what, codes, errors, met, b"exists already")
    winner = names[codes.index(0)]
    yield Check(f"{what}: it is the winner's", store.get(f"races/new-{size}") == (home / winner).read_bytes())
    yield equal(f"{what}: nothing is left unfinished", [], store.unfinished())


def rekeying(size: str, path: Path, store: Store, home: Path) -> Iterator[Check]:
    what = f"one object put under two keys, {size}"
    store.put(f"races/rekeyed-{size}", store.get(f"races/{size}-first"))
    url = store.url(f"races/rekeyed-{size}")
    keyrings = [home / "first.keyring", home / "second.keyring"]
    commands = [("rekey", url, *KEYS, "--new-keyring", keyring) for keyring in keyrings]
    codes, errors, met = together(path, store, commands)
    yield from one_wins(what, codes, errors, met, b"was replaced")
    back = home / f"rekeyed-{size}"
    winner = keyrings[codes.index(0)]
    tool = Binlogsec(path, store.variables())
    done = tool.run("decrypt", url, "-o", back, "--keyring", winner)
    yield said(f"{what}: it opens with the winner's", done, 0)
    yield Check(f"{what}: nothing of it is lost", back.read_bytes() == (home / f"{size}-first").read_bytes())
    yield equal(f"{what}: nothing is left unfinished", [], store.unfinished())


def foreign(size: str, path: Path, store: Store, home: Path) -> Iterator[Check]:
    """Somebody else writes after the last look, and before the last request."""
    theirs = b"somebody else's"
    for command, word in (("rekey", "was replaced"), ("decrypt", "exists already")):
        what = f"{command} of what somebody else writes meanwhile, {size}"
        key = f"races/foreign-{command}-{size}"
        if command == "rekey":
            store.put(key, store.get(f"races/{size}-first"))
            arguments = ("rekey", store.url(key), *KEYS, "--new-keyring", home / "first.keyring")
        else:
            arguments = ("decrypt", store.url(f"races/{size}-first"), "-o", store.url(key), *KEYS)
        with proxy.before(store.port) as between:
            act = in_turns(store, lambda: store.put(key, theirs))
            between.faults.append(Fault(gives_name, act))
            done = Binlogsec(path, store.variables(between.port)).run(*arguments)
        yield said(f"{what}: is told", done, 2, word)
        yield equal(f"{what}: theirs stays", theirs, store.get(key))
        yield equal(f"{what}: nothing is left unfinished", [], store.unfinished())
