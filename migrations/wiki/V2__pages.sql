-- Which wiki this file belongs to, and which commit the page index reflects.
create table wiki (
    -- There is exactly one row.
    one integer primary key check (one = 1),
    -- The immutable identifier the platform gave this wiki. Set once, when the file is born.
    id text,
    -- The commit that every row of `page` describes; null when nothing was indexed yet.
    indexed blob,
    -- The head at the last checkpoint: it, and all it is built on, is on the disk.
    durable blob
) strict;
insert into wiki (one) values (1);

-- Saves that are acknowledged but whose git objects are not yet known to be on disk. Enough to
-- build their objects again, on top of `old`, bit for bit. A save of one page is one row: each page
-- of the log that a save writes is waited for.
create table redo (
    -- The order of the saves and of the edits in each.
    seq integer primary key,
    -- The full name of the branch, such as refs/heads/main. This and the commit stand in the first
    -- row of a save; further edits of the same save follow without.
    ref text,
    -- The branch before (null: the branch did not exist) and after the save.
    old blob,
    new blob not null,
    -- The commit object's bytes.
    commit_data blob,
    -- What the commit changes against its first parent; null when it changes nothing.
    path blob,
    -- The file mode, for example 33188 (octal 100644); null when the entry is removed.
    mode integer,
    blob_id blob,
    -- The content; null when the blob was already durable before the save was acknowledged.
    content blob
) strict;

-- The page index: one row a page of the commit in wiki.indexed.
create table page (
    path text not null primary key,
    title text not null,
    -- Blob id of the content.
    etag blob not null,
    -- Bytes.
    size integer not null,
    -- The commit that last changed the page, who made it and when (seconds since 1970, UTC).
    revision blob not null,
    author_name text not null,
    author_email text not null,
    modified integer not null
) strict, without rowid;
