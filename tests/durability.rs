//! Nothing billable is lost and nothing is counted twice: killed processes, stopped ones, a database that goes away, a
//! billing transaction that breaks at any of its statements.

mod ending;
mod kill;
pub mod load;
mod outage;
mod restart;
mod starting;
mod statement;
