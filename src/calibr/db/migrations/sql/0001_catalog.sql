-- Connections, products, listings, prices and costs.
-- The bulk tables (product, listing, price_version, product_cost) reference each other without foreign keys: a row-wise check
-- costs more than the load itself. Only set-based ingest writes them, rows are never deleted, and a test counts orphans.

create table calibr.connection(
  tenant_id uuid not null references calibr.tenant,
  id uuid not null default uuidv7(),
  kind text not null,
  name text not null check (name <> ''),
  name_norm text not null,
  state text not null default 'active' check (state in ('active', 'failing', 'disabled')),
  config jsonb not null default '{}',
  health jsonb,
  unidata_version text,               -- of the Unicode tables that the texts of this connection were normalized with
  first_synced_at timestamptz,
  last_synced_at timestamptz,
  created_at timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, name));
call sec.wall('calibr.connection');
grant select, insert, update on calibr.connection to calibr_app, calibr_worker;

create table calibr.secret(
  tenant_id uuid not null,
  connection_id uuid not null,
  field text not null,
  ciphertext text not null,           -- v1.<key id>.<base64 of nonce and sealed value>
  created_at timestamptz not null default now(),
  primary key (tenant_id, connection_id, field),
  foreign key (tenant_id, connection_id) references calibr.connection(tenant_id, id));
call sec.wall('calibr.secret');
grant select, insert, update on calibr.secret to calibr_app, calibr_worker;

create table calibr.price_list(
  tenant_id uuid not null,
  id uuid not null default uuidv7(),
  connection_id uuid not null,
  external_id text,
  name text not null,
  name_norm text not null,
  currency text not null check (currency ~ '^[A-Z]{3}$'),
  is_base boolean not null,
  created_at timestamptz not null default now(),
  primary key (tenant_id, id),
  unique nulls not distinct (tenant_id, connection_id, external_id),
  foreign key (tenant_id, connection_id) references calibr.connection(tenant_id, id));
call sec.wall('calibr.price_list');
grant select, insert, update on calibr.price_list to calibr_app, calibr_worker;

create table calibr.sync_run(
  tenant_id uuid not null,
  id uuid not null default uuidv7(),
  connection_id uuid not null,
  state text not null default 'queued' check (state in ('queued', 'running', 'completed', 'failed')),
  stage text not null default 'queued',
  rows_read bigint not null default 0,
  rows_total bigint,
  summary jsonb,
  error text,
  requested_by text not null,
  forced boolean not null default false, -- may make most of the connection's listings vanish
  correlation_id uuid not null,
  lease_until timestamptz,
  fence bigint not null default 0,
  created_at timestamptz not null default now(),
  finished_at timestamptz,
  primary key (tenant_id, id),
  foreign key (tenant_id, connection_id) references calibr.connection(tenant_id, id));
call sec.wall('calibr.sync_run');
create unique index sync_run_open on calibr.sync_run(tenant_id, connection_id) where state in ('queued', 'running');
grant select, insert, update on calibr.sync_run to calibr_app, calibr_worker;

create table calibr.sync_finding(
  tenant_id uuid not null,
  sync_id uuid not null,
  ordinal int not null,
  external_id text not null,
  field text not null,
  value text,
  rule text not null,
  primary key (tenant_id, sync_id, ordinal),
  foreign key (tenant_id, sync_id) references calibr.sync_run(tenant_id, id));
call sec.wall('calibr.sync_finding');
grant select, insert on calibr.sync_finding to calibr_app, calibr_worker;

create table calibr.product(
  tenant_id uuid not null,
  id uuid not null default uuidv7(),
  sku text,
  title text,
  vendor text,
  product_type text,
  status text,
  tags text[] not null default '{}',
  attributes jsonb not null default '{}',
  sku_norm text,
  title_norm text,
  vendor_norm text,
  product_type_norm text,
  status_norm text,
  tags_norm text[] not null default '{}',
  attributes_norm jsonb not null default '{}',
  active boolean not null default true,
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id));
call sec.wall('calibr.product');
create index product_sku on calibr.product(tenant_id, sku_norm) where sku_norm is not null;
grant select, insert, update on calibr.product to calibr_app, calibr_worker;

create table calibr.listing(
  tenant_id uuid not null,
  connection_id uuid not null,
  external_id text not null,
  product_id uuid not null,
  group_external_id text not null,
  fingerprint uuid,                   -- of everything that the store last said about it, money apart: equal means unchanged
  active boolean not null default true,
  vanished_at timestamptz,
  primary key (tenant_id, connection_id, external_id),
  unique (tenant_id, product_id, connection_id));
call sec.wall('calibr.listing');
grant select, insert, update on calibr.listing to calibr_app, calibr_worker;

-- `id` follows from the key and is computed when somebody asks, since an index-free random value would cost a tenth of a load.
-- `ends_at` stands in the key in place of valid_to, which may be null: one index then says that at most one version of a price
-- is in force, and finds it.
create table calibr.price_version(
  tenant_id uuid not null,
  id uuid generated always as (cast(
    lpad(to_hex((cast(cast('x' || encode(timestamptz_send(valid_from), 'hex') as bit(64)) as bigint) + 946684800000000) / 1000), 12, '0')
    || '7' || substr(md5(uuid_send(product_id) || uuid_send(price_list_id) || timestamptz_send(valid_from)), 1, 3)
    || '8' || substr(md5(uuid_send(product_id) || uuid_send(price_list_id) || timestamptz_send(valid_from)), 4, 15)
    as uuid)) virtual,
  product_id uuid not null,
  price_list_id uuid not null,
  currency text not null,
  unit_amount bigint not null check (unit_amount between 0 and 1000000000000),
  compare_at bigint check (compare_at between 0 and 1000000000000),
  valid_from timestamptz not null default now(),
  valid_to timestamptz check (valid_to > valid_from),
  ends_at timestamptz not null generated always as (coalesce(valid_to, 'infinity'::timestamptz)) stored,
  change_id uuid,
  source text not null check (source in ('ingest', 'change', 'rollback')),
  primary key (tenant_id, price_list_id, product_id, ends_at));
call sec.wall('calibr.price_version');
grant select, insert on calibr.price_version to calibr_app, calibr_worker;
grant update (valid_to) on calibr.price_version to calibr_app, calibr_worker;

create table calibr.product_cost(
  tenant_id uuid not null,
  product_id uuid not null,
  currency text not null,
  unit_cost bigint not null check (unit_cost between 0 and 1000000000000),
  valid_from timestamptz not null default now(),
  valid_to timestamptz check (valid_to > valid_from),
  ends_at timestamptz not null generated always as (coalesce(valid_to, 'infinity'::timestamptz)) stored,
  primary key (tenant_id, product_id, ends_at));
call sec.wall('calibr.product_cost');
grant select, insert on calibr.product_cost to calibr_app, calibr_worker;
grant update (valid_to) on calibr.product_cost to calibr_app, calibr_worker;

-- Statistics after a first load, for the planner of the first preview. Only the owner of a table may take them; this lends
-- that right to the worker for these four tables and for nothing else.
create function calibr.refresh_statistics() returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$ begin analyze calibr.product, calibr.listing, calibr.price_version, calibr.product_cost; end $$;
revoke all on function calibr.refresh_statistics() from public;
grant execute on function calibr.refresh_statistics() to calibr_worker;
