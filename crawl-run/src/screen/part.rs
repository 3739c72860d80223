//! Pieces of a line, of which the least worthy give way where there is little room.

/// What a piece says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// How it goes.
    Plain,
    /// That something failed: red.
    Failure,
    /// That something waits: yellow.
    Wait,
}

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its words.
    pub text: String,
    /// What they say.
    pub tone: Tone,
    /// Of two parts the one with the lower number gives way.
    pub worth: u8,
}

impl Part {
    /// A part that is worth so much.
    pub fn new(worth: u8, text: impl Into<String>) -> Part {
        let (text, tone) = (text.into(), Tone::Plain);
        Part { text, tone, worth }
    }

    /// The same in another tone.
    pub fn toned(self, tone: Tone) -> Part {
        Part { tone, ..self }
    }
}

/// Parts in one line, all of them.
pub fn joined(parts: &[Part]) -> String {
    let texts: Vec<&str> = parts.iter().map(|part| part.text.as_str()).collect();
    texts.join(SEPARATOR)
}

const SEPARATOR: &str = ", ";

/// As many of the parts as fit into so many columns, the worthiest first, in their order. The
/// worthiest of all is there, and cut when it does not fit.
pub fn fitted(parts: &[Part], width: usize, colour: bool) -> String {
    let mut by_worth: Vec<usize> = (0..parts.len()).collect();
    by_worth.sort_by_key(|at| std::cmp::Reverse(parts[*at].worth));
    let mut kept = vec![false; parts.len()];
    let mut used = 0;
    for at in by_worth {
        let gap = if used > 0 { SEPARATOR.len() } else { 0 };
        let needed = gap + columns(&parts[at].text);
        if used == 0 || used + needed <= width {
            kept[at] = true;
            used += needed;
        }
    }
    let kept = parts.iter().zip(kept).filter(|(_, kept)| *kept);
    let painted = kept.map(|(part, _)| painted(&cut(&part.text, width), part.tone, colour));
    painted.collect::<Vec<_>>().join(SEPARATOR)
}

/// How many columns a text takes.
pub fn columns(text: &str) -> usize {
    text.chars().count()
}

/// The begin of a text in at most so many columns; `…` stands for what is missing.
pub fn cut(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let begin = text.chars().take(width.saturating_sub(1));
    begin.chain((width > 0).then_some('…')).collect()
}

/// A text in the colour of its tone.
pub fn painted(text: &str, tone: Tone, colour: bool) -> String {
    let code = match tone {
        Tone::Failure if colour => "31",
        Tone::Wait if colour => "33",
        _ => return text.to_owned(),
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts() -> Vec<Part> {
        vec![
            Part::new(9, "10 done"),
            Part::new(8, "20 pending"),
            Part::new(2, "20s"),
            Part::new(7, "1 error").toned(Tone::Failure),
        ]
    }

    #[test]
    fn whole_parts_give_way_in_order_of_their_worth() {
        let at = |width| fitted(&parts(), width, false);
        assert_eq!(at(33), "10 done, 20 pending, 20s, 1 error");
        assert_eq!(at(32), "10 done, 20 pending, 1 error");
        // What is worth less may be shorter.
        assert_eq!(at(27), "10 done, 20 pending, 20s");
        assert_eq!(at(23), "10 done, 20 pending");
        assert_eq!(at(11), "10 done");
        assert_eq!(at(5), "10 d…");
        assert_eq!(at(0), "");
        assert_eq!(joined(&parts()), at(200));
    }

    #[test]
    fn colours_take_no_room() {
        assert_eq!(
            fitted(&parts(), 28, true),
            "10 done, 20 pending, \x1b[31m1 error\x1b[0m"
        );
    }
}
