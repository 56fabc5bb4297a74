-- Links are stored as they are written, and paths are found by numbers: a link of a few bytes on a page
-- deep in the wiki means paths of up to a thousand bytes, and each of them was stored twice and indexed.
--
-- What a row describes doesn't change; all of it is built again from git.
update wiki set indexed = null, building = null, pages = 0, attachments = 0, bytes = 0;

drop table page;
create table page (
    id integer primary key,
    path text not null unique,
    -- A number for the path with case and composition folded: the first eight bytes of the folded path's
    -- blob id. Two pages that collide on some systems have the same.
    key integer not null,
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
) strict;
create index page_by_key on page (key);

drop table attachment;
create table attachment (
    -- The directory (the page it belongs to; empty at the root) and the name in it.
    page text not null,
    name text not null,
    -- As page.key, of the whole path.
    key integer not null,
    etag blob not null,
    size integer not null,
    revision blob not null,
    author_name text not null,
    author_email text not null,
    modified integer not null,
    primary key (page, name)
) strict, without rowid;
create index attachment_by_key on attachment (key);

create trigger page_added after insert on page begin
    update wiki set pages = pages + 1, bytes = bytes + new.size;
end;
create trigger page_changed after update of size on page begin
    update wiki set bytes = bytes + new.size - old.size;
end;
create trigger page_removed after delete on page begin
    update wiki set pages = pages - 1, bytes = bytes - old.size;
end;
create trigger attachment_added after insert on attachment begin
    update wiki set attachments = attachments + 1, bytes = bytes + new.size;
end;
create trigger attachment_changed after update of size on attachment begin
    update wiki set bytes = bytes + new.size - old.size;
end;
create trigger attachment_removed after delete on attachment begin
    update wiki set attachments = attachments - 1, bytes = bytes - old.size;
end;

drop table link;
-- Where the links of every page lead, each destination once for each kind.
create table link (
    -- The row of the page they stand on, and their order in it.
    page integer not null,
    position integer not null,
    -- A link may mean several paths, of which the first that exists counts: their order.
    candidate integer not null,
    -- As page.key and attachment.key, of the path it may mean.
    key integer not null,
    -- `wiki`, `embed`, `link` or `image`, and the destination as it is written there; both null but for the
    -- first candidate.
    kind text,
    destination text,
    primary key (page, position, candidate)
) strict, without rowid;
create index link_by_key on link (key);

drop table search;
-- The full text of every page. A row's number is its page's.
create virtual table search using fts5 (
    path, title, body,
    -- Signs and marks belong to their letters, or half of the world's scripts would fall to pieces.
    tokenize = "unicode61 remove_diacritics 2 categories 'L* N* Co Mn Mc'"
);
insert into search (search, rank) values ('rank', 'bm25(5.0, 10.0, 1.0)');
