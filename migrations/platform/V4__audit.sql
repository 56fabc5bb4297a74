-- Who did what, to which wiki, from where, and how it ended. Nothing is ever changed or removed, so
-- there are no references to rows that may go.
create table audit (
    id integer not null primary key autoincrement,
    at integer not null,
    -- The caller's subject; null is an anonymous one.
    subject text,
    -- What was to be done, such as 'token.create'.
    action text not null,
    -- The wiki's id, and its name at that moment.
    wiki text,
    slug text,
    -- The address of whoever asked; null for what was done on the machine itself.
    peer text,
    request_id text,
    -- What it was done to, as a JSON object. Never a secret.
    detail text not null,
    -- The status it was answered with. Null while it is being done, and for ever if the process died.
    result integer
) strict;

create index audit_by_wiki on audit (wiki, id);
create index audit_by_slug on audit (slug, id);
create index audit_by_subject on audit (subject, id);

create trigger audit_is_kept before delete on audit
begin
    select raise(abort, 'the audit log is append-only');
end;

-- Only the result may come later, and only once.
create trigger audit_is_as_it_was before update on audit
when old.result is not null or new.result is null
    or (new.id, new.at, new.action, new.detail) is not (old.id, old.at, old.action, old.detail)
    or new.subject is not old.subject or new.wiki is not old.wiki or new.slug is not old.slug
    or new.peer is not old.peer or new.request_id is not old.request_id
begin
    select raise(abort, 'the audit log is append-only');
end;
