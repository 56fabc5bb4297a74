mod files;
mod db;
