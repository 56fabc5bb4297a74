-- The index: everything that lists, histories, links and searches need and git is slow to say. All
-- of it is derived from the commit in wiki.indexed and may be emptied at any time.

-- The commit towards which `revision` and `change` are being filled; null when they are complete.
alter table wiki add column building blob;
update wiki set indexed = null;

drop table page;
-- One row a page of the commit in wiki.indexed.
create table page (
    id integer primary key,
    path text not null unique,
    -- The path with case and composition folded: two pages whose keys are equal collide.
    key text not null,
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

-- One row a file that is no page.
create table attachment (
    -- The directory (the page it belongs to; empty at the root) and the name in it.
    page text not null,
    name text not null,
    -- The whole path, folded as page.key is.
    key text not null,
    etag blob not null,
    size integer not null,
    revision blob not null,
    author_name text not null,
    author_email text not null,
    modified integer not null,
    primary key (page, name)
) strict, without rowid;
create index attachment_by_key on attachment (key);

-- One row a commit. Parents have lower numbers than their children.
create table revision (
    seq integer primary key,
    id blob not null unique,
    author_name text not null,
    author_email text not null,
    -- Seconds since 1970, UTC.
    time integer not null,
    message text not null
) strict;

-- Which commits each commit is built on.
create table parent (
    child integer not null,
    parent integer not null,
    primary key (child, parent)
) strict, without rowid;

-- The files each commit changes: against its parent, or, for a merge, against all of them.
create table change (
    -- The path of the file, not of the page.
    path text not null,
    seq integer not null,
    -- `moved` stands at the old path of what is `renamed` at its new one.
    kind text not null check (kind in ('added', 'modified', 'deleted', 'renamed', 'copied', 'moved')),
    -- The old path of `renamed` and `copied`, the new one of `moved`.
    other text,
    primary key (path, seq)
) strict, without rowid;
create index change_by_seq on change (seq);

-- Where the links of every page lead.
create table link (
    -- The row of the page they stand on, and their order in it.
    page integer not null,
    position integer not null,
    -- A link may mean several paths, of which the first that exists counts: their order.
    candidate integer not null,
    -- `wiki`, `embed`, `link` or `image`, as it is written.
    kind text not null,
    -- A path, and the same folded as page.key and attachment.key are.
    target text not null,
    key text not null,
    -- What follows the `#`.
    fragment text,
    primary key (page, position, candidate)
) strict, without rowid;
create index link_by_key on link (key);

-- The full text of every page. A row's number is its page's.
create virtual table search using fts5 (
    path, title, body,
    -- Signs and marks belong to their letters, or half of the world's scripts would fall to pieces.
    tokenize = "unicode61 remove_diacritics 2 categories 'L* N* Co Mn Mc'"
);
insert into search (search, rank) values ('rank', 'bm25(5.0, 10.0, 1.0)');
