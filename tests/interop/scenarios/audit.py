"""`audit` on live servers: the guide is followed as it is printed, from replication
without any protection to a report without findings. Then holes are opened in what it
has built, one by one: each must be found, and nothing else, and its remedy must close it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from checks import Check, each, equal, true
from guide import ADDRESSES, Setup, follow
from holes import Auditor, Hole, certificate, expired, fleet, open_and_close, pairs_close, plan_closes
from lab import Lab
from mariadb_lab import MariadbServer, sid_programs
from server import MysqlServer
from sysroot import LabError, LabUnavailable, say
from tool import Binlogsec

SETTLE_SECONDS = 30
SECRET = "change-me-audit"
# A certificate that has expired already cannot be loaded: it expires under the running server.
SHORT_LIFE = 5
# The source lets nobody in without TLS: the channel stands still, too.
STOPPED = {("BLR060", "db2 default channel"), ("BLR066", "db2 default channel")}
REPLICATES_BY_ROLE = "CREATE ROLE replrole; GRANT REPLICATION SLAVE ON *.* TO replrole; " \
    "CREATE USER 'rolerepl'@'127.0.0.1' IDENTIFIED BY 'x'; GRANT replrole TO 'rolerepl'@'127.0.0.1'"
TABLES_BY_ROLE = "CREATE ROLE tables; GRANT SELECT ON mysql.* TO tables; GRANT tables TO 'app'@'127.0.0.1'"
BY_ROLE = {("BLR050", "db1 'rolerepl'@'127.0.0.1'"), ("BLR050", "db2 'rolerepl'@'127.0.0.1'")}
# An account that is at the source alone: what is done to it there must not stop the replica.
ALONE = "SET sql_log_bin = 0; CREATE USER 'alone'@'127.0.0.1' IDENTIFIED BY 'x'; " \
    "GRANT REPLICATION SLAVE ON *.* TO 'alone'@'127.0.0.1'"
# The same with what is changed by statements that fail where the account is not there.
ALONE_OPEN = "SET sql_log_bin = 0; DROP USER IF EXISTS 'alone'@'127.0.0.1'; CREATE USER 'alone'@'%' IDENTIFIED BY 'x'; " \
    "GRANT REPLICATION SLAVE, SELECT, FILE ON *.* TO 'alone'@'%'"
# An account that does not replicate, and has what it should not have.
APP = "CREATE USER IF NOT EXISTS 'app'@'127.0.0.1' IDENTIFIED BY 'x' REQUIRE SSL; "
OF_APP = {("BLR057", "db1 'app'@'127.0.0.1'"), ("BLR057", "db2 'app'@'127.0.0.1'")}
# What the guide has the option files say in the end.
MYSQL_OPTIONS = """[mysqld]
binlog_encryption = ON
require_secure_transport = ON
ssl_ca = {tls}/ca.pem
ssl_cert = {tls}/{name}-cert.pem
ssl_key = {tls}/{name}-key.pem
"""
MARIADB_OPTIONS = """[mariadb-10.11]
[mariadb]
plugin_load_add = file_key_management
file_key_management_filename = {keys}/keyfile
file_key_management_encryption_algorithm = AES_CTR
encrypt_binlog = ON
encrypt_tmp_files = ON
log_bin = binlog
require_secure_transport = ON
ssl_ca = {tls}/ca.pem
ssl_cert = {tls}/{name}-cert.pem
ssl_key = {tls}/{name}-key.pem
tls_version = TLSv1.2,TLSv1.3
"""
SQL_OF_CHANNEL = "STOP REPLICA IO_THREAD; CHANGE REPLICATION SOURCE TO {}; START REPLICA IO_THREAD"


def run(lab: Lab, binlogsec: Path) -> Iterator[Check]:
    yield from each(
        partial(mysql, lab, binlogsec),
        partial(mariadb, lab, binlogsec),
        partial(mariadb_of_sid, lab, binlogsec),
    )


def until(what: str, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise LabError(f"{what} in {SETTLE_SECONDS} s")
        time.sleep(0.1)


# -- MySQL -------------------------------------------------------------------


def mysql(lab: Lab, binlogsec: Path) -> Iterator[Check]:
    tls = lab.scratch("tls")
    tls.chmod(0o755)
    private = lab.scratch("monitor")
    common = {"skip_replica_start": "OFF", "skip_name_resolve": "ON"}
    source = lab.server("db1", bind_address=ADDRESSES["db1"], **common)
    replica = lab.server("db2", bind_address=ADDRESSES["db2"], **common)
    for server in (source, replica):
        server.keyring = False
    with source, replica:
        setup = Setup(
            servers={"db1": source, "db2": replica},
            binlogsec=binlogsec,
            owner="990:990",
            host_paths={"/etc/mysql/tls": tls, "/etc/binlogsec": private},
            server_paths={"/etc/mysql/tls": lab.chroot.inside(tls)},
            settle=partial(settle_mysql, lab, source, replica),
        )
        yield from follow("MySQL", setup)
        auditor = Auditor(setup, Binlogsec(binlogsec), tls / "ca.pem", private / "audit.password")
        yield from secrets_stay_secret(auditor)
        yield from open_and_close(auditor, mysql_holes(source, replica))
        openers = mysql_openers(source, replica)
        yield from pairs_close(auditor, "MySQL's account", openers["account"], [tuple(openers["account"])])
        yield from pairs_close(auditor, "MySQL's channel", openers["channel"], [])
        yield from plan_closes(auditor, "three holes of MySQL", mysql_pairs(source, replica))
        yield from plan_closes(auditor, "an account at MySQL's source alone", [lambda: source.sql(ALONE_OPEN)])
        yield from plan_closes(auditor, "plain logs and an account of MySQL", mysql_at_rest(source))
        yield from fleet(
            auditor,
            "MySQL",
            {name: MYSQL_OPTIONS.format(tls=tls, name=name) for name in setup.servers},
            {"db1": source.keyring_path, "db2": replica.keyring_path},
            lambda: replica.sql("STOP REPLICA; RESET REPLICA; START REPLICA"),
        )
        yield from keyring_open_to_all(auditor, source)
        yield from certificate_expired(auditor, source, tls)


def settle_mysql(lab: Lab, source: MysqlServer, replica: MysqlServer) -> None:
    if not replica.sql("SELECT 1 FROM performance_schema.replication_connection_configuration"):
        return
    status = "SELECT SERVICE_STATE FROM performance_schema.replication_connection_status"
    # A source that was restarted is looked for once a minute only.
    if replica.sql(status) != [["ON"]]:
        replica.sql("STOP REPLICA IO_THREAD; START REPLICA IO_THREAD")
    until("the replica is not connected", lambda: replica.sql(status) == [["ON"]])
    lab.catch_up(source, replica)


def mysql_holes(source: MysqlServer, replica: MysqlServer) -> list[Hole]:
    repl = "'repl'@'127.0.0.1'"
    repl_printed = "'repl'@'db2.example'"
    quiet = "SET sql_log_bin = 0; "

    def channel(options: str) -> None:
        replica.sql(SQL_OF_CHANNEL.format(options))

    def authority() -> str:
        return source.sql("SELECT @@ssl_ca")[0][0]

    def own(what: str) -> str:
        """The replica shows its source what it shows its own clients."""
        return replica.sql(f"SELECT @@ssl_{what}")[0][0]

    def everything_plain() -> None:
        source.sql(f"SET GLOBAL require_secure_transport = OFF; {quiet}ALTER USER {repl} REQUIRE NONE")
        channel("SOURCE_SSL = 0, GET_SOURCE_PUBLIC_KEY = 1")

    def old_plain_log() -> None:
        source.sql("SET GLOBAL binlog_encryption = OFF; FLUSH BINARY LOGS")

    def only_old_plain_log() -> None:
        old_plain_log()
        source.sql("SET GLOBAL binlog_encryption = ON; FLUSH BINARY LOGS")

    return [
        Hole("TLS off on the channel", lambda: channel("SOURCE_SSL = 0"), STOPPED),
        Hole(
            "verification off on the channel",
            lambda: channel("SOURCE_SSL_VERIFY_SERVER_CERT = 0"),
            {("BLR061", "db2 default channel")},
        ),
        Hole(
            "an account without REQUIRE",
            lambda: source.sql(f"{quiet}ALTER USER {repl} REQUIRE NONE"),
            {("BLR050", f"db1 {repl_printed}")},
        ),
        Hole(
            "an account that needs no certificate",
            lambda: source.sql(f"{quiet}ALTER USER {repl} REQUIRE SSL"),
            {("BLR051", f"db1 {repl_printed}")},
        ),
        Hole(
            "an account from any host",
            lambda: source.sql(f"RENAME USER {repl} TO 'repl'@'%'"),
            {("BLR052", "db1 'repl'@'%'"), ("BLR052", "db2 'repl'@'%'")},
        ),
        Hole(
            "an account at the source alone",
            lambda: source.sql(ALONE),
            {("BLR050", "db1 'alone'@'127.0.0.1'")},
        ),
        Hole(
            "an account that replicates through a role",
            lambda: source.sql(REPLICATES_BY_ROLE),
            BY_ROLE,
        ),
        Hole(
            "a channel without its authority",
            lambda: channel("SOURCE_SSL_CA = '/nowhere/ca.pem'"),
            {("BLR066", "db2 default channel")},
            mend=lambda: channel(f"SOURCE_SSL_CA = '{authority()}'"),
        ),
        Hole(
            "no cipher suite of TLS 1.3 on the channel",
            lambda: channel("SOURCE_TLS_CIPHERSUITES = ''"),
            {("BLR066", "db2 default channel"), ("BLR069", "db2 default channel")},
        ),
        Hole(
            "a weak cipher on the channel",
            lambda: channel("SOURCE_SSL_CIPHER = 'ECDHE-RSA-AES256-GCM-SHA384:RC4-MD5'"),
            {("BLR024", "db2 default channel")},
        ),
        Hole(
            "a list of revoked certificates that is not there",
            lambda: channel("SOURCE_SSL_CRL = '/nowhere/crl.pem'"),
            {("BLR066", "db2 default channel")},
            mend=lambda: channel("SOURCE_SSL_CRL = ''"),
        ),
        Hole(
            "a channel that shows no certificate",
            lambda: channel("SOURCE_SSL_CERT = '', SOURCE_SSL_KEY = ''"),
            {("BLR059", "db2 default channel"), ("BLR066", "db2 default channel")},
            mend=lambda: channel(f"SOURCE_SSL_CERT = '{own('cert')}', SOURCE_SSL_KEY = '{own('key')}'"),
        ),
        Hole(
            "no cipher in common",
            lambda: ciphers_apart(source, channel),
            {("BLR066", "db2 default channel"), ("BLR069", "db2 default channel")},
        ),
        Hole(
            "no TLS version in common",
            lambda: versions_apart(source, channel),
            {("BLR066", "db2 default channel"), ("BLR069", "db2 default channel")},
        ),
        Hole(
            "an account with the tables of mysql",
            lambda: source.sql(APP + "GRANT SELECT, UPDATE ON mysql.* TO 'app'@'127.0.0.1'"),
            OF_APP,
        ),
        Hole(
            "an account with the passwords of channels",
            lambda: source.sql(APP + "GRANT SELECT ON mysql.slave_master_info TO 'app'@'127.0.0.1'"),
            OF_APP,
        ),
        Hole(
            "an account with a column of hashes",
            lambda: source.sql(APP + "GRANT SELECT (authentication_string) ON mysql.user TO 'app'@'127.0.0.1'"),
            OF_APP,
        ),
        Hole(
            "a role with the tables of mysql",
            lambda: source.sql(APP + TABLES_BY_ROLE),
            OF_APP,
        ),
        Hole(
            "an account that may pose as the replica",
            lambda: source.sql(APP + f"GRANT PROXY ON {repl} TO 'app'@'127.0.0.1'"),
            {("BLR058", "db1 'app'@'127.0.0.1'"), ("BLR058", "db2 'app'@'127.0.0.1'")},
        ),
        Hole(
            "an account without a name",
            lambda: source.sql("CREATE USER ''@'127.0.0.1' IDENTIFIED BY 'x' REQUIRE SSL"),
            {("BLR056", "db1 ''@'127.0.0.1'"), ("BLR056", "db2 ''@'127.0.0.1'")},
        ),
        Hole(
            "an account that may clone the server in the clear",
            lambda: source.sql(
                "INSTALL PLUGIN clone SONAME 'mysql_clone.so'; CREATE USER 'donor'@'127.0.0.1' IDENTIFIED BY 'x'; "
                "GRANT BACKUP_ADMIN ON *.* TO 'donor'@'127.0.0.1'"
            ),
            {("BLR074", "db1 'donor'@'127.0.0.1'")},
        ),
        Hole(
            "an account that may do more",
            lambda: source.sql(f"{quiet}GRANT SELECT, FILE, BINLOG_ADMIN ON *.* TO {repl} WITH GRANT OPTION"),
            {("BLR053", f"db1 {repl_printed}")},
        ),
        Hole(
            "connections without TLS let in",
            lambda: source.sql("SET GLOBAL require_secure_transport = OFF"),
            {("BLR020", "db1")},
        ),
        Hole("encryption off, with a plain log", old_plain_log, {("BLR001", "db1"), ("BLS001", "db1")}),
        Hole("an old plain log", only_old_plain_log, {("BLS001", "db1")}),
        Hole(
            "a replica that reads in the clear",
            everything_plain,
            {
                ("BLR020", "db1"),
                ("BLR050", f"db1 {repl_printed}"),
                ("BLR060", "db2 default channel"),
                ("BLR063", "db1 connection 12 of repl from db2.example"),
            },
        ),
        Hole(
            "a privilege of the audit revoked",
            lambda: source.sql(f"{quiet}REVOKE REPLICATION CLIENT ON *.* FROM 'audit'@'127.0.0.1'"),
            {("BLR071", "db1"), ("BLR072", "db1 channels")},
        ),
    ]


def ciphers_apart(source: MysqlServer, channel: Callable[[str], None]) -> None:
    source.sql("SET GLOBAL ssl_cipher = 'ECDHE-RSA-AES256-GCM-SHA384'; ALTER INSTANCE RELOAD TLS")
    channel("SOURCE_TLS_VERSION = 'TLSv1.2', SOURCE_SSL_CIPHER = 'ECDHE-RSA-AES128-GCM-SHA256'")


def versions_apart(source: MysqlServer, channel: Callable[[str], None]) -> None:
    source.sql("SET GLOBAL ssl_cipher = DEFAULT; SET GLOBAL tls_version = 'TLSv1.3'; ALTER INSTANCE RELOAD TLS")
    channel("SOURCE_TLS_VERSION = 'TLSv1.2'")


def mysql_openers(source: MysqlServer, replica: MysqlServer) -> dict[str, dict[str, Callable[[], object]]]:
    """Holes in one account, and in one channel. What an account may do goes before its name does."""
    who = "(SELECT CONCAT(QUOTE(User), '@', QUOTE(Host)) FROM mysql.user WHERE User = 'repl')"

    def account(statement: str) -> None:
        # Under whatever name it has by now.
        [[name]] = source.sql(f"SELECT {who}")
        source.sql(statement.format(name))

    def channel(options: str) -> None:
        replica.sql(SQL_OF_CHANNEL.format(options))

    return {
        "account": {
            "privileges": lambda: account("GRANT SELECT, FILE ON *.* TO {}"),
            "no demand": lambda: account("ALTER USER {} REQUIRE NONE"),
            "any host": lambda: account("RENAME USER {} TO 'repl'@'%'"),
        },
        "channel": {
            "no verification": lambda: channel("SOURCE_SSL_VERIFY_SERVER_CERT = 0"),
            "a weak cipher": lambda: channel("SOURCE_SSL_CIPHER = 'ECDHE-RSA-AES256-GCM-SHA384:RC4-MD5'"),
            "no cipher suite": lambda: channel("SOURCE_TLS_CIPHERSUITES = ''"),
            "an account without demand": lambda: account("ALTER USER {} REQUIRE NONE"),
        },
    }


def mysql_at_rest(source: MysqlServer) -> list[Callable[[], object]]:
    """New logs are encrypted before the plain ones go."""
    return [
        lambda: source.sql("SET GLOBAL binlog_encryption = OFF; FLUSH BINARY LOGS"),
        lambda: source.sql("GRANT SELECT ON *.* TO 'repl'@'127.0.0.1'"),
    ]


def mysql_pairs(source: MysqlServer, replica: MysqlServer) -> list[Callable[[], object]]:
    """The account's name is changed last, and only at the source."""
    repl = "'repl'@'127.0.0.1'"
    return [
        lambda: source.sql(f"GRANT SELECT, FILE ON *.* TO {repl}; ALTER USER {repl} REQUIRE NONE"),
        lambda: source.sql(f"RENAME USER {repl} TO 'repl'@'%'"),
        lambda: replica.sql(SQL_OF_CHANNEL.format("SOURCE_SSL_VERIFY_SERVER_CERT = 0")),
    ]


def secrets_stay_secret(auditor: Auditor) -> Iterator[Check]:
    good = auditor.run()
    address = auditor.setup.addresses["db1"]
    in_address = auditor.tool.run("audit", "--server", f"mysql://audit:{SECRET}@{address}/")
    yield equal("a password in an address is refused", 2, in_address.returncode)
    for done in (good, in_address):
        said = (done.stdout + done.stderr).decode(errors="replace")
        yield true("no output holds the password", SECRET not in said, "no password", said)
    wrong = auditor.tool.run("audit", "--server", f"mysql://audit@{address}/", "--password-file", "/dev/null",
                             "--server-ca", auditor.authority)
    yield equal("a wrong password is no finding", 2, wrong.returncode)
    stranger = auditor.tool.run("audit", "--server", f"mysql://audit@{address}/")
    yield true("without an authority nobody is asked", b"no authority" in stranger.stderr, "no authority",
               stranger.stderr.decode(errors="replace"))


def keyring_open_to_all(auditor: Auditor, source: MysqlServer) -> Iterator[Check]:
    files = ("--datadir", source.datadir, "--keyring", source.keyring_path)
    # The server itself lets its group read it.
    source.keyring_path.chmod(0o600)
    hole = Hole(
        "a keyring that all may read",
        lambda: source.keyring_path.chmod(0o644),
        {("BLS010", source.keyring_path.name)},
    )
    yield from open_and_close(auditor, [hole], *files)


def certificate_expired(auditor: Auditor, source: MysqlServer, tls: Path) -> Iterator[Check]:
    """Found in the files that the server's options name, and by whoever connects."""
    folder = auditor.password.parent
    options = folder / "db1.cnf"
    options.write_text(
        f"[mysqld]\nbinlog_encryption = ON\nrequire_secure_transport = ON\nssl_ca = {tls}/ca.pem\n"
        f"ssl_cert = {tls}/db1-cert.pem\nssl_key = {tls}/db1-key.pem\n"
    )

    def ids() -> set[str]:
        done = auditor.tool.run("audit", "--format", "json", "--defaults-file", options)
        return {line.split('"')[3] for line in done.stdout.decode().splitlines() if '"id": "BLR030"' in line}

    yield equal("the certificate is in order", set(), ids())
    certificate(tls, "db1", SHORT_LIFE)
    source.sql("ALTER INSTANCE RELOAD TLS")
    time.sleep(SHORT_LIFE + 1)
    yield equal("an expired certificate: found in its file", {"BLR030"}, ids())
    yield from expired(auditor.run())
    certificate(tls, "db1")
    source.sql("ALTER INSTANCE RELOAD TLS")
    yield equal("a new certificate: found no more", set(), ids())
    yield equal("a new certificate: all is well", 0, auditor.run().returncode)


# -- MariaDB -----------------------------------------------------------------


def mariadb(lab: Lab, binlogsec: Path) -> Iterator[Check]:
    yield from mariadb_pair(lab, binlogsec, "MariaDB", None)


def mariadb_of_sid(lab: Lab, binlogsec: Path) -> Iterator[Check]:
    """MariaDB 11.8: first as it is installed, with a certificate that it makes itself and the account's
    password to verify that by; then the guide, and the same holes."""
    try:
        programs = sid_programs()
    except LabUnavailable as reason:
        say(f"MariaDB of sid: not run: {reason}")
        return
    yield from mariadb_as_installed(lab, binlogsec, programs)
    yield from mariadb_pair(lab, binlogsec, "MariaDB of sid", programs)


def mariadb_as_installed(lab: Lab, binlogsec: Path, programs: Path) -> Iterator[Check]:
    private = lab.scratch("installed")
    password = private / "audit.password"
    password.write_text(f"{SECRET}\n")
    password.chmod(0o600)
    common = {"skip-slave-start": "OFF", "skip-name-resolve": "ON"}
    source = MariadbServer(lab.folder / "i1", 1, {**common, "bind-address": ADDRESSES["db1"]}, programs)
    replica = MariadbServer(lab.folder / "i2", 2, {**common, "bind-address": ADDRESSES["db2"]}, programs)
    with source, replica:
        source.sql(f"CREATE USER 'audit'@'127.0.0.1' IDENTIFIED BY '{SECRET}'; GRANT ALL ON *.* TO 'audit'@'127.0.0.1'")
        source.sql("CREATE USER 'repl'@'127.0.0.1' IDENTIFIED BY 'made-up' REQUIRE SSL")
        source.sql("GRANT REPLICATION SLAVE ON *.* TO 'repl'@'127.0.0.1'")
        replica.sql(
            f"CHANGE MASTER TO MASTER_HOST='{ADDRESSES['db1']}', MASTER_PORT={source.port}, MASTER_USER='repl', "
            "MASTER_PASSWORD='made-up', MASTER_USE_GTID=slave_pos; START SLAVE"
        )
        setup = Setup(
            servers={"db1": source, "db2": replica},
            binlogsec=binlogsec,
            owner="0:0",
            host_paths={},
            server_paths={},
            settle=partial(settle_mariadb, source, replica),
        )
        auditor = Auditor(setup, Binlogsec(binlogsec), None, password)
        setup.settle()
        about_channel = {found for found in auditor.ids(auditor.findings()) if "channel" in found[1]}
        about_channel -= {("BLR072", "db2 channels")}
        yield equal("as installed: a channel that is verified by its password is in order", set(), about_channel)
        hole = Hole(
            "as installed: verification off",
            lambda: replica.sql("STOP SLAVE; CHANGE MASTER TO MASTER_SSL_VERIFY_SERVER_CERT = 0; START SLAVE"),
            {("BLR061", "db2 default channel")},
        )
        yield from open_and_close(auditor, [hole])


def mariadb_pair(lab: Lab, binlogsec: Path, what: str, programs: Path | None) -> Iterator[Check]:
    tls, keys, private = (lab.scratch(name) for name in ("tls", "keys", "monitor"))
    common = {"skip-slave-start": "OFF", "skip-name-resolve": "ON"}
    home = lab.scratch("mariadb")
    source = MariadbServer(home / "m1", 1, {**common, "bind-address": ADDRESSES["db1"]}, programs)
    replica = MariadbServer(home / "m2", 2, {**common, "bind-address": ADDRESSES["db2"]}, programs)
    with source, replica:
        paths = {"/etc/mysql/tls": tls, "/etc/mysql/keys": keys}
        setup = Setup(
            servers={"db1": source, "db2": replica},
            binlogsec=binlogsec,
            owner="0:0",
            host_paths={**paths, "/etc/binlogsec": private},
            server_paths={there: str(here) for there, here in paths.items()},
            settle=partial(settle_mariadb, source, replica),
            is_printed=programs is None,
        )
        yield from follow("MariaDB", setup, what)
        auditor = Auditor(setup, Binlogsec(binlogsec), tls / "ca.pem", private / "audit.password")
        yield from open_and_close(auditor, mariadb_holes(source, replica))
        openers = mariadb_openers(source, replica)
        yield from pairs_close(auditor, f"the account of {what}", openers, [tuple(openers)])
        yield from plan_closes(auditor, f"three holes of {what}", mariadb_pairs(source, replica))
        alone = [lambda: source.sql(ALONE_OPEN)]
        yield from plan_closes(auditor, f"an account at the source of {what} alone", alone)
        yield from fleet(
            auditor,
            what,
            {name: MARIADB_OPTIONS.format(tls=tls, keys=keys, name=name) for name in setup.servers},
            {name: keys / "keyfile" for name in setup.servers},
            # 10.11 forgets the verification with its relay logs: the audit says so, were it left out here.
            lambda: replica.sql(
                "STOP SLAVE; RESET SLAVE; CHANGE MASTER TO MASTER_SSL_VERIFY_SERVER_CERT = 1; START SLAVE"
            ),
        )


def mariadb_openers(source: MariadbServer, replica: MariadbServer) -> dict[str, Callable[[], object]]:
    def account(statement: str) -> None:
        [[host]] = source.sql("SELECT Host FROM mysql.user WHERE User = 'repl'")
        source.sql(statement.format(f"'repl'@'{host}'"))

    return {
        "privileges": lambda: account("GRANT SELECT, FILE ON *.* TO {}"),
        "no demand": lambda: account("ALTER USER {} REQUIRE NONE"),
        "any host": lambda: account("RENAME USER {} TO 'repl'@'%'"),
        "no verification": lambda: replica.sql(
            "STOP SLAVE; CHANGE MASTER TO MASTER_SSL_VERIFY_SERVER_CERT = 0; START SLAVE"
        ),
    }


def settle_mariadb(source: MariadbServer, replica: MariadbServer) -> None:
    def running() -> bool:
        [status] = replica.records("SHOW SLAVE STATUS")
        return status["Slave_IO_Running"] == "Yes" and status["Slave_SQL_Running"] == "Yes"

    if not replica.records("SHOW SLAVE STATUS"):
        return
    if not running():
        replica.sql("STOP SLAVE; START SLAVE")
    until("the replica is not connected", running)
    replica.catch_up(source)


def mariadb_holes(source: MariadbServer, replica: MariadbServer) -> list[Hole]:
    repl = "'repl'@'127.0.0.1'"
    repl_printed = "'repl'@'db2.example'"
    quiet = "SET sql_log_bin = 0; "

    def channel(options: str) -> None:
        replica.sql(f"STOP SLAVE; CHANGE MASTER TO {options}; START SLAVE")

    def restarted(**options: str) -> None:
        source.restart(**options)
        # The replica looks for it once a minute only: until then it stands still, which is found, too.
        settle_mariadb(source, replica)

    return [
        Hole("TLS off on the channel", lambda: channel("MASTER_SSL = 0"), STOPPED),
        Hole(
            "verification off on the channel",
            lambda: channel("MASTER_SSL_VERIFY_SERVER_CERT = 0"),
            {("BLR061", "db2 default channel")},
        ),
        Hole(
            "an account without REQUIRE",
            lambda: source.sql(f"{quiet}ALTER USER {repl} REQUIRE NONE"),
            {("BLR050", f"db1 {repl_printed}")},
        ),
        Hole(
            "an account from any host",
            lambda: source.sql(f"RENAME USER {repl} TO 'repl'@'%'"),
            {("BLR052", "db1 'repl'@'%'"), ("BLR052", "db2 'repl'@'%'")},
        ),
        Hole(
            "an account at the source alone",
            lambda: source.sql(ALONE),
            {("BLR050", "db1 'alone'@'127.0.0.1'")},
        ),
        Hole(
            "an account that replicates through a role",
            lambda: source.sql(REPLICATES_BY_ROLE),
            BY_ROLE,
        ),
        Hole(
            "everybody with the tables of mysql",
            lambda: source.sql("GRANT UPDATE ON mysql.* TO PUBLIC"),
            {("BLR057", "db1 PUBLIC"), ("BLR057", "db2 PUBLIC")},
        ),
        Hole(
            "an account with everybody's hashes",
            lambda: source.sql(APP + "GRANT SELECT ON mysql.global_priv TO 'app'@'127.0.0.1'"),
            OF_APP,
        ),
        Hole(
            "a role with the tables of mysql",
            lambda: source.sql(APP + TABLES_BY_ROLE),
            OF_APP,
        ),
        Hole(
            "an account that may pose as the replica",
            lambda: source.sql(APP + f"GRANT PROXY ON {repl} TO 'app'@'127.0.0.1'"),
            {("BLR058", "db1 'app'@'127.0.0.1'"), ("BLR058", "db2 'app'@'127.0.0.1'")},
        ),
        Hole(
            "an account without a name",
            lambda: source.sql("CREATE USER ''@'127.0.0.1' IDENTIFIED BY 'x' REQUIRE SSL"),
            {("BLR056", "db1 ''@'127.0.0.1'"), ("BLR056", "db2 ''@'127.0.0.1'")},
        ),
        Hole(
            "old TLS versions accepted",
            lambda: restarted(tls_version="TLSv1.1,TLSv1.2"),
            {("BLR021", "db1")},
        ),
        Hole(
            "encryption off, with a plain log",
            lambda: restarted(encrypt_binlog="OFF"),
            {("BLR001", "db1"), ("BLS001", "db1")},
        ),
        Hole(
            "a privilege of the audit revoked",
            lambda: source.sql(f"{quiet}REVOKE SLAVE MONITOR ON *.* FROM 'audit'@'127.0.0.1'"),
            {("BLR071", "db1"), ("BLR072", "db1 channels")},
        ),
    ]


def mariadb_pairs(source: MariadbServer, replica: MariadbServer) -> list[Callable[[], object]]:
    repl = "'repl'@'127.0.0.1'"
    return [
        lambda: source.sql(f"GRANT SELECT, FILE ON *.* TO {repl}; ALTER USER {repl} REQUIRE NONE"),
        lambda: source.sql(f"RENAME USER {repl} TO 'repl'@'%'"),
        lambda: replica.sql("STOP SLAVE; CHANGE MASTER TO MASTER_SSL_VERIFY_SERVER_CERT = 0; START SLAVE"),
    ]
