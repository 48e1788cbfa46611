-- Who may see what: the signed tenant context, and the procedure that walls a table in.
-- Runs as calibr_owner, which owns every object. Roles exist already (calibr.db.roles).
-- Every function names pg_temp last. Where it is not named it comes first for types and tables, and a session that makes a
-- domain called uuid there would have its own code run by the owner. A test does just that.

create table sec.key(
  id smallint primary key check (id = 1),
  ipad bytea not null,
  opad bytea not null);

-- HMAC-SHA256 from the built-in sha256(): pgcrypto is not everywhere. The key row holds the padded keys.
create function sec.mac(message text) returns text
  language sql stable security definer set search_path = pg_catalog, pg_temp parallel restricted
  as $$ select encode(sha256(opad || sha256(ipad || convert_to(message, 'UTF8'))), 'hex') from sec.key where id = 1 $$;
revoke all on function sec.mac(text) from public;

-- What a tenant context is bound to: this backend and the start of this transaction, in microseconds. It is no secret.
create function sec.binding() returns text
  language sql stable security invoker set search_path = pg_catalog, pg_temp parallel restricted
  as $$ select pg_backend_pid() || '.' || (extract(epoch from transaction_timestamp()) * 1000000)::bigint $$;
revoke all on function sec.binding() from public;

-- The tenant of this transaction. calibr.ctx is '<tenant>.<mac>', and the mac binds the tenant to sec.binding(), so that a
-- context that was read out is worth nothing anywhere else. STABLE, never IMMUTABLE: a folded constant would leak across
-- tenants. The comparison is between hex digests of equal length.
-- PARALLEL RESTRICTED, since a parallel worker has a pid of its own. Plans stay parallel all the same: the policies say
-- (select sec.tenant()), which the leader computes once per statement and hands to its workers. A test looks at the plan.
create function sec.tenant() returns uuid
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp parallel restricted
as $$
declare
  context text := current_setting('calibr.ctx', true);
  tenant text;
begin
  if context is null or context = '' then
    raise exception 'no tenant context' using errcode = '42501';
  end if;
  tenant := split_part(context, '.', 1);
  if sec.mac(tenant || '.' || sec.binding()) is distinct from split_part(context, '.', 2) then
    raise exception 'bad tenant context' using errcode = '42501';
  end if;
  return tenant::uuid;
end $$;
revoke all on function sec.tenant() from public;
grant usage on schema sec to calibr_app, calibr_worker;
grant execute on function sec.tenant(), sec.binding() to calibr_app, calibr_worker;
grant usage on schema calibr to calibr_app, calibr_worker;

-- Walls in one table: FORCE row-level security, the restrictive wall (which a careless second policy cannot open)
-- and the permissive policy of the two application roles.
create procedure sec.wall(target regclass)
  language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
  execute format('alter table %s enable row level security', target);
  execute format('alter table %s force row level security', target);
  execute format('create policy tenant_wall on %s as restrictive for all to public
    using (tenant_id = (select sec.tenant())) with check (tenant_id = (select sec.tenant()))', target);
  execute format('create policy tenant_rw on %s as permissive for all to calibr_app, calibr_worker
    using (tenant_id = (select sec.tenant())) with check (tenant_id = (select sec.tenant()))', target);
end $$;
revoke all on procedure sec.wall(regclass) from public;

-- The tables without a wall, besides sec.key and alembic_version: only ids, so that a worker knows which contexts to open.
create table calibr.tenant_directory(
  tenant_id uuid primary key,
  created_at timestamptz not null default now());
grant insert on calibr.tenant_directory to calibr_app;
grant select on calibr.tenant_directory to calibr_worker;
