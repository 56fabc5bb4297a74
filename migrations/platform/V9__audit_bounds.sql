-- What is written down stays within bounds: refusals of one caller are counted, and what is old may go.

-- How often it happened, in the minute that began with the row: refusals of the same kind have one row.
alter table audit add column count integer not null default 1 check (count > 0);

-- Up to which row the log may be forgotten. Only raised, in the transaction that removes those rows, by the
-- maintenance that knows how long the log is kept: no other statement can remove one.
create table audit_retention (
    one integer not null primary key check (one = 1),
    through integer not null
) strict, without rowid;

insert into audit_retention values (1, 0);

create trigger audit_retention_only_rises before update on audit_retention
when new.through < old.through
begin
    select raise(abort, 'the audit log is append-only');
end;

create trigger audit_retention_is_one_row before insert on audit_retention
begin
    select raise(abort, 'the audit log is append-only');
end;

create trigger audit_retention_stays before delete on audit_retention
begin
    select raise(abort, 'the audit log is append-only');
end;

drop trigger audit_is_kept;
create trigger audit_is_kept before delete on audit
when old.id > coalesce((select through from audit_retention), 0)
begin
    select raise(abort, 'the audit log is append-only');
end;

-- The result may come later, once; and what was refused may be counted on.
drop trigger audit_is_as_it_was;
create trigger audit_is_as_it_was before update on audit
when (new.id, new.at, new.action, new.detail) is not (old.id, old.at, old.action, old.detail)
    or new.subject is not old.subject or new.wiki is not old.wiki or new.slug is not old.slug
    or new.peer is not old.peer or new.request_id is not old.request_id
    or not (
        (old.result is null and new.result is not null and new.count = old.count)
        or (old.result is not null and new.result is old.result and new.count > old.count)
    )
begin
    select raise(abort, 'the audit log is append-only');
end;
