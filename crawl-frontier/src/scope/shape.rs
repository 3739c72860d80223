//! What the shape of a URL says: that it is a trap, or a file that is no page.

/// Deeper paths are traps.
pub(super) const MAX_SEGMENTS: usize = 40;
/// A segment that stands in a path more often than this is a trap (`/a/b/a/b/a/b/a/b`).
pub(super) const MAX_SAME_SEGMENT: usize = 3;

/// Files that are no pages: Scrapy's list.
pub(super) const NO_PAGES: &[&str] = &[
    // archives
    "7z", "7zip", "bz2", "rar", "tar", "gz", "xz", "zip", // images
    "mng", "pct", "bmp", "gif", "jpg", "jpeg", "png", "pst", "psp", "tif", "tiff", "ai", "drw",
    "dxf", "eps", "ps", "svg", "cdr", "ico", "webp", // audio
    "mp3", "wma", "ogg", "wav", "ra", "aac", "mid", "au", "aiff", // video
    "3gp", "asf", "asx", "avi", "mov", "mp4", "mpg", "qt", "rm", "swf", "wmv", "m4a", "m4v", "flv",
    "webm", // office documents
    "xls", "xlsm", "xlsx", "xltm", "xltx", "potm", "potx", "ppt", "pptm", "pptx", "pps", "doc",
    "docb", "docm", "docx", "dotm", "dotx", "odt", "ods", "odg", "odp", // other
    "css", "pdf", "exe", "bin", "rss", "dmg", "iso", "apk", "jar", "sh", "rb", "js", "hta", "bat",
    "cpl", "msi", "msp", "py",
];

pub(super) fn path_of(url: &str) -> &str {
    let origin = crate::url::origin(url).len();
    let rest = &url[origin..];
    rest.split('?').next().unwrap_or(rest)
}

pub(super) fn is_trap(path: &str) -> bool {
    // Nearly every path is too short to be one.
    let slashes = path.bytes().filter(|&c| c == b'/').count();
    if slashes <= MAX_SAME_SEGMENT {
        return false;
    }
    path.split('/').filter(|s| !s.is_empty()).count() > MAX_SEGMENTS
        || most_repeated(path).0 > MAX_SAME_SEGMENT
}

/// The segment that stands most often in a path, with how often that is.
pub(super) fn most_repeated(path: &str) -> (usize, &str) {
    let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
    let times = |segment| segments.iter().filter(|s| *s == segment).count();
    let most = segments.iter().map(|segment| (times(segment), *segment));
    most.max().unwrap_or_default()
}
