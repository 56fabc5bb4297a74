-- Tells this file from others, and its states from each other, so that the log (-wal) of another file or of
-- another state isn't taken for its own. One row.
create table catalog (
    -- Random, made with the file.
    id text not null primary key,
    -- How many transactions have changed the file.
    writes integer not null default 0
) strict, without rowid;

insert into catalog (id) values (lower(hex(randomblob(16))));
