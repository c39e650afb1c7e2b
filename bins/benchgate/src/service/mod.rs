//! A regressd, as far as pushing a run to it needs it: [`client`] asks patiently, [`identity`] proves who asks, [`upload`]
//! is what is sent, [`answer`] what comes back.

mod answer;
mod client;
mod identity;
mod upload;

pub(crate) use answer::{RunState, StoredRun};
pub(crate) use client::{ServiceClient, ServiceError};
pub(crate) use identity::Identity;
pub(crate) use upload::{RunContents, Upload};
