//! Changes of what a merchant takes from his customers: one at a time for each merchant, stored, in force before they
//! are answered, and done to their end whether or not the caller waits. Where it is unknown whether a change was
//! stored, the rows are asked until they answer, and what they say is what counts.

use std::time::Duration;

use actix_web::web;
use diesel::PgConnection;

use crate::domain::ids::MerchantId;
use crate::engine::tariffs::Tariffs;
use crate::storage::{StorageError, meters, plans};

use super::error::ApiError;
use super::state::AppState;
use super::turns::to_the_end;

type State = web::Data<AppState>;

/// How long rows that did not answer are left alone.
const INTERVAL: Duration = Duration::from_secs(1);

/// Does the work, which stores a change and then puts it in force itself: it may end after its caller has given up.
pub async fn change<T, F>(state: &State, merchant: MerchantId, work: F) -> Result<Result<T, StorageError>, ApiError>
where
    T: Send + 'static,
    F: FnOnce(&mut PgConnection, &Tariffs) -> Result<T, StorageError> + Send + 'static,
{
    let state = state.clone();
    to_the_end(async move {
        let _turn = state.turns.take(merchant.bits()).await;
        let tariffs = state.tariffs.clone();
        let work = state.database.run(move |connection| work(connection, &tariffs));
        let done = work.await;
        if let Err(StorageError::Unavailable(_)) = done {
            actix_rt::spawn(read_again(state.clone(), merchant));
        }
        Ok(done)
    })
    .await
}

async fn read_again(state: State, merchant: MerchantId) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        let _turn = state.turns.take(merchant.bits()).await;
        let known = state.database.run(move |connection| {
            let plans = plans::load(connection, Some(merchant))?;
            Ok((meters::load(connection, Some(merchant))?, plans))
        });
        let Ok((meters, plans)) = known.await else { continue };
        let meters = meters.into_iter().map(|row| row.meter).collect();
        let plans = plans.iter().map(|row| row.listed()).collect();
        state.tariffs.replace(merchant, meters, plans);
        return;
    }
}
