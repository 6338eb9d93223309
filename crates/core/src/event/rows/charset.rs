//! Character sets of columns: which one a collation belongs to, and its texts as UTF-8.

use std::borrow::Cow;

use encoding_rs::Encoding;

/// The character set of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Charset {
    /// Nothing tells it: the bytes may be text or not.
    Unknown,
    /// None: the values are bytes (BINARY, VARBINARY, BLOB).
    Binary,
    /// A character set by the servers' name of it, e.g. `utf8mb4` or `latin1`.
    Named(&'static str),
}

impl Charset {
    /// That of utf8mb4 columns.
    pub const UTF8MB4: Self = Self::Named("utf8mb4");

    /// The character set that the collation of this number belongs to. Numbers are those of MySQL 9.7
    /// and MariaDB 11.8, which do not contradict each other
    /// (`information_schema.COLLATIONS`, `COLLATION_CHARACTER_SET_APPLICABILITY`).
    #[must_use]
    pub fn of_collation(number: usize) -> Self {
        /// MariaDB's collations without padding have the number of those with it and this.
        const NOPAD: usize = 1024;
        let number = if (NOPAD..2 * NOPAD).contains(&number) {
            number.saturating_sub(NOPAD)
        } else {
            number
        };
        match of_low_number(number) {
            Some("binary") => Self::Binary,
            Some(name) => Self::Named(name),
            None => Self::Unknown,
        }
    }

    /// The character set of this name as a server writes it, in any case; `utf8` is `utf8mb3`.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        match name.as_str() {
            "binary" => Self::Binary,
            "utf8" => Self::Named("utf8mb3"),
            name => (1..=2047_usize)
                .chain([2048])
                .filter_map(of_low_number)
                .find(|known| *known == name)
                .map_or(Self::Unknown, Self::Named),
        }
    }

    /// Whether its texts are UTF-8 as they are.
    #[must_use]
    pub fn is_utf8(self) -> bool {
        matches!(self, Self::Named("utf8mb4" | "utf8mb3" | "ascii"))
    }

    /// Whether the bytes up to 0x7F are ASCII in it, and no others stand within a character.
    #[must_use]
    pub fn has_ascii(self) -> bool {
        matches!(self, Self::Named(name) if !matches!(name, "ucs2" | "utf16" | "utf16le" | "utf32" | "swe7"))
    }

    /// A text of this character set as UTF-8; `None` where the bytes are no text of it, or where it
    /// is not known how they are read.
    #[must_use]
    pub fn decode(self, bytes: &[u8]) -> Option<Cow<'_, str>> {
        let Self::Named(name) = self else {
            return None;
        };
        if bytes.is_empty() || self.is_utf8() || self.has_ascii() && bytes.is_ascii() {
            return std::str::from_utf8(bytes).ok().map(Cow::Borrowed);
        }
        match name {
            "ucs2" | "utf16" => utf16(bytes, u16::from_be_bytes),
            "utf16le" => utf16(bytes, u16::from_le_bytes),
            "utf32" => utf32(bytes),
            name => encoding(name)?.decode_without_bom_handling_and_without_replacement(bytes),
        }
    }
}

fn utf16<'a>(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<Cow<'a, str>> {
    let (pairs, []) = bytes.as_chunks::<2>() else {
        return None;
    };
    let units = pairs.iter().map(|pair| unit(*pair));
    char::decode_utf16(units).collect::<Result<String, _>>().ok().map(Cow::Owned)
}

fn utf32<'a>(bytes: &[u8]) -> Option<Cow<'a, str>> {
    let (fours, []) = bytes.as_chunks::<4>() else {
        return None;
    };
    let characters = fours.iter().map(|four| char::from_u32(u32::from_be_bytes(*four)));
    characters.collect::<Option<String>>().map(Cow::Owned)
}

/// What the web calls a character set of the servers. `latin1` is windows-1252 in both. Those of
/// which the web knows none are left out: armscii8, cp850, cp852, dec8, geostd8, hp8, keybcs2, macce,
/// swe7.
fn encoding(charset: &str) -> Option<&'static Encoding> {
    Some(match charset {
        "latin1" => encoding_rs::WINDOWS_1252,
        "latin2" => encoding_rs::ISO_8859_2,
        "latin5" => encoding_rs::WINDOWS_1254,
        "latin7" => encoding_rs::ISO_8859_13,
        "greek" => encoding_rs::ISO_8859_7,
        "hebrew" => encoding_rs::ISO_8859_8,
        "cp1250" => encoding_rs::WINDOWS_1250,
        "cp1251" => encoding_rs::WINDOWS_1251,
        "cp1256" => encoding_rs::WINDOWS_1256,
        "cp1257" => encoding_rs::WINDOWS_1257,
        "cp866" => encoding_rs::IBM866,
        "koi8r" => encoding_rs::KOI8_R,
        "koi8u" => encoding_rs::KOI8_U,
        "macroman" => encoding_rs::MACINTOSH,
        "tis620" => encoding_rs::WINDOWS_874,
        "gbk" | "gb2312" => encoding_rs::GBK,
        "gb18030" => encoding_rs::GB18030,
        "big5" => encoding_rs::BIG5,
        "euckr" => encoding_rs::EUC_KR,
        "sjis" | "cp932" => encoding_rs::SHIFT_JIS,
        "ujis" | "eucjpms" => encoding_rs::EUC_JP,
        _ => return None,
    })
}

/// Numbers below 1024 are the older ones, one by one; from 2048 on MariaDB has 256 of Unicode's
/// collation algorithm for each character set.
fn of_low_number(number: usize) -> Option<&'static str> {
    Some(match number {
        1 | 84 => "big5",
        2 | 9 | 21 | 27 | 77 => "latin2",
        3 | 69 => "dec8",
        4 | 80 => "cp850",
        5 | 8 | 15 | 31 | 47..=49 | 94 => "latin1",
        6 | 72 => "hp8",
        7 | 74 => "koi8r",
        10 | 82 => "swe7",
        11 | 65 => "ascii",
        12 | 91 => "ujis",
        13 | 88 => "sjis",
        14 | 23 | 50..=52 => "cp1251",
        16 | 71 => "hebrew",
        18 | 89 => "tis620",
        19 | 85 => "euckr",
        20 | 41..=42 | 79 => "latin7",
        22 | 75 => "koi8u",
        24 | 86 => "gb2312",
        25 | 70 => "greek",
        26 | 34 | 44 | 66 | 99 => "cp1250",
        28 | 87 => "gbk",
        29 | 58..=59 => "cp1257",
        30 | 78 => "latin5",
        32 | 64 => "armscii8",
        33 | 76 | 83 | 192..=215 | 223 | 576..=578 => "utf8mb3",
        35 | 90 | 128..=151 | 159 | 640..=642 => "ucs2",
        36 | 68 => "cp866",
        37 | 73 => "keybcs2",
        38 | 43 => "macce",
        39 | 53 => "macroman",
        40 | 81 => "cp852",
        45..=46
        | 224..=247
        | 255..=271
        | 273..=275
        | 277..=294
        | 296..=298
        | 300
        | 303..=323
        | 608..=610 => "utf8mb4",
        54..=55 | 101..=124 | 672..=674 => "utf16",
        56 | 62 => "utf16le",
        57 | 67 => "cp1256",
        60..=61 | 160..=183 | 736..=738 => "utf32",
        63 => "binary",
        92..=93 => "geostd8",
        95..=96 => "cp932",
        97..=98 => "eucjpms",
        248..=250 => "gb18030",
        2048..=2303 => "utf8mb3",
        2304..=2559 => "utf8mb4",
        2560..=2815 => "ucs2",
        2816..=3071 => "utf16",
        3072..=3327 => "utf32",
        _ => return None,
    })
}
