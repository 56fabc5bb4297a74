-- Answers already given to requests with an Idempotency-Key, for clients that ask again. They are here and not
-- in the platform's file, so that what the callers of one wiki make grow is that wiki's own.
create table idempotency (
    -- Rises with each answer, so the oldest are found without an index of their own.
    seq integer not null primary key,
    -- Who asked, and what: another caller's key, or another route's, is another key.
    principal text not null,
    method text not null,
    route text not null,
    key text not null,
    -- Whose part of this table the answer takes. Callers without a credential have one part together.
    share text not null,
    -- SHA-256 of the request's body, to notice a key used for something else.
    request blob not null,
    -- The answer, without any secret.
    status integer not null,
    body blob not null,
    -- The id of what the request made, where that can be removed later.
    made text,
    created integer not null,
    unique (principal, method, route, key)
) strict;

-- Finds the oldest answers of one share.
create index idempotency_by_share on idempotency (share, seq);
-- Finds what is old enough to be forgotten.
create index idempotency_by_age on idempotency (created);
