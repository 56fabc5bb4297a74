-- Passwords, keys and tokens that a wiki needs for something elsewhere. What they are can be read
-- only with the key, which is in a file of its own.
create table secrets (
    wiki text not null references wikis (id) on delete cascade,
    -- What it is for, such as MAIL_PASSWORD.
    name text not null check (name <> ''),
    -- 24 random bytes, new with each sealing.
    nonce blob not null,
    -- The sealed value with its tag. It opens only for this wiki and this name.
    sealed blob not null,
    created integer not null,
    primary key (wiki, name)
) strict, without rowid;
