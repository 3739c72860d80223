//! What a page says of itself, in whatever way.

/// What a page says of itself in one way.
#[derive(Debug, Default)]
pub struct Claims {
    pub title: Option<String>,
    /// Its text.
    pub content: Option<String>,
    /// Who wrote it.
    pub author: Option<String>,
    /// When, the surest first.
    pub published: Vec<String>,
}

impl Claims {
    /// Takes over what it does not say itself.
    pub fn fill(&mut self, other: Claims) {
        self.title = self.title.take().or(other.title);
        self.content = self.content.take().or(other.content);
        self.author = self.author.take().or(other.author);
        self.published.extend(other.published);
    }
}

/// A text without blanks around it, if there is one.
pub fn filled(text: &str) -> Option<String> {
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Where authors are written with a link to them in place of a name.
pub fn is_link(name: &str) -> bool {
    name.starts_with("http://") || name.starts_with("https://") || name.starts_with('/')
}

/// Names as one line, each once, without a "by" before them.
pub fn joined(names: impl IntoIterator<Item = String>) -> Option<String> {
    let mut all: Vec<String> = Vec::new();
    for name in names {
        let words: Vec<&str> = name.split_whitespace().collect();
        let words = match words.split_first() {
            Some((first, rest)) if first.trim_end_matches(':').eq_ignore_ascii_case("by") => rest,
            _ => &words,
        };
        let name = words.join(" ");
        if !name.is_empty() && !all.contains(&name) {
            all.push(name);
        }
    }
    filled(&all.join(", "))
}
