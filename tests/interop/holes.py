"""Opens holes in a set-up that is private from end to end, one at a time.

Each must make the audit find exactly what is expected; then the remedies that the
report prints are applied as they are, and everything must be as before.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from checks import Check, equal, true
from guide import ADDRESSES, Setup, options
from tool import Binlogsec

SETTLE_SECONDS = 30
Found = set[tuple[str, str]]


@dataclass(frozen=True)
class Hole:
    """What opens it, and what is found: rule and server, with what of it."""

    what: str
    open: Callable[[], object]
    found: Found
    # What closes it, where the printed remedy has a placeholder that only a person can fill in.
    mend: Callable[[], object] | None = None


@dataclass
class Auditor:
    setup: Setup
    tool: Binlogsec
    # None: whoever answers is taken for the server.
    authority: Path | None
    password: Path

    @property
    def access(self) -> list[str | Path]:
        """The servers, and how they are asked."""
        trusted = self.authority is not None
        parameters = "" if trusted else "?ssl-mode=REQUIRED"
        servers = [f"--server=mysql://audit@{address}/{parameters}" for address in self.setup.addresses.values()]
        authority = ["--server-ca", self.authority] if self.authority is not None else []
        return [*servers, *authority, "--password-file", self.password]

    def run(self, *more: str | Path) -> subprocess.CompletedProcess[bytes]:
        return self.tool.run("audit", "--format", "json", *self.access, *more)

    def findings(self, *more: str | Path) -> list[dict[str, Any]]:
        done = self.run(*more)
        try:
            findings: list[dict[str, Any]] = json.loads(done.stdout)["findings"]
        except ValueError:
            raise RuntimeError(f"no report: {done.stderr.decode(errors='replace')}") from None
        return findings

    def ids(self, findings: list[dict[str, Any]]) -> Found:
        """Rule, and server by its name in the guide with what of it."""
        return {(finding["id"], self.subject(finding)) for finding in findings}

    def subject(self, finding: dict[str, Any]) -> str:
        if "path" in finding:
            return Path(finding["path"]).name
        names = {address: name for name, address in self.setup.addresses.items()}
        name = names.get(finding["server"], finding["server"])
        thing = self.setup.as_printed(finding.get("object") or "")
        return f"{name} {thing}".strip()

    def counted(self) -> Found:
        return self.ids([finding for finding in self.findings() if finding["counts"]])

    def plan(self) -> list[tuple[str, str, str]]:
        """Language, place and text of each step of the plan."""
        printed = self.tool.run("audit", "--plan", *self.access).stdout.decode()
        steps = []
        for part in printed.split("\n# step ")[1:]:
            head, _, text = part.partition("\n")
            language, _, place = head.split(": ", 1)[1].partition(" at ")
            steps.append((language, place.split(" (")[0], text))
        return steps

    def apply(self, finding: dict[str, Any]) -> None:
        """The remedy as it is printed, where it belongs."""
        language, text = finding["remedy_language"], finding["remedy"]
        if language == "shell":
            subprocess.run(["sh", "-euc", text], check=True)
            return
        [server] = [s for name, s in self.setup.servers.items() if finding["server"] == self.setup.addresses[name]]
        if language == "sql":
            server.sql(text)
        else:
            server.restart(**options(text))


def open_and_close(auditor: Auditor, holes: list[Hole], *more: str | Path) -> Iterator[Check]:
    auditor.setup.settle()
    before = auditor.ids(auditor.findings(*more))
    for hole in holes:
        hole.open()
        yield from found(auditor, hole, before, *more)
        if hole.mend is not None:
            hole.mend()
        closed = close(auditor, before, *more)
        yield equal(f"{hole.what}: the remedy as printed closes it", set(), closed)


def found(auditor: Auditor, hole: Hole, before: Found, *more: str | Path) -> Iterator[Check]:
    """Connections come and go: what was opened may take a moment to be seen."""
    deadline = time.monotonic() + SETTLE_SECONDS
    new = auditor.ids(auditor.findings(*more)) - before
    while new != hole.found and time.monotonic() < deadline:
        time.sleep(0.5)
        new = auditor.ids(auditor.findings(*more)) - before
    yield equal(f"{hole.what}: found, and nothing else", sorted(hole.found), sorted(new))


def close(auditor: Auditor, before: Found, *more: str | Path) -> Found:
    """Applies what is printed, one by one, as a remedy may close more than its own finding: what is
    done at the source is done again at its replicas. Restarts come first: statements may need what
    they bring."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        findings = auditor.findings(*more)
        new = [f for f in findings if (f["id"], auditor.subject(f)) not in before]
        if not new or time.monotonic() > deadline:
            return auditor.ids(new)
        restarts = [f for f in new if f["remedy_language"] == "options"]
        auditor.apply((restarts or new)[0])
        auditor.setup.settle()


def plan_closes(auditor: Auditor, what: str, opens: list[Callable[[], object]]) -> Iterator[Check]:
    """Several holes at once; the plan is applied as it is printed, step by step, without a look in
    between. Then replication runs, and nothing is left of them."""
    auditor.setup.settle()
    before = auditor.ids(auditor.findings())
    for opened in opens:
        opened()
    settled(auditor, before, len(opens))
    steps = auditor.plan()
    yield true(f"{what}: a plan is printed", len(steps) > 1, "steps", steps)
    for language, place, text in steps:
        auditor.apply({"remedy_language": language, "remedy": text, "server": place})
    auditor.setup.settle()
    # What counts: a demand for TLS where there was one for a certificate is a note, and in no plan.
    left = {it for it in auditor.counted() if it not in before}
    yield equal(f"{what}: the plan as printed closes them", set(), left)


def pairs_close(
    auditor: Auditor, of: str, openers: dict[str, Callable[[], object]], more: list[tuple[str, ...]]
) -> Iterator[Check]:
    """Every pair of holes in one thing, and the sets in `more`: each plan is applied in its order."""
    names = list(openers)
    together = [(one, other) for at, one in enumerate(names) for other in names[at + 1 :]]
    for chosen in [*together, *more]:
        yield from plan_closes(auditor, f"{of}: {' and '.join(chosen)}", [openers[name] for name in chosen])


def fleet(
    auditor: Auditor, what: str, options: Mapping[str, str], keys: Mapping[str, Path], renew: Callable[[], object]
) -> Iterator[Check]:
    """Both servers in one inventory, each with its files; then the files alone, and two reports as one.
    `renew` has the replica begin its relay logs anew: those from before encryption are plain."""
    setup, tool, folder = auditor.setup, auditor.tool, auditor.password.parent
    inventory = folder / "fleet.toml"
    lines = ["[defaults]", 'user = "audit"', f'password-file = "{auditor.password}"', f'ssl-ca = "{auditor.authority}"']
    for name, server in setup.servers.items():
        path = folder / f"{name}-fleet.cnf"
        path.write_text(options[name])
        path.chmod(0o600)
        keys[name].chmod(0o600)
        lines += ["[[server]]", f'host = "{ADDRESSES[name]}"', f"port = {server.port}", f'defaults-file = "{path}"']
        lines += [f'datadir = "{server.datadir}"', f'keyring = ["{keys[name]}"]']
    inventory.write_text("\n".join(lines) + "\n")

    def run(*arguments: str | Path) -> dict[str, Any]:
        done = tool.run(*arguments, "--format", "json")
        try:
            report: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            raise RuntimeError(f"no report: {done.stderr.decode(errors='replace')}") from None
        return report

    def counted(report: dict[str, Any]) -> Found:
        return auditor.ids([finding for finding in report["findings"] if finding["counts"]])

    first = run("audit", "--inventory", inventory)
    before = counted(first)
    left = {found for found in before if found[0] == "BLS001" and found[1].startswith("relay")}
    # MySQL leaves the key of the authority that it made for itself in its data directory.
    left |= before & {("BLR040", "ca-key.pem")}
    yield equal(f"{what}: a fleet with its files: what servers leave behind, and nothing else", left, before)
    for finding in first["findings"]:
        if finding["id"] == "BLR040":
            auditor.apply(finding)
    renew()
    setup.settle()
    report = run("audit", "--inventory", inventory)
    yield equal(f"{what}: relay logs anew: nothing counts", set(), counted(report))
    at_rest = {area["server"]: area["result"] for area in report["areas"] if area["area"] == "at-rest"}
    expected = {address: "yes" for address in setup.addresses.values()}
    yield equal(f"{what}: all logs of both servers are seen, and in order", expected, at_rest)
    for name, server in setup.servers.items():
        given = ["--defaults-file", folder / f"{name}-fleet.cnf", "--datadir", server.datadir, "--keyring", keys[name]]
        offline = run("audit", *given)
        yield equal(f"{what}: {name} by its files alone: nothing counts", set(), counted(offline))
    reports = []
    for name, address in setup.addresses.items():
        one = folder / f"{name}.json"
        server = f"--server=mysql://audit@{address}/"
        tool.run("audit", server, "--server-ca", auditor.authority, "--password-file", auditor.password, "--save", one)
        reports.append(one)
    merged = run("report", "merge", *reports)
    strangers = [finding for finding in merged["findings"] if finding["id"] == "BLR070"]
    yield equal(f"{what}: two reports as one: no end of a channel is a stranger", [], strangers)
    yield equal(f"{what}: two reports as one: nothing counts", set(), counted(merged))


def settled(auditor: Auditor, before: Found, least: int) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    while len(auditor.ids(auditor.findings()) - before) < least and time.monotonic() < deadline:
        time.sleep(0.5)


def certificate(folder: Path, name: str, seconds: int | None = None) -> None:
    """A new certificate for a server, good for a year, or for so many seconds."""
    (folder / "one.ext").write_text(f"subjectAltName=IP:{ADDRESSES[name]}\n")
    if seconds is None:
        command = ["x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca-key.pem"]
        command += ["-CAcreateserial", "-days", "365", "-extfile", "one.ext", "-out", f"{name}-cert.pem"]
    else:
        (folder / "index.txt").write_text("")
        (folder / "ca.cnf").write_text(
            "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nnew_certs_dir=.\nserial=short.srl\n"
            "default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n"
        )
        (folder / "short.srl").write_text("7777\n")
        end = datetime.now(UTC) + timedelta(seconds=seconds)
        command = ["ca", "-batch", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca-key.pem"]
        command += ["-startdate", "20200101000000Z", "-enddate", end.strftime("%Y%m%d%H%M%SZ")]
        command += ["-extfile", "one.ext", "-in", f"{name}.csr", "-out", f"{name}-cert.pem", "-notext"]
    done = subprocess.run(["openssl", *command], cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)


def expired(done: subprocess.CompletedProcess[bytes]) -> Iterator[Check]:
    said = done.stderr.decode(errors="replace")
    yield equal("an expired certificate: nothing is asked of that server", 2, done.returncode)
    yield true("an expired certificate: the error says so", "expired" in said, "expired", said)
