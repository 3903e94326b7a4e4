//! Server-sent events as we write and read them (WHATWG HTML §9.2), less than what browsers bear.
//!
//! ```text
//!   id: 7\n                 a block ends with an empty line; one without data only says where the stream stands
//!   event: share-given\n
//!   data: {"at_ms":1}\n
//!   \n
//!   :\n                     a comment: the other side is alive
//! ```
//!
//! Lines end with a line feed, ids are sequences, data has one line, no field comes twice. Fields of other names are skipped, since there
//! may be more in time.

/// Bytes of a line.
pub const LINE_MAX_BYTES: usize = 4 * 1024;
/// Bytes of a block with all its lines.
pub const BLOCK_MAX_BYTES: usize = 8 * 1024;
/// What is sent when there is nothing to say.
pub const HEARTBEAT: &str = ":\n\n";

/// An event, or, without data, where the stream stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    pub id: Option<u64>,
    pub event: Option<String>,
    pub data: Option<String>,
}

/// Why some bytes are not such a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    #[error("a line of more than 4096 bytes")]
    Line,
    #[error("an event of more than 8192 bytes")]
    Block,
    #[error("a line that is not text")]
    Text,
    #[error("a field that comes twice")]
    Twice,
    #[error("an id that is not a sequence")]
    Id,
}

impl Block {
    /// Only says where the stream stands.
    pub fn position(id: u64) -> Self {
        Self { id: Some(id), ..Self::default() }
    }

    /// As it is sent. Event and data are ours and have no line ends.
    pub fn write(&self) -> String {
        let mut text = String::new();
        if let Some(id) = self.id {
            text.push_str(&format!("id: {id}\n"));
        }
        for (name, value) in [("event", &self.event), ("data", &self.data)] {
            if let Some(value) = value {
                text.push_str(&format!("{name}: {value}\n"));
            }
        }
        text.push('\n');
        text
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn take(&mut self, line: &str) -> Result<(), SseError> {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" => set(&mut self.id, sequence(value)?),
            "event" => set(&mut self.event, value.to_owned()),
            "data" => set(&mut self.data, value.to_owned()),
            // A comment has no name.
            _ => Ok(()),
        }
    }
}

fn set<T>(field: &mut Option<T>, value: T) -> Result<(), SseError> {
    if field.replace(value).is_some() { Err(SseError::Twice) } else { Ok(()) }
}

/// A sequence in its one spelling.
pub fn sequence(text: &str) -> Result<u64, SseError> {
    let plain = text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
    if plain { text.parse().map_err(|_| SseError::Id) } else { Err(SseError::Id) }
}

/// Takes bytes as they come, in whatever pieces. After an error it is of no more use.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    block: Block,
    block_bytes: usize,
}

impl Parser {
    /// Gives the blocks that end in `bytes`.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Block>, SseError> {
        let mut blocks = Vec::new();
        let mut pieces = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            if self.line.len() + piece.len() > LINE_MAX_BYTES {
                return Err(SseError::Line);
            }
            self.line.extend_from_slice(piece);
            // The last piece goes on with the next bytes.
            if pieces.peek().is_some() {
                self.end_line(&mut blocks)?;
            }
        }
        Ok(blocks)
    }

    fn end_line(&mut self, blocks: &mut Vec<Block>) -> Result<(), SseError> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            self.block_bytes = 0;
            let block = std::mem::take(&mut self.block);
            if !block.is_empty() {
                blocks.push(block);
            }
            return Ok(());
        }
        self.block_bytes += line.len();
        if self.block_bytes > BLOCK_MAX_BYTES {
            return Err(SseError::Block);
        }
        let text = std::str::from_utf8(&line).map_err(|_| SseError::Text)?;
        if text.contains(char::is_control) {
            return Err(SseError::Text);
        }
        self.block.take(text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<Block>, SseError> {
        Parser::default().feed(bytes)
    }

    fn event(id: u64) -> Block {
        Block { id: Some(id), event: Some("share-given".to_owned()), data: Some("{\"at_ms\":1}".to_owned()) }
    }

    #[test]
    fn what_is_written_is_read_in_whatever_pieces() {
        let blocks = vec![Block::position(0), event(1), event(u64::MAX)];
        let text = format!("{HEARTBEAT}{}{HEARTBEAT}", blocks.iter().map(Block::write).collect::<String>());
        assert_eq!(read(text.as_bytes()).unwrap(), blocks);
        for size in 1..text.len() {
            let mut parser = Parser::default();
            let found: Vec<Block> = text.as_bytes().chunks(size).flat_map(|piece| parser.feed(piece).unwrap()).collect();
            assert_eq!(found, blocks, "{size} bytes at a time");
        }
    }

    #[test]
    fn other_fields_and_comments_are_skipped_and_half_a_block_is_none() {
        assert_eq!(read(b"retry: 10\n: hello\nid:7\nnonsense\n\n\n\nid: 8\n").unwrap(), [Block::position(7)]);
    }

    #[test]
    fn what_is_not_such_a_stream_is_refused() {
        let long = [vec![b'x'; LINE_MAX_BYTES + 1], vec![b'\n']].concat();
        let many = format!("{}\n", ":".repeat(LINE_MAX_BYTES)).repeat(3);
        let cases: &[(&[u8], SseError)] = &[
            (&long, SseError::Line),
            // Without an end too: it would be kept for ever.
            (&long[..=LINE_MAX_BYTES], SseError::Line),
            (many.as_bytes(), SseError::Block),
            (b"data: \xff\n", SseError::Text),
            (b"data: a\r\n", SseError::Text),
            (b"data: \x00\n", SseError::Text),
            (b"data: \x1b[2J\n", SseError::Text),
            (b"id: 1\nid: 1\n", SseError::Twice),
            (b"data: a\ndata: b\n", SseError::Twice),
            (b"event: a\nevent: b\n", SseError::Twice),
            (b"id: 01\n", SseError::Id),
            (b"id: +1\n", SseError::Id),
            (b"id: -1\n", SseError::Id),
            (b"id\n", SseError::Id),
            (b"id: 18446744073709551616\n", SseError::Id),
            (b"id:  1\n", SseError::Id),
        ];
        for (bytes, expected) in cases {
            assert_eq!(read(bytes).unwrap_err(), *expected, "{:?}", String::from_utf8_lossy(bytes));
        }
    }
}
