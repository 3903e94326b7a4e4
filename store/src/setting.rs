//! What the server remembers about itself: small values under a key, the clock's high-water mark, the closure counter.

use sea_orm::FromQueryResult;
use ticrypt_types::Timestamp;

use crate::connect::Store;
use crate::error::StoreError;
use crate::writer::Tx;

pub(crate) const CLOCK: &str = "clock_ms";
const CLOSURES: &str = "closure_seq";

#[derive(FromQueryResult)]
pub(crate) struct ValueRow {
    value: Vec<u8>,
}

const SELECT: &str = "SELECT value FROM settings WHERE key = $1";

/// Counters are eight bytes, big-endian.
fn counter(row: Option<ValueRow>) -> Result<u64, StoreError> {
    let Some(row) = row else { return Ok(0) };
    row.value.try_into().map(u64::from_be_bytes).map_err(|_| StoreError::Corrupt("settings.value"))
}

impl Store {
    pub async fn setting(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.rows::<ValueRow>(SELECT, vec![key.into()]).await?.into_iter().next().map(|row| row.value))
    }

    pub async fn set_setting(&self, key: String, value: Vec<u8>) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.set_setting(&key, &value).await })).await
    }

    /// Whether it was there: a one-time code counts once.
    pub async fn remove_setting(&self, key: String) -> Result<bool, StoreError> {
        self.write(move |tx| Box::pin(async move { tx.remove_setting(&key).await })).await
    }

    /// The later of `now` and the latest time ever given, which it remembers: the server's clock never goes back (security C20).
    pub async fn advance_clock(&self, now: Timestamp) -> Result<Timestamp, StoreError> {
        self.write(move |tx| Box::pin(async move { tx.advance_clock(now).await })).await
    }

    /// The latest time ever given, as it was remembered; absent if none was.
    pub async fn clock_mark(&self) -> Result<Timestamp, StoreError> {
        Ok(Timestamp::from_millis(counter(self.rows(SELECT, vec![CLOCK.into()]).await?.into_iter().next())?))
    }

    /// The closure counter as it stands; facts carry it as `rights`.
    pub async fn closure_seq(&self) -> Result<u64, StoreError> {
        counter(self.rows(SELECT, vec![CLOSURES.into()]).await?.into_iter().next())
    }
}

impl Tx {
    pub async fn setting(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.row::<ValueRow>(SELECT, vec![key.into()]).await?.map(|row| row.value))
    }

    pub async fn set_setting(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        let sql = "INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        self.run(sql, vec![key.into(), value.to_vec().into()]).await.map(drop)
    }

    pub async fn remove_setting(&self, key: &str) -> Result<bool, StoreError> {
        Ok(self.run("DELETE FROM settings WHERE key = $1", vec![key.into()]).await? > 0)
    }

    pub async fn advance_clock(&self, now: Timestamp) -> Result<Timestamp, StoreError> {
        let before = Timestamp::from_millis(counter(self.row(SELECT, vec![CLOCK.into()]).await?)?);
        if before >= now {
            return Ok(before);
        }
        self.set_setting(CLOCK, &now.as_millis().to_be_bytes()).await?;
        Ok(now)
    }

    /// The number of the last loss of rights.
    pub async fn closure_seq(&self) -> Result<u64, StoreError> {
        counter(self.row(SELECT, vec![CLOSURES.into()]).await?)
    }

    /// Counts one more loss of rights; every decision made on facts from before is stale from here on.
    pub async fn next_closure_seq(&self) -> Result<u64, StoreError> {
        let next = self.closure_seq().await? + 1;
        self.set_setting(CLOSURES, &next.to_be_bytes()).await?;
        Ok(next)
    }

    /// A decision about shares stands only while nobody lost any since its facts were read.
    pub(crate) async fn check_rights(&self, decided_on: u64) -> Result<u64, StoreError> {
        let now = self.closure_seq().await?;
        if now == decided_on { Ok(now) } else { Err(StoreError::Stale("list of shares")) }
    }
}
