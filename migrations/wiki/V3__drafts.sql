-- A draft knows the version of the page that it was begun from, and is found by whose it is.

-- The etag in hexadecimal digits; null when the page didn't exist.
alter table drafts add column base text;

-- `author_email` holds what identifies the owner, which needn't be an address.
create index ix_drafts_author_email_pagepath on drafts (author_email, pagepath);
