-- The four tables of the wiki software this format comes from, in its own types. An existing file
-- that already has them (at user_version 0) is adopted: nothing here touches a table that is there.

-- Settings of this wiki: one row a setting, every value as text.
create table if not exists preferences (
    name varchar(256) not null primary key,
    value text
);

-- Unsaved texts, one per page and author.
create table if not exists drafts (
    id integer not null primary key,
    pagepath varchar(2048),
    revision varchar(64),
    author_email varchar(256),
    content text,
    cursor_line integer,
    cursor_ch integer,
    datetime datetime
);
create index if not exists ix_drafts_pagepath on drafts (pagepath);

-- Accounts of an adopted wiki. Who may do what is decided by the platform, never by this table.
create table if not exists user (
    id integer not null primary key,
    name varchar(128),
    email varchar(128),
    password_hash varchar(512),
    first_seen datetime,
    last_seen datetime,
    is_approved boolean,
    is_admin boolean,
    email_confirmed boolean,
    allow_read boolean,
    allow_write boolean,
    allow_upload boolean
);
create unique index if not exists ix_user_email on user (email);

-- Derived values; may be emptied at any time.
create table if not exists cache (
    "key" varchar(64) not null primary key,
    value text,
    datetime datetime
);
create index if not exists ix_cache_key on cache ("key");
