//! Cookies in Netscape's format, the `cookies.txt` that curl, wget and browsers write.

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cookie {
    /// In lower case, without a dot before it.
    pub domain: String,
    /// It goes to the hosts below the domain, too.
    pub subdomains: bool,
    /// It goes to this path and those below it.
    pub path: String,
    /// It goes over https only.
    pub secure: bool,
    /// Seconds since 1970; 0 means until the session ends, so always.
    pub expires: u64,
    /// `name=value`, without control characters.
    pub pair: String,
}

/// Reads the text of a file. Also says which lines were no cookies, from 1.
pub fn parse(text: &str) -> (Vec<Cookie>, Vec<usize>) {
    let mut cookies = Vec::new();
    let mut bad = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_end_matches('\r');
        let line = line.strip_prefix("#HttpOnly_").unwrap_or(line);
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        match cookie(line) {
            Some(cookie) => cookies.push(cookie),
            None => bad.push(number),
        }
    }
    (cookies, bad)
}

impl Cookie {
    /// Its time is over.
    pub fn is_expired(&self, now_s: u64) -> bool {
        self.expires != 0 && self.expires <= now_s
    }
}

/// `domain  TRUE|FALSE  path  TRUE|FALSE  expires  name  value`, parted by tabs.
fn cookie(line: &str) -> Option<Cookie> {
    let mut fields = line.split('\t');
    let mut field = || fields.next();
    let (domain, subdomains, path) = (field()?, field()?, field()?);
    let (secure, expires, name) = (field()?, field()?, field()?);
    let value = field().unwrap_or_default();
    let flag = |text: &str| match text {
        "TRUE" | "true" => Some(true),
        "FALSE" | "false" => Some(false),
        _ => None,
    };
    let pair = match name {
        "" => value.to_owned(),
        name => format!("{name}={value}"),
    };
    let is_clean = !pair.chars().any(|c| c.is_ascii_control());
    is_clean.then_some(Cookie {
        domain: domain.trim_start_matches('.').to_ascii_lowercase(),
        subdomains: flag(subdomains)? || domain.starts_with('.'),
        path: path.to_owned(),
        secure: flag(secure)?,
        // Fractions and -1 are seen in the wild.
        expires: expires.parse::<f64>().ok()?.max(0.0) as u64,
        pair,
    })
}
