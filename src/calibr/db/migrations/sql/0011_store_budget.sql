-- What an account at a store may still ask for, as the connector counts it. All processes that call the store change this
-- row in turn, many times a second, so it has room for its next versions and is not logged: it is a hint that the next
-- answer of the store restores. After a crash of the server, or on a former standby, the table is empty.
create unlogged table calibr.store_budget(
  tenant_id uuid not null,
  account text not null,                       -- a digest of whom the store counts for
  state jsonb,
  changed_at timestamptz not null default now(),
  primary key (tenant_id, account))
  with (fillfactor = 20, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0);
call sec.wall('calibr.store_budget');
grant select, insert, update on calibr.store_budget to calibr_app, calibr_worker;
grant delete on calibr.store_budget to calibr_worker;
