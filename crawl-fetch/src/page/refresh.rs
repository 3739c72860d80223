//! Where a `Refresh` leads.

/// The URL in a `meta` refresh ("shared declarative refresh steps").
pub fn target(content: &str) -> Option<String> {
    let space = |c: char| c.is_ascii_whitespace();
    let rest = content.trim_start_matches(space);
    let after_time = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    if after_time.len() == rest.len() && !rest.starts_with('.') {
        return None;
    }
    let rest = after_time.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    if !rest.starts_with(|c: char| c == ';' || c == ',' || space(c)) {
        return None;
    }
    let rest = rest.trim_start_matches(space);
    let rest = rest.strip_prefix([';', ',']).unwrap_or(rest);
    let rest = rest.trim_start_matches(space);
    let named = rest
        .get(..3)
        .filter(|word| word.eq_ignore_ascii_case("url"));
    let value = named.and_then(|_| rest[3..].trim_start_matches(space).strip_prefix('='));
    let value = value.unwrap_or(rest).trim_start_matches(space);
    let target = match value.chars().next()? {
        quote @ ('"' | '\'') => value[1..].split(quote).next()?,
        _ => value,
    };
    Some(target.to_owned())
}
