//! Pages as people write them are shown as they mean them.
