pub mod hosted;
