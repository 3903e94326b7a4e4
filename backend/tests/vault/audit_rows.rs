//! An audit role that keeps its rows in memory and fails on demand.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use ticrypt_api::log::{EntriesReply, EntriesRequest, LogName, LoggedEvent};
use ticrypt_api::role::{Audit, Event, KeyEventKind, Opened, Outcome};
use ticrypt_api::user::KeyLeaf;
use ticrypt_api::{ApiError, Blob, ErrorKind};
use ticrypt_types::{Operation, Timestamp};

#[derive(Clone, Debug)]
pub enum Row {
    Opened(Event),
    Closed(u64, Outcome),
    Fact(Event, Outcome),
}

#[derive(Debug, Default)]
pub struct MemoryAudit {
    pub rows: Mutex<Vec<Row>>,
    pub refuse_open: AtomicBool,
    pub refuse_close: AtomicBool,
}

impl MemoryAudit {
    fn push(&self, row: Row) -> Opened {
        let mut rows = self.rows.lock().unwrap();
        rows.push(row);
        Opened { index: rows.len() as u64 - 1, leaf_hash: [0; 32] }
    }

    pub fn taken(&self) -> Vec<Row> {
        std::mem::take(&mut self.rows.lock().unwrap())
    }

    /// How the changes of one operation ended, refusals included.
    pub fn outcomes(&self, operation: Operation) -> Vec<Outcome> {
        let rows = self.rows.lock().unwrap();
        let closed = |index: usize| {
            rows.iter().find_map(|row| match row {
                Row::Closed(opening, outcome) if *opening == index as u64 => Some(outcome.clone()),
                _ => None,
            })
        };
        let each = rows.iter().enumerate().filter_map(|(index, row)| match row {
            Row::Opened(event) if event.operation == operation => closed(index),
            Row::Fact(event, outcome) if event.operation == operation => Some(outcome.clone()),
            _ => None,
        });
        each.collect()
    }
}

fn unavailable() -> ApiError {
    ApiError::new(ErrorKind::Unavailable, "audit_unavailable", "the log cannot be written; try again later")
}

#[async_trait]
impl Audit for MemoryAudit {
    async fn open(&self, event: Event) -> Result<Opened, ApiError> {
        if self.refuse_open.load(Ordering::SeqCst) { Err(unavailable()) } else { Ok(self.push(Row::Opened(event))) }
    }

    async fn close(&self, opened: Opened, _: Event, outcome: Outcome) -> Result<(), ApiError> {
        if self.refuse_close.load(Ordering::SeqCst) {
            return Err(unavailable());
        }
        self.push(Row::Closed(opened.index, outcome));
        Ok(())
    }

    async fn fact(&self, event: Event, outcome: Outcome) -> Result<Opened, ApiError> {
        if self.refuse_open.load(Ordering::SeqCst) { Err(unavailable()) } else { Ok(self.push(Row::Fact(event, outcome))) }
    }

    async fn key_event(&self, _: KeyEventKind, _: [u8; 16], body: Vec<u8>, _: Timestamp) -> Result<KeyLeaf, ApiError> {
        Ok(KeyLeaf { index: 0, leaf: Blob(body) })
    }

    fn receipt(&self, opened: Opened) -> Result<Vec<u8>, ApiError> {
        Ok(opened.index.to_be_bytes().to_vec())
    }

    async fn checkpoint(&self, _: LogName) -> Result<Bytes, ApiError> {
        Err(unavailable())
    }

    async fn tile(&self, _: LogName, _: &str) -> Result<Option<Bytes>, ApiError> {
        Ok(None)
    }

    async fn entries(&self, _: LogName, request: EntriesRequest) -> Result<EntriesReply, ApiError> {
        let rows = self.rows.lock().unwrap();
        let start = usize::try_from(request.start).unwrap();
        let events = rows.iter().enumerate().skip(start).take(request.count as usize);
        let events = events.map(|(i, row)| LoggedEvent { index: i as u64, leaf: Blob(format!("{row:?}").into_bytes()) }).collect();
        Ok(EntriesReply { events, size: rows.len() as u64 })
    }

    async fn about(&self, subject: [u8; 16], before: Option<u64>, limit: u32) -> Result<Vec<LoggedEvent>, ApiError> {
        let rows = self.rows.lock().unwrap();
        let newest_first = rows.iter().enumerate().rev().map(|(i, row)| (i as u64, row));
        let of_subject = newest_first.filter(|(i, row)| {
            before.is_none_or(|before| *i < before)
                && matches!(row, Row::Opened(event) | Row::Fact(event, _) if event.subjects.contains(&subject))
        });
        let events = of_subject.take(limit as usize).map(|(index, row)| LoggedEvent { index, leaf: Blob(format!("{row:?}").into_bytes()) });
        Ok(events.collect())
    }
}
