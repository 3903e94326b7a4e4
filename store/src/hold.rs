//! Holds on the chunk store: while somebody copies it, no chunk goes that their copy of the rows still names.
//!
//! ```text
//!   a backup       hold (committed) ─▶ copy of the rows ─▶ chunks, the hold renewed meanwhile ─▶ release
//!   a deletion     row gone (committed) ─▶ is anything held? ─▶ no: the chunks go      yes: they are left to the sweep
//! ```
//!
//! A deletion asks after its row is gone, a copy is begun after its hold is there. So if the copy still has the row, the deletion
//! finds the hold; whoever asks earlier than that must ask again. A hold ends by itself when it is not renewed, so that one who died
//! holds nothing for long. It is measured by the database's own time ([`Store::advance_clock`]), which all who use it share.

use sea_orm::FromQueryResult;
use ticrypt_types::Timestamp;

use crate::connect::Store;
use crate::error::StoreError;
use crate::setting::CLOCK;

/// How long a hold lasts without being renewed.
pub const HOLD_MS: u64 = 60_000;

const PREFIX: &str = "chunk_hold/";

#[derive(FromQueryResult)]
struct Row {
    key: String,
    value: Vec<u8>,
}

fn time(row: &Row) -> Result<Timestamp, StoreError> {
    let bytes = row.value.as_slice().try_into().map_err(|_| StoreError::Corrupt("settings.value"))?;
    Ok(Timestamp::from_millis(u64::from_be_bytes(bytes)))
}

impl Store {
    /// Begins a hold under a name that nobody else has. Holds that ended by themselves are forgotten.
    pub async fn hold_chunks(&self, name: &str, now: Timestamp) -> Result<(), StoreError> {
        let ended = self.holds().await?.into_iter().filter(|(_, alive)| !alive).map(|(key, _)| key);
        let (key, ended) = (format!("{PREFIX}{name}"), ended.collect::<Vec<_>>());
        self.write(move |tx| {
            Box::pin(async move {
                for key in ended {
                    tx.remove_setting(&key).await?;
                }
                let now = tx.advance_clock(now).await?;
                tx.set_setting(&key, &now.plus_millis(HOLD_MS).as_millis().to_be_bytes()).await
            })
        })
        .await
    }

    /// Makes the hold last on. One that ended meanwhile is stale: chunks may have gone since.
    pub async fn renew_hold(&self, name: &str, now: Timestamp) -> Result<(), StoreError> {
        let key = format!("{PREFIX}{name}");
        self.write(move |tx| {
            Box::pin(async move {
                let until = tx.setting(&key).await?.and_then(|value| value.try_into().ok()).map_or(0, u64::from_be_bytes);
                let now = tx.advance_clock(now).await?;
                if now.as_millis() >= until {
                    return Err(StoreError::Stale("hold on the chunks"));
                }
                tx.set_setting(&key, &now.plus_millis(HOLD_MS).as_millis().to_be_bytes()).await
            })
        })
        .await
    }

    /// Ends a hold; one that is not there is fine.
    pub async fn release_hold(&self, name: &str) -> Result<(), StoreError> {
        self.remove_setting(format!("{PREFIX}{name}")).await.map(drop)
    }

    /// Whether chunks must stay where they are. To be asked after the row that named them is gone.
    pub async fn chunks_are_held(&self) -> Result<bool, StoreError> {
        Ok(self.holds().await?.into_iter().any(|(_, alive)| alive))
    }

    /// Each hold, and whether it still counts.
    async fn holds(&self) -> Result<Vec<(String, bool)>, StoreError> {
        // One statement, so that time and holds are of one moment.
        let sql = "SELECT key, value FROM settings WHERE key = $1 OR key LIKE $2";
        let rows: Vec<Row> = self.rows(sql, vec![CLOCK.into(), format!("{PREFIX}%").into()]).await?;
        let now = rows.iter().find(|row| row.key == CLOCK).map(time).transpose()?.unwrap_or(Timestamp::ABSENT);
        let holds = rows.iter().filter(|row| row.key != CLOCK);
        holds.map(|row| Ok((row.key.clone(), now < time(row)?))).collect()
    }
}
