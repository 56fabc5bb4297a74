//! Repositories of all ages and habits come in, and go out again, byte for byte.
