//! Tests of the repository and of the whole program, as one binary so that they link once.

mod faults;
mod cli;
mod layers;
mod life;
mod server;
