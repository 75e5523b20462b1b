//! Bounds on what callers take: so much at once, and so much in time.

mod bucket;
mod places;

pub use bucket::{Allowance, Bucket, OWED_MAX};
pub use places::{Full, Place, Places};
