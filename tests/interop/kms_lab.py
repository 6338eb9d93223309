"""A private KMS, moto's server, with data keys that it made and clients whose signatures it verifies.

As a program, it makes the keys and the clients: that needs boto3, which the scenarios do not.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

REQUIREMENT = "moto[server]==5.2.5"
REGION = "eu-west-1"
START_SECONDS = 60
STOP_SECONDS = 20


class Kms:
    """A context manager: entering starts the server, leaving stops it."""

    def __init__(self, folder: Path) -> None:
        from packages import environment, folder_of
        from server import free_port

        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = environment(folder_of("moto", REQUIREMENT))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Kms:
        from sysroot import LabError

        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        with (self.folder / "output").open("wb") as output:
            self._process = subprocess.Popen(command, env=self._environment, stdout=output, stderr=output)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise LabError(f"moto's server: {(self.folder / 'output').read_text()[-400:]}")
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def make(self, count: int) -> dict[str, Any]:
        """Data keys, plain and encrypted, and clients with the right to decrypt and without."""
        from sysroot import LabError

        command = [sys.executable, __file__, self.url, str(count)]
        done = subprocess.run(command, env=self._environment, capture_output=True)
        if done.returncode != 0:
            raise LabError(f"making keys: {done.stderr.decode(errors='replace')[-400:]}")
        made: dict[str, Any] = json.loads(done.stdout)
        return made

    def verify_signatures(self) -> None:
        """From now on it answers only who signs rightly and has the right."""
        address, head = f"{self.url}/moto-api/reset-auth", {"Content-Type": "text/plain"}
        urllib.request.urlopen(urllib.request.Request(address, data=b"0", headers=head)).close()

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.url}/moto-api/", timeout=1).close()
        except OSError:
            return False
        return True


def make(url: str, count: str) -> None:
    import boto3

    given = {"endpoint_url": url, "region_name": REGION}
    given |= {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "made-up"}
    kms, iam = boto3.client("kms", **given), boto3.client("iam", **given)
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    keys = [kms.generate_data_key(KeyId=key_id, KeySpec="AES_256") for _ in range(int(count))]
    statement = {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    clients = {}
    for name in ("reader", "stranger"):
        iam.create_user(UserName=name)
        if name == "reader":
            iam.put_user_policy(UserName=name, PolicyName="decrypt", PolicyDocument=policy)
        made = iam.create_access_key(UserName=name)["AccessKey"]
        clients[name] = {"id": made["AccessKeyId"], "secret": made["SecretAccessKey"]}
    made_keys = [{"file": key["CiphertextBlob"].hex(), "plain": key["Plaintext"].hex()} for key in keys]
    json.dump({"keys": made_keys, "clients": clients}, sys.stdout)


if __name__ == "__main__":
    make(*sys.argv[1:])
