-- Times are seconds since 1970, UTC.

-- Every wiki there is, is being made, or was. A wiki is a row here before it is a directory.
create table wikis (
    -- 32 hexadecimal digits, made at random, also written into the wiki's own files. Never reused.
    id text not null primary key,
    -- The present name. Null once the wiki is deleted, so that a new one may take it; unique from
    -- the first moment, so that of two who create the same name one is told.
    slug text unique,
    -- The name a deleted wiki had.
    former_slug text,
    title text not null,
    -- What those may do who aren't members.
    visibility text not null check (visibility in ('private', 'public_read', 'public_write')),
    -- Kept in the row, not inferred from files, so that a crash half-way is seen and finished.
    state text not null
        check (state in ('creating', 'active', 'read_only', 'suspended', 'deleting', 'deleted')),
    -- Why the wiki is suspended, in words for its readers.
    reason text,
    -- The settings given at creation, a JSON object of texts: wiki.db is born later, from these.
    preferences text not null,
    created integer not null,
    -- When the last of its files was gone.
    deleted integer,
    check ((state = 'suspended') = (reason is not null)),
    check ((state = 'deleted') = (slug is null)),
    check ((state = 'deleted') = (former_slug is not null)),
    check ((state = 'deleted') = (deleted is not null))
) strict, without rowid;

-- What a start must finish. Partial, so that it costs nothing for the wikis at rest.
create index wikis_unfinished on wikis (created) where state in ('creating', 'deleting');

-- People, known by what the identity provider calls them.
create table users (
    -- Stable: never a name or an address that could pass to somebody else.
    subject text not null primary key check (subject <> ''),
    -- When the platform first heard of them.
    created integer not null
) strict, without rowid;

-- Who is what in which wiki. The only place that says so: a wiki's owner is its row here.
create table acls (
    wiki text not null references wikis (id) on delete cascade,
    subject text not null references users (subject),
    role text not null check (role in ('reader', 'editor', 'admin', 'owner')),
    primary key (wiki, subject)
) strict, without rowid;

-- Bearer tokens.
create table tokens (
    -- Names the token in lists and in commits. Random: a counter would tell one wiki about others.
    id text not null primary key,
    -- Where it counts; null is the whole platform.
    wiki text references wikis (id) on delete cascade,
    -- What its maker calls it.
    name text not null,
    role text not null check (role in ('operator', 'reader', 'editor', 'admin', 'owner')),
    -- Whether its bearer may name somebody else as the author of a change.
    act_as integer not null check (act_as in (0, 1)),
    -- SHA-256 of the secret, which itself is stored nowhere.
    hash blob not null unique,
    created integer not null,
    -- From when on it is refused; null is never.
    expires integer,
    check ((role = 'operator') = (wiki is null))
) strict, without rowid;

-- Lists a wiki's tokens, and finds them when the wiki goes.
create index tokens_by_wiki on tokens (wiki, id);

-- Host names that wikis own.
create table domains (
    -- Lower-case ASCII, without port and trailing dot.
    domain text not null primary key,
    wiki text not null references wikis (id) on delete cascade
) strict, without rowid;

-- Lists a wiki's domains, and finds them when the wiki goes.
create index domains_by_wiki on domains (wiki, domain);

-- Answers already given to requests with an Idempotency-Key, for those who ask again.
create table idempotency (
    -- Who asked, and what: another caller's key, or another route's, is another key.
    principal text not null,
    method text not null,
    route text not null,
    key text not null,
    -- SHA-256 of the request's body, to notice a key used for something else.
    request blob not null,
    -- The answer, without any secret.
    status integer not null,
    body blob not null,
    created integer not null,
    primary key (principal, method, route, key)
) strict, without rowid;

-- Finds what is old enough to be forgotten.
create index idempotency_by_age on idempotency (created);
