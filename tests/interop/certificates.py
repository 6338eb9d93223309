"""An authority of the lab's own, and what it signs, by the `openssl` command."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from sysroot import LabError

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    certificate: Path
    key: Path


class Authority:
    """Makes its own certificate, and those of servers and clients, in a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.own = Pair(folder / f"{name}.pem", folder / f"{name}.key")
        self._openssl("req", "-x509", *KEY, "-days", "30", "-subj", f"/CN={name}", *into(self.own))

    def issue(self, name: str, usage: str, names: str) -> Pair:
        """`usage` is serverAuth or clientAuth; `names` as subjectAltName takes them."""
        pair = Pair(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        self._openssl("req", "-new", *KEY, "-subj", f"/CN={name}", "-keyout", str(pair.key), "-out", str(request))
        extensions.write_text(f"subjectAltName={names}\nextendedKeyUsage={usage}\n")
        by = ["-CA", str(self.own.certificate), "-CAkey", str(self.own.key), "-CAcreateserial"]
        made = ["-out", str(pair.certificate), "-extfile", str(extensions)]
        self._openssl("x509", "-req", "-in", str(request), *by, "-days", "30", *made)
        pair.key.chmod(0o600)
        return pair

    def _openssl(self, *arguments: str) -> None:
        done = subprocess.run(["openssl", *arguments], capture_output=True)
        if done.returncode != 0:
            raise LabError(f"openssl {arguments[0]}: {done.stderr.decode(errors='replace')[-300:]}")


def into(pair: Pair) -> list[str]:
    return ["-keyout", str(pair.key), "-out", str(pair.certificate)]
