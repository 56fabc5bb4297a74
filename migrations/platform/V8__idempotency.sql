-- The table has the columns of the one that each wiki has in its own file now. What wikis' routes answered
-- before isn't taken along: it isn't asked for here any more.
drop index idempotency_by_age;
alter table idempotency rename to idempotency_before;

create table idempotency (
    -- Rises with each answer, so the oldest are found without an index of their own.
    seq integer not null primary key,
    principal text not null,
    method text not null,
    route text not null,
    key text not null,
    -- Whose part of this table the answer takes.
    share text not null,
    request blob not null,
    status integer not null,
    body blob not null,
    -- The id of what the request made, where that can be removed later: such an answer would be untrue then.
    made text,
    created integer not null,
    unique (principal, method, route, key)
) strict;

insert into idempotency (principal, method, route, key, share, request, status, body, made, created)
select principal, method, route, key, principal, request, status, body,
    case when json_valid(body) then json_extract(body, '$.id') end, created
from idempotency_before
where route like '/admin/%'
order by created;

drop table idempotency_before;

create index idempotency_by_share on idempotency (share, seq);
create index idempotency_by_age on idempotency (created);
