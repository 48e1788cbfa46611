-- What comes in by itself: webhooks of stores, what is watched there, and prices that somebody else changed (drift).

-- A delivery is stored before it is answered. Its id is the store's: a second arrival finds the key taken, for as long as
-- the row is kept. The body goes when it is worked in, since nobody needs it any more.
create table calibr.webhook_delivery(
  tenant_id uuid not null,
  connection_id uuid not null,
  delivery_id text not null check (length(delivery_id) between 1 and 255),
  topic text not null,
  kind text not null,
  correlation_id uuid not null,       -- the store's event id, which all deliveries of one action share
  triggered_at timestamptz,           -- by the store's clock
  body bytea,
  state text not null default 'waiting' check (state in ('waiting', 'handled', 'failed')),
  attempt int not null default 0,
  next_at timestamptz not null default clock_timestamp(),
  last_error text,
  received_at timestamptz not null default clock_timestamp(),
  handled_at timestamptz,
  primary key (tenant_id, connection_id, delivery_id),
  foreign key (tenant_id, connection_id) references calibr.connection(tenant_id, id));
call sec.wall('calibr.webhook_delivery');
create index webhook_delivery_waiting on calibr.webhook_delivery(tenant_id, connection_id, next_at) where state = 'waiting';
create index webhook_delivery_age on calibr.webhook_delivery(tenant_id, received_at);
grant select, insert, update, delete on calibr.webhook_delivery to calibr_app, calibr_worker;

-- What the worker keeps an eye on at each store. A claim moves the time of the next look, so that one worker looks.
create table calibr.connection_watch(
  tenant_id uuid not null,
  connection_id uuid not null,
  webhooks jsonb not null default '[]',        -- [{topic, url}] as the store last listed them
  webhooks_problem text,                       -- why it does not send us what it should
  webhooks_checked_at timestamptz,
  webhooks_next_at timestamptz not null default '-infinity',
  reread_next_at timestamptz not null default '-infinity',
  reread_at timestamptz,
  reread_listings bigint not null default 0,   -- read in the last sample
  reread_differing bigint not null default 0,  -- of which asked another price than the one in force
  sync_wanted_since timestamptz,               -- something came that only a sync can take in
  uninstalled_at timestamptz,                  -- the store said that our app was removed
  inbox_until timestamptz,                     -- a worker is at the deliveries of this connection until then
  primary key (tenant_id, connection_id),
  foreign key (tenant_id, connection_id) references calibr.connection(tenant_id, id));
call sec.wall('calibr.connection_watch');
grant select, insert, update, delete on calibr.connection_watch to calibr_app, calibr_worker;

-- What a platform asks for on behalf of the people behind a store's data. Customers' data is never taken in.
create table calibr.privacy_request(
  tenant_id uuid not null,
  id uuid not null default uuidv7(),
  connection_id uuid not null,
  kind text not null check (kind in ('data_request', 'customer_redact', 'shop_redact')),
  state text not null check (state in ('waiting', 'done')),
  reason text,                                 -- why it waits
  received_at timestamptz not null default now(),
  done_at timestamptz,
  primary key (tenant_id, id),
  foreign key (tenant_id, connection_id) references calibr.connection(tenant_id, id));
call sec.wall('calibr.privacy_request');
create unique index privacy_request_waiting on calibr.privacy_request(tenant_id, connection_id, kind) where state = 'waiting';
grant select, insert, update on calibr.privacy_request to calibr_app, calibr_worker;
grant delete on calibr.secret to calibr_worker;
grant update (value) on calibr.sync_finding to calibr_worker;

-- Prices that differ from the one that Calibr put in force last, by product and price list.
create table calibr.drift(
  tenant_id uuid not null,
  id uuid not null default uuidv7(),
  connection_id uuid not null,
  external_id text not null,
  product_id uuid not null,
  price_list_id uuid not null,
  currency text not null,
  expected_amount bigint not null,
  expected_compare_at bigint,
  expected_since timestamptz not null,
  expected_change_id uuid,                     -- that put the expected price in force; null: it was adopted
  observed_amount bigint,                      -- null: the store has no usable price
  observed_compare_at bigint,
  source text not null,                        -- how it was noticed last: sync, webhook, reread
  writer text,                                 -- who wrote it, where the store tells
  observations int not null default 1,
  state text not null default 'open' check (state in ('open', 'adopted', 'reasserted', 'gone')),
  reason text,                                 -- why it is gone: edited_back, vanished, changed
  opened_at timestamptz not null,
  observed_at timestamptz not null,
  closed_at timestamptz,
  closed_by text,
  reassert_change_id uuid,                     -- the last price change that was made to put the expected price back
  primary key (tenant_id, id),
  check ((state = 'open') = (closed_at is null)));
call sec.wall('calibr.drift');
create unique index drift_open on calibr.drift(tenant_id, price_list_id, product_id) where state = 'open';
create index drift_state on calibr.drift(tenant_id, state, id);
grant select, insert, update, delete on calibr.drift to calibr_app, calibr_worker;

-- Prices that a store was just sent, or may have been. If it shows what was sent that is our own write; whatever else it shows
-- is decided by its run.
create view calibr.price_in_flight with (security_invoker = true, security_barrier = true) as
  select tenant_id, price_list_id, product_id, after_amount, after_compare_at
  from calibr.price_change_item
  where fence is not null and state in ('claimed', 'sending', 'unknown', 'retry_wait') and state in ('sending', 'unknown');
grant select on calibr.price_in_flight to calibr_app, calibr_worker;

-- A drifted price that was adopted is one of ours from then on. The new rule contains the old one, so that no row needs a look.
alter table calibr.price_version drop constraint price_version_source_check;
alter table calibr.price_version add constraint price_version_source_check
  check (source in ('ingest', 'change', 'rollback', 'adopted')) not valid;

-- A price change that puts back what was applied before; its plan is made of drift, not computed from rules.
alter table calibr.price_change add column reasserts boolean not null default false;
create function calibr.guard_reasserts() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception 'the origin of price change % is fixed', old.id using errcode = '23514';
end $$;
revoke all on function calibr.guard_reasserts() from public;
create trigger price_change_reasserts_guard before update on calibr.price_change
  for each row when (old.reasserts is distinct from new.reasserts) execute function calibr.guard_reasserts();
