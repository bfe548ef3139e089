//! Connections, and what holds for every request.

pub mod cors;
pub mod health;
pub mod paths;
pub mod serve;
pub mod surroundings;
pub mod telemetry;
pub mod tls;
pub mod traces;
