-- How much of the disk the wiki takes, as far as wiki.db doesn't know by itself.

-- The bytes of the repository at the last checkpoint; null when that wasn't counted.
alter table wiki add column repository_bytes integer;
-- The bytes of all drafts: their texts, and about what their rows take besides.
alter table wiki add column draft_bytes integer not null default 0;
update wiki set draft_bytes = (
    select coalesce(sum(coalesce(octet_length(content), 0) + 3 * coalesce(octet_length(pagepath), 0) + 200), 0)
    from drafts
);

create trigger draft_added after insert on drafts begin
    update wiki set draft_bytes = draft_bytes
        + coalesce(octet_length(new.content), 0) + 3 * coalesce(octet_length(new.pagepath), 0) + 200;
end;
create trigger draft_changed after update of content, pagepath on drafts begin
    update wiki set draft_bytes = draft_bytes
        + coalesce(octet_length(new.content), 0) + 3 * coalesce(octet_length(new.pagepath), 0)
        - coalesce(octet_length(old.content), 0) - 3 * coalesce(octet_length(old.pagepath), 0);
end;
create trigger draft_removed after delete on drafts begin
    update wiki set draft_bytes = draft_bytes
        - coalesce(octet_length(old.content), 0) - 3 * coalesce(octet_length(old.pagepath), 0) - 200;
end;
