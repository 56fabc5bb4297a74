-- How many bytes of the disk a wiki may take, with its history, its index and its drafts; null is what the
-- platform gives to a wiki without a limit of its own.
alter table wikis add column max_disk_bytes integer check (max_disk_bytes >= 0);
