//! The time of the day in a text.

use jiff::civil::Time;
use jiff::tz::Offset;

use super::language::{Meaning, Unit};
use super::token::DateToken;

/// The time of a text, of which there is at most one, and its zone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    /// When it is said.
    pub time: Option<Time>,
    /// When it is said.
    pub offset: Option<Offset>,
}

impl Clock {
    /// Takes what says the time of the day off the front of `tokens`: how many that were, none
    /// when nothing does, and an error when it says a second time.
    pub fn take(&mut self, tokens: &[DateToken<'_>]) -> Result<usize, ()> {
        if let Some(DateToken::Zone(offset)) = tokens.first() {
            // "GMT+0100", "+0100 (CET)": the first number tells, the name goes with it.
            let offset = match tokens.get(1) {
                Some(DateToken::Zone(more)) if *offset == Offset::UTC => more,
                _ => offset,
            };
            self.offset.get_or_insert(*offset);
            let more = matches!(tokens.get(1), Some(DateToken::Zone(_)));
            return Ok(1 + usize::from(more));
        }
        // The French "à" is no half of a day.
        let is_sure = |token: &&DateToken<'_>| !token.may_be(Meaning::Nothing);
        let before = half(tokens.first().filter(is_sure));
        let at = usize::from(before.is_some());
        let Some((time, count)) = plain_time(&tokens[at..]) else {
            return Ok(0);
        };
        let mut count = at + count;
        let after = half(tokens.get(count)).filter(|_| before.is_none());
        count += usize::from(after.is_some());
        let time = match before.or(after) {
            None => time,
            Some(is_pm) => in_half(time, is_pm)?,
        };
        match self.time.replace(time) {
            None => Ok(count),
            Some(_) => Err(()),
        }
    }
}

/// Whether a word says the second half of the day.
fn half(token: Option<&DateToken<'_>>) -> Option<bool> {
    let token = token?;
    match (token.may_be(Meaning::Am), token.may_be(Meaning::Pm)) {
        (false, false) => None,
        (_, is_pm) => Some(is_pm),
    }
}

fn in_half(time: Time, is_pm: bool) -> Result<Time, ()> {
    let hour = match (time.hour(), is_pm) {
        (12, false) => 0,
        (12, true) => 12,
        (hour @ 0..12, true) => hour + 12,
        (hour, _) => hour,
    };
    time.with().hour(hour).build().map_err(drop)
}

/// `18:11`, `18 h 11`, `noon`, and a number of hours where the half of the day is said.
fn plain_time(tokens: &[DateToken<'_>]) -> Option<(Time, usize)> {
    match *tokens.first()? {
        DateToken::Clock(time) => {
            let more = tokens
                .get(1)
                .is_some_and(|token| token.may_be(Meaning::Hours));
            return Some((time, 1 + usize::from(more)));
        }
        DateToken::Word(meanings) => {
            let hour = meanings.iter().find_map(|meaning| match meaning {
                Meaning::Hour(hour) => Some(*hour),
                _ => None,
            })?;
            return Some((Time::new(hour, 0, 0, 0).ok()?, 1));
        }
        _ => {}
    }
    let hour = tokens[0].number().filter(|hour| *hour < 24)?;
    let is = |at: usize, meaning| {
        let unit = match meaning {
            Meaning::Hours => Unit::Hour,
            Meaning::Minutes => Unit::Minute,
            _ => Unit::Second,
        };
        let token = tokens.get(at);
        token.is_some_and(|token| token.may_be(meaning) || token.may_be(Meaning::Unit(unit)))
    };
    let mut at = 1;
    let mut parts = [0i64; 2];
    if is(at, Meaning::Hours) {
        at += 1;
        for (part, name) in parts.iter_mut().zip([Meaning::Minutes, Meaning::Seconds]) {
            let Some(number) = tokens
                .get(at)
                .and_then(DateToken::number)
                .filter(|n| *n < 60)
            else {
                break;
            };
            let is_named = is(at + 1, name);
            // "18h11", and not the day in "18h 5 mars".
            let is_bare =
                matches!(tokens[at], DateToken::Number { digits, .. } if digits.len() == 2);
            let is_minutes = is_bare && name == Meaning::Minutes;
            if !is_named && !is_minutes {
                break;
            }
            *part = number;
            at += 1 + usize::from(is_named);
        }
    } else {
        // "9日 上午 02:26" is not at 9.
        let is_taken = matches!(tokens.get(at + 1), Some(DateToken::Clock(_)));
        if half(tokens.get(at)).is_none() || is_taken {
            return None;
        }
    }
    let [hour, minute, second] = [hour, parts[0], parts[1]].map(|part| i8::try_from(part).ok());
    Some((Time::new(hour?, minute?, second?, 0).ok()?, at))
}
