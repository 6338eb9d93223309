//! Patterns with signs for any characters: those of LIKE, and globs of names.

/// A sign of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    /// This character.
    One(char),
    /// Any character.
    Any,
    /// Any number of any characters.
    Many,
}

/// A pattern that a text fits or not, from its beginning to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Sign>);

impl Pattern {
    /// A pattern of LIKE: `%`, `_`, and `\` before one of these for itself.
    #[must_use]
    pub(super) fn like(text: &str) -> Self {
        Self::new(text, '%', '_')
    }

    /// A glob: `*` and `?`, and `\` before one of these for itself.
    #[must_use]
    pub(super) fn glob(text: &str) -> Self {
        Self::new(text, '*', '?')
    }

    fn new(text: &str, many: char, any: char) -> Self {
        let mut signs = Vec::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            signs.push(match character {
                '\\' => Sign::One(characters.next().unwrap_or('\\')),
                sign if sign == many => Sign::Many,
                sign if sign == any => Sign::Any,
                other => Sign::One(other),
            });
        }
        Self(signs)
    }

    /// Whether a text fits. Takes at most the product of both lengths.
    #[must_use]
    pub(super) fn fits(&self, text: &str) -> bool {
        let mut pattern = self.0.as_slice();
        let mut rest = text.chars();
        // Where to go on if the last `Many` takes one character more.
        let mut retry: Option<(&[Sign], std::str::Chars<'_>)> = None;
        loop {
            match pattern.split_first() {
                Some((Sign::Many, behind)) => {
                    retry = Some((behind, rest.clone()));
                    pattern = behind;
                    continue;
                }
                Some((sign, behind)) => {
                    let next = rest.next();
                    let fits =
                        next.is_some_and(|next| *sign == Sign::Any || *sign == Sign::One(next));
                    if fits {
                        pattern = behind;
                        continue;
                    }
                    if next.is_none() {
                        return false;
                    }
                }
                None if rest.as_str().is_empty() => return true,
                None => {}
            }
            let Some((behind, from)) = &mut retry else {
                return false;
            };
            if from.next().is_none() {
                return false;
            }
            (pattern, rest) = (behind, from.clone());
        }
    }
}
