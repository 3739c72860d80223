//! Headers that a user sets: what could not be sent is refused before anything begins.

/// A header line as it is sent, `Name: value`.
///
/// # Errors
/// No server could read it; crawl-fetch would refuse it.
pub fn header(text: &str) -> Result<String, String> {
    let name = text
        .split_once(':')
        .map(|(name, _)| name)
        .unwrap_or_default();
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(token) || text.chars().any(char::is_control) {
        return Err("expected 'Name: value'".into());
    }
    Ok(text.to_owned())
}

/// What may be sent as a User-Agent.
pub fn is_user_agent(text: &str) -> bool {
    !text.trim().is_empty() && text.bytes().all(|b| (0x20..0x7f).contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_no_server_could_read_are_refused() {
        assert!(header("Accept-Language: de").is_ok());
        assert!(header("X-Empty:").is_ok());
        for bad in ["", "no colon", ": x", "a b: c", "A: b\r\nC: d"] {
            assert!(header(bad).is_err(), "{bad}");
        }
    }
}
