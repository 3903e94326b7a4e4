//! Results to standard output, as a table or as JSON; everything else to standard error, and only where a person reads it.

use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use ticrypt_types::name::Harmless;

use crate::args::Global;

/// Where results and remarks go.
#[derive(Clone, Debug)]
pub struct Output {
    json: bool,
    quiet: bool,
    stdout_terminal: bool,
    stderr_terminal: bool,
}

impl Output {
    pub fn new(global: &Global) -> Self {
        Self {
            json: global.json,
            quiet: global.quiet,
            stdout_terminal: io::stdout().is_terminal(),
            stderr_terminal: io::stderr().is_terminal(),
        }
    }

    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a result: the value as JSON, or what `human` writes.
    pub fn result<T: Serialize>(&self, value: &T, human: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<()> {
        let mut stdout = io::BufWriter::new(io::stdout().lock());
        if self.json {
            if self.stdout_terminal {
                serde_json::to_writer_pretty(&mut stdout, value).map_err(io::Error::from)?;
            } else {
                serde_json::to_writer(&mut stdout, value).map_err(io::Error::from)?;
            }
            writeln!(stdout)?;
        } else {
            human(&mut stdout)?;
        }
        stdout.flush()?;
        Ok(())
    }

    /// Prints one of many results on a line of its own, also in JSON.
    pub fn line<T: Serialize>(&self, value: &T, human: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<()> {
        Self { stdout_terminal: false, ..self.clone() }.result(value, human)
    }

    /// Prints rows under headings; as JSON, the values.
    pub fn table<T: Serialize>(&self, values: &[T], headings: &[&str], row: impl Fn(&T) -> Vec<String>) -> anyhow::Result<()> {
        self.result(&values, |out| {
            let rows: Vec<Vec<String>> = values.iter().map(row).collect();
            // Programs that cut columns want rows alone.
            let head = (self.stdout_terminal && !rows.is_empty()).then(|| headings.iter().map(|text| (*text).to_owned()).collect());
            write_table(out, head, &rows)
        })
    }

    /// Prints named values one below the other; as JSON, the value.
    pub fn record<T: Serialize>(&self, value: &T, fields: &[(&str, String)]) -> anyhow::Result<()> {
        let width = fields.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        self.result(value, |out| fields.iter().try_for_each(|(name, value)| writeln!(out, "{name:width$}  {}", Harmless(value))))
    }

    /// A remark for the person; not in JSON, not when quiet, not in a pipe.
    pub fn hint(&self, text: &str) {
        if !self.json && !self.quiet && self.stderr_terminal {
            eprintln!("{text}");
        }
    }

    /// Something the person must see whatever they asked for.
    pub fn warn(&self, text: &str) {
        eprintln!("warning: {text}");
    }

    /// A bar that counts bytes, on a terminal only; hidden otherwise.
    pub fn bytes_bar(&self, total: u64, what: &str) -> ProgressBar {
        self.bar(total, what, "{msg:20!} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
    }

    /// A bar that counts things.
    pub fn count_bar(&self, total: u64, what: &str) -> ProgressBar {
        self.bar(total, what, "{msg:20!} {bar:30} {pos}/{len} {eta}")
    }

    /// Whether progress is shown at all.
    pub fn shows_progress(&self) -> bool {
        self.stderr_terminal && !self.quiet && !self.json
    }

    fn bar(&self, total: u64, what: &str, template: &str) -> ProgressBar {
        if !self.shows_progress() {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(Harmless(what).to_string());
        bar
    }
}

/// Columns as wide as their widest cell; the last one runs free. What comes from outside cannot forge the terminal.
fn write_table(out: &mut dyn Write, head: Option<Vec<String>>, rows: &[Vec<String>]) -> io::Result<()> {
    let rows: Vec<Vec<String>> =
        head.into_iter().chain(rows.iter().cloned()).map(|row| row.iter().map(|cell| Harmless(cell).to_string()).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            if !line.is_empty() {
                line.push_str("  ");
            }
            line.push_str(&format!("{cell:width$}"));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn columns_line_up_and_cells_are_harmless() {
        let rows = [vec!["a".to_owned(), "first".to_owned()], vec!["long\u{1b}".to_owned(), "x".to_owned()]];
        let mut out = Vec::new();
        write_table(&mut out, Some(vec!["NAME".to_owned(), "WHAT".to_owned()]), &rows).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "NAME        WHAT\na           first\nlong\\u{1b}  x\n");
    }
}
