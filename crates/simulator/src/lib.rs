//! A pretend vendor with faults. It has a face of the new API, Voiso's or Vonage's, and the legacy face,
//! over one data set.
//!
//! The gateway is tested against this crate, so it must never import the crate `domain`: if both
//! sides shared structs, a wrong field name would pass every test. It knows HTTP and JSON, keeps
//! its data in memory and makes no calls.
//!
//! ```no_run
//! # async fn run() -> std::io::Result<()> {
//! use simulator::{Settings, Simulator};
//!
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let simulator = Simulator::new(Settings { users: 250, ..Settings::default() });
//! simulator.serve(listener, std::future::pending()).await;
//! # Ok(())
//! # }
//! ```

mod answer;
mod calls;
mod dress;
mod fault;
mod handles;
mod legacy;
mod locked;
mod object;
mod people;
mod request;
mod settings;
mod simulator;
mod stats;
mod store;
mod tag;
mod voiso;
mod vonage;

pub use transport::body::Body;

pub use crate::fault::{At, BadSetting, Fail, Faults};
pub use crate::people::data::FIRST_ID;
pub use crate::people::record::{
    Capacity, ChannelProfile, Named, Ringtone, SkillLevel, Text, User,
};
pub use crate::settings::{Dialect, Settings, Tags, TeamsAt, VonageSettings};
pub use crate::simulator::Simulator;
pub use crate::stats::Stats;
pub use crate::store::Order;
pub use crate::store::churn::Churn;
pub use crate::vonage::identity::{
    vonage_agent_display_id, vonage_callback_number_id, vonage_group_id, vonage_role,
    vonage_skill_id, vonage_user_id,
};
