"""`recover` around an accident, as `recover_mariadb` has it, with the MariaDB of Debian sid."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import mariadb_lab
from accident import Accident
from checks import Check, each, true
from lab import Lab
from mariadb_lab import MariadbServer
from recovery import Recovery, set_aside
from scenarios.mariadb import encryption, key_file
from scenarios.recover_mariadb import EXECUTED, OPTIONS, another, busy_life
from tool import Binlogsec


def run(lab: Lab, binlogsec: Path) -> Iterator[Check]:
    programs = mariadb_lab.sid_programs()
    first, second = key_file(lab, "first", 32), key_file(lab, "second", 16)
    keys = ("--mariadb-keys", first, "--mariadb-keys", second)
    with MariadbServer(lab.folder / "busy", 71, {**encryption(first), **OPTIONS}, programs) as server:
        version = server.version()
        yield true(f"this is MariaDB {version}", version >= "11", "11 or later", version)
        work = busy_life(lab, server, second)
        recovery = Recovery(lab, Binlogsec(binlogsec), (set_aside(lab, server, "archive"),), keys)
    accident = Accident(recovery, work, lambda name: another(recovery, name, programs), EXECUTED)
    yield from each(*accident.sections())
