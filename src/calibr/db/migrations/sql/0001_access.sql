-- Tenants, users, tokens, idempotency keys.

create table calibr.tenant(
  tenant_id uuid primary key,
  name text not null check (name <> ''),
  created_at timestamptz not null default now());
call sec.wall('calibr.tenant');
grant select, insert on calibr.tenant to calibr_app, calibr_worker;

create table calibr.app_user(
  tenant_id uuid not null references calibr.tenant,
  id uuid not null default uuidv7(),
  name text not null check (name <> ''),
  role text not null check (role in ('author', 'approver', 'admin', 'viewer')),
  created_at timestamptz not null default now(),
  disabled_at timestamptz,
  primary key (tenant_id, id),
  unique (tenant_id, name));
call sec.wall('calibr.app_user');
grant select, insert, update on calibr.app_user to calibr_app;
grant select on calibr.app_user to calibr_worker;

create table calibr.token(
  tenant_id uuid not null,
  id uuid not null default uuidv7(),
  user_id uuid not null,
  name text not null,
  secret_hash bytea not null,
  scopes text[] not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  revoked_at timestamptz,
  last_used_at timestamptz,
  primary key (tenant_id, id),
  foreign key (tenant_id, user_id) references calibr.app_user(tenant_id, id));
call sec.wall('calibr.token');
create index token_user on calibr.token(tenant_id, user_id);
grant select, insert, update on calibr.token to calibr_app;

create table calibr.idempotency(
  tenant_id uuid not null,
  token_id uuid not null,
  key text not null check (length(key) between 1 and 255),
  method text not null,
  path text not null,
  request_hash bytea not null,
  status int,
  headers jsonb not null default '{}',
  response bytea,
  created_at timestamptz not null default now(),
  primary key (tenant_id, token_id, key),
  foreign key (tenant_id, token_id) references calibr.token(tenant_id, id));
call sec.wall('calibr.idempotency');
create index idempotency_age on calibr.idempotency(tenant_id, created_at);
grant select, insert, update on calibr.idempotency to calibr_app;
grant select, delete on calibr.idempotency to calibr_worker; -- the worker forgets keys after 30 days
