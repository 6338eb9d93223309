"""Tables of every type with edge values, and what is done to their rows.

For each table: its columns, the values of the rows inserted one by one, and what an
UPDATE sets.
"""

from __future__ import annotations

Tables = dict[str, tuple[str, list[str], str]]

BOTH: Tables = {
"ints": ("""id INT PRIMARY KEY, a TINYINT, b TINYINT UNSIGNED, c SMALLINT, d SMALLINT UNSIGNED, e MEDIUMINT, f MEDIUMINT UNSIGNED,
 g INT, h INT UNSIGNED, i BIGINT, j BIGINT UNSIGNED, k BOOL""",
 ["1,-128,0,-32768,0,-8388608,0,-2147483648,0,-9223372036854775808,0,FALSE",
  "2,127,255,32767,65535,8388607,16777215,2147483647,4294967295,9223372036854775807,18446744073709551615,TRUE",
  "3,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL",
  "4,-1,200,-1,60000,-1,16000000,-1,4000000000,-1,10000000000000000000,0"],
 "a=1,b=2,j=18446744073709551614"),
"decimals": ("""id INT PRIMARY KEY, a DECIMAL(10,2), b DECIMAL(65,30), c DECIMAL(30,30), d DECIMAL(1,0), e DECIMAL(18,9) UNSIGNED, f DECIMAL(9,0), g DECIMAL(10,0)""",
 ["1,-99999999.99,-99999999999999999999999999999999999.999999999999999999999999999999,-0.999999999999999999999999999999,-9,0,-999999999,-9999999999",
  "2,99999999.99,99999999999999999999999999999999999.999999999999999999999999999999,0.000000000000000000000000000001,9,999999999.999999999,999999999,9999999999",
  "3,0,0,0,0,0.5,0,0","4,NULL,NULL,NULL,NULL,NULL,NULL,NULL","5,0.01,-0.000000000000000000000000000001,0.1,-1,1.000000001,100000000,1000000000"],
 "a=12.5,b=-1.25"),
"floats": ("""a FLOAT, b DOUBLE, c FLOAT UNSIGNED, d DOUBLE UNSIGNED, e FLOAT(7,3)""",
 ["0.1,0.1,0.1,0.1,1.234","-3.4e38,-1.7976931348623157e308,3.4e38,1.7976931348623157e308,-9999.999",
  "1.17549e-38,2.2250738585072014e-308,1e-10,1e-300,0","NULL,NULL,NULL,NULL,NULL","16777217,9007199254740993,123456.789,1e22,1"],
 "a=a*2,b=1/3"),
"bits": ("""id INT PRIMARY KEY, a BIT(1), b BIT(8), c BIT(13), d BIT(64)""",
 ["1,b'1',b'10101010',b'1000000000001',b'1111111111111111111111111111111111111111111111111111111111111111'","2,0,0,0,0","3,NULL,NULL,NULL,NULL"],
 "a=0,d=12345678901234567890"),
"temporals": ("""id INT PRIMARY KEY, y YEAR, d DATE, t TIME, t3 TIME(3), t6 TIME(6), dt DATETIME, dt2 DATETIME(2), dt6 DATETIME(6),
 ts TIMESTAMP NULL, ts1 TIMESTAMP(1) NULL, ts6 TIMESTAMP(6) NULL""",
 ["1,0,'0000-00-00','-838:59:59','-838:59:59.000','-838:59:59.000000','0000-00-00 00:00:00','0000-00-00','0000-00-00','0000-00-00 00:00:00','0000-00-00','0000-00-00'",
  "2,2155,'9999-12-31','838:59:59','838:59:58.999','838:59:58.999999','9999-12-31 23:59:59','9999-12-31 23:59:59.99','9999-12-31 23:59:59.999999','2038-01-19 03:14:07','2038-01-19 03:14:07.9','2038-01-19 03:14:07.999999'",
  "3,1901,'1000-01-01','00:00:00','-00:00:00.001','-00:00:00.000001','1000-01-01 00:00:00','1000-01-01 00:00:00.01','1000-01-01 00:00:00.000001','1970-01-01 00:00:01','1970-01-01 00:00:01.1','1970-01-01 00:00:01.000001'",
  "4,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL",
  "5,2026,'2026-02-31','-12:34:56','-12:34:56.789','12:34:56.000100','2026-00-00 01:02:03','2026-11-27 01:02:03.50','2024-02-29 12:00:00.123456','2026-11-27 12:34:56','2026-11-27 12:34:56.7','2026-11-27 12:34:56.123456'"],
 "t6='-01:00:00.5',dt6='2000-01-01 00:00:00.25'"),
"members": ("""id INT PRIMARY KEY, e ENUM('a','b''c','ü','d,e'), s SET('x','y','z','w'), big SET(%s), e2 ENUM('x','é') CHARACTER SET latin1""" % ",".join("'m%d'"%i for i in range(64)),
 ["1,'a','x','m0','x'","2,'b''c','x,z','m63,m0','é'","3,'ü','','m31','x'","4,NULL,NULL,NULL,NULL","5,'d,e','x,y,z,w',18446744073709551615,'é'"],
 "e='a',s='w'"),
"texts": ("""a VARCHAR(20), b VARCHAR(300), c CHAR(10), d CHAR(255) CHARACTER SET utf8mb4, e TEXT, f LONGTEXT, g VARCHAR(20) CHARACTER SET latin1,
 h CHAR(5) CHARACTER SET ucs2, i VARCHAR(10) CHARACTER SET utf16, j VARCHAR(10) CHARACTER SET cp1251, k VARCHAR(10) CHARACTER SET sjis, l TINYTEXT, m MEDIUMTEXT CHARACTER SET gbk, n VARCHAR(9) CHARACTER SET swe7""",
 ["'','','','','','','','','','','','','',''",
  "'it''s','a\\\\b','x  ','dé','line\\nbreak\\t','\\0null','äöüß€','日本','𝄞é','привет','テスト','q\\\"q','中文','ABCÅ'",
  "NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL",
  "'🐬','"+"x"*300+"','abcdefghij','"+"é"*255+"','\\Z\\r','ab','ab','ab','ab','ab','ab','ab','ab','ab'",
  "'\\u001b[31m',X'1B5B33316D','%','_','--','/*','*/',';','`','a','b','c','d','e'"],
 "a='changed',g='é',e=REPEAT('ü',200)"),
"bytes": ("""id INT PRIMARY KEY, a BINARY(4), b VARBINARY(10), c BLOB, d TINYBLOB, e LONGBLOB, f BINARY(255), g MEDIUMBLOB""",
 ["1,X'01000000',X'',X'',X'00',X'FF',X'AA',X'C3A9'","2,X'00000000',X'0000',X'000102FF',X'27',X'5C',X'',X'41'","3,NULL,NULL,NULL,NULL,NULL,NULL,NULL","4,'abcd','ab','text','t',REPEAT(X'00FF',40000),REPEAT('f',255),REPEAT('m',70000)"],
 "a=X'02',c=X'00'"),
"nokey": ("a INT, b VARCHAR(10), c BINARY(3), d DATETIME", ["1,'x',X'610000',NULL","1,'x',X'610000',NULL","NULL,NULL,NULL,NULL","2,'y ',X'616263','2026-01-01'"], "b='z'"),
"longkey": ("a VARCHAR(30), b INT, c DATE, PRIMARY KEY(c,a(5),b)", ["'abcdefg',1,'2026-01-01'","'ABC',2,'2026-01-02'"], "b=b+10"),
}
MYSQL: Tables = {
"parts": ("id INT PRIMARY KEY, j JSON",
 [f"{n},JSON_OBJECT('a',{n},'b',JSON_ARRAY(1,2,3),'c',REPEAT('x',300),'d',REPEAT('y',300))" for n in (1, 2, 3)],
 "j=JSON_REMOVE(JSON_SET(JSON_REPLACE(j,'$.a',7),'$.new','n','$.b[1]',JSON_OBJECT('k',1.5e0),'$.b[9]',CAST('2026-01-01' AS DATE)),'$.c')"),
"docs": ("id INT PRIMARY KEY, j JSON",
 ["1,'{}'","2,'[]'","3,'null'","4,NULL","5,'{\"a\":1,\"b\":[1,2,{\"c\":null}],\"ü\":\"é\\\\n\\\\\"\"}'",
  "6,JSON_OBJECT('d',CAST('2026-02-03' AS DATE),'t',CAST('-12:00:00.5' AS TIME(6)),'dt',CAST('2026-02-03 04:05:06.789' AS DATETIME(6)),'dec',CAST(1.50 AS DECIMAL(5,2)),'bin',X'00FF','bit',b'101')",
  "7,'18446744073709551615'","8,'-9223372036854775808'","9,'1.5e300'","10,'\"text\"'","11,'true'","12,CAST(CAST(-12345678901234567890.123 AS DECIMAL(30,3)) AS JSON)",
  "13,JSON_ARRAY(1.0,0.1,1e20,-0.5,16777216,70000,-40000,300,3000000000)","14,(SELECT JSON_OBJECT('big',REPEAT('x',70000)))","15,CAST(CAST('2026-02-03 04:05:06' AS DATETIME) AS JSON)"],
 "j=JSON_SET(COALESCE(j,'{}'),'$.new',JSON_ARRAY(1,'two',3.5))"),
"shapes": ("id INT PRIMARY KEY, g GEOMETRY, p POINT SRID 4326, l LINESTRING, m MULTIPOLYGON",
 ["1,ST_GeomFromText('POINT(1 2)'),ST_GeomFromText('POINT(10 20)',4326),ST_GeomFromText('LINESTRING(0 0,1 1)'),NULL","2,NULL,NULL,NULL,NULL",
  "3,ST_GeomFromText('GEOMETRYCOLLECTION EMPTY'),ST_GeomFromText('POINT(-45 90)',4326),NULL,ST_GeomFromText('MULTIPOLYGON(((0 0,4 0,4 4,0 4,0 0)))')"],
 "g=ST_GeomFromText('POINT(3 4)')"),
"vectors": ("id INT PRIMARY KEY, v VECTOR(3)", ["1,STRING_TO_VECTOR('[1,2.5,-3e-10]')","2,NULL","3,STRING_TO_VECTOR('[0.1,3.4e38,-0]')"], "v=STRING_TO_VECTOR('[9,9,9]')"),
"hidden": ("id INT PRIMARY KEY, a INT, z INT INVISIBLE DEFAULT 7", ["1,1","2,2"], "z=z+1"),
"indexed": ("id INT PRIMARY KEY, j JSON, KEY k ((CAST(j->'$.a' AS UNSIGNED ARRAY)))", ["1,'{\"a\":[1,2]}'","2,NULL"], "j='{\"a\":[3]}'"),
}
MARIADB: Tables = {
"docs": ("id INT PRIMARY KEY, j JSON", ["1,'{\"a\": 1}'","2,NULL"], "j='[]'"),
"shapes": ("id INT PRIMARY KEY, g GEOMETRY, p POINT", ["1,ST_GeomFromText('POINT(1 2)'),ST_GeomFromText('POINT(10 20)')","2,NULL,NULL"], "g=ST_GeomFromText('POINT(3 4)')"),
"nets": ("id INT PRIMARY KEY, i6 INET6", ["1,'::1'","2,NULL","3,'2001:db8::'"], "i6='ffff::'"),
"packed": ("id INT PRIMARY KEY, a VARCHAR(200) COMPRESSED, b TEXT COMPRESSED, c BLOB COMPRESSED", ["1,'short','','x'","2,REPEAT('abc',60),REPEAT('long ',500),REPEAT(X'00FF',500)","3,NULL,NULL,NULL"], "a=REPEAT('z',150)"),
}

# Of MariaDB 10.7 to 11.7: their table maps show BINARY and BLOB.
LATER_MARIADB: Tables = {
"ids": ("id INT PRIMARY KEY, u UUID, i4 INET4", ["1,'00112233-4455-6677-8899-aabbccddeeff','127.0.0.1'","2,NULL,NULL","3,'01890a5d-ac96-774b-bcce-b302099a8057','255.255.255.255'"], "u='ffffffff-ffff-ffff-ffff-ffffffffffff'"),
"vectors": ("id INT PRIMARY KEY, v VECTOR(3)", ["1,VEC_FromText('[1,2.5,-0.5]')","2,NULL"], "v=VEC_FromText('[9,9,9]')"),
}

MODE = """SET SESSION sql_mode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO';
SET NAMES utf8mb4;
SET time_zone = '+00:00';
"""


def creation(tables: Tables) -> str:
    each = (f"CREATE TABLE m.{name} ({columns});\n" for name, (columns, _, _) in tables.items())
    return MODE + "CREATE DATABASE m CHARACTER SET utf8mb4;\n" + "".join(each)


def changes(tables: Tables) -> str:
    """Every row inserted; then some updated, one deleted and made anew, in one transaction."""
    text = MODE
    for name, (_, rows, assignment) in tables.items():
        text += "".join(f"INSERT INTO m.{name} VALUES ({row});\n" for row in rows)
        text += f"""BEGIN;
UPDATE IGNORE m.{name} SET {assignment} LIMIT 2;
DELETE FROM m.{name} LIMIT 1;
INSERT INTO m.{name} VALUES ({rows[0]});
UPDATE IGNORE m.{name} SET {assignment} LIMIT 1;
COMMIT;
"""
    return text


def short(tables: Tables) -> Tables:
    """The same with no long value, for logs that are kept."""
    def cut(text: str) -> str:
        return text.replace("40000)", "40)").replace("70000)", "70)")

    return {name: (columns, [cut(row) for row in rows], change) for name, (columns, rows, change) in tables.items()}
