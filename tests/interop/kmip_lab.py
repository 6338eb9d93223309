"""A private KMIP server, PyKMIP's, and keys in it as Percona Server registers them.

As a program, it is the server, or a client that registers: both need PyKMIP, which the scenarios do
not.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

REQUIREMENT = "PyKMIP==0.11.0"
START_SECONDS = 60
STOP_SECONDS = 20


class KmipServer:
    """A context manager: entering starts the server, leaving stops it."""

    def __init__(self, folder: Path) -> None:
        from certificates import Authority
        from packages import environment, folder_of
        from server import free_port

        self.folder = folder
        self.port = free_port()
        self.authority = Authority(folder, "kmip-authority")
        self.server = self.authority.issue("kmip-server", "serverAuth", "DNS:localhost,IP:127.0.0.1")
        self.client = self.authority.issue("mysql-a", "clientAuth", "DNS:mysql-a")
        self._environment = environment(folder_of("pykmip", REQUIREMENT))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> KmipServer:
        from sysroot import LabError

        (self.folder / "policies").mkdir()
        files = [self.server.certificate, self.server.key, self.authority.own.certificate]
        command = [sys.executable, __file__, "serve", str(self.folder), str(self.port), *map(str, files)]
        with (self.folder / "output").open("wb") as output:
            self._process = subprocess.Popen(
                command, env=self._environment, stdout=output, stderr=output, start_new_session=True
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise LabError(f"PyKMIP's server: {(self.folder / 'output').read_text()[-400:]}")
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is None:
            return
        # Its manager is a process of its own, in the session that it began.
        subprocess.run(["kill", "--", f"-{self._process.pid}"], capture_output=True)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        subprocess.run(["kill", "-KILL", "--", f"-{self._process.pid}"], capture_output=True)
        self._process.wait()
        self._process = None

    def register(self, entries: Sequence[dict[str, str]], group: str) -> None:
        """Entries of a `component_keyring_file`, each as a key; an empty group is none."""
        from sysroot import LabError

        files = [self.client.certificate, self.client.key, self.authority.own.certificate]
        command = [sys.executable, __file__, "register", str(self.port), group, *map(str, files)]
        done = subprocess.run(
            command, env=self._environment, input=json.dumps(list(entries)).encode(), capture_output=True
        )
        if done.returncode != 0:
            raise LabError(f"registering keys: {done.stderr.decode(errors='replace')[-400:]}")

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True


def serve(folder: str, port: str, certificate: str, key: str, authority: str) -> None:
    from kmip.services.server import KmipServer as Server

    server = Server(
        hostname="127.0.0.1",
        port=int(port),
        certificate_path=certificate,
        key_path=key,
        ca_path=authority,
        auth_suite="TLS1.2",
        config_path=None,
        log_path=f"{folder}/server.log",
        policy_path=f"{folder}/policies",
        enable_tls_client_auth=True,
        database_path=f"{folder}/objects",
    )
    with server:
        server.serve()


def register(port: str, group: str, certificate: str, key: str, authority: str) -> None:
    """What `component_keyring_kmip` sends: Register of a raw AES key with Name and Object Group."""
    from kmip.core import attributes, enums, misc, objects, secrets
    from kmip.core.factories.attributes import AttributeFactory
    from kmip.services.kmip_client import KMIPProxy

    client = KMIPProxy(
        host="127.0.0.1",
        port=int(port),
        certfile=certificate,
        keyfile=key,
        ca_certs=authority,
        ssl_version="PROTOCOL_TLSv1_2",
        config_file="/dev/null",
        kmip_version=enums.KMIPVersion.KMIP_1_0,
    )
    make = AttributeFactory().create_attribute
    kinds, aes = enums.AttributeType, enums.CryptographicAlgorithm.AES
    masks = [enums.CryptographicUsageMask.ENCRYPT, enums.CryptographicUsageMask.DECRYPT]
    client.open()
    for entry in json.load(sys.stdin):
        value = bytes.fromhex(entry["data"])
        bits = len(value) * 8
        name = attributes.Name.create(entry["data_id"], enums.NameType.UNINTERPRETED_TEXT_STRING)
        given = [
            make(kinds.CRYPTOGRAPHIC_ALGORITHM, aes),
            make(kinds.CRYPTOGRAPHIC_LENGTH, bits),
            make(kinds.CRYPTOGRAPHIC_USAGE_MASK, masks),
            make(kinds.NAME, name),
        ]
        if group:
            given.append(make(kinds.OBJECT_GROUP, group))
        block = objects.KeyBlock(
            key_format_type=misc.KeyFormatType(enums.KeyFormatType.RAW),
            key_value=objects.KeyValue(objects.KeyMaterial(value)),
            cryptographic_algorithm=attributes.CryptographicAlgorithm(aes),
            cryptographic_length=attributes.CryptographicLength(bits),
        )
        template = objects.TemplateAttribute(attributes=given)
        done = client.register(enums.ObjectType.SYMMETRIC_KEY, template, secrets.SymmetricKey(block))
        if done.result_status.value != enums.ResultStatus.SUCCESS:
            sys.exit(f"{entry['data_id']}: {done.result_reason}: {done.result_message}")
    client.close()


if __name__ == "__main__":
    {"serve": serve, "register": register}[sys.argv[1]](*sys.argv[2:])
