//! How much memory is made of a body, estimated before it is: rather too much than too little.

use memchr::memchr_iter;

use crawl_ckpt::record::{MAX_LINE_BYTES, MAX_LINK_BYTES};

/// A body up to this is not looked at for how many elements it has.
const COUNT_BYTES: usize = 1 << 20;

/// So many bytes of a page are an element, when it is not looked at.
const ELEMENT_BYTES: usize = 8;

/// A link as it was found, in the tables of those found so far, and in the result; vectors may
/// be twice as large as what is in them.
const A_LINK: usize = 100;

/// An element and the text in it in a tree, with html5ever's own names of it.
const A_NODE: usize = 256;

/// What becomes of a body.
#[derive(Debug, Clone, Copy, Default)]
pub struct Uses {
    /// It must be decoded to UTF-8.
    pub decoded: bool,
    /// Links are taken from it, and of how many bytes their base is.
    pub links: Option<usize>,
    /// A tree is made of it.
    pub tree: bool,
    /// It travels in the result.
    pub body: bool,
    /// It is read as a sitemap.
    pub sitemap: bool,
}

/// Bytes beside those of the body itself.
pub fn of(body: &[u8], uses: Uses) -> usize {
    let length = body.len();
    let mut need = 0;
    if uses.decoded {
        need += 2 * length;
    }
    if uses.links.is_some() || uses.tree {
        let elements = elements(body);
        if let Some(base) = uses.links {
            let text = length / 2 + elements.saturating_mul(base);
            // The text as it is found, and in a line that may be twice as large.
            need += elements * A_LINK + 3 * text.min(MAX_LINK_BYTES);
        }
        if uses.tree {
            // The page as a tree of html5ever has it, and as it gets it.
            need += elements * A_NODE + 3 * length;
        }
    }
    if uses.body {
        // As text or base64, and in a line that may be twice as large.
        need += 2 * length + (3 * length).min(2 * MAX_LINE_BYTES);
    }
    if uses.sitemap {
        need += 4 * length;
    }
    need
}

/// At most so many. End tags are counted as well: telling them apart took 1 % of a crawl.
fn elements(body: &[u8]) -> usize {
    if body.len() <= COUNT_BYTES {
        return body.len() / ELEMENT_BYTES;
    }
    memchr_iter(b'<', body).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_done_with_a_body_counts_and_only_elements_that_are_there() {
        let text = vec![b'a'; 2 << 20];
        assert_eq!(of(&text, Uses::default()), 0);
        let tree = Uses {
            tree: true,
            ..Uses::default()
        };
        assert_eq!(of(&text, tree), 6 << 20);
        let page = "<p>x<br>x".repeat(1 << 17);
        assert_eq!(of(page.as_bytes(), tree), 3 * page.len() + (A_NODE << 18));
        let links = Uses {
            links: Some(20),
            ..Uses::default()
        };
        let need = of(page.as_bytes(), links);
        assert!(
            need > A_LINK << 18 && need < (A_LINK << 18) + 3 * MAX_LINK_BYTES,
            "{need}"
        );
        let body = Uses {
            body: true,
            ..Uses::default()
        };
        assert_eq!(of(&text, body), 10 << 20);
    }
}
