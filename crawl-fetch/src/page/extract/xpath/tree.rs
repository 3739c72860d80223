//! An XPath expression that was read.

use crawl_ckpt::pattern::Pattern;

/// An expression.
#[derive(Debug, Clone)]
pub enum Expr {
    Number(f64),
    Text(String),
    /// True when one is.
    Or(Vec<Expr>),
    /// True when all are.
    And(Vec<Expr>),
    /// Both compared.
    Compare(Comparison, Box<Expr>, Box<Expr>),
    /// Reckoned with both.
    Reckon(Reckoning, Box<Expr>, Box<Expr>),
    /// Less than nothing by so much.
    Negate(Box<Expr>),
    /// Nodes of any of them.
    Union(Vec<Expr>),
    /// Nodes that are found step by step.
    Path(Path),
    /// A function of values.
    Call(Function, Vec<Expr>),
    /// `re:test()`.
    Matches(Box<Expr>, Pattern),
}

/// `=` and its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Comparison {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// `+` and its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Reckoning {
    Plus,
    Minus,
    Times,
    Div,
    Mod,
}

/// Steps from where it starts.
#[derive(Debug, Clone)]
pub struct Path {
    pub start: Start,
    /// How it goes on.
    pub steps: Vec<Step>,
}

/// Where a path starts.
#[derive(Debug, Clone)]
pub enum Start {
    /// At the document.
    Root,
    /// At the node that is looked at.
    Here,
    /// At those of these nodes for which all predicates hold.
    Of(Box<Expr>, Vec<Predicate>),
}

/// One step: the nodes of an axis that pass the test, and for which all predicates hold.
#[derive(Debug, Clone)]
pub struct Step {
    /// The direction.
    pub axis: Axis,
    /// Which nodes.
    pub test: Test,
    /// What must hold in turn.
    pub predicates: Vec<Predicate>,
}

/// What stands in brackets.
#[derive(Debug, Clone)]
pub struct Predicate {
    pub expr: Expr,
    /// It may ask for the place of a node among the others.
    pub is_of_place: bool,
}

/// A direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Axis {
    Ancestor,
    AncestorOrSelf,
    Attribute,
    Child,
    Descendant,
    DescendantOrSelf,
    Following,
    FollowingSibling,
    Parent,
    Preceding,
    PrecedingSibling,
    Itself,
}

impl Axis {
    pub fn by_name(name: &str) -> Option<Axis> {
        Some(match name {
            "ancestor" => Axis::Ancestor,
            "ancestor-or-self" => Axis::AncestorOrSelf,
            "attribute" => Axis::Attribute,
            "child" => Axis::Child,
            "descendant" => Axis::Descendant,
            "descendant-or-self" => Axis::DescendantOrSelf,
            "following" => Axis::Following,
            "following-sibling" => Axis::FollowingSibling,
            "parent" => Axis::Parent,
            "preceding" => Axis::Preceding,
            "preceding-sibling" => Axis::PrecedingSibling,
            "self" => Axis::Itself,
            _ => return None,
        })
    }
}

/// Which nodes of an axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    Any,
    /// Elements, or attributes where these are asked for.
    Named,
    /// Those of this name, which is in lower case.
    Name(String),
    Text,
    Comment,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Function {
    Boolean,
    Ceiling,
    Concat,
    Contains,
    Count,
    False,
    Floor,
    HasClass,
    Id,
    Last,
    Name,
    NormalizeSpace,
    Not,
    Number,
    Position,
    Round,
    StartsWith,
    String,
    StringLength,
    Substring,
    SubstringAfter,
    SubstringBefore,
    /// Those of the second are left out.
    SetDifference,
    /// The first of each text.
    SetDistinct,
    SetHasSameNode,
    SetIntersection,
    /// Those before the first of the second.
    SetLeading,
    /// Those behind it.
    SetTrailing,
    Sum,
    Translate,
    True,
}

/// What kind of value an expression has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    Nodes,
    Number,
    Text,
    /// True or false.
    Truth,
}

impl Function {
    /// By its name, with the fewest and the most arguments that it takes.
    pub fn by_name(name: &str) -> Option<(Function, usize, usize)> {
        use Function::*;
        Some(match name {
            "boolean" => (Boolean, 1, 1),
            "ceiling" => (Ceiling, 1, 1),
            "concat" => (Concat, 2, usize::MAX),
            "contains" => (Contains, 2, 2),
            "count" => (Count, 1, 1),
            "false" => (False, 0, 0),
            "floor" => (Floor, 1, 1),
            "has-class" => (HasClass, 1, usize::MAX),
            "id" => (Id, 1, 1),
            "last" => (Last, 0, 0),
            "name" | "local-name" => (Name, 0, 1),
            "normalize-space" => (NormalizeSpace, 0, 1),
            "not" => (Not, 1, 1),
            "number" => (Number, 0, 1),
            "position" => (Position, 0, 0),
            "round" => (Round, 1, 1),
            "starts-with" => (StartsWith, 2, 2),
            "string" => (String, 0, 1),
            "string-length" => (StringLength, 0, 1),
            "substring" => (Substring, 2, 3),
            "substring-after" => (SubstringAfter, 2, 2),
            "substring-before" => (SubstringBefore, 2, 2),
            "set:difference" => (SetDifference, 2, 2),
            "set:distinct" => (SetDistinct, 1, 1),
            "set:has-same-node" => (SetHasSameNode, 2, 2),
            "set:intersection" => (SetIntersection, 2, 2),
            "set:leading" => (SetLeading, 2, 2),
            "set:trailing" => (SetTrailing, 2, 2),
            "sum" => (Sum, 1, 1),
            "translate" => (Translate, 3, 3),
            "true" => (True, 0, 0),
            _ => return None,
        })
    }

    /// What its arguments must be, where it takes not all.
    pub fn takes(self) -> Option<ValueKind> {
        use Function::*;
        match self {
            Count | Sum | Name | SetDifference | SetDistinct | SetHasSameNode | SetIntersection
            | SetLeading | SetTrailing => Some(ValueKind::Nodes),
            HasClass => Some(ValueKind::Text),
            _ => None,
        }
    }

    fn kind(self) -> ValueKind {
        use Function::*;
        match self {
            Id | SetDifference | SetDistinct | SetIntersection | SetLeading | SetTrailing => {
                ValueKind::Nodes
            }
            Ceiling | Count | Floor | Last | Number | Position | Round | StringLength | Sum => {
                ValueKind::Number
            }
            Concat | Name | NormalizeSpace | String | Substring | SubstringAfter
            | SubstringBefore | Translate => ValueKind::Text,
            Boolean | Contains | False | HasClass | Not | SetHasSameNode | StartsWith | True => {
                ValueKind::Truth
            }
        }
    }
}

impl Expr {
    pub fn kind(&self) -> ValueKind {
        match self {
            Expr::Number(_) | Expr::Reckon(..) | Expr::Negate(_) => ValueKind::Number,
            Expr::Text(_) => ValueKind::Text,
            Expr::Or(_) | Expr::And(_) | Expr::Compare(..) | Expr::Matches(..) => ValueKind::Truth,
            Expr::Union(_) | Expr::Path(_) => ValueKind::Nodes,
            Expr::Call(function, _) => function.kind(),
        }
    }

    /// True when its value depends on the place of a node among the others.
    pub fn is_of_place(&self) -> bool {
        match self {
            Expr::Number(_) | Expr::Text(_) => false,
            Expr::Or(all) | Expr::And(all) | Expr::Union(all) => all.iter().any(Expr::is_of_place),
            Expr::Compare(_, a, b) | Expr::Reckon(_, a, b) => a.is_of_place() || b.is_of_place(),
            Expr::Negate(a) | Expr::Matches(a, _) => a.is_of_place(),
            // Predicates count places of their own.
            Expr::Path(path) => matches!(&path.start, Start::Of(expr, _) if expr.is_of_place()),
            Expr::Call(Function::Position | Function::Last, _) => true,
            Expr::Call(_, arguments) => arguments.iter().any(Expr::is_of_place),
        }
    }

    /// True when it can find elements, and finds no texts, comments or attributes by its last step.
    pub fn is_of_elements(&self) -> bool {
        match self {
            Expr::Union(all) => all.iter().all(Expr::is_of_elements),
            Expr::Path(path) => match (path.steps.last(), &path.start) {
                (Some(step), _) => {
                    step.axis != Axis::Attribute && !matches!(step.test, Test::Text | Test::Comment)
                }
                (None, Start::Of(expr, _)) => expr.is_of_elements(),
                (None, _) => true,
            },
            other => other.kind() == ValueKind::Nodes,
        }
    }
}
