-- Who is told of what links can't do by themselves. A wiki's are made through the API; the platform's are
-- what the server is started with, and only their queue is kept here. Times that end in _at are
-- milliseconds since 1970; the others are seconds.
create table channels (
    id text not null primary key,
    -- Null: the platform's, told of every wiki.
    wiki text references wikis (id) on delete cascade,
    kind text check (kind in ('webhook', 'mail')),
    -- A mail address, or of a webhook what isn't secret: the host.
    target text,
    -- A webhook's address and what calls of it are signed with, sealed; it opens only for this wiki and
    -- channel.
    nonce blob,
    sealed blob,
    created integer not null,
    -- How often in a row it couldn't be told.
    attempts integer not null default 0,
    -- When to tell it what it hasn't been told; null if there is nothing.
    next_at integer,
    check ((wiki is null) = (kind is null) and (wiki is null) = (target is null)),
    check ((kind is 'webhook') = (sealed is not null)),
    check ((sealed is null) = (nonce is null))
) strict, without rowid;

-- Lists a wiki's channels, and finds them when there is something to tell.
create index channels_by_wiki on channels (wiki, id);
-- Finds who is to be told next, however many there are.
create index channels_by_time on channels (next_at) where next_at is not null;

-- What each channel has yet to be told. The rows are made with the notice; each channel has its own, so that
-- one that can't be reached keeps nothing from the others, and nobody is told twice.
create table deliveries (
    channel text not null references channels (id) on delete cascade,
    notice integer not null references notices (id) on delete cascade,
    primary key (channel, notice)
) strict, without rowid;

create index deliveries_by_notice on deliveries (notice);

-- A notice itself waits for nothing any more. What waited when this came isn't sent: nobody knows for whom it
-- was, and the links still show what they wait for.
drop index notices_by_time;
alter table notices drop column attempts;
alter table notices drop column next_at;
