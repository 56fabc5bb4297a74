-- Of very many pages with the same text only some are searched for it: see `searched_names` in the index.

-- Whether the page's text and links are in the index; the page itself, with its title, is in any case.
alter table page add column searched integer not null default 1;
create index page_unsearched on page (etag) where searched = 0;
