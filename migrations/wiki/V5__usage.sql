-- How much the commit in wiki.indexed holds: pages, other files, and the bytes of all of them. Counted
-- by the index itself, so that a save need not count.
--
-- From this version on a row of `redo` that begins a change (its `ref` is set) may have no
-- `commit_data`: then the commit in `new`, and all it needs, was on the disk before the row.
alter table wiki add column pages integer not null default 0;
alter table wiki add column attachments integer not null default 0;
alter table wiki add column bytes integer not null default 0;

update wiki set
    pages = (select count(*) from page),
    attachments = (select count(*) from attachment),
    bytes = (select coalesce(sum(size), 0) from page) + (select coalesce(sum(size), 0) from attachment);

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
