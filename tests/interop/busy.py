"""Everything in which a server writes to its logs, at once, for recoveries: rows, statements and both
mixed, DDL, triggers, partitions, LOAD DATA, XA, routines, and a temporary table over several logs.

What a recovery is held against are the tables as the server itself had them then.
"""

from __future__ import annotations

from pathlib import Path

import workload
from mariadb_lab import MariadbServer
from server import MysqlServer

Server = MysqlServer | MariadbServer
Tables = dict[str, str]
SCHEMAS = "('shop', 'far')"
# For servers that may lose what they have when the machine crashes: commits do not wait for the disk.
QUICK = {"innodb_flush_log_at_trx_commit": "0", "sync_binlog": "0", "local_infile": "ON"}

TABLES = """
USE shop;
CREATE TABLE ledger (
    id INT PRIMARY KEY AUTO_INCREMENT, purchase INT, what VARCHAR(20), amount DECIMAL(10, 2));
CREATE TRIGGER bought AFTER INSERT ON purchase FOR EACH ROW
    INSERT INTO ledger (purchase, what, amount) VALUES (NEW.id, 'bought', NEW.amount);
CREATE TRIGGER changed AFTER UPDATE ON purchase FOR EACH ROW
    INSERT INTO ledger (purchase, what, amount) VALUES (NEW.id, 'changed', NEW.amount - OLD.amount);
CREATE TABLE visit (id INT NOT NULL, day DATE NOT NULL, page VARCHAR(60), PRIMARY KEY (id, day))
    CHARACTER SET utf8mb4 PARTITION BY RANGE (YEAR(day)) (
    PARTITION old VALUES LESS THAN (2025), PARTITION y2025 VALUES LESS THAN (2026),
    PARTITION later VALUES LESS THAN MAXVALUE);
CREATE TABLE visit_old (id INT NOT NULL, day DATE NOT NULL, page VARCHAR(60), PRIMARY KEY (id, day))
    CHARACTER SET utf8mb4;
CREATE TABLE mistake (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(20));
CREATE PROCEDURE greet (IN many INT) MODIFIES SQL DATA
    INSERT INTO customer (name) SELECT CONCAT('greeted ', many) FROM DUAL;
CREATE VIEW regular AS SELECT id, name FROM customer WHERE note IS NOT NULL;
"""
# Under each format the same: what is unsafe as a statement comes as rows where both are mixed.
STATEMENTS = """
SET SESSION binlog_format = {format};
USE shop;
SET @name = 'Øystein ''the user variable''';
INSERT INTO customer (name, note) VALUES (@name, '{format}'), ('second', RAND(7));
INSERT INTO purchase (customer, amount, at)
    SELECT id, RAND(42) * 100, NOW(6) FROM customer ORDER BY id LIMIT 3;
UPDATE purchase SET amount = amount + 1 WHERE id = LAST_INSERT_ID();
CALL greet(3);
BEGIN; INSERT INTO customer (name) VALUES ('kept'); SAVEPOINT s; INSERT INTO customer (name) VALUES ('gone');
ROLLBACK TO s; INSERT INTO customer (name) VALUES ('kept, too'); COMMIT;
BEGIN; INSERT INTO customer (name) VALUES ('never was'); ROLLBACK;
INSERT INTO ledger (what, amount) VALUES ('{format}', -1) ;
REPLACE INTO visit VALUES (7, '2025-07-07', '{format}'), (8, '2027-01-01', '{format}');
"""
PARTITIONS = """
USE shop;
INSERT INTO visit_old VALUES (1001, '2024-02-29', 'exchanged');
ALTER TABLE visit EXCHANGE PARTITION old WITH TABLE visit_old;
ALTER TABLE visit REORGANIZE PARTITION later INTO (
    PARTITION y2026 VALUES LESS THAN (2027), PARTITION later VALUES LESS THAN MAXVALUE);
DELETE FROM visit WHERE day < '2025-01-01' ORDER BY id LIMIT 1;
ALTER TABLE visit TRUNCATE PARTITION y2026;
INSERT INTO visit VALUES (2001, '2026-05-05', 'after the truncation');
"""
DDL = """
USE shop;
ALTER TABLE customer ADD COLUMN town VARCHAR(40) DEFAULT 'Oslo' AFTER name;
CREATE TABLE copied AS SELECT id, name, town FROM customer;
CREATE TABLE short (a INT); INSERT INTO short VALUES (1); TRUNCATE TABLE short; INSERT INTO short VALUES (2);
RENAME TABLE short TO long_lived;
CREATE TABLE passing (a INT); DROP TABLE passing;
CREATE DATABASE far; CREATE TABLE far.away (id INT PRIMARY KEY AUTO_INCREMENT, at TIMESTAMP(6) NULL);
INSERT INTO far.away (at) VALUES (NOW(6));
"""
XA = """
USE shop; XA START '{name}'; INSERT INTO customer (name) VALUES ('{name}'); XA END '{name}';
XA PREPARE '{name}';
"""
ACROSS_LOGS = """
SET SESSION binlog_format = STATEMENT; USE shop;
CREATE TEMPORARY TABLE basket (name VARCHAR(80)) CHARACTER SET utf8mb4;
INSERT INTO basket VALUES ('across'), ('logs');
FLUSH BINARY LOGS; {between} FLUSH BINARY LOGS;
INSERT INTO customer (name) SELECT name FROM basket ORDER BY name; DROP TEMPORARY TABLE basket;
"""

OTHERS = f"""
SELECT 'trigger', trigger_name FROM information_schema.triggers WHERE trigger_schema IN {SCHEMAS}
UNION SELECT 'routine', routine_name FROM information_schema.routines WHERE routine_schema IN {SCHEMAS}
UNION SELECT 'view', table_name FROM information_schema.views WHERE table_schema IN {SCHEMAS}
UNION SELECT 'partition', CONCAT(table_name, '.', partition_name) FROM information_schema.partitions
    WHERE table_schema IN {SCHEMAS} AND partition_name IS NOT NULL ORDER BY 1, 2
"""


def create_tables(server: Server) -> None:
    workload.create_tables(server)
    server.sql(TABLES)


def statements(server: Server, binlog_format: str) -> None:
    server.sql(STATEMENTS.format(format=binlog_format))


def load_data(server: Server, folder: Path, binlog_format: str) -> None:
    """A file that the client sends: as a statement it stands in the log with all its bytes."""
    file = folder / f"{binlog_format.lower()}.csv"
    first = {"STATEMENT": 10_000, "MIXED": 20_000, "ROW": 30_000}[binlog_format]
    days = ("2024-12-31", "2025-06-15", "2028-01-01")
    lines = [f"{first + n},{days[n % 3]},page {n} — {binlog_format}" for n in range(500)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    inside = server.chroot.inside(file) if isinstance(server, MysqlServer) else str(file)
    server.sql(
        f"SET SESSION binlog_format = {binlog_format}; USE shop;"
        f"LOAD DATA LOCAL INFILE '{inside}' INTO TABLE visit CHARACTER SET utf8mb4 FIELDS TERMINATED BY ','"
        " (id, day, @page) SET page = UPPER(@page)",
        "--local-infile=1",
    )


def xa(server: Server) -> None:
    """One that is committed a log later, by another session, and one that is taken back."""
    server.sql(XA.format(name="committed"))
    server.sql(
        "INSERT INTO shop.customer (name) VALUES ('between'); FLUSH BINARY LOGS; XA COMMIT 'committed'"
    )
    server.sql(XA.format(name="taken back") + "XA ROLLBACK 'taken back'")


def tables(server: Server) -> Tables:
    """Every table with its checksum, and what else the schemas have."""
    rows = server.sql(
        f"SELECT CONCAT(table_schema, '.', table_name) FROM information_schema.tables"
        f" WHERE table_schema IN {SCHEMAS} AND table_type = 'BASE TABLE'"
    )
    others = server.sql(OTHERS)
    names = [row[0] for row in rows]
    sums = server.sql(f"CHECKSUM TABLE {', '.join(names)}") if names else []
    return {name: value for name, value in sums} | {f"{kind} {name}": "" for kind, name in others}
