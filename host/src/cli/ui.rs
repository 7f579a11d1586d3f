//! What people see: lines, colours, tables.

use std::{
    cell, env,
    fmt::Display,
    io::{self, IsTerminal as _, Write as _},
    path::Path,
};

use anstyle::Style;
use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, TableComponent,
};
use serde::Serialize;

use super::{Colour, Global};

/// Styles of lines.
pub(super) mod style {
    use anstyle::{AnsiColor, Style};

    pub(in crate::cli) const ERROR: Style = AnsiColor::Red.on_default().bold();
    pub(in crate::cli) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
    pub(in crate::cli) const HINT: Style = AnsiColor::Cyan.on_default();
    pub(in crate::cli) const GOOD: Style = AnsiColor::Green.on_default();
    pub(in crate::cli) const CARE: Style = AnsiColor::Yellow.on_default();
    pub(in crate::cli) const STRONG: Style = Style::new().bold();
    pub(in crate::cli) const FAINT: Style = Style::new().dimmed();
}

/// Columns where the output is no terminal.
const PLAIN_WIDTH: u16 = 100;
/// Wider lines are hard to read, whatever the terminal could show.
const WIDEST: u16 = 140;

/// Where output goes and how it may look.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, read by name")]
pub(super) struct Ui {
    colour_out: bool,
    colour_err: bool,
    width: u16,
    /// Whether a person looks at the output.
    pub(super) terminal: bool,
    pub(super) quiet: bool,
    /// Whether one JSON document is wanted and no text.
    pub(super) json: bool,
    /// Whether it was printed.
    documented: cell::Cell<bool>,
}

impl Ui {
    pub(super) fn new(global: &Global) -> Self {
        let terminal = io::stdout().is_terminal();
        // https://no-color.org: set and not empty.
        let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let allowed = |terminal: bool| match global.color {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => terminal && !unwanted,
        };
        let width = if terminal {
            match viuer::terminal_size().0 {
                // Some terminals, those of containers among them, do not say.
                ..40 => PLAIN_WIDTH,
                width => width.min(WIDEST),
            }
        } else {
            PLAIN_WIDTH
        };
        Self {
            colour_out: allowed(terminal),
            colour_err: allowed(io::stderr().is_terminal()),
            width,
            terminal,
            quiet: global.quiet,
            json: global.json,
            documented: cell::Cell::new(false),
        }
    }

    /// Whether log lines may have colours.
    pub(super) fn colour_err(&self) -> bool {
        self.colour_err
    }

    /// A line of output. A reader that has gone away is no error.
    pub(super) fn line(text: &str) {
        let _ = writeln!(io::stdout(), "{text}");
    }

    /// A line on standard error.
    pub(super) fn complain(text: &str) {
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// A warning on standard error, unless only errors are wanted.
    pub(super) fn warn(&self, text: &str) {
        if !self.quiet {
            Self::complain(&format!("{} {text}", self.paint_err(style::WARNING, "warning:")));
        }
    }

    /// The one JSON document of a command.
    pub(super) fn document(&self, value: &impl Serialize) -> Result<(), serde_json::Error> {
        Self::line(&serde_json::to_string_pretty(value)?);
        self.documented.set(true);
        Ok(())
    }

    /// Whether a JSON document is wanted and still to come.
    pub(super) fn owes_document(&self) -> bool {
        self.json && !self.documented.get()
    }

    /// Text for standard output.
    pub(super) fn paint(&self, style: Style, text: &str) -> String {
        paint(self.colour_out, style, text)
    }

    /// Text for standard error.
    pub(super) fn paint_err(&self, style: Style, text: &str) -> String {
        paint(self.colour_err, style, text)
    }

    /// A heading over a table.
    pub(super) fn heading(&self, text: &str) {
        Self::line("");
        Self::line(&self.paint(style::STRONG, text));
    }

    /// A table without a header: text in columns.
    pub(super) fn lines(&self) -> Table {
        let mut table = Table::new();
        table
            .load_preset(comfy_table::presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(self.width);
        if self.colour_out {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table
    }

    /// A table with a thin line under its header. A header that begins with `>` is a column of
    /// numbers. Where the output goes into a file or another program, every row is one line.
    pub(super) fn table(&self, headers: &[&str]) -> Table {
        let mut table = self.prose(headers);
        if !self.terminal {
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
        table
    }

    /// A table with sentences in it, which are wrapped wherever they go.
    pub(super) fn prose(&self, headers: &[&str]) -> Table {
        let mut table = self.lines();
        table
            .set_style(TableComponent::HeaderLines, '─')
            .set_style(TableComponent::MiddleHeaderIntersections, '─');
        table.set_header(headers.iter().map(|header| {
            let cell = Cell::new(header.trim_start_matches('>'));
            cell.add_attribute(Attribute::Dim)
        }));
        for (at, header) in headers.iter().enumerate() {
            if let Some(column) = table.column_mut(at) {
                column.set_padding((0, 1));
                if header.starts_with('>') {
                    column.set_cell_alignment(CellAlignment::Right);
                }
            }
        }
        table
    }

    /// Prints a table, or says why there is none.
    pub(super) fn show(&self, table: &Table, nothing: &str) {
        if table.is_empty() {
            Self::line(&self.paint(style::FAINT, nothing));
        } else {
            table.lines().for_each(|line| Self::line(line.trim_end()));
        }
    }
}

fn paint(colour: bool, style: Style, text: &str) -> String {
    if colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

/// A cell in a colour.
pub(super) fn coloured(text: impl Display, colour: Color) -> Cell {
    Cell::new(text).fg(colour)
}

/// A cell that steps back.
pub(super) fn faint(text: impl Display) -> Cell {
    Cell::new(text).add_attribute(Attribute::Dim)
}

/// A number that is only worth a look where it is not 0.
pub(super) fn count(number: u64) -> Cell {
    if number == 0 { faint("·") } else { Cell::new(number) }
}

/// A path as people would type it from here.
pub(super) fn short_path(path: &Path) -> String {
    let here = env::current_dir().ok();
    let relative = here.as_deref().and_then(|here| path.strip_prefix(here).ok());
    relative.unwrap_or(path).display().to_string()
}

/// A text cut to `most` characters.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some(_) => {
            let kept: String = text.chars().take(most.saturating_sub(1)).collect();
            format!("{}…", kept.trim_end())
        }
        None => text.to_owned(),
    }
}

/// `1 picture`, `2 pictures`.
pub(super) fn counted(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

/// Date and time of an RFC 3339 timestamp, to the second.
pub(super) fn when(timestamp: &str) -> String {
    timestamp.get(..19).unwrap_or(timestamp).replace('T', " ")
}

/// The end of a run's id, which tells runs apart.
pub(super) fn short_id(id: &str) -> &str {
    id.get(id.len().saturating_sub(8)..).unwrap_or(id)
}
