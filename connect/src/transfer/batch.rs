//! Small files in one request: for each a line of JSON, then its bytes.

use axum::body::Bytes;
use serde::Deserialize;

use crate::trouble::{Result, Trouble};

const LINE_MAX_BYTES: usize = 16 * 1024;

/// What is said of one file.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub struct Line {
    /// Directories below the destination, then the file's name.
    pub path: Vec<String>,
    pub size: usize,
    /// Milliseconds since 1970.
    pub modified: u64,
}

/// Cuts a batch into its files, whose bytes are not copied.
pub fn cut(mut body: Bytes) -> Result<Vec<(Line, Bytes)>> {
    let wrong = || Trouble::invalid("a batch of files cannot be read; send it again");
    let mut files = Vec::new();
    while !body.is_empty() {
        let end = body.iter().take(LINE_MAX_BYTES).position(|byte| *byte == b'\n').ok_or_else(wrong)?;
        let line = body.split_to(end);
        let line: Line = serde_json::from_slice(&line).map_err(|_| wrong())?;
        let _newline = body.split_to(1);
        if line.size > body.len() {
            return Err(wrong());
        }
        let bytes = body.split_to(line.size);
        files.push((line, bytes));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn glue(files: &[(Line, Vec<u8>)]) -> Vec<u8> {
        let mut batch = Vec::new();
        for (line, bytes) in files {
            batch.extend(serde_json::to_vec(line).unwrap());
            batch.push(b'\n');
            batch.extend(bytes);
        }
        batch
    }

    #[test]
    fn a_batch_is_cut_exactly() {
        let batch = b"{\"path\":[\"a\"],\"size\":3,\"modified\":1}\nxyz{\"path\":[\"b\",\"c\"],\"size\":0,\"modified\":2}\n";
        let files = cut(Bytes::from_static(batch)).unwrap();
        let shown: Vec<_> = files.iter().map(|(line, bytes)| (line.path.join("/"), &bytes[..])).collect();
        assert_eq!(shown, [("a".to_owned(), &b"xyz"[..]), ("b/c".to_owned(), &b""[..])]);
        for wrong in [&batch[..38], &batch[..41], b"\n", b"{}\n", b"{\"path\":[\"a\"],\"size\":9,\"modified\":1}\nxyz"] {
            assert!(cut(Bytes::copy_from_slice(wrong)).is_err(), "{wrong:?}");
        }
        assert!(cut(Bytes::new()).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn what_was_glued_is_cut_again(
            files in proptest::collection::vec((proptest::collection::vec(".{0,8}", 0..3), proptest::collection::vec(any::<u8>(), 0..64)), 0..6),
        ) {
            let files: Vec<(Line, Vec<u8>)> =
                files.into_iter().map(|(path, bytes)| (Line { path, size: bytes.len(), modified: 7 }, bytes)).collect();
            let found = cut(glue(&files).into()).unwrap();
            let found: Vec<(Line, Vec<u8>)> = found.into_iter().map(|(line, bytes)| (line, bytes.to_vec())).collect();
            prop_assert_eq!(found, files);
        }

        #[test]
        fn a_broken_batch_is_refused_or_cut_within_its_bytes(
            mut batch in Just(glue(&[
                (Line { path: vec!["a".into(), "b".into()], size: 5, modified: 1 }, b"12345".to_vec()),
                (Line { path: vec!["c".into()], size: 2, modified: 2 }, b"67".to_vec()),
            ])),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
            keep in any::<prop::sample::Index>(),
        ) {
            let length = batch.len();
            batch[at.index(length)] = byte;
            batch.truncate(keep.index(length + 1));
            if let Ok(files) = cut(batch.clone().into()) {
                prop_assert!(files.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() < batch.len().max(1));
            }
        }
    }
}
