-- What a pair of commits is good for, after the other end has taken back what it had, and for which part of
-- the two it holds: a link may come to cover another.
alter table sync_map add column directory text;
-- Null, both: that was not noted, and counts as what the link covers.
alter table sync_map add column prefix text;
-- The newest commit of ours of which the other end had everything, as far as that was noted; `local` if both
-- had the same files.
alter table sync_map add column told blob;
