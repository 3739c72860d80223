//! From the words of an XPath expression to what it means (XPath 1.0, 2 and 3).

use crawl_ckpt::pattern::Pattern;

use super::lex::{Token, words};
use super::tree::*;

/// Deepest nesting of brackets: workers have small stacks.
const MAX_DEPTH: usize = 16;

/// So many operators may bind from the left, each with what stands before it.
const MAX_CHAINED: usize = 32;

/// Reads an expression.
///
/// # Errors
/// Says what is wrong with it.
pub fn parse(text: &str) -> Result<Expr, String> {
    let mut parser = Parser {
        words: words(text)?,
        at: 0,
        depth: 0,
        chained: 0,
    };
    let expr = parser.expr()?;
    match parser.words.get(parser.at) {
        None => Ok(expr),
        Some(word) => Err(format!("{} stands where it cannot", name_of(word))),
    }
}

struct Parser {
    words: Vec<Token>,
    at: usize,
    depth: usize,
    chained: usize,
}

impl Parser {
    fn is(&self, sign: &str) -> bool {
        matches!(self.words.get(self.at), Some(Token::Sign(found)) if *found == sign)
    }

    fn takes(&mut self, sign: &str) -> bool {
        let is = self.is(sign);
        self.at += usize::from(is);
        is
    }

    fn needs(&mut self, sign: &str) -> Result<(), String> {
        if self.takes(sign) {
            Ok(())
        } else {
            Err(format!("`{sign}` is missing {}", self.place()))
        }
    }

    /// The sign behind the next word.
    fn behind_is(&self, sign: &str) -> bool {
        matches!(self.words.get(self.at + 1), Some(Token::Sign(found)) if *found == sign)
    }

    fn place(&self) -> String {
        match self.words.get(self.at) {
            Some(word) => format!("before {}", name_of(word)),
            None => "at the end".into(),
        }
    }

    /// A whole expression: one that stands by itself or in brackets.
    fn expr(&mut self) -> Result<Expr, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("it is nested too deeply".into());
        }
        let all = self.several("or", |parser| {
            let all = parser.several("and", Parser::equality)?;
            Ok(one_or(all, Expr::And))
        })?;
        self.depth -= 1;
        Ok(one_or(all, Expr::Or))
    }

    fn several(
        &mut self,
        sign: &str,
        mut part: impl FnMut(&mut Parser) -> Result<Expr, String>,
    ) -> Result<Vec<Expr>, String> {
        let mut all = vec![part(self)?];
        while self.takes(sign) {
            all.push(part(self)?);
        }
        Ok(all)
    }

    /// Operands of operators that bind from the left.
    fn chain<O: Copy>(
        &mut self,
        operators: &[(&str, O)],
        part: fn(&mut Parser) -> Result<Expr, String>,
        join: fn(O, Box<Expr>, Box<Expr>) -> Expr,
    ) -> Result<Expr, String> {
        let mut left = part(self)?;
        let mut is_first = true;
        while let Some((_, operator)) = operators.iter().find(|(sign, _)| self.is(sign)) {
            self.chained += usize::from(!std::mem::take(&mut is_first));
            if self.chained > MAX_CHAINED {
                return Err("it is nested too deeply".into());
            }
            self.at += 1;
            left = join(*operator, Box::new(left), Box::new(part(self)?));
        }
        Ok(left)
    }

    fn equality(&mut self) -> Result<Expr, String> {
        let operators = [("=", Comparison::Equal), ("!=", Comparison::Unequal)];
        self.chain(&operators, Parser::relation, Expr::Compare)
    }

    fn relation(&mut self) -> Result<Expr, String> {
        let operators = [
            ("<", Comparison::Less),
            ("<=", Comparison::AtMost),
            (">", Comparison::Greater),
            (">=", Comparison::AtLeast),
        ];
        self.chain(&operators, Parser::sum, Expr::Compare)
    }

    fn sum(&mut self) -> Result<Expr, String> {
        let operators = [("+", Reckoning::Plus), ("-", Reckoning::Minus)];
        self.chain(&operators, Parser::product, Expr::Reckon)
    }

    fn product(&mut self) -> Result<Expr, String> {
        let operators = [
            ("times", Reckoning::Times),
            ("div", Reckoning::Div),
            ("mod", Reckoning::Mod),
        ];
        self.chain(&operators, Parser::signed, Expr::Reckon)
    }

    fn signed(&mut self) -> Result<Expr, String> {
        let mut signs = 0_usize;
        while self.takes("-") {
            signs += 1;
        }
        let all = self.several("|", Parser::path)?;
        if all.len() > 1 && all.iter().any(|expr| expr.kind() != ValueKind::Nodes) {
            return Err("`|` stands between nodes alone".into());
        }
        let expr = one_or(all, Expr::Union);
        Ok(match signs {
            0 => expr,
            odd if odd % 2 == 1 => Expr::Negate(Box::new(expr)),
            _ => Expr::Negate(Box::new(Expr::Negate(Box::new(expr)))),
        })
    }

    fn path(&mut self) -> Result<Expr, String> {
        let mut steps = Vec::new();
        let start = if self.is("/") || self.is("//") {
            if self.takes("/") && !self.begins_step() {
                return Ok(Expr::Path(Path {
                    start: Start::Root,
                    steps,
                }));
            }
            Start::Root
        } else if self.begins_primary() {
            let primary = self.primary()?;
            let predicates = self.predicates()?;
            let goes_on = self.is("/") || self.is("//");
            if predicates.is_empty() && !goes_on {
                return Ok(primary);
            }
            if primary.kind() != ValueKind::Nodes {
                return Err(format!("no nodes stand {}", self.place()));
            }
            if goes_on {
                self.takes("/");
            }
            let start = Start::Of(Box::new(primary), predicates);
            if !goes_on {
                return Ok(Expr::Path(Path { start, steps }));
            }
            start
        } else {
            Start::Here
        };
        loop {
            let anywhere = self.takes("//");
            let step = self.step()?;
            push(&mut steps, step, anywhere);
            if !self.is("//") && !self.takes("/") {
                return Ok(Expr::Path(Path { start, steps }));
            }
        }
    }

    fn begins_step(&self) -> bool {
        match self.words.get(self.at) {
            Some(Token::Name(_)) => true,
            Some(Token::Sign(sign)) => matches!(*sign, "*" | "@" | "." | ".."),
            _ => false,
        }
    }

    fn begins_primary(&self) -> bool {
        match self.words.get(self.at) {
            Some(Token::Name(name)) => {
                let is_test = matches!(
                    &**name,
                    "node" | "text" | "comment" | "processing-instruction"
                );
                self.behind_is("(") && !is_test
            }
            Some(Token::Sign(sign)) => matches!(*sign, "(" | "$"),
            Some(_) => true,
            None => false,
        }
    }

    fn primary(&mut self) -> Result<Expr, String> {
        let word = self.words.get(self.at).cloned();
        self.at += 1;
        match word {
            Some(Token::Number(number)) => Ok(Expr::Number(number)),
            Some(Token::Text(text)) => Ok(Expr::Text(text)),
            Some(Token::Sign("(")) => {
                let expr = self.expr()?;
                self.needs(")")?;
                Ok(expr)
            }
            Some(Token::Name(name)) => self.call(&name),
            _ => Err("there are no variables here".into()),
        }
    }

    fn call(&mut self, name: &str) -> Result<Expr, String> {
        self.needs("(")?;
        let mut arguments = Vec::new();
        if !self.takes(")") {
            arguments = self.several(",", Parser::expr)?;
            self.needs(")")?;
        }
        if name == "re:test" {
            return matches(arguments);
        }
        let Some((function, fewest, most)) = Function::by_name(name) else {
            let instead = match name {
                "re:match" => ": re:test() asks for a match, a `regex` processor takes it",
                "re:replace" => ": a `replace` or `regex` processor changes a text",
                _ => "",
            };
            return Err(format!("there is no {name}() here{instead}"));
        };
        if !(fewest..=most).contains(&arguments.len()) {
            let count = match (fewest, most) {
                (0, 0) => "no arguments".to_owned(),
                (n, usize::MAX) => format!("at least {n} arguments"),
                (n, m) if n == m => format!("{n} arguments"),
                (n, m) => format!("{n} to {m} arguments"),
            };
            return Err(format!("{name}() takes {count}"));
        }
        if let Some(kind) = function.takes()
            && arguments.iter().any(|argument| argument.kind() != kind)
        {
            let what = if kind == ValueKind::Nodes {
                "nodes"
            } else {
                "texts in quotes"
            };
            return Err(format!("{name}() takes {what}"));
        }
        Ok(Expr::Call(function, arguments))
    }

    fn step(&mut self) -> Result<Step, String> {
        let plain = |axis, test| Step {
            axis,
            test,
            predicates: Vec::new(),
        };
        let mut step = if self.takes(".") {
            plain(Axis::Itself, Test::Any)
        } else if self.takes("..") {
            plain(Axis::Parent, Test::Any)
        } else {
            let axis = self.axis()?;
            plain(axis, self.test(axis)?)
        };
        step.predicates = self.predicates()?;
        Ok(step)
    }

    fn axis(&mut self) -> Result<Axis, String> {
        if self.takes("@") {
            return Ok(Axis::Attribute);
        }
        match self.words.get(self.at) {
            Some(Token::Name(name)) if self.behind_is("::") => {
                let axis = Axis::by_name(name).ok_or_else(|| format!("there is no {name}:: here"));
                self.at += 2;
                axis
            }
            _ => Ok(Axis::Child),
        }
    }

    fn test(&mut self, axis: Axis) -> Result<Test, String> {
        if self.takes("*") {
            return Ok(Test::Named);
        }
        let Some(Token::Name(name)) = self.words.get(self.at).cloned() else {
            return Err(format!("a name is missing {}", self.place()));
        };
        self.at += 1;
        if self.takes("(") {
            self.needs(")")?;
            return match &*name {
                "node" => Ok(Test::Any),
                "text" => Ok(Test::Text),
                "comment" => Ok(Test::Comment),
                "processing-instruction" => Err(format!("there is no {name}() here")),
                _ => Err(format!("{name}() stands where it cannot")),
            };
        }
        // Attributes are called what is written, elements have no prefixes.
        if axis != Axis::Attribute && (name.contains(':') || self.is(":")) {
            return Err("there are no namespaces here".into());
        }
        Ok(Test::Name(name.to_ascii_lowercase()))
    }

    fn predicates(&mut self) -> Result<Vec<Predicate>, String> {
        let mut predicates = Vec::new();
        while self.takes("[") {
            let expr = self.expr()?;
            self.needs("]")?;
            let is_of_place = expr.kind() == ValueKind::Number || expr.is_of_place();
            predicates.push(Predicate { expr, is_of_place });
        }
        Ok(predicates)
    }
}

/// Adds a step; `anywhere` when `//` stands before it. Where no predicate counts, it is one step
/// less, and the page is walked once.
fn push(steps: &mut Vec<Step>, mut step: Step, anywhere: bool) {
    if anywhere {
        let counts = step
            .predicates
            .iter()
            .any(|predicate| predicate.is_of_place);
        match step.axis {
            Axis::Child if !counts => step.axis = Axis::Descendant,
            Axis::Itself if !counts => step.axis = Axis::DescendantOrSelf,
            _ => steps.push(Step {
                axis: Axis::DescendantOrSelf,
                test: Test::Any,
                predicates: Vec::new(),
            }),
        }
    }
    steps.push(step);
}

/// `re:test(text, pattern, flags)`.
fn matches(arguments: Vec<Expr>) -> Result<Expr, String> {
    let mut arguments = arguments.into_iter();
    let (Some(text), Some(Expr::Text(pattern)), flags, None) = (
        arguments.next(),
        arguments.next(),
        arguments.next(),
        arguments.next(),
    ) else {
        return Err("re:test() takes a text and a pattern in quotes".into());
    };
    let flags = match flags {
        None => String::new(),
        Some(Expr::Text(flags)) => flags,
        Some(_) => return Err("the flags of re:test() stand in quotes".into()),
    };
    let flagged = if flags.contains('i') {
        format!("(?i){pattern}")
    } else {
        pattern.clone()
    };
    let compiled = Pattern::of_texts(&flagged);
    let compiled = compiled.map_err(|why| format!("`{pattern}` is no pattern: {why}"))?;
    Ok(Expr::Matches(Box::new(text), compiled))
}

fn one_or(mut all: Vec<Expr>, join: fn(Vec<Expr>) -> Expr) -> Expr {
    match all.len() {
        1 => all.remove(0),
        _ => join(all),
    }
}

fn name_of(word: &Token) -> String {
    match word {
        Token::Number(number) => format!("`{number}`"),
        Token::Text(text) => format!("'{text}'"),
        Token::Name(name) => format!("`{name}`"),
        Token::Sign("times") => "`*`".into(),
        Token::Sign(sign) => format!("`{sign}`"),
    }
}
