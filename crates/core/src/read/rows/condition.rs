//! Conditions on the values of a row: `id = 7 AND name LIKE 'a%'`.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::str::FromStr;

use super::render;
use crate::event::rows::charset::Charset;
use crate::event::rows::reader::Row;
use crate::event::rows::table::{Column, Table};
use crate::event::rows::value::{Image, Value};
use crate::read::wild::Pattern;

/// One comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// The column, by its name or as `@n`.
    pub column: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    IsNull(bool),
    Like(Pattern, bool),
    Compare(Comparison, Literal),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, PartialEq)]
enum Literal {
    Text(String),
    Bytes(Vec<u8>),
    Number(String),
}

/// Why a text is no condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{found:?}: a condition is COLUMN =, !=, <, >, <= or >= VALUE, COLUMN [NOT] LIKE 'PATTERN', or COLUMN IS [NOT] NULL, several joined by AND; texts stand in single quotes"
)]
pub struct ConditionError {
    found: String,
}

/// Conditions all of which a row must meet, in its image before or in that after.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Conditions(pub Vec<Condition>);

impl FromStr for Conditions {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Self, ConditionError> {
        let tokens = tokens(text)?;
        let mut rest = tokens.as_slice();
        let mut conditions = Vec::new();
        loop {
            let (condition, behind) =
                one(rest).ok_or_else(|| ConditionError { found: text.to_owned() })?;
            conditions.push(condition);
            match behind {
                [] => return Ok(Self(conditions)),
                [and, more @ ..] if and.is_word("AND") => rest = more,
                _ => {
                    return Err(ConditionError { found: text.to_owned() });
                }
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    /// A name or a keyword as it is written.
    Word(String),
    /// A name in backticks.
    Name(String),
    Text(String),
    Bytes(Vec<u8>),
    Number(String),
    Sign(Comparison),
}

impl Token {
    fn is_word(&self, word: &str) -> bool {
        matches!(self, Self::Word(own) if own.eq_ignore_ascii_case(word))
    }
}

fn one(tokens: &[Token]) -> Option<(Condition, &[Token])> {
    let (column, rest) = match tokens.split_first()? {
        (Token::Word(name) | Token::Name(name), rest) => (name.clone(), rest),
        _ => return None,
    };
    let (test, rest) = match rest {
        [is, not, null, rest @ ..]
            if is.is_word("IS") && not.is_word("NOT") && null.is_word("NULL") =>
        {
            (Test::IsNull(false), rest)
        }
        [is, null, rest @ ..] if is.is_word("IS") && null.is_word("NULL") => {
            (Test::IsNull(true), rest)
        }
        [not, like, Token::Text(text), rest @ ..] if not.is_word("NOT") && like.is_word("LIKE") => {
            (Test::Like(Pattern::like(text), false), rest)
        }
        [like, Token::Text(text), rest @ ..] if like.is_word("LIKE") => {
            (Test::Like(Pattern::like(text), true), rest)
        }
        [Token::Sign(sign), value, rest @ ..] => (Test::Compare(*sign, value_of(value)?), rest),
        _ => return None,
    };
    Some((Condition { column, test }, rest))
}

fn value_of(token: &Token) -> Option<Literal> {
    Some(match token {
        Token::Text(text) => Literal::Text(text.clone()),
        Token::Bytes(bytes) => Literal::Bytes(bytes.clone()),
        Token::Number(number) => Literal::Number(number.clone()),
        Token::Word(word) if word.eq_ignore_ascii_case("TRUE") => Literal::Number("1".to_owned()),
        Token::Word(word) if word.eq_ignore_ascii_case("FALSE") => Literal::Number("0".to_owned()),
        _ => return None,
    })
}

fn tokens(text: &str) -> Result<Vec<Token>, ConditionError> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (token, behind) =
            token(rest).ok_or_else(|| ConditionError { found: text.to_owned() })?;
        tokens.push(token);
        rest = behind.trim_start();
    }
    Ok(tokens)
}

fn token(text: &str) -> Option<(Token, &str)> {
    const SIGNS: [(&str, Comparison); 8] = [
        ("!=", Comparison::NotEqual),
        ("<>", Comparison::NotEqual),
        ("<=", Comparison::LessOrEqual),
        (">=", Comparison::GreaterOrEqual),
        ("==", Comparison::Equal),
        ("=", Comparison::Equal),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
    ];
    for (sign, comparison) in SIGNS {
        if let Some(rest) = text.strip_prefix(sign) {
            return Some((Token::Sign(comparison), rest));
        }
    }
    if let Some(rest) = text.strip_prefix('\'') {
        let (text, rest) = until_quote(rest, '\'')?;
        return Some((Token::Text(text), rest));
    }
    if let Some(rest) = text.strip_prefix('`') {
        let (name, rest) = until_quote(rest, '`')?;
        return Some((Token::Name(name), rest));
    }
    if let Some(rest) = text.strip_prefix("X'").or_else(|| text.strip_prefix("x'")) {
        let (digits, rest) = until_quote(rest, '\'')?;
        return Some((Token::Bytes(bytes_of(&digits)?), rest));
    }
    let is_end = |character: char| character.is_whitespace() || "=<>!'`".contains(character);
    let (word, rest) = text.split_at(text.find(is_end).unwrap_or(text.len()));
    let first = word.chars().next()?;
    let is_number = first.is_ascii_digit() || "-+.".contains(first);
    if is_number {
        word.parse::<f64>().ok()?;
        return Some((Token::Number(word.to_owned()), rest));
    }
    Some((Token::Word(word.to_owned()), rest))
}

/// A text up to its quote, which stands twice for itself; in texts `\` keeps its meaning for LIKE.
fn until_quote(text: &str, quote: char) -> Option<(String, &str)> {
    let mut found = String::new();
    let mut rest = text;
    loop {
        let at = rest.find(quote)?;
        found.push_str(rest.get(..at)?);
        rest = rest.get(at.checked_add(quote.len_utf8())?..)?;
        match rest.strip_prefix(quote) {
            Some(behind) => {
                found.push(quote);
                rest = behind;
            }
            None => return Some((found, rest)),
        }
    }
}

fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.iter().map(byte).collect()
}

/// Conditions on the columns of a table.
#[derive(Debug)]
pub(super) struct OfTable<'c>(Vec<(usize, &'c Condition)>);

impl Conditions {
    /// The conditions by the numbers of their columns, which are given in turn to `found`; `None`
    /// when the table has no such column.
    pub(super) fn of_table(&self, table: &Table) -> Option<OfTable<'_>> {
        let mut numbered = Vec::new();
        for condition in &self.0 {
            let number = table.column_number(condition.column.as_bytes())?;
            numbered.push((number, condition));
        }
        Some(OfTable(numbered))
    }
}

impl OfTable<'_> {
    /// Whether a row meets them all, before or after.
    pub(super) fn takes(&self, table: &Table, row: &Row<'_>) -> bool {
        let meets = |image: &Image<'_>| {
            !image.is_empty()
                && self.0.iter().all(|(index, condition)| {
                    let column = table.columns.get(*index);
                    let value = image.get(*index).and_then(Option::as_ref);
                    column
                        .zip(value)
                        .is_some_and(|(column, value)| condition.test.takes(value, column))
                })
        };
        self.0.is_empty() || meets(&row.before) || meets(&row.after)
    }
}

impl Test {
    fn takes(&self, value: &Value<'_>, column: &Column) -> bool {
        match self {
            Self::IsNull(wanted) => value.is_null() == *wanted,
            _ if value.is_null() => false,
            Self::Like(pattern, wanted) => pattern.fits(&text_of(value, column)) == *wanted,
            Self::Compare(comparison, literal) => {
                compare(value, column, literal).is_some_and(|order| comparison.takes(order))
                    || *comparison == Comparison::NotEqual
                        && compare(value, column, literal).is_none()
            }
        }
    }
}

impl Comparison {
    const fn takes(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// A value beside a literal, by the column's type; `None` where they cannot be compared.
fn compare(value: &Value<'_>, column: &Column, literal: &Literal) -> Option<Ordering> {
    let text = match literal {
        Literal::Bytes(bytes) => return Some(render::bytes(value).as_ref().cmp(bytes.as_slice())),
        Literal::Text(text) | Literal::Number(text) => text.as_str(),
    };
    let is_number = matches!(literal, Literal::Number(_));
    match value {
        Value::Float(own) => {
            let other = text.parse::<f64>().ok()?;
            // What is written 0.1 is the FLOAT nearest to it.
            let shortest = own.to_string().parse::<f64>().ok()?;
            shortest.partial_cmp(&other)
        }
        Value::Double(own) => own.partial_cmp(&text.parse::<f64>().ok()?),
        Value::Int(_) | Value::UInt(_) | Value::Decimal(_) | Value::Year(_) => {
            decimal_order(&render::plain(value, column), text)
        }
        Value::Bit { bits, .. } => decimal_order(&bits.to_string(), text),
        Value::Enum(number) if is_number => decimal_order(&number.to_string(), text),
        Value::Set(bits) if is_number => decimal_order(&bits.to_string(), text),
        Value::Date(_) | Value::DateTime(_) | Value::Timestamp(_) => {
            Some(moment(&render::plain(value, column)).cmp(&moment(text)))
        }
        Value::Time(own) => Some(own.micros_signed().cmp(&time_of(text)?)),
        _ => Some(text_of(value, column).as_ref().cmp(text)),
    }
}

/// What is beside a text: of BINARY, VARBINARY and BLOB their bytes, as servers compare them.
fn text_of<'v>(value: &'v Value<'_>, column: &Column) -> Cow<'v, str> {
    if let Value::Bytes(bytes) = value
        && column.charset == Charset::Binary
        && column.meaning.is_none()
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        return Cow::Borrowed(text);
    }
    render::plain(value, column)
}

/// A date or a time of a day in a form whose order is that of its characters.
fn moment(text: &str) -> String {
    let text = text.trim().replace('T', " ");
    let (day, time) = text.split_once(' ').unwrap_or((&text, "00:00:00"));
    let time =
        if time.contains('.') { time.trim_end_matches('0').trim_end_matches('.') } else { time };
    let seconds = if time.matches(':').count() == 1 { ":00" } else { "" };
    format!("{day} {time}{seconds}")
}

/// Microseconds of `[-]hh:mm[:ss[.ffffff]]`.
fn time_of(text: &str) -> Option<i64> {
    let (sign, text) =
        text.trim().strip_prefix('-').map_or((1_i64, text.trim()), |rest| (-1, rest));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut seconds = 0_i64;
    let mut parts = 0_u32;
    for part in whole.split(':') {
        seconds = seconds.checked_mul(60)?.checked_add(part.parse().ok()?)?;
        parts = parts.saturating_add(1);
    }
    let seconds = if parts == 2 { seconds.checked_mul(60)? } else { seconds };
    let micros: i64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    sign.checked_mul(seconds.checked_mul(1_000_000)?.checked_add(micros)?)
}

/// Two numbers in decimal digits, exactly; by their nearest DOUBLEs where one has an exponent.
fn decimal_order(own: &str, other: &str) -> Option<Ordering> {
    if other.contains(['e', 'E']) {
        return own.parse::<f64>().ok()?.partial_cmp(&other.parse().ok()?);
    }
    let (own, other) = (Digits::parse(own)?, Digits::parse(other)?);
    Some(own.cmp(&other))
}

struct Digits<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
}

impl<'a> Digits<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim();
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let text = text.strip_prefix('+').unwrap_or(text);
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        (is_digits(whole) && is_digits(fraction) && !text.is_empty()).then_some(())?;
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        Some(Self {
            negative: negative && !(whole.is_empty() && fraction.is_empty()),
            whole,
            fraction,
        })
    }

    fn cmp(&self, other: &Self) -> Ordering {
        let magnitude = |it: &Self| (it.whole.len(), it.whole.to_owned(), it.fraction.to_owned());
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => magnitude(self).cmp(&magnitude(other)),
            (true, true) => magnitude(other).cmp(&magnitude(self)),
        }
    }
}
