-- What the platform knows of people beyond their subject. All of it is for showing, never for
-- recognising somebody.
alter table users add column name text;
alter table users add column email text;
-- Since when nobody may act as them, and why.
alter table users add column suspended integer;
alter table users add column reason text check ((suspended is null) = (reason is null));

-- Whose token it is; null is nobody's. It is worth no more than that user is, at any moment.
alter table tokens add column subject text references users (subject);
-- When it was last shown to us, to the minute or so.
alter table tokens add column used integer;

-- Finds a user's tokens when the user is suspended.
create index tokens_by_subject on tokens (subject) where subject is not null;

-- Finds what somebody is a member of.
create index acls_by_subject on acls (subject);

-- Memberships offered to whoever shows the secret: a subject is known only after a first login.
create table invitations (
    -- 16 hexadecimal digits, random.
    id text not null primary key,
    wiki text not null references wikis (id) on delete cascade,
    role text not null check (role in ('reader', 'editor', 'admin', 'owner')),
    -- To whom it was sent, for showing. It isn't compared with anything.
    email text,
    -- SHA-256 of the secret, which itself is stored nowhere.
    hash blob not null unique,
    created integer not null,
    -- From when on it is refused.
    expires integer not null,
    -- When and by whom it was accepted. It is good for one.
    accepted integer,
    accepted_by text references users (subject),
    check ((accepted is null) = (accepted_by is null))
) strict, without rowid;

-- Lists a wiki's invitations, and finds them when the wiki goes.
create index invitations_by_wiki on invitations (wiki, id);

-- How much a wiki may hold; null is as much as there is room for.
alter table wikis add column max_bytes integer check (max_bytes >= 0);
alter table wikis add column max_pages integer check (max_pages >= 0);
