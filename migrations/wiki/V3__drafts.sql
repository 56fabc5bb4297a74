alter table drafts add column base text;
