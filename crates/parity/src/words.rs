//! What a report says of a side in words of its own, such as `a list`. They are another type than the values
//! of a side, so a value is always masked and a word of the report never is.

/// A description of one side of a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words(Vec<Word>);

/// A piece of it. Only [`Word::Name`] comes from a side, and the mask decides whether it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Ours(&'static str),
    Count(usize),
    /// The name of a member of an answer.
    Name(String),
}

impl From<&'static str> for Words {
    fn from(ours: &'static str) -> Words {
        Words(vec![Word::Ours(ours)])
    }
}

impl Words {
    pub(crate) fn count(count: usize) -> Words {
        Words(vec![Word::Count(count)])
    }

    /// Names of members behind a word.
    pub(crate) fn names(before: &'static str, names: &[String]) -> Words {
        let mut words = vec![Word::Ours(before)];
        for (place, name) in names.iter().enumerate() {
            if place > 0 {
                words.push(Word::Ours(", "));
            }
            words.push(Word::Name(name.clone()));
        }
        Words(words)
    }

    pub(crate) fn and(mut self, ours: &'static str) -> Words {
        self.0.push(Word::Ours(ours));
        self
    }

    /// The text, with each name as `name` shows it.
    pub(crate) fn text(&self, name: impl Fn(&str) -> String) -> String {
        let word = |word: &Word| match word {
            Word::Ours(ours) => (*ours).to_owned(),
            Word::Count(count) => count.to_string(),
            Word::Name(known) => name(known),
        };
        self.0.iter().map(word).collect()
    }
}
