-- Synchronisation with git repositories elsewhere. The links themselves belong to the platform, which
-- numbers them; here is what a save has to write down together with itself.

-- What a link has not been seen to have yet: one row a commit, gone when the other end has it.
create table sync_job (
    link integer not null,
    -- The order of the commits.
    seq integer not null,
    target blob not null,
    -- Seconds since 1970, UTC.
    created integer not null,
    primary key (link, seq)
) strict, without rowid;

-- Places of merges that a person should look at. Nothing is lost there: both texts are in the history.
create table sync_conflict (
    id integer primary key,
    -- Null: the branch was moved with git while a save was on its way.
    link integer,
    -- The path of the file, not of the page, and where the text is that lost.
    path blob not null,
    conflict_path blob,
    kind text not null,
    -- Blob ids of the texts; null where there was none.
    base blob,
    ours blob,
    theirs blob,
    -- The merge.
    revision blob not null,
    -- Seconds since 1970, UTC; `closed` is null for as long as nobody has looked.
    created integer not null,
    closed integer
) strict;
create index open_sync_conflict on sync_conflict (conflict_path) where closed is null;

-- Which commit of ours has the same pages as which one there, where a link covers a part of the one or
-- the other and the commits can't be the same.
create table sync_map (
    link integer not null,
    seq integer not null,
    local blob not null,
    remote blob not null,
    primary key (link, seq)
) strict, without rowid;
create index sync_map_by_remote on sync_map (link, remote);
