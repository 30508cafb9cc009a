pub mod timestamp;
