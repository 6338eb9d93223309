//! Statements of a text, one by one.

use super::statement::{self, Statement};
use super::tokens::{MAX_TOKENS, Reading, Token, Tokens};

/// Words that begin what is read; all else is passed over without being kept.
const READ: &[&str] = &["CREATE", "ALTER", "DROP", "RENAME", "TRUNCATE", "USE"];

/// The one statement of an event, and its words.
pub(super) fn single(text: &str, reading: Reading) -> Statement {
    let mut tokens = Tokens::new(text, reading);
    let mut words = Vec::new();
    while let Some(token) = tokens.next_token() {
        if token == Token::Delimiter {
            break;
        }
        if words.len() >= MAX_TOKENS {
            break;
        }
        words.push(token);
    }
    statement::parse(&words, false)
}

/// The statements of a file. Between them may stand what is none, as in a listing of
/// `SHOW CREATE TABLE`: there a statement ends where the next one begins.
pub(super) struct Statements<'a> {
    tokens: Tokens<'a>,
    /// Already taken: the word with which a statement begins.
    first: Option<Token<'a>>,
}

impl<'a> Statements<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        let reading = Reading { backslashes: true, is_file: true };
        Self { tokens: Tokens::new(text, reading), first: None }
    }

    /// The words of the next statement that is read here.
    fn next_words(&mut self) -> Option<Vec<Token<'a>>> {
        loop {
            let first = self.find_first()?;
            let mut words = vec![first];
            // A heading of a listing may begin as a statement does; no definition follows it.
            let (groups, ends_at_next) = self.collect(&mut words);
            if groups > 0 || !ends_at_next {
                return Some(words);
            }
        }
    }

    /// Takes the words of a statement. Returns how many parentheses are closed in it, and whether it
    /// ends where the next one begins.
    fn collect(&mut self, words: &mut Vec<Token<'a>>) -> (usize, bool) {
        let (mut depth, mut groups) = (0_usize, 0_usize);
        while let Some(token) = self.tokens.next_token() {
            match &token {
                Token::Delimiter => break,
                Token::Symbol(b'(') => depth = depth.saturating_add(1),
                Token::Symbol(b')') => {
                    depth = depth.saturating_sub(1);
                    groups = groups.saturating_add(1);
                }
                Token::Word(word) if depth == 0 && is_table(words) && self.begins_table(word) => {
                    self.first = Some(token);
                    return (groups, true);
                }
                _ => {}
            }
            if words.len() < MAX_TOKENS {
                words.push(token);
            }
        }
        (groups, false)
    }

    /// The first word of the next statement that is read here.
    fn find_first(&mut self) -> Option<Token<'a>> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        let mut is_first = true;
        loop {
            let token = self.tokens.next_token()?;
            match &token {
                Token::Delimiter => is_first = true,
                Token::Word(word) if is_first && word.eq_ignore_ascii_case("DELIMITER") => {
                    self.tokens.take_delimiter();
                }
                Token::Word(word) => {
                    let is_read = READ.iter().any(|read| read.eq_ignore_ascii_case(word));
                    if is_first && is_read || self.begins_table(word) {
                        return Some(token);
                    }
                    is_first = false;
                }
                _ => is_first = false,
            }
        }
    }

    /// Whether `CREATE TABLE` and a name stand here, whatever stood before.
    fn begins_table(&self, word: &str) -> bool {
        if !is_create(word) {
            return false;
        }
        let mut ahead = self.tokens.clone();
        let is_table = matches!(ahead.next_token(), Some(Token::Word(word))
            if word.eq_ignore_ascii_case("TABLE"));
        is_table
            && matches!(
                ahead.next_token(),
                Some(Token::Word(_) | Token::Name(_) | Token::Quoted(_))
            )
    }
}

impl Iterator for Statements<'_> {
    type Item = Statement;

    fn next(&mut self) -> Option<Statement> {
        self.next_words().map(|words| statement::parse(&words, true))
    }
}

fn is_create(word: &str) -> bool {
    word.eq_ignore_ascii_case("CREATE")
}

fn is_table(words: &[Token<'_>]) -> bool {
    matches!(words, [Token::Word(create), Token::Word(table), ..]
        if is_create(create) && table.eq_ignore_ascii_case("TABLE"))
}
