-- Price lists beside a store's base prices, the markets that they are for, and quantity breaks, as the store shows them.

alter table calibr.price_list
  add column audience text,                    -- for whom; null for base prices
  add column active boolean not null default true,
  add column adjustment_ppm int,               -- of relative prices, in millionths of the base price
  add column adjusts_compare_at boolean,
  add column read_at timestamptz,              -- when its prices were last taken in
  add constraint price_list_audience check (audience in ('market', 'company', 'app', 'nobody')) not valid;

create table calibr.market(
  tenant_id uuid not null,
  id uuid not null default uuidv7(),
  connection_id uuid not null,
  external_id text not null,
  name text not null,
  active boolean not null,
  currency text not null check (currency ~ '^[A-Z]{3}$'),
  countries text[] not null,
  price_list_ids uuid[] not null,              -- in force there
  primary key (tenant_id, id),
  unique (tenant_id, connection_id, external_id),
  foreign key (tenant_id, connection_id) references calibr.connection(tenant_id, id));
call sec.wall('calibr.market');
grant select, insert, update on calibr.market to calibr_app, calibr_worker;

-- Read and shown, never written to a store.
create table calibr.quantity_break(
  tenant_id uuid not null,
  price_list_id uuid not null,
  product_id uuid not null,
  minimum_quantity int not null check (minimum_quantity > 0),
  unit_amount bigint not null check (unit_amount between 0 and 1000000000000),
  primary key (tenant_id, price_list_id, product_id, minimum_quantity));
call sec.wall('calibr.quantity_break');
grant select, insert, delete on calibr.quantity_break to calibr_app, calibr_worker;

-- A relative price is nobody's decision about the list: it follows the base price. What it was is kept all the same, since
-- plans are computed from it; no amount: the store does not tell how much. The new rule contains the old one.
alter table calibr.price_version add column relative boolean not null default false;
alter table calibr.price_version alter column unit_amount drop not null;
alter table calibr.price_version add constraint fixed_prices_have_an_amount
  check (relative or unit_amount is not null) not valid;

-- Before: whether the plan found no fixed price. After: an item that is written and has no amount takes the fixed price away.
alter table calibr.price_change_item add column before_relative boolean not null default false;
grant insert (before_relative) on calibr.price_change_item to calibr_app, calibr_worker;

-- A price change that takes fixed prices away; its plan is made of a selection, not computed by a transform.
alter table calibr.price_change add column releases boolean not null default false;
create trigger price_change_releases_guard before update on calibr.price_change
  for each row when (old.releases is distinct from new.releases) execute function calibr.guard_reasserts();

alter table calibr.connection_watch
  add column price_lists_next_at timestamptz not null default '-infinity',
  add column price_lists_begun_at timestamptz, -- the last reading
  add column price_lists_read_at timestamptz,  -- the last one that ended well
  add column price_lists_problem text;         -- why they could not be read
