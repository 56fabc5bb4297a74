-- What ties a wiki to one branch of a git repository elsewhere. Times that end in _at are milliseconds
-- since 1970, as the one who keeps to them counts; the others are seconds.
create table links (
    -- 16 hexadecimal digits, random; also part of the names of its refs and of its webhook's address.
    id text not null primary key,
    wiki text not null references wikis (id) on delete cascade,
    url text not null,
    branch text not null,
    -- What of the remote the wiki is; null is all of it.
    subdirectory text,
    -- What of the wiki goes there; null is all of it.
    filter text,
    mode text not null check (mode in ('both', 'push', 'pull', 'off')),
    winner text not null,
    first_run text not null,
    on_rewrite text not null,
    interval integer not null check (interval > 0),
    cooldown integer not null check (cooldown >= 0),
    -- Told to leave the network alone.
    offline integer not null check (offline in (0, 1)),
    credential text not null
        check (credential in ('none', 'token', 'token_file', 'deploy_key', 'key_file')),
    -- The half of a key that the remote is given.
    public_key text,
    -- The token, the private key or the name of the file that it is in, sealed; it opens only for this
    -- wiki and link.
    credential_nonce blob,
    credential_sealed blob,
    -- The host keys that were confirmed, as OpenSSH writes them.
    known_hosts text not null,
    -- What the host signs its messages with, sealed likewise.
    webhook_nonce blob not null,
    webhook_sealed blob not null,
    -- All that is known of it, as JSON.
    state text not null,
    -- The parts of that which are searched for.
    word text not null,
    reason text,
    next_at integer,
    created integer not null,
    check ((credential = 'none') = (credential_sealed is null)),
    check ((credential_sealed is null) = (credential_nonce is null)),
    check (public_key is null or credential = 'deploy_key')
) strict, without rowid;

-- Lists a wiki's links, and finds them when the wiki goes.
create index links_by_wiki on links (wiki, id);
-- Lists what waits for somebody.
create index links_by_state on links (word, id);
-- Finds who is due, and when the next one is, however many rest.
create index links_by_time on links (next_at) where next_at is not null;

-- What people are to be told. Written with the state that it tells of, and sent afterwards.
create table notices (
    id integer not null primary key autoincrement,
    link text not null,
    wiki text not null references wikis (id) on delete cascade,
    kind text not null,
    -- Of things that may be told twice by mistake, what they have in common.
    once text,
    -- More about it, as a JSON object. Never a secret.
    detail text not null,
    created integer not null,
    attempts integer not null default 0,
    -- When to try next; null once it was sent, or given up.
    next_at integer
) strict;

create index notices_by_wiki on notices (wiki);
create unique index notices_told_once on notices (link, kind, once) where once is not null;
create index notices_by_time on notices (next_at) where next_at is not null;
