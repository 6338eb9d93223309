//! What tables look like: dumps of schemas, and statements in the logs that change them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation
)]

use std::borrow::Cow;

use binlogsec_core::event::column_type as ty;
use binlogsec_core::event::query::Query;
use binlogsec_core::event::table_map::Column;
use binlogsec_core::read::rows::schema::{
    ChangeKind, DataType, Followed, Found, Reaction, Schema, Table,
};
use proptest::prelude::*;

/// What a mysqldump of MySQL 9.7 prints, with what makes it hard to read.
const DUMP: &str = r#"-- MySQL dump 10.13  Distrib 9.7.4, for Linux (x86_64)
--
-- Host: localhost    Database: shop
-- ------------------------------------------------------
/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
DROP TABLE IF EXISTS `orders`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `orders` (
  `id` bigint unsigned NOT NULL AUTO_INCREMENT,
  `state` enum('new','it''s paid','a,b)') COLLATE utf8mb4_bin NOT NULL DEFAULT 'new',
  `note` varchar(200) CHARACTER SET latin1 COLLATE latin1_swedish_ci DEFAULT 'x;y' COMMENT 'a `b` ) /* no comment */',
  `odd ``name``` decimal(12,2) DEFAULT NULL,
  `total` decimal(14,2) GENERATED ALWAYS AS ((`odd ``name``` * 2)) VIRTUAL,
  `hidden` int DEFAULT (1 + (2)) /*!80023 INVISIBLE */,
  `at` timestamp(6) NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  `place` point NOT NULL /*!80003 SRID 4326 */,
  `customer` int DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `by_note` (`note`(20),`customer`),
  UNIQUE KEY `by_both` (`customer`,`at`),
  KEY `k` (`state` DESC),
  SPATIAL KEY `p` (`place`),
  CONSTRAINT `fk` FOREIGN KEY (`customer`) REFERENCES `people`.`customers` (`id`) ON DELETE CASCADE ON UPDATE SET NULL,
  CONSTRAINT `positive` CHECK ((`customer` > 0))
) ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci COMMENT='with, CREATE TABLE x'
/*!50100 PARTITION BY KEY (id)
PARTITIONS 2 */;
/*!50003 SET sql_mode              = 'STRICT_TRANS_TABLES' */ ;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER `seen` AFTER INSERT ON `orders` FOR EACH ROW BEGIN
  CREATE TEMPORARY TABLE x (a int);
  INSERT INTO audit VALUES (NEW.id);
END */;;
DELIMITER ;
CREATE TABLE `last` (`a` int);
"#;

fn schema(text: &str) -> Schema {
    let mut schema = Schema::new();
    let (_, notes) = schema.read(text.as_bytes(), None);
    assert_eq!(notes, Vec::<String>::new());
    schema
}

fn table<'s>(schema: &'s Schema, database: &str, name: &str) -> &'s Table {
    match schema.find(database.as_bytes(), name.as_bytes()) {
        Found::Known(table) => table,
        other => panic!("{database}.{name}: {other:?}"),
    }
}

fn names(schema: &Schema, name: &str) -> String {
    let columns = &table(schema, "shop", name).columns;
    let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
    names.join(" ")
}

fn query<'a>(statement: &'a [u8], variables: &'a [u8]) -> Query<'a> {
    Query {
        thread_id: 1,
        execution_time: 0,
        error_code: 0,
        database: b"shop",
        variables,
        statement: Cow::Borrowed(statement),
        length: statement.len(),
    }
}

fn follow(schema: &mut Schema, statement: &str) -> Followed {
    schema.follow_query(&query(statement.as_bytes(), &[]))
}

#[test]
fn a_dump_tells_all_that_row_events_leave_out() {
    let schema = schema(DUMP);
    let orders = table(&schema, "shop", "orders");
    let columns: Vec<_> = orders.columns.iter().map(|it| it.name.as_str()).collect();
    let expected =
        ["id", "state", "note", "odd `name`", "total", "hidden", "at", "place", "customer"];
    assert_eq!(columns, expected);
    let column = |name: &str| &orders.columns[orders.position(name).unwrap()];
    assert!(column("id").unsigned && !column("hidden").unsigned);
    let members = ["new", "it's paid", "a,b)"].map(str::to_owned).to_vec();
    assert_eq!(column("STATE").data_type, DataType::Enum { members });
    assert_eq!(column("state").collation.as_deref(), Some("utf8mb4_bin"));
    assert_eq!(column("note").charset.as_deref(), Some("latin1"));
    assert_eq!(column("note").data_type, DataType::VarChar { length: 200 });
    assert_eq!(column("odd `name`").data_type, DataType::Decimal { precision: 12, scale: 2 });
    assert!(column("total").generated.is_some() && column("hidden").generated.is_none());
    assert!(column("hidden").invisible && !column("total").invisible);
    assert!(column("at").on_update_now && column("at").nullable == Some(true));
    assert_eq!(column("place").data_type, DataType::Geometry);
    assert_eq!(column("customer").nullable, Some(true));
    assert_eq!(orders.primary_key_positions(), [0]);
    let keys: Vec<_> =
        orders.unique_keys.iter().map(|it| (it.columns.join(","), it.whole)).collect();
    assert_eq!(keys, [("note,customer".to_owned(), false), ("customer,at".to_owned(), true)]);
    let foreign: Vec<_> = schema.referring_to("people", "customers").collect();
    let [("shop", "orders", key)] = foreign[..] else { panic!("{foreign:?}") };
    assert_eq!((key.on_delete, key.on_update), (Reaction::Cascade, Reaction::SetNull));
    assert_eq!(orders.triggers[0].event, "INSERT");
    // What follows a trigger with another delimiter is read again.
    assert_eq!(names(&schema, "last"), "a");
    assert_eq!(schema.len(), 2);
}

#[test]
fn listings_of_show_create_table_are_read_in_each_form_of_the_client() {
    let vertical = "*************************** 1. row ***************************\n       Table: a\n\
        Create Table: CREATE TABLE `a` (\n  `x` int DEFAULT NULL\n) ENGINE=InnoDB DEFAULT CHARSET=latin1\n\
        *************************** 2. row ***************************\n       Table: b\n\
        Create Table: CREATE TABLE `b` (\n  `y` char(3) DEFAULT NULL\n) ENGINE=InnoDB\n";
    let batch = "Table\tCreate Table\na\tCREATE TABLE `a` (\\n  `x` int DEFAULT NULL\\n) ENGINE=InnoDB DEFAULT CHARSET=latin1\n\
        b\tCREATE TABLE `b` (\\n  `y` char(3) DEFAULT NULL\\n) ENGINE=InnoDB\n";
    let boxed = "+---+---+\n| Table | Create Table |\n+---+---+\n| a | CREATE TABLE `a` (\n  `x` int DEFAULT NULL\n) ENGINE=InnoDB DEFAULT CHARSET=latin1 |\n+---+\n\
        | b | CREATE TABLE `b` (\n  `y` char(3) DEFAULT NULL\n) ENGINE=InnoDB |\n+---+\n";
    for text in [vertical, batch, boxed] {
        let schema = schema(text);
        assert_eq!(schema.len(), 2, "{text}");
        // The database is not told: the table is that of its name in any.
        assert_eq!(names(&schema, "a"), "x", "{text}");
        assert_eq!(table(&schema, "other", "b").columns[0].name, "y", "{text}");
        assert_eq!(table(&schema, "shop", "a").charset.as_deref(), Some("latin1"), "{text}");
    }
}

#[test]
fn the_database_is_taken_from_where_dumps_tell_it() {
    let create = "CREATE TABLE t (a int);";
    for (text, named) in [
        ("USE `one`;\n", "one"),
        ("-- Host: 127.0.0.1    Database: two\n-- ------\n", "two"),
        ("-- MariaDB dump\n--\n-- Host: localhost    Database: \n", "elsewhere"),
        ("-- Database: `three`\n", "three"),
        ("/*M!999999\\- enable the sandbox mode */ \n", "elsewhere"),
    ] {
        let mut schema = Schema::new();
        let (tables, _) = schema.read(format!("{text}{create}").as_bytes(), Some("elsewhere"));
        assert_eq!(tables, 1);
        let found: Vec<_> = schema.names().collect();
        assert_eq!(found, [(named, "t")], "{text}");
    }
}

#[test]
fn a_directory_of_mysql_shell_and_files_without_tables_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("sh%20op.sql", "CREATE DATABASE `sh op`;");
    write(
        "sh%20op@t.sql",
        "-- MySQLShell dump\nCREATE TABLE IF NOT EXISTS `t` (`a` int) ENGINE=InnoDB;",
    );
    write("sh%20op@t@@0.tsv", "1\n");
    let mut schema = Schema::new();
    schema.open(folder.path()).unwrap();
    assert_eq!(schema.names().collect::<Vec<_>>(), [("sh op", "t")]);
    let error = schema.open(folder.path().join("sh%20op.sql")).unwrap_err();
    assert!(error.to_string().contains("no CREATE TABLE"), "{error}");
    assert!(schema.open(folder.path().join("missing.sql")).is_err());
}

#[test]
fn alter_table_moves_columns_as_servers_do() {
    // Each result was read from MySQL 9.7 and MariaDB (tests/interop, scenario undo).
    for (statement, expected) in [
        ("ALTER TABLE t ADD d INT", "a b c d"),
        ("ALTER TABLE t ADD COLUMN d INT FIRST, ADD e INT AFTER a", "d a e b c"),
        ("ALTER TABLE t ADD (d INT, e INT, UNIQUE (d))", "a b c d e"),
        ("ALTER TABLE t DROP b", "a c"),
        ("ALTER TABLE t DROP COLUMN b, ADD b INT", "a c b"),
        ("ALTER TABLE t CHANGE a x INT", "x b c"),
        ("ALTER TABLE t CHANGE a x INT AFTER c", "b c x"),
        ("ALTER TABLE t CHANGE a b INT, CHANGE b a INT", "b a c"),
        ("ALTER TABLE t RENAME COLUMN a TO b, RENAME COLUMN b TO a", "b a c"),
        ("ALTER TABLE t MODIFY c BIGINT FIRST", "c a b"),
        ("ALTER TABLE t MODIFY c INT FIRST, MODIFY b INT FIRST", "b c a"),
        ("ALTER TABLE t ADD d INT AFTER b, ADD e INT AFTER d, DROP a", "b d e c"),
        ("alter table `t` add index (a), algorithm=inplace, lock = none, add d int", "a b c d"),
        ("ALTER TABLE t ENGINE=InnoDB ROW_FORMAT=DYNAMIC, COMMENT='ADD z INT'", "a b c"),
        (
            "ALTER TABLE t ALTER COLUMN a SET DEFAULT (1 + 2), ADD d INT DEFAULT -1 NOT NULL",
            "a b c d",
        ),
        (
            "ALTER TABLE t ADD d INT /* ADD e INT */ -- ADD f INT\n, ADD g INT # ADD h INT",
            "a b c d g",
        ),
        (
            "ALTER TABLE t ADD CONSTRAINT k FOREIGN KEY (a) REFERENCES p (a) ON DELETE CASCADE, ADD d INT",
            "a b c d",
        ),
        ("ALTER TABLE t ADD IF NOT EXISTS a INT, DROP COLUMN IF EXISTS z, ADD d INT", "a b c d"),
        ("ALTER TABLE t PARTITION BY HASH (a) PARTITIONS 4", "a b c"),
        ("ALTER TABLE t ORDER BY b, a", "a b c"),
        ("SET STATEMENT max_statement_time=10 FOR ALTER TABLE t DROP a", "b c"),
        (
            "ALTER ONLINE TABLE IF EXISTS shop.t ADD d INT /*M!100303 INVISIBLE */ AFTER a",
            "a d b c",
        ),
        ("TRUNCATE TABLE t", "a b c"),
        ("CREATE OR REPLACE TABLE t (z INT)", "z"),
        ("CREATE TABLE IF NOT EXISTS t (z INT)", "a b c"),
    ] {
        let mut schema = schema("USE shop; CREATE TABLE t (a INT, b INT, c INT)");
        let followed = follow(&mut schema, statement);
        assert_eq!(followed.notes, Vec::<String>::new(), "{statement}");
        assert_eq!(names(&schema, "t"), expected, "{statement}");
    }
}

#[test]
fn keys_and_character_sets_follow_their_columns() {
    let mut schema = schema(
        "USE shop; CREATE TABLE t (a INT PRIMARY KEY, b VARCHAR(9), c INT UNIQUE, d TEXT) CHARSET=latin1;",
    );
    follow(&mut schema, "ALTER TABLE t RENAME COLUMN a TO x, CHANGE c y INT, MODIFY b VARCHAR(20)");
    let it = table(&schema, "shop", "t");
    assert_eq!(it.primary_key.as_ref().unwrap().columns, ["x"]);
    assert_eq!(it.unique_keys[0].columns, ["y"]);
    assert_eq!(it.columns[0].nullable, Some(false));
    assert_eq!(it.columns[1].charset.as_deref(), Some("latin1"));
    follow(
        &mut schema,
        "ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, ADD e CHAR(1)",
    );
    let it = table(&schema, "shop", "t");
    let sets: Vec<_> = it.columns.iter().map(|it| it.charset.as_deref().unwrap()).collect();
    assert_eq!(&sets[1..2], ["utf8mb4"]);
    assert_eq!((sets[3], sets[4]), ("utf8mb4", "utf8mb4"));
    assert_eq!(it.columns[3].data_type, DataType::Text { width: None }, "it may be MEDIUMTEXT now");
    follow(&mut schema, "ALTER TABLE t DROP PRIMARY KEY, DROP COLUMN y");
    let it = table(&schema, "shop", "t");
    assert!(it.primary_key.is_none() && it.unique_keys.is_empty());
    follow(&mut schema, "CREATE UNIQUE INDEX u ON t (x, b(3))");
    assert!(!table(&schema, "shop", "t").unique_keys[0].whole);
    follow(&mut schema, "ALTER TABLE t DROP INDEX u, ADD PRIMARY KEY (x, b)");
    let it = table(&schema, "shop", "t");
    assert_eq!((it.primary_key_positions(), it.unique_keys.len()), (vec![0, 1], 0));
}

#[test]
fn names_of_tables_follow_what_is_done_to_them() {
    let mut schema = schema("USE shop; CREATE TABLE a (x INT); CREATE TABLE b (y INT);");
    let followed = follow(&mut schema, "RENAME TABLE a TO old, b TO a, old TO other.b");
    let kinds: Vec<_> = followed.changes.iter().map(|it| it.kind).collect();
    assert_eq!(kinds, [ChangeKind::Renamed; 6]);
    assert_eq!(names(&schema, "a"), "y");
    assert_eq!(table(&schema, "other", "b").columns[0].name, "x");
    assert_eq!(schema.find(b"shop", b"b"), Found::Absent);
    follow(&mut schema, "CREATE TABLE c LIKE a");
    follow(&mut schema, "ALTER TABLE c ADD z INT, RENAME TO d");
    assert_eq!(names(&schema, "d"), "y z");
    assert_eq!(schema.find(b"shop", b"c"), Found::Absent);
    follow(&mut schema, "DROP TABLE IF EXISTS `d`, other.b /* generated by server */");
    assert_eq!(schema.find(b"other", b"b"), Found::Absent);
    let followed = follow(&mut schema, "DROP DATABASE shop");
    assert_eq!(
        (followed.changes[0].database.as_str(), &followed.changes[0].table),
        ("shop", &None)
    );
    assert_eq!(schema.find(b"shop", b"a"), Found::Absent);
    // A database that the logs make has no table before: IF NOT EXISTS makes it.
    follow(&mut schema, "CREATE TABLE IF NOT EXISTS e (q INT)");
    assert_eq!(
        schema.find(b"shop", b"e"),
        Found::Absent,
        "it may have been there, of other columns"
    );
    follow(&mut schema, "CREATE DATABASE shop CHARACTER SET latin2");
    follow(&mut schema, "CREATE TABLE IF NOT EXISTS e (q CHAR(1))");
    assert_eq!(table(&schema, "shop", "e").columns[0].charset.as_deref(), Some("latin2"));
    // Temporary tables are of no matter.
    follow(&mut schema, "CREATE TEMPORARY TABLE e (other INT)");
    follow(&mut schema, "DROP TEMPORARY TABLE e");
    assert_eq!(names(&schema, "e"), "q");
}

#[test]
fn what_is_not_understood_makes_a_table_unknown_and_is_told_once() {
    for statement in [
        "ALTER TABLE t FROBNICATE",
        "ALTER TABLE t ADD d NEWTYPE",
        "ALTER TABLE t ADD d INT WITH FRILLS",
        "CREATE TABLE t AS SELECT 1 AS x",
        "CREATE TABLE t (a INT) SELECT 1 AS x",
        "CREATE TABLE t LIKE elsewhere.unknown",
        "CREATE TABLE t (a INT, A INT)",
        "ALTER TABLE t ADD",
        "ALTER TABLE t ADD d INT DEFAULT (1",
    ] {
        let mut schema = schema("USE shop; CREATE TABLE t (a INT); CREATE TABLE u (b INT);");
        let followed = follow(&mut schema, statement);
        let is_open = statement.ends_with("(1");
        assert_eq!(
            followed.notes.len(),
            usize::from(!is_open),
            "{statement}: {:?}",
            followed.notes
        );
        if !is_open {
            assert!(matches!(schema.find(b"shop", b"t"), Found::Unknown(_)), "{statement}");
            assert!(followed.notes[0].contains("table shop.t"), "{:?}", followed.notes);
        }
        assert_eq!(names(&schema, "u"), "b");
        // Once: what follows on it says nothing more, and a new definition makes it known.
        assert!(follow(&mut schema, "ALTER TABLE t ADD q INT").notes.is_empty());
        follow(&mut schema, "DROP TABLE t");
        follow(&mut schema, "CREATE TABLE t (n INT)");
        assert_eq!(names(&schema, "t"), "n");
    }
}

#[test]
fn a_schema_of_a_later_time_is_told() {
    let mut schema =
        schema("USE shop; CREATE TABLE t (a INT, added INT); CREATE TABLE new (x INT);");
    for (statement, told) in [
        ("ALTER TABLE t ADD added INT", "adds the column `added`, which is there already"),
        ("ALTER TABLE t DROP gone", "names the column `gone`, which is not there"),
        ("RENAME TABLE old TO new", "of a later time"),
    ] {
        let notes = follow(&mut schema, statement).notes;
        assert!(notes.len() == 1 && notes[0].contains(told), "{notes:?}");
    }
    assert_eq!((names(&schema, "t"), names(&schema, "new")), ("a added".into(), "x".into()));
    // What the logs themselves defined cannot be of another time.
    follow(&mut schema, "DROP TABLE t");
    follow(&mut schema, "CREATE TABLE t (a INT)");
    follow(&mut schema, "ALTER TABLE t DROP gone");
    assert!(matches!(schema.find(b"shop", b"t"), Found::Unknown(_)));
}

#[test]
fn statements_are_read_as_their_session_wrote_them() {
    let mode = |bits: u64| [&[0, 0, 0, 0, 0, 1][..], &bits.to_le_bytes()].concat();
    let charset = |client: u16| [&[4][..], &client.to_le_bytes(), &[8, 0, 8, 0]].concat();
    let no_escapes = mode(1 << 20);
    // A backslash at the end of a text, with and without a meaning.
    let mut schema = schema("USE shop; CREATE TABLE t (a INT)");
    schema
        .follow_query(&query(br"ALTER TABLE t ADD b CHAR(9) DEFAULT '\', ADD c INT", &no_escapes));
    assert_eq!(names(&schema, "t"), "a b c");
    let ansi = br#"ALTER TABLE "t" ADD "d" CHAR(9) DEFAULT '\', ADD x INT'"#;
    schema.follow_query(&query(ansi, &mode(4)));
    assert_eq!(names(&schema, "t"), "a b c d");
    // latin1, and a character set whose bytes are not known here.
    schema.follow_query(&query(b"ALTER TABLE t ADD pr\xE9nom INT", &charset(8)));
    assert_eq!(names(&schema, "t"), "a b c d prénom");
    let followed = schema.follow_query(&query(b"ALTER TABLE t ADD \x95\x5C INT", &charset(13)));
    assert!(followed.notes[0].contains("character set"), "{:?}", followed.notes);
    assert!(matches!(schema.find(b"shop", b"t"), Found::Unknown(_)));
}

/// A column of a table map.
const fn logged(column_type: u8, metadata: [u8; 2]) -> Column {
    Column { column_type, metadata }
}

#[test]
fn each_type_fits_the_table_map_of_its_own_and_no_other() {
    let types = [
        ("TINYINT(1)", logged(ty::TINY, [0, 0])),
        ("SMALLINT", logged(ty::SHORT, [0, 0])),
        ("MEDIUMINT UNSIGNED", logged(ty::INT24, [0, 0])),
        ("INTEGER", logged(ty::LONG, [0, 0])),
        ("BIGINT ZEROFILL", logged(ty::LONGLONG, [0, 0])),
        ("FLOAT(24)", logged(ty::FLOAT, [4, 0])),
        ("DOUBLE PRECISION", logged(ty::DOUBLE, [8, 0])),
        ("DECIMAL", logged(ty::NEWDECIMAL, [10, 0])),
        ("NUMERIC(65,30)", logged(ty::NEWDECIMAL, [65, 30])),
        ("BIT(13)", logged(ty::BIT, [5, 1])),
        ("YEAR(4)", logged(ty::YEAR, [0, 0])),
        ("DATE", logged(ty::DATE, [0, 0])),
        ("TIME(3)", logged(ty::TIME2, [3, 0])),
        ("DATETIME(6)", logged(ty::DATETIME2, [6, 0])),
        ("TIMESTAMP", logged(ty::TIMESTAMP2, [0, 0])),
        // 10 characters of 4 bytes, 255 of 4, 7 bytes
        ("CHAR(10) CHARACTER SET utf8mb4", logged(ty::STRING, [254, 40])),
        ("CHAR(255) COLLATE utf8mb4_bin", logged(ty::STRING, [0xCE, 0xFC])),
        ("BINARY(7)", logged(ty::STRING, [254, 7])),
        ("VARCHAR(100)", logged(ty::VARCHAR, [0x90, 1])),
        ("VARBINARY(401)", logged(ty::VARCHAR, [0x91, 1])),
        ("VARCHAR(300) COMPRESSED", logged(ty::VARCHAR_COMPRESSED, [0x2D, 1])),
        ("TINYBLOB", logged(ty::BLOB, [1, 0])),
        ("TEXT", logged(ty::BLOB, [2, 0])),
        ("MEDIUMTEXT", logged(ty::BLOB, [3, 0])),
        ("LONGBLOB", logged(ty::BLOB, [4, 0])),
        ("TEXT COMPRESSED", logged(ty::BLOB_COMPRESSED, [2, 0])),
        ("JSON", logged(ty::JSON, [4, 0])),
        ("MULTIPOLYGON", logged(ty::GEOMETRY, [4, 0])),
        ("VECTOR(3)", logged(ty::VECTOR, [4, 0])),
        ("ENUM('a','b')", logged(ty::STRING, [ty::ENUM, 1])),
        ("SET('a','b','c','d','e','f','g','h','i')", logged(ty::STRING, [ty::SET, 2])),
        ("UUID", logged(ty::STRING, [254, 16])),
        ("INET4", logged(ty::STRING, [254, 4])),
    ];
    for (declared, own) in &types {
        let schema = schema(&format!("USE shop; CREATE TABLE t (c {declared})"));
        let table = table(&schema, "shop", "t");
        let fitting = types.iter().filter(|(_, column)| table.fits(&[*column], &[]).is_ok());
        let fitting: Vec<_> = fitting.map(|(name, _)| *name).collect();
        // MariaDB's JSON is a LONGTEXT, its VECTOR a VARBINARY, and 401 is no multiple of 100.
        let expected: &[&str] = match *declared {
            "JSON" => &["LONGBLOB", "JSON"],
            "VECTOR(3)" => &["VARCHAR(100)", "VARBINARY(401)", "VECTOR(3)"],
            _ => &[declared],
        };
        assert_eq!(fitting, expected, "{own:?}");
    }
}

#[test]
fn a_table_that_does_not_fit_is_told_with_both_sides() {
    let schema = schema("USE shop; CREATE TABLE t (a INT NOT NULL, b VARCHAR(10), ts TIMESTAMP)");
    let table = table(&schema, "shop", "t");
    let int = logged(ty::LONG, [0, 0]);
    let text = logged(ty::VARCHAR, [40, 0]);
    let time = logged(ty::TIMESTAMP2, [0, 0]);
    // TIMESTAMP takes NULL or not, as the server is set.
    for nulls in [0b010, 0b110] {
        assert_eq!(table.fits(&[int, text, time], &[nulls]), Ok(()));
    }
    for (columns, nulls, told) in [
        (&[int, text][..], &[0b010][..], "the schema has 3 columns, the log 2"),
        (
            &[int, int, time],
            &[0b010],
            "column 2 is `b` VARCHAR(10) in the schema, and INT in the log",
        ),
        (
            &[int, text, time],
            &[0b011],
            "column 1, `a`, is NOT NULL in the schema and takes NULL in the log",
        ),
        (
            &[int, text, time],
            &[0b000],
            "column 2, `b`, takes NULL in the schema and is NOT NULL in the log",
        ),
    ] {
        let misfit = table.fits(columns, nulls).unwrap_err();
        assert_eq!(misfit.to_string(), told);
    }
}

#[test]
fn hostile_statements_end_soon() {
    let mut schema = schema("USE shop; CREATE TABLE t (a INT)");
    let deep = "(".repeat(1 << 20);
    for statement in [
        format!("ALTER TABLE t ADD b INT DEFAULT {deep}"),
        format!("CREATE TABLE t2 ({deep}"),
        format!("CREATE TABLE t3 (a INT DEFAULT {}", "-".repeat(1 << 20)),
        format!("ALTER TABLE t {}", "ADD COLUMN,".repeat(1 << 16)),
        "/*! ".repeat(1 << 18),
        format!("ALTER TABLE t {}", "/*!50000 ".repeat(1 << 18)),
        format!("CREATE TABLE t4 (a ENUM({}", "'x',".repeat(1 << 18)),
        format!("CREATE TABLE t5 ({}", "a INT,".repeat(1 << 18)),
        format!("DROP TABLE {}", "a,".repeat(1 << 18)),
    ] {
        follow(&mut schema, &statement);
        Schema::new().read(statement.as_bytes(), None);
    }
    // The memory for names is bounded, and that it is used up is told.
    let members = format!("'{}'", "x".repeat(1 << 20));
    let mut told = 0;
    for number in 0..300 {
        let statement = format!("CREATE TABLE big{number} (a ENUM({members}))");
        told += follow(&mut schema, &statement).notes.len();
    }
    assert!((1..=60).contains(&told), "{told}");
}

proptest! {
    #[test]
    fn no_text_is_too_odd(text in "(CREATE TABLE|ALTER TABLE|DROP|RENAME|`|'|\"|/\\*!|\\*/|--|;|,|\\(|\\)|[a-z]|INT| |\\\\|\n){0,80}") {
        let mut schema = Schema::new();
        schema.read(b"USE shop; CREATE TABLE a (a INT)", None);
        schema.read(text.as_bytes(), Some("shop"));
        follow(&mut schema, &text);
        for (database, table) in schema.names() {
            prop_assert!(schema.find(database.as_bytes(), table.as_bytes()) != Found::Absent || database.is_empty());
        }
    }

    /// Quoting, comments and line ends change nothing of what a statement says.
    #[test]
    fn a_name_reads_the_same_however_it_is_written(name in "[^\u{0}\u{FFFD}]{1,20}", comment in "[a-z ;,()`']{0,9}") {
        let quoted = name.replace('`', "``");
        let statement = format!("/* {comment} */CREATE/*!80000 TABLE*/ t\n(`{quoted}` INT -- {comment}\n);");
        let mut schema = Schema::new();
        schema.read(statement.as_bytes(), Some("shop"));
        prop_assert_eq!(names(&schema, "t"), name);
    }
}
