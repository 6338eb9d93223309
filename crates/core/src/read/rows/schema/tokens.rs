//! The words of SQL, as far as statements about tables need them: quoting, comments, and the
//! comments whose content counts (`/*!80023 … */`, `/*M!100616 … */`).
//!
//! Source: the servers' reference manuals, "Lexical Structure" and "Comments", and `sql_lex.cc`.

use std::borrow::Cow;

/// A statement of more words is none about tables: 4096 columns have fewer.
pub(super) const MAX_TOKENS: usize = 1 << 20;

/// The content of a comment that is for this version or a later one counts for no server; dumps of
/// MariaDB begin with such a one.
const NO_VERSION: u32 = 999_999;

/// One word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A keyword, a number, or a name without quotes.
    Word(&'a str),
    /// A name in backticks, without them.
    Name(Cow<'a, str>),
    /// A text in single quotes, without them.
    Text(Cow<'a, str>),
    /// In double quotes: a name with the SQL mode `ANSI_QUOTES`, a text otherwise.
    Quoted(Cow<'a, str>),
    /// Any other character.
    Symbol(u8),
    /// What ends a statement.
    Delimiter,
}

/// How a text is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    /// A backslash in quotes takes its meaning from the next character: not so with the SQL mode
    /// `NO_BACKSLASH_ESCAPES`.
    pub(super) backslashes: bool,
    /// The text is a file: it may name another delimiter, and `\n` between words is a line end, as
    /// `mysql --batch` prints it.
    pub(super) is_file: bool,
}

/// Goes through a text word by word.
#[derive(Debug, Clone)]
pub(super) struct Tokens<'a> {
    text: &'a str,
    at: usize,
    reading: Reading,
    /// Comments around this place whose content counts.
    versioned: usize,
    delimiter: Cow<'a, str>,
}

impl<'a> Tokens<'a> {
    pub(super) const fn new(text: &'a str, reading: Reading) -> Self {
        Self { text, at: 0, reading, versioned: 0, delimiter: Cow::Borrowed(";") }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        let at = self.at.checked_add(ahead)?;
        self.text.as_bytes().get(at).copied()
    }

    const fn skip(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes);
    }

    /// Takes the rest of the line as what ends statements from here on (`DELIMITER ;;`).
    pub(super) fn take_delimiter(&mut self) {
        let line = self.rest().lines().next().unwrap_or_default();
        let named = line.split_whitespace().next();
        self.skip(line.len());
        if let Some(named) = named {
            self.delimiter = Cow::Borrowed(named);
        }
    }

    /// The next word; `None` at the end of the text.
    pub(super) fn next_token(&mut self) -> Option<Token<'a>> {
        self.skip_blanks();
        // Clients see no delimiter in a comment, whether its content counts or not.
        if self.versioned == 0 && self.rest().starts_with(&*self.delimiter) {
            self.skip(self.delimiter.len());
            return Some(Token::Delimiter);
        }
        let token = match self.byte(0)? {
            b'`' => Token::Name(self.quoted(b'`')),
            b'\'' => Token::Text(self.quoted(b'\'')),
            b'"' => Token::Quoted(self.quoted(b'"')),
            byte if is_of_word(byte) => Token::Word(self.word()),
            byte => {
                self.skip(1);
                Token::Symbol(byte)
            }
        };
        Some(token)
    }

    /// Spaces, line ends and comments; and the marks of comments whose content counts.
    fn skip_blanks(&mut self) {
        loop {
            match (self.byte(0), self.byte(1)) {
                (Some(byte), _) if byte.is_ascii_whitespace() || byte == 0x0B => self.skip(1),
                (Some(b'\\'), Some(b'n' | b't')) if self.reading.is_file => self.skip(2),
                (Some(b'#'), _) => self.skip_line(),
                (Some(b'-'), Some(b'-')) if self.byte(2).is_none_or(is_blank) => self.skip_line(),
                (Some(b'/'), Some(b'*')) => self.comment(),
                (Some(b'*'), Some(b'/')) if self.versioned > 0 => {
                    self.versioned = self.versioned.saturating_sub(1);
                    self.skip(2);
                }
                _ => return,
            }
        }
    }

    fn skip_line(&mut self) {
        let rest = self.rest();
        self.skip(rest.find('\n').unwrap_or(rest.len()));
    }

    /// A comment: passed over, or entered if its content counts.
    fn comment(&mut self) {
        self.skip(2);
        let mark = match (self.byte(0), self.byte(1)) {
            (Some(b'!'), _) => 1,
            (Some(b'M'), Some(b'!')) => 2,
            _ => return self.skip_comment(),
        };
        self.skip(mark);
        let rest = self.rest().as_bytes();
        let digits = rest.iter().take(6).take_while(|it| it.is_ascii_digit());
        let digits = digits.count();
        // Five digits, or six; fewer are none.
        let digits = if digits < 5 { 0 } else { digits };
        let version = self.rest().get(..digits).and_then(|it| it.parse().ok());
        self.skip(digits);
        if version.is_some_and(|version: u32| version >= NO_VERSION) {
            self.skip_comment();
        } else {
            self.versioned = self.versioned.saturating_add(1);
        }
    }

    fn skip_comment(&mut self) {
        let rest = self.rest();
        self.skip(rest.find("*/").map_or(rest.len(), |end| end.saturating_add(2)));
    }

    fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest.bytes().position(|byte| !is_of_word(byte));
        let word = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        self.skip(word.len().max(1));
        word
    }

    /// What stands in quotes: a quote in it is doubled, or behind a backslash.
    fn quoted(&mut self, quote: u8) -> Cow<'a, str> {
        self.skip(1);
        let escapes = self.reading.backslashes && quote != b'`';
        let (start, mut changed) = (self.at, None::<String>);
        let mut copied = start;
        while let Some(byte) = self.byte(0) {
            let is_end = byte == quote && self.byte(1) != Some(quote);
            let is_special = byte == quote || byte == b'\\' && escapes;
            if is_end {
                break;
            }
            if is_special {
                let text = changed.get_or_insert_default();
                text.push_str(self.text.get(copied..self.at).unwrap_or_default());
                self.skip(1);
                let next = self.rest().chars().next();
                self.skip(next.map_or(0, char::len_utf8));
                text.extend(next.map(|next| if byte == quote { next } else { meaning(next) }));
                copied = self.at;
            } else {
                self.skip(1);
            }
        }
        let tail = self.text.get(copied..self.at).unwrap_or_default();
        self.skip(1);
        match changed {
            Some(mut text) => {
                text.push_str(tail);
                Cow::Owned(text)
            }
            None => Cow::Borrowed(tail),
        }
    }
}

/// What a character behind a backslash stands for.
const fn meaning(character: char) -> char {
    match character {
        '0' => '\0',
        'b' => '\x08',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'Z' => '\x1A',
        other => other,
    }
}

const fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80
}

const fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte.is_ascii_control()
}
