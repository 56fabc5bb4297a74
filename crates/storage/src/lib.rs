pub mod files;
pub mod db;
