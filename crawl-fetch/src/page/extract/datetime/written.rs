//! Dates in words and numbers: "15. März 2024, 10:30 Uhr", "24/02/2024".

use jiff::ToSpan;
use jiff::civil::{Date, DateTime, Time};

use super::language::{Meaning, Order};
use super::moment::Moment;
use super::time::Clock;
use super::token::DateToken;

/// A number of a date, and the mark between it and the number before, if nothing else stands there.
#[derive(Debug, Clone, Copy)]
struct DateNumber<'a> {
    digits: &'a str,
    is_ordinal: bool,
    mark: Option<char>,
}

impl DateNumber<'_> {
    fn is_year(&self) -> bool {
        self.digits.len() == 4 && !self.is_ordinal
    }
}

/// Reads the tokens of a text, all of which must be of one date.
pub fn read(tokens: &[DateToken<'_>], order: Order, now: DateTime) -> Option<Moment> {
    let mut clock = Clock::default();
    let mut parts: Vec<DateNumber<'_>> = Vec::new();
    let (mut month, mut weekday) = (None, None);
    // In Spanish `mar` may be March or Tuesday: where another word is the month it is the day.
    let sure = |token: &DateToken<'_>| month_of(token).is_some() && weekday_of(token).is_none();
    let has_sure = tokens.iter().any(sure);
    let mut at = 0;
    let mut mark = None;
    while at < tokens.len() {
        match clock.take(&tokens[at..]).ok()? {
            0 => {}
            count => {
                at += count;
                mark = None;
                continue;
            }
        }
        let token = &tokens[at];
        match *token {
            DateToken::Number { digits, is_ordinal } => {
                parts.push(DateNumber {
                    digits,
                    is_ordinal,
                    mark,
                });
                mark = Some(' ');
            }
            DateToken::Mark(found) => {
                if mark.is_some() {
                    mark = Some(found);
                }
            }
            // The Japanese "日" behind a number is no Sunday.
            DateToken::Word(meanings)
                if at > 0
                    && matches!(tokens[at - 1], DateToken::Number { .. })
                    && month_of(token).is_none()
                    && meanings.contains(&Meaning::Nothing) =>
            {
                mark = None;
            }
            DateToken::Word(meanings) => {
                mark = None;
                if let Some(found) = month_of(token)
                    && (sure(token) || !has_sure)
                    && month.is_none_or(|_| weekday_of(token).is_none())
                {
                    if month.replace(found).is_some() {
                        return None;
                    }
                } else if let Some(found) = weekday_of(token) {
                    if weekday.replace(found).is_some() {
                        return None;
                    }
                } else if !meanings.contains(&Meaning::Nothing) {
                    return None;
                }
            }
            DateToken::Clock(_) | DateToken::Zone(_) => return None,
        }
        at += 1;
    }
    let date = match month {
        Some(month) => with_month(&parts, month, order, now)?,
        None if parts.is_empty() => without_date(weekday, clock, now)?,
        None => of_numbers(&parts, order)?,
    };
    let time = date.to_datetime(clock.time.unwrap_or(Time::midnight()));
    Some(Moment {
        time,
        offset: clock.offset,
    })
}

fn month_of(token: &DateToken<'_>) -> Option<i8> {
    let DateToken::Word(meanings) = token else {
        return None;
    };
    meanings.iter().find_map(|meaning| match meaning {
        Meaning::Month(month) => Some(*month),
        _ => None,
    })
}

fn weekday_of(token: &DateToken<'_>) -> Option<i8> {
    let DateToken::Word(meanings) = token else {
        return None;
    };
    meanings.iter().find_map(|meaning| match meaning {
        Meaning::Weekday(day) => Some(*day),
        _ => None,
    })
}

fn with_month(parts: &[DateNumber<'_>], month: i8, order: Order, now: DateTime) -> Option<Date> {
    match parts {
        [year] if year.is_year() => date(year.digits, month, "1"),
        [day] if day.digits.len() <= 2 => {
            Date::new(now.year(), month, day.digits.parse().ok()?).ok()
        }
        // "13-14 July" is from one day to another.
        [first, second] if !first.is_year() && !second.is_year() => {
            if matches!(second.mark, Some('-' | '/')) || second.is_ordinal {
                return None;
            }
            match order {
                Order::Ymd if !first.is_ordinal => date(first.digits, month, second.digits)
                    .or_else(|| date(second.digits, month, first.digits)),
                _ => date(second.digits, month, first.digits),
            }
        }
        [year, day] if year.is_year() => date(year.digits, month, day.digits),
        [day, year] => date(year.digits, month, day.digits),
        _ => None,
    }
}

fn of_numbers(parts: &[DateNumber<'_>], order: Order) -> Option<Date> {
    if let [one] = parts
        && one.digits.len() == 8
    {
        let (year, rest) = one.digits.split_at(4);
        return date(year, rest[..2].parse().ok()?, &rest[2..]);
    }
    let number = |part: &DateNumber<'_>| part.digits.parse::<i8>().ok();
    if let [first, second] = parts {
        // "2024-03", "03/2024"; the month of a span of years is none.
        let is_joined = matches!(second.mark, Some('-' | '/' | '.'));
        return match (first.is_year(), second.is_year()) {
            (true, false) if is_joined => date(first.digits, number(second)?, "1"),
            (false, true) if is_joined => date(second.digits, number(first)?, "1"),
            _ => None,
        };
    }
    let [first, second, third] = parts else {
        return None;
    };
    if first.is_year() {
        return date(first.digits, number(second)?, third.digits);
    }
    let is_dotted = second.mark == Some('.');
    let month_first = || date(third.digits, number(first)?, second.digits);
    let day_first = || date(third.digits, number(second)?, first.digits);
    let year_first = || date(first.digits, number(second)?, third.digits);
    match order {
        Order::Ymd if !third.is_year() => year_first().or_else(day_first),
        Order::Mdy if !is_dotted => month_first().or_else(day_first),
        _ => day_first().or_else(month_first),
    }
}

/// The last day of this name, or today.
fn without_date(weekday: Option<i8>, clock: Clock, now: DateTime) -> Option<Date> {
    match weekday {
        Some(day) => {
            let today = now.date().weekday().to_monday_one_offset();
            let back = (i64::from(today) - i64::from(day)).rem_euclid(7);
            now.date().checked_sub(back.days()).ok()
        }
        None => clock.time.map(|_| now.date()),
    }
}

fn date(year: &str, month: i8, day: &str) -> Option<Date> {
    let year: i16 = match (year.len(), year.parse().ok()?) {
        (4, year) => year,
        (2, year @ 0..=68) => 2000 + year,
        (2, year) => 1900 + year,
        _ => return None,
    };
    Date::new(year, month, day.parse().ok()?).ok()
}
