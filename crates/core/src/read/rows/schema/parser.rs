//! Steps through the words of one statement. Nothing here calls itself: what nests is counted.

use super::tokens::Token;

/// A statement is none that this module can follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NotUnderstood {
    /// The words at which it ends to be understood; shortened.
    pub(super) near: String,
}

/// A table's name in a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    /// The database, if it is named.
    pub(super) database: Option<String>,
    pub(super) table: String,
}

/// A place among the words of a statement.
#[derive(Debug, Clone)]
pub(super) struct Parser<'t, 'a> {
    tokens: &'t [Token<'a>],
    at: usize,
}

impl<'t, 'a> Parser<'t, 'a> {
    pub(super) const fn new(tokens: &'t [Token<'a>]) -> Self {
        Self { tokens, at: 0 }
    }

    pub(super) fn peek(&self) -> Option<&'t Token<'a>> {
        self.tokens.get(self.at)
    }

    fn peek_at(&self, ahead: usize) -> Option<&'t Token<'a>> {
        self.tokens.get(self.at.checked_add(ahead)?)
    }

    pub(super) const fn skip(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.peek().is_none()
    }

    /// The word at this place, whatever it is.
    pub(super) fn take_word(&mut self) -> Option<&'a str> {
        let Some(Token::Word(word)) = self.peek() else {
            return None;
        };
        self.skip();
        Some(word)
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        self.is_word_at(0, word)
    }

    fn is_word_at(&self, ahead: usize, word: &str) -> bool {
        matches!(self.peek_at(ahead), Some(Token::Word(found)) if found.eq_ignore_ascii_case(word))
    }

    /// Whether these words come next.
    pub(super) fn are_words(&self, words: &[&str]) -> bool {
        let mut each = words.iter().enumerate();
        each.all(|(ahead, word)| self.is_word_at(ahead, word))
    }

    /// Passes over a word, if it comes next.
    pub(super) fn word(&mut self, word: &str) -> bool {
        self.words(&[word])
    }

    /// Passes over these words, if all of them come next.
    pub(super) fn words(&mut self, words: &[&str]) -> bool {
        let are_next = self.are_words(words);
        if are_next {
            self.at = self.at.saturating_add(words.len());
        }
        are_next
    }

    /// Passes over one of these words, if it comes next.
    pub(super) fn one_of(&mut self, words: &[&str]) -> bool {
        words.iter().any(|word| self.word(word))
    }

    pub(super) fn is_symbol(&self, symbol: u8) -> bool {
        self.peek() == Some(&Token::Symbol(symbol))
    }

    pub(super) fn symbol(&mut self, symbol: u8) -> bool {
        let is_next = self.is_symbol(symbol);
        if is_next {
            self.skip();
        }
        is_next
    }

    /// A name, with quotes or without.
    pub(super) fn name(&mut self) -> Result<String, NotUnderstood> {
        let name = match self.peek() {
            Some(Token::Word(name)) => (*name).to_owned(),
            Some(Token::Name(name) | Token::Quoted(name)) => name.clone().into_owned(),
            _ => return Err(self.not_understood()),
        };
        // What could not be read is not what the server calls it.
        if name.is_empty() || name.contains(char::REPLACEMENT_CHARACTER) {
            return Err(self.not_understood());
        }
        self.skip();
        Ok(name)
    }

    /// `table` or `database.table`.
    pub(super) fn table(&mut self) -> Result<Named, NotUnderstood> {
        let first = self.name()?;
        if !self.symbol(b'.') {
            return Ok(Named { database: None, table: first });
        }
        Ok(Named { database: Some(first), table: self.name()? })
    }

    /// A text in quotes of either kind.
    pub(super) fn text(&mut self) -> Option<String> {
        let (Token::Text(text) | Token::Quoted(text)) = self.peek()? else {
            return None;
        };
        self.skip();
        Some(text.clone().into_owned())
    }

    pub(super) fn number(&mut self) -> Option<u32> {
        let Some(Token::Word(word)) = self.peek() else {
            return None;
        };
        let number = word.parse().ok()?;
        self.skip();
        Some(number)
    }

    /// Passes over what stands in parentheses here, if anything does, however deep it nests.
    pub(super) fn group(&mut self) -> bool {
        if !self.is_symbol(b'(') {
            return false;
        }
        let mut depth = 0_usize;
        while let Some(token) = self.peek() {
            self.skip();
            match token {
                Token::Symbol(b'(') => depth = depth.saturating_add(1),
                Token::Symbol(b')') => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
        true
    }

    /// Passes over all up to the next comma or closing parenthesis of this depth.
    pub(super) fn skip_item(&mut self) {
        while let Some(token) = self.peek() {
            match token {
                Token::Symbol(b',' | b')') => return,
                Token::Symbol(b'(') => {
                    self.group();
                }
                _ => self.skip(),
            }
        }
    }

    /// Passes over one value: a literal with its sign or introducer, a function with its
    /// arguments, or what stands in parentheses.
    pub(super) fn value(&mut self) {
        let _ = self.symbol(b'-') || self.symbol(b'+') || self.symbol(b'@') && self.symbol(b'@');
        if self.group() {
            return;
        }
        if self.words(&["NEXT", "VALUE", "FOR"]) {
            let _ = self.table();
            return;
        }
        let is_word = matches!(self.peek(), Some(Token::Word(_) | Token::Name(_)));
        self.skip();
        if !is_word {
            return;
        }
        // `1.5`, `schema.function(…)`, `_utf8mb4'text'`, `x'00'`, `now(6)`.
        if self.symbol(b'.') && matches!(self.peek(), Some(Token::Word(_) | Token::Name(_))) {
            self.skip();
        }
        if matches!(self.peek(), Some(Token::Text(_))) {
            self.skip();
        } else {
            self.group();
        }
    }

    /// `name [=] value` of a table, a key or a column.
    pub(super) fn assigned(&mut self) {
        self.symbol(b'=');
        self.value();
    }

    pub(super) fn not_understood(&self) -> NotUnderstood {
        const MOST: usize = 40;
        let mut near = String::new();
        for token in self.tokens.iter().skip(self.at).take(4) {
            let word = match token {
                Token::Word(word) => (*word).to_owned(),
                Token::Name(name) => format!("`{name}`"),
                Token::Text(text) => format!("'{text}'"),
                Token::Quoted(text) => format!("\"{text}\""),
                Token::Symbol(byte) => char::from(*byte).to_string(),
                Token::Delimiter => ";".to_owned(),
            };
            if !near.is_empty() {
                near.push(' ');
            }
            near.extend(word.chars().take(MOST));
        }
        NotUnderstood { near }
    }
}
