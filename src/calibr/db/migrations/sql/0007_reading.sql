-- What a sync reads (all, or what changed), and what it is at the store while it does: whoever takes a sync over goes on
-- with the same operation instead of starting another.

alter table calibr.sync_run
  add column mode text not null default 'full',
  add column since timestamptz,                -- of an incremental sync: what changed in the store since then is read
  add column read_from timestamptz,            -- when the reading began: what it brings may be as old as that
  add column operations int not null default 0, -- begun so far; the number is in the name of the last one
  add column operation_id text,                -- of the last one at the store; null until it is known
  add column error_code text,                  -- of a failed run: tells whether what the store has made is still good
  add constraint sync_run_mode check (mode in ('auto', 'full', 'incremental')),
  add constraint only_an_incremental_sync_has_a_since check (since is null or mode = 'incremental');
create index sync_run_done on calibr.sync_run(tenant_id, connection_id, read_from) where state = 'completed';
