-- Wiki links also find the only page or attachment of a name in whatever folder. And titles are made otherwise: by the
-- front matter, or by a heading further down. So all rows are made anew from git.
update wiki set indexed = null, building = null;

-- A number for the last segment of the path, with spaces, dashes and underscores alike: as `key`, of its folded name.
alter table page add column base integer not null default 0;
create index page_by_base on page (base, path);
alter table attachment add column base integer not null default 0;
create index attachment_by_base on attachment (base, page, name);
