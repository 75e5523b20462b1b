//! Where all that is printed goes through: tables for people, JSON for programs, secrets as they are.

use std::io::{self, IsTerminal, Write};

use comfy_table::{Attribute, Cell, Color, ColumnConstraint, Table, Width, presets};
use serde::Serialize;

/// Spaces between columns.
const GAP: u16 = 2;

/// In which form answers are printed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, clap::ValueEnum)]
pub(super) enum Output {
    #[default]
    Table,
    Json,
}

impl Output {
    /// Prints one value: `table` tells people, `value` programs.
    pub(super) fn print(self, value: &impl Serialize, table: impl FnOnce() -> Table) -> io::Result<()> {
        match self {
            Output::Table => line(&rendered(&mut table())),
            Output::Json => json(value),
        }
    }

    /// A list that is printed as it comes, a page at a time.
    pub(super) fn list(self, header: &'static [&'static str]) -> Listing {
        Listing {
            output: self,
            header,
            widths: Vec::new(),
            printed: 0,
        }
    }
}

/// A list being printed. It holds one page at a time, however long the list is.
#[derive(Debug)]
pub(super) struct Listing {
    output: Output,
    header: &'static [&'static str],
    /// What columns were wide on the pages before, so that they stay where they are.
    widths: Vec<u16>,
    printed: usize,
}

impl Listing {
    pub(super) fn page<T: Serialize>(
        &mut self,
        items: &[T],
        row: impl Fn(&T) -> Vec<Cell>,
    ) -> io::Result<()> {
        if !items.is_empty() {
            match self.output {
                Output::Table => self.rows(items, row)?,
                Output::Json => self.elements(items)?,
            }
        }
        self.printed += items.len();
        Ok(())
    }

    /// Ends the list; an empty one is said to be empty, where people read.
    pub(super) fn end(self, what: &str) -> io::Result<()> {
        match (self.output, self.printed) {
            (Output::Json, 0) => line("[]"),
            (Output::Json, _) => line("]"),
            (Output::Table, 0) => note(&format!("no {what}")),
            (Output::Table, _) => Ok(()),
        }
    }

    fn rows<T>(&mut self, items: &[T], row: impl Fn(&T) -> Vec<Cell>) -> io::Result<()> {
        let mut table = plain();
        if self.printed == 0 {
            table.set_header(
                self.header
                    .iter()
                    .map(|name| Cell::new(name).add_attribute(Attribute::Bold)),
            );
        }
        table.add_rows(items.iter().map(row));
        let least = |width: &u16| ColumnConstraint::LowerBoundary(Width::Fixed(*width));
        table.set_constraints(self.widths.iter().map(least));
        let widths = table.column_max_content_widths();
        let widths = widths.into_iter().map(|width| width.saturating_add(GAP));
        self.widths = match self.widths.as_slice() {
            [] => widths.collect(),
            before => widths.zip(before).map(|(now, before)| now.max(*before)).collect(),
        };
        line(&rendered(&mut table))
    }

    fn elements<T: Serialize>(&self, items: &[T]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        for (index, item) in items.iter().enumerate() {
            let before = if self.printed + index == 0 { "[\n" } else { ",\n" };
            out.write_all(before.as_bytes())?;
            serde_json::to_writer(&mut out, item)?;
        }
        // The comma or bracket that follows begins the next line.
        out.flush()
    }
}

/// A table without lines: what is aligned needs none, and copies well.
fn plain() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if !console::colors_enabled() {
        table.force_no_tty();
    }
    table
}

/// Facts about one thing, a line each.
pub(super) fn facts(rows: Vec<(&'static str, Cell)>) -> Table {
    let mut table = plain();
    for (name, value) in rows {
        table.add_row([Cell::new(name).add_attribute(Attribute::Bold), value]);
    }
    table
}

/// Rows under the names of their columns.
pub(super) fn table(header: &[&str], rows: impl Iterator<Item = Vec<Cell>>) -> Table {
    let mut table = plain();
    table.set_header(
        header
            .iter()
            .map(|name| Cell::new(name).add_attribute(Attribute::Bold)),
    );
    table.add_rows(rows);
    table
}

/// A cell with text that somebody else wrote: what would steer a terminal is shown, not obeyed.
pub(super) fn text(text: &str) -> Cell {
    let calm = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    Cell::new(text.chars().map(calm).collect::<String>())
}

pub(super) fn good(text: &str) -> Cell {
    Cell::new(text).fg(Color::Green)
}

pub(super) fn bad(text: &str) -> Cell {
    Cell::new(text).fg(Color::Red)
}

pub(super) fn doubtful(text: &str) -> Cell {
    Cell::new(text).fg(Color::Yellow)
}

/// The table as lines: columns begin where their names do, and no line ends in spaces.
fn rendered(table: &mut Table) -> String {
    table.style_text_only();
    for column in table.column_iter_mut() {
        column.set_padding((0, GAP));
    }
    let lines: Vec<_> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

/// One line of JSON on stdout.
pub(super) fn json(value: &impl Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// One line on stdout.
pub(super) fn line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// One line on stderr, beside the answer. That nobody reads it stops nothing.
pub(super) fn note(text: &str) -> io::Result<()> {
    match writeln!(io::stderr().lock(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// A table on stderr, beside the answer.
pub(super) fn note_table(mut table: Table) -> io::Result<()> {
    note(&rendered(&mut table))
}

/// Whether a person can be asked: they see the question on stderr and answer on stdin.
pub(super) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_begin_where_their_names_do_with_colours_and_without() {
        let mut table = plain();
        table.enforce_styling();
        table.set_header(["ID", "STATE"].map(|name| Cell::new(name).add_attribute(Attribute::Bold)));
        table.add_row([text("abc\u{1b}[31m"), good("active")]);
        let coloured = rendered(&mut table);
        assert!(coloured.contains("\u{1b}["), "{coloured:?}");
        let shown = console::strip_ansi_codes(&coloured).into_owned();
        assert_eq!(shown, "ID        STATE\nabc\u{fffd}[31m  active");
    }
}
