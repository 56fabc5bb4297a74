//! Names, searches and histories in every script.
