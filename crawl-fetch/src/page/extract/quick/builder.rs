//! What the builder has in mind of a page: where it stands, and what is open.

use std::ops::ControlFlow;

use crate::page::extract::dom::{Id, Space, Tree};
use crate::page::extract::names::Name;
use crate::page::marks::Marks;

/// What there is to know of a page that was read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Built {
    /// The page needs the complete builder.
    pub is_unusual: bool,
    /// Libraries would take long for it: too much is open at once, or a tag has too many
    /// attributes.
    pub is_deep: bool,
}

/// Goes on, or ends.
pub type Flow = ControlFlow<()>;

pub const ON: Flow = ControlFlow::Continue(());

/// The same behind a start tag; that of an element without markup inside tells where the
/// page goes on.
pub type FlowTo = ControlFlow<(), Option<usize>>;

pub const DONE: FlowTo = ControlFlow::Continue(None);

/// The insertion mode: where in the page the next tag stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Initial,
    BeforeHtml,
    BeforeHead,
    InHead,
    InHeadNoscript,
    AfterHead,
    InBody,
    InTable,
    InTableBody,
    InRow,
    InCell,
    InCaption,
    InColumnGroup,
}

/// A tag: its name and where its attributes are.
#[derive(Debug, Clone, Copy)]
pub struct Tag {
    pub name: Name,
    pub start: usize,
    pub end: usize,
}

pub struct Builder<'h, 't> {
    pub html: &'h [u8],
    pub marks: Marks<'h>,
    pub tree: &'t mut Tree,
    pub lenient: bool,
    pub outcome: Built,
    pub mode: Mode,
    pub open: Vec<Open>,
    /// How many elements are open beyond the deepest that the tree shows.
    pub over: usize,
    /// How many `p` are open.
    pub paragraphs: u32,
    /// The active formatting elements.
    pub list: Vec<Active>,
    /// The modes in which the open templates began.
    pub templates: Vec<Mode>,
    pub head: Id,
    pub form: Id,
    /// Whether the page is in quirks mode; `None`: only the complete builder knows.
    pub quirks: Option<bool>,
    pub skip_newline: bool,
    /// `</body>` was there, and nothing but blanks and comments since.
    pub after_body: bool,
    /// What a library would take that holds each attribute of a tag against all before it.
    pub attribute_steps: usize,
}

/// An open element.
#[derive(Debug, Clone, Copy)]
pub struct Open {
    pub id: Id,
    pub name: Name,
    pub space: Space,
}

/// An entry in the list of active formatting elements; `id` is `NONE` for a marker.
#[derive(Debug, Clone, Copy)]
pub struct Active {
    pub id: Id,
    pub name: Name,
    pub is_open: bool,
}
