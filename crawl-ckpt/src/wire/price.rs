//! What proxies cost. Money has no name here: it is whatever the prices are in, in billionths.

use serde::{Deserialize, Serialize};

/// One, in billionths.
const ONE: u64 = 1_000_000_000;
/// Traffic is sold by so many bytes.
const GB: u128 = 1_000_000_000;

/// What is paid for a proxy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// For a billion bytes, in both directions together.
    pub gb: u64,
    /// For a request.
    pub request: u64,
}

impl Price {
    /// Reads `8.50` or `8.50/GB`, `0.001/request`, or both, with a `+` between them.
    pub fn parse(text: &str) -> Option<Price> {
        let mut price = Price::default();
        for part in text.split('+') {
            let (number, what) = part.split_once('/').unwrap_or((part, "GB"));
            let place = match what.trim().to_ascii_lowercase().as_str() {
                "gb" => &mut price.gb,
                "request" => &mut price.request,
                _ => return None,
            };
            if std::mem::replace(place, amount(number)?) > 0 {
                return None;
            }
        }
        Some(price)
    }

    /// What so much costs.
    pub fn of(&self, requests: u64, bytes: u64) -> u64 {
        let traffic = u128::from(self.gb) * u128::from(bytes) / GB;
        let all = traffic + u128::from(self.request) * u128::from(requests);
        all.min(u64::MAX.into()) as u64
    }
}

/// Reads an amount such as `5` or `0.25`, exactly.
pub fn amount(text: &str) -> Option<u64> {
    let text = text.trim();
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.len() + rest.len() == 0 || rest.len() > 9 || !digits(whole) || !digits(rest) {
        return None;
    }
    let number = |text: &str| {
        if text.is_empty() {
            Some(0)
        } else {
            text.parse::<u64>().ok()
        }
    };
    let rest = number(rest)? * 10_u64.pow(9 - rest.len() as u32);
    number(whole)?.checked_mul(ONE)?.checked_add(rest)
}

/// An amount for people: `12.30`, and smaller ones with two digits that count.
pub fn shown(amount: u64) -> String {
    let amount = amount as f64 / ONE as f64;
    if amount == 0.0 || amount >= 0.1 {
        return format!("{amount:.2}");
    }
    let digits = (-amount.log10()).ceil() as usize + 1;
    format!("{amount:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_for_traffic_for_requests_or_for_both() {
        let price = |gb, request| Some(Price { gb, request });
        for (text, want) in [
            ("8.5", price(8_500_000_000, 0)),
            ("8.50/GB", price(8_500_000_000, 0)),
            ("0.001/request", price(0, 1_000_000)),
            (" 8 /gb + .5/Request ", price(8_000_000_000, 500_000_000)),
            ("0", price(0, 0)),
            ("", None),
            ("-1", None),
            ("8/MB", None),
            ("8/GB+9/GB", None),
            ("1e3", None),
            ("0.0000000001", None),
            ("99999999999999", None),
        ] {
            assert_eq!(Price::parse(text), want, "{text:?}");
        }
    }

    #[test]
    fn what_is_used_is_what_is_paid() {
        let price = Price::parse("8/GB + 0.001/request").unwrap();
        assert_eq!(price.of(0, 0), 0);
        assert_eq!(price.of(1000, 500_000_000), 5_000_000_000);
        assert_eq!(price.of(u64::MAX, u64::MAX), u64::MAX);
    }

    #[test]
    fn amounts_show_what_counts_of_them() {
        let shows = |text| shown(amount(text).unwrap());
        assert_eq!(shows("0"), "0.00");
        assert_eq!(shows("12.3"), "12.30");
        assert_eq!(shows("0.25"), "0.25");
        assert_eq!(shows("0.0312"), "0.031");
        assert_eq!(shows("0.00098765"), "0.00099");
    }
}
