-- The full text is folded before it comes here, and cut out of the pages' files when it is shown. Names
-- are found in either composition, and moves keep what they knew.
--
-- The rows of pages and their words are made again from git; the log stays.
update wiki set indexed = null, building = null;

-- The path in Unicode's NFC; null if that is how it is spelt.
alter table page add column composed text;
create index page_by_composed on page (composed) where composed is not null;

drop table search;
-- The folded words of every page, without the text. A row's number is its page's.
create virtual table search using fts5 (
    path, title, body,
    content = '', contentless_delete = 1,
    -- Words come with spaces between them, and in no other case.
    tokenize = "ascii"
);
insert into search (search, rank) values ('rank', 'bm25(5.0, 10.0, 1.0)');

-- Files that a commit moves, as the move itself said: until the log has the commit.
create table told_move (
    -- The commit.
    revision blob not null,
    -- The path of a file before and after.
    old text not null,
    new text not null,
    primary key (revision, old)
) strict, without rowid;
