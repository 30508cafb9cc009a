//! SQL in plain sight: free functions, one file per table family, the connection first and the project second.
pub mod db;
