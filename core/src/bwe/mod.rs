//! Bandwidth of one path.
//!
//! Towards us:
//!
//! * [`feedback`]: tells a sender when its packets arrived, so that it can estimate the bandwidth to us itself.
//! * [`incoming_limit`]: a limit for such a sender.
//! * [`remb`]: estimates it for senders that do not number their packets transport-wide.
//!
//! Towards a receiver, behind [`estimate`]:
//!
//! * [`history`]: what was sent under which number.
//! * [`acknowledged`]: what arrives.
//! * [`arrival`], [`trend`], [`queue`]: what the delay says; [`aimd`]: the rate that it allows.
//! * [`loss`]: the rate that loss allows.
//! * [`probe`], [`probe_plan`], [`probe_trust`]: whether there is more, and whether that is there to stay.
//! * [`watch`]: feedback that stops; [`report`]: clients that send none. [`clocks`]: their time and ours.
//!
//! [`pacer`] smooths what is then sent.
pub mod acknowledged;
pub mod aimd;
pub mod arrival;
pub mod clocks;
pub mod estimate;
pub mod feedback;
pub mod history;
pub mod incoming_limit;
pub mod loss;
pub mod pacer;
pub mod probe;
pub mod probe_plan;
pub mod probe_trust;
pub mod queue;
pub mod remb;
pub mod report;
pub mod trend;
pub mod watch;
