-- Files of writes that a store works through on its own time. A row stands here before the store hears of its file, so that
-- whoever comes after a crash knows what may still be written, and waits for its end instead of sending again.

create table calibr.bulk_write(
  tenant_id uuid not null,
  id uuid not null,                   -- the name of the file at the store
  change_id uuid not null,
  price_list_id uuid not null,
  rows int not null check (rows > 0),
  layout bytea not null,              -- of the file: its result tells lines by number only
  created_at timestamptz not null default clock_timestamp(),
  operation_id text,                  -- at the store; null until it is known
  ended_at timestamptz,
  status text,                        -- the last that the store said of it
  primary key (tenant_id, id),
  constraint ended_with_a_status check (ended_at is null or status is not null));
call sec.wall('calibr.bulk_write');
create index bulk_write_open on calibr.bulk_write(tenant_id, change_id, price_list_id) where ended_at is null;
grant select, insert on calibr.bulk_write to calibr_worker;
grant select on calibr.bulk_write to calibr_app;
grant update (operation_id, ended_at, status) on calibr.bulk_write to calibr_worker;

alter table calibr.price_change_item add column bulk_id uuid;
create index item_bulk on calibr.price_change_item(tenant_id, bulk_id) where bulk_id is not null;
grant update (bulk_id) on calibr.price_change_item to calibr_worker;
